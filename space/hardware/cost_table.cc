// The cost CSV. See cost_table.h.
#include "space/hardware/cost_table.h"

#include "space/hardware/latency_csv.h"

namespace bitsearch {

std::string DecimalText(std::int64_t unscaled, int decimals) {
  std::int64_t unit = 1;
  for (int i = 0; i < decimals; ++i) unit *= 10;
  std::string text = unscaled < 0 ? "-" : "";
  const std::int64_t magnitude = unscaled < 0 ? -unscaled : unscaled;
  text += std::to_string(magnitude / unit);
  if (decimals == 0) return text;
  std::string digits = std::to_string(unit + magnitude % unit).substr(1);  // With leading zeros.
  while (!digits.empty() && digits.back() == '0') digits.pop_back();
  return digits.empty() ? text : text + "." + digits;
}

std::string CostCsvText(const CostTable& table) {
  std::string text;
  if (table.fixed_unscaled != 0) {
    text +=
        "# fixed_" + table.column + ": " + DecimalText(table.fixed_unscaled, table.decimals) + "\n";
  }
  text += "layer,weight_bits,activation_bits," + table.column + "\n";
  for (const CostTable::Row& row : table.rows) {
    text += CsvCell(row.key) + "," + row.choice.weight.ToString() + "," +
            row.choice.activation.ToString() + "," + DecimalText(row.unscaled, table.decimals) +
            "\n";
  }
  return text;
}

}  // namespace bitsearch
