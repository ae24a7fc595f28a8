#pragma once
// How tensors are quantized: granularity, symmetry, range method, placement, corrections. What a
// configuration's bits mean is decided here. Plain values, torch-free.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "space/choices/calibration_step.h"
#include "space/choices/placement.h"

namespace bitsearch {

/// How many elements share one scale (and zero point).
enum class Granularity : std::uint8_t {
  kPerTensor,
  kPerChannel,  ///< One per output channel.
  kPerGroup,    ///< One per block of `group_size` consecutive inputs of an output channel.
};

/// Each granularity with its name in YAML files and configurations: "per_tensor", …
const std::vector<std::pair<std::string, Granularity>>& GranularityNames();
const std::string& NameOf(Granularity granularity);

/// How the range [α, β] that the grid covers is chosen.
enum class RangeMethod : std::uint8_t {
  kMinMax,
  kPercentile,  ///< Two-sided, linear interpolation between order statistics.
  kMse,         ///< The clipped range with the least mean squared error, by search.
  kAciq,        ///< The analytic clipping of the better fitting of a Laplace and a normal (ACIQ).
  kKl,          ///< The clipped range whose histogram keeps most information (least KL).
  kMovingAverage,  ///< Activations: exponential average of the batches' minima and maxima.
};

/// Each method with its name in YAML files and configurations: "min_max", …
const std::vector<std::pair<std::string, RangeMethod>>& RangeMethodNames();
const std::string& NameOf(RangeMethod method);

struct RangeSpec {
  RangeMethod method = RangeMethod::kMinMax;
  double percentile = 99.9;  ///< For kPercentile: the range keeps [100 − p, p] percent.
};

/// Weights: by default one scale per output channel, symmetric, narrow range, min-max.
struct WeightQuantizerSpec {
  Granularity granularity = Granularity::kPerChannel;
  int group_size = 32;
  bool symmetric = true;
  /// Symmetric only: use [−(2^(b−1)−1), 2^(b−1)−1] and leave −2^(b−1) out.
  bool narrow = true;
  RangeSpec range;
};

/// Activations: by default one scale per tensor, asymmetric, 99.9 percentile, static.
struct ActivationQuantizerSpec {
  bool symmetric = false;
  RangeSpec range{RangeMethod::kPercentile, 99.9};
};

/// Everything about post-training quantization but the bits.
struct QuantizationSpec {
  Placement placement = Placement::kLayerInputs;
  WeightQuantizerSpec weight;
  ActivationQuantizerSpec activation;
  /// In order. By default each quantized layer's mean output per channel on the calibration set is
  /// restored, layer by layer in topological order, each with all earlier layers quantized and
  /// corrected.
  std::vector<CalibrationStep> calibration{CalibrationStep::kBiasCorrection};

  bool Has(CalibrationStep step) const;
  /// Whether some step makes weights other integers than the nearest on their final scales.
  bool ChoosesIntegers() const;
  /// Whether some step reads calibration data (activation ranges apart).
  bool StepsNeedData() const;
};

}  // namespace bitsearch
