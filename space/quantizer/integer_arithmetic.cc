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

// Multiplier and range of one requantization. Products of two int32 are one instruction for several
// elements at once, so the mantissa stays 32 bits wide.
struct Rescaling {
  std::int32_t bias = 0;
  std::int32_t mantissa = 0;
  int shift = 0;
  std::int64_t half = 0;
  std::int64_t low = 0;
  std::int64_t high = 0;
};

template <typename Accumulator>
inline void RequantizeLoop(const Accumulator* accumulators, float* out, std::size_t count,
                           const Rescaling& by) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t sum = static_cast<std::int32_t>(accumulators[i]) + by.bias;
    const std::int64_t product = static_cast<std::int64_t>(sum) * by.mantissa;
    const std::int64_t steps = (product + by.half) >> by.shift;
    const std::int64_t raised = steps > by.low ? steps : by.low;
    out[i] = static_cast<float>(static_cast<std::int32_t>(raised < by.high ? raised : by.high));
  }
}

BITSEARCH_VECTOR_CLONES
void RequantizeKernel(const float* accumulators, float* out, std::size_t count, Rescaling by) {
  RequantizeLoop(accumulators, out, count, by);
}

BITSEARCH_VECTOR_CLONES
void RequantizeKernel(const double* accumulators, float* out, std::size_t count, Rescaling by) {
  RequantizeLoop(accumulators, out, count, by);
}

BITSEARCH_VECTOR_CLONES
void ShiftKernel(const std::int64_t* sums, float* out, std::size_t count, Rescaling by) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t steps = (sums[i] + by.half) >> by.shift;
    const std::int64_t raised = steps > by.low ? steps : by.low;
    out[i] = static_cast<float>(static_cast<std::int32_t>(raised < by.high ? raised : by.high));
  }
}

BITSEARCH_VECTOR_CLONES
void MultiplyKernel(const float* steps, std::int64_t* out, std::size_t count,
                    std::int32_t mantissa) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<std::int64_t>(static_cast<std::int32_t>(steps[i])) * mantissa;
  }
}

std::int64_t HalfOf(int shift) { return shift > 0 ? std::int64_t{1} << (shift - 1) : 0; }

Rescaling RescalingTo(const AffineGrid& grid, DyadicMultiplier multiplier, std::int32_t bias) {
  return {bias,
          multiplier.mantissa,
          multiplier.shift,
          HalfOf(multiplier.shift),
          grid.qmin - grid.zero_point,
          grid.qmax - grid.zero_point};
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
  RequantizeKernel(accumulators.data(), out.data(), accumulators.size(),
                   RescalingTo(grid, multiplier, bias));
}

void Requantize(std::span<const double> accumulators, std::span<float> out, std::int32_t bias,
                DyadicMultiplier multiplier, const AffineGrid& grid) {
  RequantizeKernel(accumulators.data(), out.data(), accumulators.size(),
                   RescalingTo(grid, multiplier, bias));
}

void Multiply(std::span<const float> steps, std::span<std::int64_t> out,
              DyadicMultiplier multiplier) {
  MultiplyKernel(steps.data(), out.data(), steps.size(), multiplier.mantissa);
}

void ShiftToGrid(std::span<const std::int64_t> sums, std::span<float> out, int shift,
                 DyadicRounding rounding, const AffineGrid& grid) {
  const Rescaling by = RescalingTo(grid, {0, shift}, 0);
  if (rounding == DyadicRounding::kHalfUp) {
    ShiftKernel(sums.data(), out.data(), sums.size(), by);
    return;
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    out[i] =
        static_cast<float>(std::clamp(ShiftRounded(sums[i], shift, rounding), by.low, by.high));
  }
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

bool FitsIntegerBias(std::span<const float> bias, std::span<const float> product_scales) {
  for (std::size_t c = 0; c < bias.size(); ++c) {
    const auto scale = static_cast<double>(product_scales[c % product_scales.size()]);
    const double code = std::nearbyint(static_cast<double>(bias[c]) / scale);
    if (bias[c] != 0.0F && !(std::fabs(code) <= kLargestMantissa)) return false;
  }
  return true;
}

std::int32_t QuantizeBias(double bias, double scale) {
  if (!(scale > 0.0)) return 0;
  return static_cast<std::int32_t>(
      std::clamp(std::nearbyint(bias / scale),
                 static_cast<double>(std::numeric_limits<std::int32_t>::min()), kLargestMantissa));
}

}  // namespace bitsearch
