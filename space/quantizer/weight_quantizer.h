#pragma once
// Quantizes a weight tensor to any number format. Torch-free: works on plain memory, so that
// search, export and size accounting share it.

#include <cstdint>
#include <span>
#include <vector>

#include "space/choices/bit_choice.h"
#include "space/choices/quantization_spec.h"
#include "space/graph/tensor_value.h"
#include "space/quantizer/affine.h"

namespace bitsearch {

/// A quantized weight. For integers of two or more bits `grids` holds one entry per tensor, output
/// channel, or (channel, group), channel-major. One bit is α·sign(w), α = mean |w|; ternary is
/// α·sign(w) where |w| > 0.7·mean |w| and 0 elsewhere, α the mean of those |w|; for both the grid's
/// scale is α (levels −1, (0,) +1).
struct QuantizedWeight {
  std::vector<float> values;      ///< Dequantized, in the tensor's own order.
  std::vector<AffineGrid> grids;  ///< Empty for float formats.
  std::int64_t group_count = 1;   ///< Groups per output channel (kPerGroup).
  double squared_error = 0.0;     ///< Σ (w − w')².
};

/// Whether a weight's format has integers times a scale, any number of them: not one bit, ternary,
/// float or none.
inline bool IsAffine(NumberFormat format) { return format.is_integer() && format.bits() > 1; }

/// Quantizes `weight` (shape `shape`, output channels along `channel_axis`) to `format`.
/// Throws Error(kUsage) for the skip format, and for symmetric quantization at fewer than 2 bits.
QuantizedWeight QuantizeWeight(std::span<const float> weight, const Shape& shape, int channel_axis,
                               NumberFormat format, const WeightQuantizerSpec& spec);

/// The integers behind `values` (a weight, or QuantizedWeight::values) on given grids, in the
/// tensor's own order. `grids` as in QuantizedWeight, made under the same granularity and group
/// size; throws Error(kInternal) if their number is another.
std::vector<std::int32_t> WeightCodes(std::span<const float> values, const Shape& shape,
                                      int channel_axis, std::span<const AffineGrid> grids,
                                      Granularity granularity, int group_size);

/// `weight` on grids that are given: one for the tensor, for each output channel, or for each block
/// of `group_size` inputs. Throws Error(kInternal) if their number is another.
QuantizedWeight QuantizeWeightOnGrids(std::span<const float> weight, const Shape& shape,
                                      int channel_axis, std::vector<AffineGrid> grids,
                                      int group_size);

/// The weight that `codes` (in the tensor's own order) and grids stand for; `weight` is what its
/// error is counted against. Throws Error(kInternal) if there are not as many grids as runs.
QuantizedWeight WeightOfCodes(std::span<const float> weight, std::span<const std::int32_t> codes,
                              const Shape& shape, int channel_axis, std::vector<AffineGrid> grids,
                              int group_size);

/// ACIQ's correction of the spread: each scale times ξ = ‖W − E W‖ / ‖W' − E W'‖ of its run, the
/// integers as they are. The mean shift that ACIQ adds lies on no integer grid; bias correction
/// takes its effect out of the layer's output. `spec` gives the granularity.
void CorrectSpread(std::span<const float> weight, const Shape& shape, int channel_axis,
                   const WeightQuantizerSpec& spec, QuantizedWeight& quantized);

}  // namespace bitsearch
