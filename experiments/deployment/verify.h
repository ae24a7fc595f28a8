#pragma once
// Does an exported file compute in the user's runtime what the search simulated? Runs it at every
// level of optimisation, with and without fusion into integer kernels, and layer by layer.
// Must not depend on LibTorch.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/torch_backend.h"
#include "space/hardware/onnx_runtime.h"

namespace bitsearch {

/// One way of running the file, compared with the simulation.
struct RuntimeCheck {
  OptimizationLevel level = OptimizationLevel::kAll;
  bool fusion = true;
  std::string failure;             ///< The runtime's words where it does not load or run the file.
  double median_difference = 0.0;  ///< Of the outputs, absolute.
  double largest_difference = 0.0;
  std::int64_t samples = 0;  ///< All at the highest level, some at the others.
  std::int64_t same_argmax = 0;
  std::int64_t correct = 0;
  double median_seconds = 0.0;  ///< One sample, one thread.
};

/// One layer, fed with the runtime's own input, fusion off.
struct LayerCheck {
  std::string name;
  double largest_difference = 0.0;
  /// Step of the quantizer that the layer's output meets next; 0 if it meets none.
  double next_step = 0.0;
  double steps() const { return next_step > 0.0 ? largest_difference / next_step : 0.0; }
};

struct VerifyReport {
  std::string runtime;  ///< "onnxruntime-node 1.30.0"
  std::int64_t samples = 0;
  /// The output is N × classes; else only differences of the output are reported.
  bool classifies = true;
  bool labelled = true;  ///< Classes are known: correct answers are counted.
  std::int64_t simulated_correct = 0;
  std::vector<RuntimeCheck> runs;
  std::vector<LayerCheck> layers;
  /// Why runs differ, in words: saturation, kernels in float, rounding.
  std::vector<std::string> reasons;

  /// Every level runs the file, with fusion and without. Without it no layer is off by more than a
  /// step and, where the network classifies, at least 99.9 % of the records have the same argmax
  /// (of less than 1,000: all but one).
  bool agrees() const;
};

struct VerifyRequest {
  /// The float network (BN folded), the exported one and the file it was written to.
  const LayerGraph& graph;
  const LayerGraph& exported;
  std::filesystem::path file;
  const BitConfig& config;
  const Dataset& data;
  /// Placements runtime and integer.
  bool tensors_quantized = false;
  /// Records of the layer-by-layer check, and timed runs of one sample.
  std::int64_t layer_samples = 8;
  int repetitions = 30;
  RuntimeLocation runtime;
};

/// `session` must be calibrated as the exported configuration was. Throws Error(kRuntimeMissing).
VerifyReport VerifyExport(const VerifyRequest& request, QuantizationSession& session,
                          const RunContext& context);

/// A table for people, and `bitsearch/verification/1`.
std::string VerifyText(const VerifyReport& report);
std::string VerifyJson(const VerifyReport& report);

}  // namespace bitsearch
