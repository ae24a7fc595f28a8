#pragma once
// Losses as integers: every solver adds and compares losses on one decimal grid, so that sums do not
// depend on their order, equal sums are equal, and dominance is exact. Must not know solvers.

#include <cstdint>
#include <vector>

namespace bitsearch {

/// A grid of 10^−decimals on which losses are 64-bit integers.
///
/// A loss is read as the shortest decimal that denotes its double (0.1 is 1/10), so decimals of a
/// file add up as decimals. The grid is as fine as the digits ask for and 62 bits allow.
class LossGrid {
 public:
  LossGrid() = default;
  /// A grid for sums of at most one entry of each of `rows` (entries in absolute value).
  /// Entries must be finite.
  static LossGrid ForSumsOf(const std::vector<const std::vector<double>*>& rows);

  /// `value` rounded to the grid, half to even.
  std::int64_t ToGrid(double value) const;
  double FromGrid(std::int64_t units) const;
  /// One step of the grid as a loss.
  double unit() const;
  /// True if every entry lay on the grid.
  bool exact() const { return exact_; }

 private:
  int decimals_ = 0;
  bool exact_ = true;
};

}  // namespace bitsearch
