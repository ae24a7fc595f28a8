#pragma once
// What the pipeline and the commands ask of LibTorch, in torch-free types. The implementation is
// the module libbitsearch_torch, loaded on demand, so that everything else starts at once and
// builds without it.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "search/supernet/dnas.h"
#include "search/supernet/fine_tune.h"
#include "search/supernet/tuned_network.h"
#include "sensitivity/measured_pairs.h"
#include "sensitivity/sensitivity_report.h"
#include "space/choices/bit_config.h"
#include "space/choices/evaluator.h"
#include "space/choices/quantization_spec.h"
#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"
#include "space/network/train.h"
#include "space/quantizer/quantized_network.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Everything that fixes a post-training-quantized network but its bits.
struct CalibrationRequest {
  LayerGraph graph;         ///< PrepareFloatNetwork's, with its
  BatchNormMap statistics;  ///< statistics, for analytic_bias_correction.
  /// May be null where nothing needs it (CalibratedNetwork). Must outlive the session.
  const Dataset* calibration = nullptr;
  QuantizationSpec spec;
  std::string device = "cpu";
  StoredCalibration stored;
};

/// What a sensitivity is measured by; see `sensitivity:` of an experiment.
struct SensitivityRequest {
  std::string method = "kl";  ///< One of SensitivityMethodNames(); see SensitivityPlan.
  std::int64_t probes = 64;
  double relative_error = 0.0;
  double time_limit_s = 0.0;
  std::int64_t batch_size = 128;
  std::string score = "half";
  PairRequest pairs;  ///< What the report's pairs are measured for.
  /// By layer, the candidates.
  std::vector<std::vector<BitChoice>> choices;
  /// Text of an item that an earlier, interrupted run has finished, by its key; and where to put a
  /// newly finished one. Keys and texts are the backend's own.
  std::function<std::optional<std::string>(const std::string& key)> known;
  std::function<void(const std::string& key, const std::string& text)> record;
  /// Receives the traces as CSV (TraceCsv) from methods that have some. May be empty.
  std::function<void(const std::string& csv)> traces;
};

/// How one tensor of a layer is quantized, for the configuration file.
struct TensorQuantizer {
  std::string granularity;  ///< "per_tensor", "per_channel", "per_group"
  bool symmetric = false;
  double low = 0.0;  ///< Activations: the range of the grid.
  double high = 0.0;
  std::vector<float> scale;
  std::vector<std::int32_t> zero_point;
  /// Weights whose integers need not be the nearest: theirs, in the tensor's own order.
  std::vector<std::int32_t> codes;
};

/// Quantizers of one layer, none where the tensor stays float; and its corrected bias.
struct LayerQuantizers {
  std::optional<TensorQuantizer> weight;
  std::optional<TensorQuantizer> activation;
  BiasCorrection correction;
};

/// A tensor of floats, row-major.
struct FloatTensor {
  Shape shape;
  std::vector<float> values;
};

/// A calibrated network. Not thread-safe; `context` of each call gives the threads.
class QuantizationSession {
 public:
  virtual ~QuantizationSession() = default;
  virtual const LayerGraph& graph() const = 0;
  /// The float network on `data`.
  virtual Evaluation EvaluateFloat(const Dataset& data, const RunContext& context) = 0;
  /// Runs configurations on `data`; both must outlive the evaluator. Without `compare_with_float`
  /// the float network is not run, and kl_nats is NaN.
  virtual std::unique_ptr<Evaluator> MakeEvaluator(const Dataset& data, const RunContext& context,
                                                   bool compare_with_float) = 0;
  virtual SensitivityReport MeasureSensitivity(const Dataset& data,
                                               const SensitivityRequest& request,
                                               const RunContext& context) = 0;
  virtual std::vector<LayerQuantizers> Quantizers(const BitConfig& config) = 0;
  /// Every activation tensor that placements runtime and integer quantize, inputs of layers too, in
  /// PlanTensors' order; nothing for other placements.
  virtual std::vector<TensorGrid> TensorGrids(const BitConfig& config) = 0;
  /// The first output of `config` for every record of `data`.
  virtual FloatTensor Outputs(const BitConfig& config, const Dataset& data,
                              const RunContext& context) = 0;
  /// Each layer's output, before any activation function, if its input is the given one (by layer
  /// of the graph, as many records as `data`).
  virtual std::vector<FloatTensor> LayerOutputs(const BitConfig& config, const Dataset& data,
                                                const std::vector<FloatTensor>& inputs) = 0;
};

/// What a supernet searches over: SearchDnas's arguments.
struct SupernetRequest {
  LayerGraph graph;  ///< With its BN.
  std::vector<std::vector<BitChoice>> choices;
  std::vector<TieGroup> ties;
  AssignmentProblem problem;
  DnasOptions options;
};

/// What is trained at given bits: FineTune's arguments.
struct FineTuneRequest {
  LayerGraph graph;  ///< With its BN.
  BitConfig config;
  const Dataset* train = nullptr;
  const Dataset* validation = nullptr;  ///< May be null.
  const LayerGraph* teacher = nullptr;  ///< Null: `graph`.
  FineTuneOptions options;
};

/// The module's face. Stateless; may be called from any one thread at a time, and what trains from
/// several at once where each has a context of one thread.
class TorchBackend {
 public:
  virtual ~TorchBackend() = default;
  /// Runs the float network on the calibration set once. Errors as CalibratedNetwork's.
  virtual std::unique_ptr<QuantizationSession> Calibrate(const CalibrationRequest& request,
                                                         const RunContext& context) = 0;
  virtual TrainResult Train(LayerGraph graph, const Dataset& train, const Dataset& validation,
                            const TrainOptions& options, const RunContext& context) = 0;
  /// SearchDnas, FineTune and EvaluateTuned, with their errors.
  virtual DnasResult SearchSupernet(const SupernetRequest& request, const Dataset& train,
                                    const RunContext& context) = 0;
  virtual FineTuneResult FineTune(const FineTuneRequest& request, const RunContext& context) = 0;
  virtual Evaluation EvaluateTuned(const TunedNetwork& network, const Dataset& data,
                                   const RunContext& context, const std::string& device) = 0;
  /// All outputs of the network for the given inputs, in the graph's order.
  virtual std::vector<FloatTensor> Run(const LayerGraph& graph,
                                       const std::vector<FloatTensor>& inputs,
                                       const std::string& device) = 0;
};

/// Raised with every change of the classes above: an old module beside a new executable is refused.
inline constexpr int kTorchBackendVersion = 7;

/// Loads libbitsearch_torch.so from `folder` (or its sibling ../lib). Throws Error(kTorchMissing)
/// if this build has none (a usage error that says how to get one), Error(kTorchVersion) if it is
/// of another version or cannot be loaded.
std::shared_ptr<TorchBackend> LoadTorchBackend(const std::filesystem::path& folder);

}  // namespace bitsearch
