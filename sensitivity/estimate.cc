#include "sensitivity/estimate.h"

#include <cmath>
#include <limits>

namespace bitsearch {

Estimate MeanOf(std::span<const double> observations) {
  const auto count = static_cast<double>(observations.size());
  Estimate result;
  for (const double value : observations) result.value += value;
  result.value /= count;
  if (observations.size() < 2) {
    result.standard_error = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  double squares = 0.0;
  for (const double value : observations) {
    squares += (value - result.value) * (value - result.value);
  }
  result.standard_error = std::sqrt(squares / (count - 1.0) / count);
  return result;
}

}  // namespace bitsearch
