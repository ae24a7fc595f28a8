#include "space/quantizer/clipped_normal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace bitsearch {
namespace {

double Density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi); }

double Distribution(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

}  // namespace

double RectifiedNormalMean(double mean, double deviation) {
  return ClippedNormalMean(mean, deviation, 0.0, std::numeric_limits<double>::infinity());
}

double ClippedNormalMean(double mean, double deviation, double low, double high) {
  if (!(deviation > 0.0)) return std::clamp(mean, low, high);
  const double a = (low - mean) / deviation;
  const double b = (high - mean) / deviation;
  double result = mean * (Distribution(b) - Distribution(a));
  // An infinite bound contributes nothing: its density and its probability are both zero.
  if (std::isfinite(a)) result += deviation * Density(a) + low * Distribution(a);
  if (std::isfinite(b)) result += -deviation * Density(b) + high * (1.0 - Distribution(b));
  return result;
}

double ClippedNormalSquare(double mean, double deviation, double low, double high) {
  if (!(deviation > 0.0)) {
    const double value = std::clamp(mean, low, high);
    return value * value;
  }
  const double a = (low - mean) / deviation;
  const double b = (high - mean) / deviation;
  double result = (mean * mean + deviation * deviation) * (Distribution(b) - Distribution(a));
  if (std::isfinite(a)) {
    result += deviation * (mean + low) * Density(a) + low * low * Distribution(a);
  }
  if (std::isfinite(b)) {
    result += -deviation * (mean + high) * Density(b) + high * high * (1.0 - Distribution(b));
  }
  return result;
}

}  // namespace bitsearch
