#pragma once
// Budgets as users write them: "900", or "0.6 x int8" of what a uniform configuration takes.
// Turning them into limits of an AssignmentProblem needs the costs and is the pipeline's job.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "space/choices/bit_choice.h"
#include "space/support/csv.h"

namespace bitsearch {

/// The resources a budget may limit, with the unit in the name, in the order tables print them:
/// size_bytes, size_bits, mean_weight_bits, bops, latency_us.
const std::vector<std::string>& BudgetResources();

/// An upper limit of one resource, inclusive.
struct BudgetLimit {
  std::string resource;
  /// The number as written: an absolute value, or the factor of `baseline`.
  std::string number;
  /// "int8", "w4a8", "fp32": the uniform configuration whose cost is multiplied; "": absolute.
  std::string baseline;

  bool operator==(const BudgetLimit&) const = default;
  bool relative() const { return !baseline.empty(); }
  /// "900" or "0.6 x int8".
  std::string ToString() const;
};

/// Limits that must hold together; one selection is made per budget.
struct Budget {
  std::string name;
  std::vector<BudgetLimit> limits;
  bool operator==(const Budget&) const = default;
};

/// "size_bytes <= 0.5 x int8, latency_us <= 900".
std::string LimitsText(const Budget& budget);

/// The uniform choice behind a baseline's name: "fp32", "int8" (W8A8), "w4a8", "w4afp32"; nothing
/// for others.
std::optional<BitChoice> ParseBaseline(std::string_view name);

/// Reads "900" or "0.6 x int8" (also "×"). Throws Error(kBudgetValue) without a place.
BudgetLimit ParseBudgetLimit(std::string resource, std::string_view text);

/// floor(`factor` · `value`) in exact integers; `factor` ≥ 0. Throws Error(kBudgetValue) where the
/// product leaves 63 bits.
std::int64_t ScaleDown(const Decimal& factor, std::int64_t value);

}  // namespace bitsearch
