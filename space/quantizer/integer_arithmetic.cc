#include "space/quantizer/integer_arithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "space/support/vector_clones.h"

namespace bitsearch {
namespace {

constexpr int kMantissaBits = 31;
constexpr int kLargestShift = 62;
constexpr double kLargestMantissa = 2147483647.0;

// The shift with which `real` has 31 significant bits.
int ShiftFor(double real) {
  int exponent = 0;
  std::frexp(real, &exponent);
  return std::clamp(kMantissaBits - exponent, 0, kLargestShift);
}

DyadicMultiplier WithShift(double real, int shift) {
  const double mantissa = std::nearbyint(std::ldexp(real, shift));
  return {static_cast<std::int32_t>(std::min(mantissa, kLargestMantissa)), shift};
}

template <typename Accumulator>
inline void RequantizeLoop(const Accumulator* accumulators, float* out, std::size_t count,
                           std::int32_t bias, std::int64_t mantissa, int shift, std::int64_t half,
                           std::int64_t low, std::int64_t high) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t sum = static_cast<std::int32_t>(accumulators[i]) + bias;
    const std::int64_t steps = (sum * mantissa + half) >> shift;
    const std::int64_t raised = steps > low ? steps : low;
    out[i] = static_cast<float>(static_cast<std::int32_t>(raised < high ? raised : high));
  }
}

BITSEARCH_VECTOR_CLONES
void RequantizeKernel(const float* accumulators, float* out, std::size_t count, std::int32_t bias,
                      std::int64_t mantissa, int shift, std::int64_t half, std::int64_t low,
                      std::int64_t high) {
  RequantizeLoop(accumulators, out, count, bias, mantissa, shift, half, low, high);
}

BITSEARCH_VECTOR_CLONES
void RequantizeKernel(const double* accumulators, float* out, std::size_t count, std::int32_t bias,
                      std::int64_t mantissa, int shift, std::int64_t half, std::int64_t low,
                      std::int64_t high) {
  RequantizeLoop(accumulators, out, count, bias, mantissa, shift, half, low, high);
}

std::int64_t HalfOf(int shift) { return shift > 0 ? std::int64_t{1} << (shift - 1) : 0; }

template <typename Accumulator>
void RequantizeTo(std::span<const Accumulator> accumulators, std::span<float> out,
                  std::int32_t bias, DyadicMultiplier multiplier, const AffineGrid& grid) {
  RequantizeKernel(accumulators.data(), out.data(), accumulators.size(), bias, multiplier.mantissa,
                   multiplier.shift, HalfOf(multiplier.shift), grid.qmin - grid.zero_point,
                   grid.qmax - grid.zero_point);
}

template <typename Accumulator>
void DequantizeTo(std::span<const Accumulator> accumulators, std::span<float> out,
                  std::int32_t bias, double scale) {
  for (std::size_t i = 0; i < accumulators.size(); ++i) {
    const std::int32_t sum = static_cast<std::int32_t>(accumulators[i]) + bias;
    out[i] = static_cast<float>(static_cast<double>(sum) * scale);
  }
}

}  // namespace

DyadicMultiplier ToDyadic(double real) {
  if (real < std::ldexp(1.0, -kMantissaBits - 1)) return {0, 0};
  DyadicMultiplier result = WithShift(real, ShiftFor(real));
  // A mantissa that rounded up to 2^31 was cut to 2^31 − 1; 2^30 with a smaller shift is exact.
  if (result.shift > 0 && std::nearbyint(std::ldexp(real, result.shift)) > kLargestMantissa) {
    result = WithShift(real, result.shift - 1);
  }
  return result;
}

std::vector<DyadicMultiplier> ToCommonDyadic(std::span<const double> reals) {
  const double largest = *std::max_element(reals.begin(), reals.end());
  const int shift = ToDyadic(largest).shift;
  std::vector<DyadicMultiplier> multipliers;
  for (const double real : reals) multipliers.push_back(WithShift(real, shift));
  return multipliers;
}

std::int64_t ShiftRounded(std::int64_t value, int shift, DyadicRounding rounding) {
  const std::int64_t half = HalfOf(shift);
  const std::int64_t up = (value + half) >> shift;
  // A half came up one too far if that is odd.
  const bool is_half = shift > 0 && value + half == up << shift;
  return rounding == DyadicRounding::kHalfEven && is_half && (up & 1) != 0 ? up - 1 : up;
}

void Requantize(std::span<const float> accumulators, std::span<float> out, std::int32_t bias,
                DyadicMultiplier multiplier, const AffineGrid& grid) {
  RequantizeTo(accumulators, out, bias, multiplier, grid);
}

void Requantize(std::span<const double> accumulators, std::span<float> out, std::int32_t bias,
                DyadicMultiplier multiplier, const AffineGrid& grid) {
  RequantizeTo(accumulators, out, bias, multiplier, grid);
}

void Dequantize(std::span<const float> accumulators, std::span<float> out, std::int32_t bias,
                double scale) {
  DequantizeTo(accumulators, out, bias, scale);
}

void Dequantize(std::span<const double> accumulators, std::span<float> out, std::int32_t bias,
                double scale) {
  DequantizeTo(accumulators, out, bias, scale);
}

IntegerWeight ToIntegers(const QuantizedWeight& weight, const Shape& shape, int axis) {
  IntegerWeight result;
  std::size_t inner = 1;
  for (std::size_t a = static_cast<std::size_t>(axis) + 1; a < shape.size(); ++a) {
    inner *= static_cast<std::size_t>(shape[a]);
  }
  const auto channels = static_cast<std::size_t>(shape[static_cast<std::size_t>(axis)]);
  for (const AffineGrid& grid : weight.grids) result.scale.push_back(grid.scale);
  std::vector<std::int64_t> sums(channels);
  result.steps.resize(weight.values.size());
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    const std::size_t channel = i / inner % channels;
    const float scale = result.scale[result.scale.size() == 1 ? 0 : channel];
    // value = step·scale rounded once, and |step| < 2^16, so the quotient rounds to the step.
    const float step = scale > 0.0F ? std::nearbyint(weight.values[i] / scale) : 0.0F;
    result.steps[i] = step;
    sums[channel] += static_cast<std::int64_t>(std::fabs(step));
  }
  if (!sums.empty()) result.largest_sum = *std::max_element(sums.begin(), sums.end());
  return result;
}

std::int32_t QuantizeBias(double bias, double scale) {
  if (!(scale > 0.0)) return 0;
  return static_cast<std::int32_t>(
      std::clamp(std::nearbyint(bias / scale),
                 static_cast<double>(std::numeric_limits<std::int32_t>::min()), kLargestMantissa));
}

}  // namespace bitsearch
