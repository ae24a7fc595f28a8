#pragma once
// Resource columns of CSV files: exact decimals per layer and choice, brought to one integer grid
// when all files are read. Must not know search.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "space/choices/bit_choice.h"
#include "space/hardware/cost_table.h"
#include "space/support/csv.h"
#include "space/support/strong_index.h"

namespace bitsearch {

/// A decimal with the place it was read from, for messages.
struct PlacedDecimal {
  Decimal value;
  SourceLocation where;
};

/// A number format in a cell; throws Error(kCsvBits).
NumberFormat FormatAt(const CsvTable& table, const CsvRow& row, std::size_t column);

/// The layer that a cell names; throws Error(kLayerUnknown) with the nearest of `layers`.
LayerIndex LayerAt(const CsvTable& table, const CsvRow& row, std::size_t column,
                   const std::vector<std::string>& layers);

/// One resource as the files give it.
struct RawResource {
  std::string name;
  std::vector<std::vector<PlacedDecimal>> cost;  ///< [layer][choice]
  std::optional<PlacedDecimal> fixed;
  int decimals = 0;  ///< Most decimals of any value so far.

  void Note(const PlacedDecimal& value) {
    if (value.value.decimals > decimals) decimals = value.value.decimals;
  }
};

/// Reads every resource column of a latency or cost file for the given layers and choices. Columns
/// `stddev_…` and `samples` are skipped. Throws Error(kCostMissing) naming layer and bits,
/// Error(kCsvDuplicateRow).
std::vector<RawResource> ReadResourceColumns(const std::string& path,
                                             const std::vector<std::string>& layers,
                                             const std::vector<std::vector<BitChoice>>& choices);

/// True for columns that describe a measurement and are no resource.
bool IsMeasurementColumn(std::string_view name);

/// "12.5", "3e2": floor(value · 10^decimals), exactly; nothing if it is no number or too large.
std::optional<std::int64_t> FloorToGrid(std::string_view text, int decimals);

}  // namespace bitsearch
