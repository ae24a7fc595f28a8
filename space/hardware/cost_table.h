#pragma once
// Costs beside latency that a device's table may hold (energy): exact decimals per layer and bits,
// in the cost CSV of the contract. Must not know what the numbers mean.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "space/choices/bit_choice.h"

namespace bitsearch {

/// One column of costs. Values are unscaled / 10^decimals of the column's unit.
struct CostTable {
  struct Row {
    std::string key;  ///< Layer id or signature.
    BitChoice choice;
    std::int64_t unscaled = 0;
  };
  std::string column;  ///< With its unit: "energy_mj".
  int decimals = 9;
  std::int64_t fixed_unscaled = 0;  ///< What no choice changes.
  std::vector<Row> rows;
};

/// `layer,weight_bits,activation_bits,<column>`; a fixed cost as a comment `# fixed_<column>: v`.
std::string CostCsvText(const CostTable& table);

/// unscaled / 10^decimals in decimal digits, without trailing zeros.
std::string DecimalText(std::int64_t unscaled, int decimals);

}  // namespace bitsearch
