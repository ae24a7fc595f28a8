#pragma once
// One interface to every estimator: the name of a method in, a SensitivityReport (and traces, where
// the method has some) out. Torch-free header.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sensitivity/measured_pairs.h"
#include "sensitivity/scores.h"
#include "sensitivity/sensitivity_report.h"
#include "sensitivity/traces.h"
#include "space/network/dataset.h"
#include "space/quantizer/quantized_network.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// What to measure and how. Methods:
/// perturbation (= kl), loss, output-mse: one layer at a time, directly;
/// second-order: gᵀΔ + ½ΔᵀHΔ with the error itself;
/// hutchinson (block by block; = hessian), hutchinson-joint, hutchpp, xtrace: Hessian traces;
/// gauss-newton (exact), gauss-newton-sampled, fisher (empirical): from squared gradients;
/// eigenvalue: the largest one of each block.
struct SensitivityPlan {
  std::string method = "perturbation";
  /// By layer, the candidates.
  std::vector<std::vector<BitChoice>> choices;
  std::int64_t batch_size = 128;
  /// Random vectors per batch (Hutchinson), Hessian products per round (sketches), draws.
  std::int64_t probes = 64;
  /// Stop a trace once its probe error is at most this part of it, with up to 64 times the probes;
  /// for gauss-newton and fisher its error over the records. 0: exactly `probes`.
  double relative_error = 0.0;
  double time_limit_s = 0.0;
  CurvatureScore score = CurvatureScore::kHalf;
  /// Pairs of layers to measure together; methods with SensitivityHasPairs only.
  PairRequest pairs;
  /// Text of an item that an earlier run has finished, by its key; and where to put a newly
  /// finished one. An item found must come from the same network, data, batch size and seed; more
  /// probes may be asked for than it has. May be empty.
  std::function<std::optional<std::string>(const std::string& key)> known;
  std::function<void(const std::string& key, const std::string& text)> record;
};

struct MeasuredSensitivity {
  SensitivityReport report;           ///< With pairs where they were asked for.
  std::vector<TraceEstimate> traces;  ///< Weights, then activations; empty for direct methods.
};

/// Names that SensitivityPlan::method takes, the main ones first.
const std::vector<std::string>& SensitivityMethodNames();

/// Throws Error(kDataFormat), Error(kDataLabel) where the records do not have what a method needs:
/// the network's extents, labels, and classes as outputs.
void RequireMeasurable(const std::string& method, const LayerGraph& graph, const Dataset& data);

/// Whether a method looks at the records' labels.
bool SensitivityNeedsLabels(std::string_view method);

/// Whether a method can measure pairs of layers: those that run the quantized network.
bool SensitivityHasPairs(std::string_view method);

/// Throws Error(kUsage) for a method that does not exist, or has no pairs where some are asked for,
/// Error(kDataLabel) where it needs labels that are not there; else as the method's own function.
/// Activations are scored where the network's placement quantizes them.
MeasuredSensitivity MeasureSensitivity(const CalibratedNetwork& network, const Dataset& data,
                                       const SensitivityPlan& plan, const RunContext& context);

}  // namespace bitsearch
