#include "space/quantizer/ranges.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bitsearch {
namespace {

// The order statistic at a fractional position; reorders.
float Quantile(std::vector<float>& values, double fraction) {
  const double position = fraction * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::ptrdiff_t>(std::floor(position));
  std::nth_element(values.begin(), values.begin() + below, values.end());
  const float low = values[static_cast<std::size_t>(below)];
  if (below + 1 >= static_cast<std::ptrdiff_t>(values.size())) return low;
  const float high = *std::min_element(values.begin() + below + 1, values.end());
  return static_cast<float>(low + (position - static_cast<double>(below)) *
                                      (static_cast<double>(high) - low));
}

}  // namespace

Range MinMaxRange(std::span<const float> values) {
  if (values.empty()) return {};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high};
}

Range PercentileRange(std::vector<float>& values, double percentile) {
  if (values.empty()) return {};
  return {Quantile(values, 1.0 - percentile / 100.0), Quantile(values, percentile / 100.0)};
}

Range MseRange(std::span<const float> values, int bits, bool symmetric, bool narrow) {
  const Range full = MinMaxRange(values);
  Range best = full;
  double least = std::numeric_limits<double>::infinity();
  for (int step = 100; step >= 20; --step) {
    const float shrink = static_cast<float>(step) / 100.0F;
    const Range range{full.low * shrink, full.high * shrink};
    const AffineGrid grid =
        symmetric ? SymmetricGrid(range, bits, narrow) : AsymmetricGrid(range, bits);
    const double error = SquaredError(values, grid);
    if (error < least) {
      least = error;
      best = range;
    }
  }
  return best;
}

}  // namespace bitsearch
