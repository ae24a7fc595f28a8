#pragma once
// What the stages of a search share: the experiment, the network with its costs, hashes of the
// files that results depend on, and the calibrated network, which is made when a stage first asks
// for it. Must not know what the stages compute.

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/config_file.h"
#include "experiments/experiment.h"
#include "experiments/journalled_evaluator.h"
#include "experiments/network_problem.h"
#include "experiments/search_run.h"
#include "experiments/torch_backend.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// SHA-256 of files, each read once.
class FileHashes {
 public:
  const std::string& Of(const std::filesystem::path& path);
  /// What a data set is, without where it lies.
  std::string Of(const std::optional<DataSpec>& spec);

 private:
  std::map<std::filesystem::path, std::string> hashes_;
};

/// The calibrated network, made on the first call of Get.
class LazySession {
 public:
  LazySession(const Experiment& experiment, const NetworkProblem& network,
              const BackendFactory& factory, RunContext context)
      : experiment_(experiment),
        network_(network),
        factory_(factory),
        context_(std::move(context)) {}

  /// Throws what loading LibTorch, reading the calibration set and calibrating throw.
  QuantizationSession& Get();
  /// The module, loaded on the first call of either.
  TorchBackend& Backend();

 private:
  const Experiment& experiment_;
  const NetworkProblem& network_;
  const BackendFactory& factory_;
  RunContext context_;
  // In the order in which they are needed; destroyed the other way round.
  std::shared_ptr<TorchBackend> backend_;
  std::optional<Dataset> calibration_;
  std::unique_ptr<QuantizationSession> session_;
};

/// Lives as long as the run; what it is made from must outlive it. Not thread-safe.
class SearchInputs {
 public:
  SearchInputs(const Experiment& of, const NetworkProblem& on, const BackendFactory& backend,
               const RunContext& context);
  SearchInputs(const SearchInputs&) = delete;
  SearchInputs& operator=(const SearchInputs&) = delete;

  /// Evaluates on the records of `spec`, which are loaded when first needed.
  JournalledEvaluator On(const DataSpec& spec, const std::string& split, StageScope& scope);
  /// The records of data.train, loaded on the first call; they must be asked for.
  const Dataset& Train();
  /// The records of SensitivityData(), loaded on the first call.
  const Dataset& Search();
  /// How many trainings may run at once: each has one thread, or all share one device.
  int TrainingJobs(const RunContext& context) const;
  /// The network as the model's file has it, BN and all, which training starts from.
  LayerGraph TrainableGraph() const;
  /// The records on which choices are made.
  DataSpec SensitivityData() const;
  /// The artifacts that hold the losses: sensitivities and, where they are measured, pair terms.
  void AddSensitivityNames(std::vector<std::string>& names) const;
  /// The problem with their losses; they must be among the stage's inputs.
  NamedProblem WithSensitivity(const StageScope& scope) const;
  /// True if the result table has the float network's row.
  bool wants_fp32() const;
  BitConfig Fp32() const;
  /// What every configuration file of the run says.
  ConfigDocument DocumentOf(const BitConfig& config);

  const Experiment& experiment;
  const NetworkProblem& network;
  FileHashes hashes;
  LazySession session;
  /// The cost tables as CSV: name and text.
  std::vector<std::pair<std::string, std::string>> cost_files;
  std::vector<std::string> cost_names;
  /// The sections that decide what a configuration means on this network, and its files' hashes.
  std::string quantization;

 private:
  std::optional<Dataset> train_;
  std::optional<Dataset> search_;
};

}  // namespace bitsearch
