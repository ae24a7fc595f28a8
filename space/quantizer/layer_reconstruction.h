#pragma once
// Learned rounding: the integers of a layer's weight that change its output least, given how its
// inputs vary together. Torch-free.

#include <cstdint>
#include <span>
#include <vector>

#include "space/choices/quantization_spec.h"
#include "space/graph/tensor_value.h"
#include "space/quantizer/weight_quantizer.h"

namespace bitsearch {

/// How the inputs that one output of a layer is made of vary together: E[x xᵀ], or their covariance
/// where the mean of the error goes into the bias anyway.
struct InputMoments {
  std::int64_t inputs = 0;  ///< K: elements of one output channel's weight.
  /// By group of a grouped convolution, K × K, row-major, in the order of the weight's elements.
  std::vector<std::vector<float>> by_group;
};

/// Σ over output channels of E‖(w' − w)·x‖², which AdaRound (Nagel et al., ICML 2020, eq. 14)
/// minimises layer by layer.
double ReconstructionError(std::span<const float> weight, std::span<const float> quantized,
                           const Shape& shape, int channel_axis, const InputMoments& moments);

/// The weight T that gives, on quantized inputs x̂, most nearly what `weight` gives on the float
/// ones: least E‖W·x − T·x̂‖², drawn towards W a little. `quantized`: moments of x̂; `cross`: E[x
/// x̂ᵀ].
std::vector<float> CompensatingWeight(std::span<const float> weight, const Shape& shape,
                                      int channel_axis, const InputMoments& quantized,
                                      const InputMoments& cross);

/// Chooses the integers of `quantized` anew, on its grids, so that the error above falls: nearest
/// plane first (each weight rounded with the errors of those before it compensated, as GPTQ does;
/// Babai 1986), then exact steps in one coordinate until none helps; such steps from the integers
/// that were there, too, and the better of both. The error never rises.
///
/// AdaRound relaxes the same problem, with integers next to the weight only, to sigmoids and trains
/// them on samples; in second moments it is solved without samples, steps or a schedule.
/// `spec` gives the granularity. Integer formats of two or more bits.
void ReconstructLayer(std::span<const float> weight, const Shape& shape, int channel_axis,
                      const WeightQuantizerSpec& spec, const InputMoments& moments,
                      QuantizedWeight& quantized);

}  // namespace bitsearch
