#pragma once
// The arithmetic of a pure integer engine: multipliers m·2^−n, requantization of int32
// accumulators, weights and biases as integers. Torch-free, on plain memory. Activations are held
// as steps q − z (code minus zero point), so that 0 means 0 whatever the grid.

#include <cstdint>
#include <span>
#include <vector>

#include "space/graph/tensor_value.h"
#include "space/quantizer/affine.h"
#include "space/quantizer/weight_quantizer.h"

namespace bitsearch {

/// The number mantissa·2^−shift, mantissa in [0, 2^31), shift in [0, 62].
struct DyadicMultiplier {
  std::int32_t mantissa = 0;
  std::int32_t shift = 0;
};

/// Which integer a half goes to.
enum class DyadicRounding : std::uint8_t {
  kHalfUp,    ///< One addition and one shift: what integer engines do after a product.
  kHalfEven,  ///< As ONNX Runtime rounds the means of its integer pools.
};

/// The nearest dyadic number with 31 significant bits to `real` ≥ 0 (HAWQ-V3, section 3). Below
/// 2^−32 it is 0, which an int32 times it rounds to; from 2^31 on 2^31 − 1, times which every other
/// integer than 0 leaves any grid.
DyadicMultiplier ToDyadic(double real);

/// The same for several numbers with one shift, so that products can be added before they are
/// shifted. The largest has 31 significant bits.
std::vector<DyadicMultiplier> ToCommonDyadic(std::span<const double> reals);

/// round(value·2^−shift), |value| < 2^62.
std::int64_t ShiftRounded(std::int64_t value, int shift, DyadicRounding rounding);

/// out[i] = clamp(round((accumulator[i] + bias)·m·2^−n), grid), in steps. Accumulators are integers
/// in floating point, |accumulator + bias| < 2^31.
void Requantize(std::span<const float> accumulators, std::span<float> out, std::int32_t bias,
                DyadicMultiplier multiplier, const AffineGrid& grid);
void Requantize(std::span<const double> accumulators, std::span<float> out, std::int32_t bias,
                DyadicMultiplier multiplier, const AffineGrid& grid);

/// out[i] = steps[i]·m, |steps| < 2^31: one summand of a sum over a common shift.
void Multiply(std::span<const float> steps, std::span<std::int64_t> out,
              DyadicMultiplier multiplier);

/// out[i] = clamp(round(sums[i]·2^−shift), grid), in steps.
void ShiftToGrid(std::span<const std::int64_t> sums, std::span<float> out, int shift,
                 DyadicRounding rounding, const AffineGrid& grid);

/// out[i] = (accumulator[i] + bias)·scale, under the same bound.
void Dequantize(std::span<const float> accumulators, std::span<float> out, std::int32_t bias,
                double scale);
void Dequantize(std::span<const double> accumulators, std::span<float> out, std::int32_t bias,
                double scale);

/// The weight of a layer as integers.
struct IntegerWeight {
  std::vector<float> steps;  ///< q − z in the tensor's order.
  std::vector<float> scale;  ///< By output channel, or one for all.
  /// max over channels of Σ |step|: an accumulator is at most this times the largest input step.
  std::int64_t largest_sum = 0;
};

/// `weight` must have one scale in all or per output channel (`axis`).
IntegerWeight ToIntegers(const QuantizedWeight& weight, const Shape& shape, int axis);

/// Whether every channel's bias fits INT32 on its scale of the products: one scale for each
/// channel, or one for all. A zero fits any scale.
bool FitsIntegerBias(std::span<const float> bias, std::span<const float> product_scales);

/// round(bias/scale), half to even, in the range of int32; 0 where the scale is 0.
std::int32_t QuantizeBias(double bias, double scale);

}  // namespace bitsearch
