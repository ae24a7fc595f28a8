#pragma once
// Options of the quantizers that training learns with the weights. Torch-free.

#include <cstdint>

#include "space/choices/quantization_spec.h"

namespace bitsearch {

/// How the grids of weights and activations behave in training.
struct LearnedQuantizerOptions {
  Placement placement = Placement::kLayerInputs;
  /// Granularity, and narrow or full integer range. Weights are symmetric in training.
  WeightQuantizerSpec weight;
  /// Weight scales: learned by LSQ, or recomputed in each step from the largest magnitude.
  bool learn_weight_scales = true;
  /// Activation scales: learned by LSQ, or fixed after calibration.
  bool learn_activation_scales = true;
  /// Images that ranges are calibrated on at the start.
  std::int64_t calibration_samples = 256;

  LearnedQuantizerOptions() { weight.narrow = false; }
};

}  // namespace bitsearch
