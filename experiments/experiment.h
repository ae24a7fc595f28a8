#pragma once
// An experiment: what a YAML file asks for, as plain structs with every default filled in.
// Reading is strict (experiment_reader.cc); writing gives the resolved configuration of a run.
// docs/experiment.md lists the keys. Must not depend on LibTorch, nor on how a run is done.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/budget.h"
#include "search/supernet/dnas.h"
#include "search/supernet/fine_tune.h"
#include "sensitivity/measured_pairs.h"
#include "space/choices/bit_choice.h"
#include "space/choices/quantization_spec.h"
#include "space/hardware/latency_table.h"
#include "space/network/dataset.h"
#include "space/support/error.h"

namespace bitsearch {

/// `model:` an ONNX file, or a built-in network (freshly initialised, for training).
struct ModelSection {
  std::filesystem::path file;
  std::string builtin;  ///< "resnet20", "resnet56", …: resnet and 6n + 2.
  bool fold_batch_norm = true;
  bool operator==(const ModelSection&) const = default;
};

/// `data:` which records serve what. Choices are made on `search` (and `calibration`), figures come
/// from `report`, which must not overlap with what choices are made on.
struct DataSection {
  std::optional<DataSpec> train;
  std::optional<DataSpec> validation;
  std::optional<DataSpec> calibration;
  std::optional<DataSpec> search;
  std::optional<DataSpec> report;
};

/// `space.pins:` layers (shell glob) whose weight or activation format is given.
struct Pin {
  std::string glob;
  std::optional<NumberFormat> weight;
  std::optional<NumberFormat> activation;
  bool operator==(const Pin&) const = default;
};

/// `space:` the candidates of every layer.
struct SpaceSection {
  std::vector<NumberFormat> weight_bits;
  std::vector<NumberFormat> activation_bits;
  /// True: only candidates whose weight and activation formats are equal; else all combinations.
  bool equal_bits = false;
  std::vector<Pin> pins;
  bool operator==(const SpaceSection&) const = default;
};

/// `sensitivity:` how the loss of each layer and choice is found.
struct SensitivitySection {
  std::string method = "kl";   ///< See SensitivityMethods().
  std::int64_t samples = 512;  ///< Records of data.search, from its start.
  std::int64_t probes = 64;    ///< Random vectors of trace estimators.
  /// Pairs of layers that are measured together; their terms go to the solver.
  PairRequest pairs;
  /// How often the losses are drawn anew within their errors to see whether a choice is stable.
  std::int64_t redraws = 100;
  std::string score = "half";  ///< Curvature: "half" = ½·trace·‖Δ‖² in nats; "hawq" omits the ½.
  /// A CSV to take instead of computing; everything above is then ignored.
  std::filesystem::path file;
  bool operator==(const SensitivitySection&) const = default;
};

/// `costs:` the device. Size and BOPs need nothing.
struct CostSection {
  std::filesystem::path latency_file;
  std::filesystem::path transitions_file;
  /// What the device runs (ReadCapabilitiesFile); empty: everything.
  std::filesystem::path capabilities_file;
  MissingPolicy missing = MissingPolicy::kError;
  bool operator==(const CostSection&) const = default;
};

/// `search:`
struct SearchSection {
  std::string solver = "auto";
  double time_limit_s = 0.0;  ///< 0: none.
  double gap = 0.0;
  /// Resources against which the frontier is drawn; default: every resource that a budget limits.
  std::vector<std::string> frontier;
  std::int64_t max_points = 200;  ///< Of the frontier that is written.
  /// Configurations that are measured on data.search for each budget before one is chosen; 0: the
  /// optimum of the predicted losses is taken as it is.
  std::int64_t measured_candidates = 40;
  /// Configurations to start from and to compare with, in any format that `export` writes and
  /// reads.
  std::vector<std::filesystem::path> start;
  bool operator==(const SearchSection&) const = default;
};

/// `search:` with `method: predictor`: cheap evaluations, few expensive ones, transfer, a search on
/// the predictor, and running what it proposes.
struct PredictorSection {
  std::int64_t cheap_evaluations = 2000;  ///< On the first `cheap_samples` of data.search.
  std::int64_t cheap_samples = 500;
  std::int64_t expensive_evaluations = 50;  ///< On all of data.search.
  /// Further expensive ones, by which the transfer curve is measured; 0: no curve.
  std::int64_t held_out = 50;
  std::int64_t evaluations = 10'000;  ///< Configurations predicted for each budget.
  std::int64_t evaluate_best = 8;     ///< Of which so many are run.
  bool operator==(const PredictorSection&) const = default;
};

/// `search:` with `method: dnas`. Quantizers, device and checkpoint of the options come from the
/// run's other sections, not from here.
struct DnasSection {
  DnasOptions options;
  std::int64_t decode_samples = 64;  ///< Configurations drawn from the distributions …
  std::int64_t evaluate_best = 5;    ///< … of which so many are evaluated, with the exact one.
};

/// `finetune:` which lines of the result table are trained at their bits, and how.
struct FineTuneSection {
  FineTuneOptions options;
  /// Lines of every budget, and "fp32". See FineTuneLines().
  std::vector<std::string> lines;
  /// Epochs of every line but one that DNAS found: its search is training time too.
  int control_epochs = 0;
};

/// `goal:` the inverse question: the least of a resource whose accuracy drop, or on records without
/// labels the error of the outputs, stays within a limit.
struct GoalSection {
  std::string minimise;  ///< One of BudgetResources().
  bool of_output_error = false;
  /// Percentage points of top-1 against the float network, or Evaluation::output_error_percent.
  double largest_drop_percent = 0.0;
  double confidence = 0.95;  ///< Of the one-sided bound that must keep the limit.
  std::int64_t max_evaluations = 64;
  /// "accuracy_drop" or "output_error", the key of `subject_to`.
  const char* limited() const { return of_output_error ? "output_error" : "accuracy_drop"; }
  bool operator==(const GoalSection&) const = default;
};

/// `baselines:` lines of the result table beside ours. See BaselineNames().
struct BaselineSection {
  std::vector<std::string> lines;
  std::int64_t random_count = 50;
  /// Random configurations take at least (100 − this) % of the budget's first limit.
  double random_tolerance_percent = 1.0;
  bool operator==(const BaselineSection&) const = default;
};

/// `train:` for `bitsearch train`.
struct TrainSection {
  std::int64_t epochs = 20;
  std::int64_t batch_size = 128;
  double learning_rate = 0.1;
  double warmup_epochs = 1.0;
  double momentum = 0.9;
  double weight_decay = 5e-4;
  double label_smoothing = 0.0;
  std::int64_t crop_padding = 4;
  bool flip = true;
  std::filesystem::path output;  ///< The ONNX file to write.
  bool operator==(const TrainSection&) const = default;
};

/// One experiment, resolved: paths absolute, defaults filled in.
struct Experiment {
  std::string name;
  std::uint64_t seed = 0;
  std::int64_t threads = 0;  ///< 0: all cores. Results do not depend on it.
  std::string device = "cpu";
  ModelSection model;
  DataSection data;
  SpaceSection space;
  /// `space.placement:`, `quantizer:` and `calibration:` (a list of CalibrationSteps()).
  QuantizationSpec quantization;
  SensitivitySection sensitivity;
  CostSection costs;
  std::vector<Budget> budgets;
  std::optional<GoalSection> goal;
  SearchSection search;
  /// Present: `search.method` is predictor.
  std::optional<PredictorSection> predictor;
  /// Present: `search.method` is dnas.
  std::optional<DnasSection> dnas;
  std::optional<FineTuneSection> finetune;
  BaselineSection baselines;
  std::optional<TrainSection> train;
  /// Where keys stand whose values are checked later than the file is read: "device",
  /// "data.search", "space.pins.GLOB", "budgets.NAME", "sensitivity.file", "search.batch_size".
  std::map<std::string, SourceLocation> places;

  bool asks_for_search() const { return !budgets.empty() || goal.has_value(); }
  /// The place of a key, or of the file.
  SourceLocation PlaceOf(const std::string& key) const;
};

/// The names that the keys of the same name take.
const std::vector<std::string>& SensitivityMethods();
const std::vector<std::string>& BaselineNames();
const std::vector<std::string>& FineTuneLines();
const std::vector<std::string>& CalibrationSteps();

/// What the file is read for: it decides which sections must be there.
enum class ExperimentUse : std::uint8_t { kRun, kTrain, kCheck };

/// Reads an experiment. Relative paths are relative to the file's folder; those of overrides to the
/// working directory. Throws ErrorList of everything that is wrong, Error(kFileNotFound),
/// Error(kYamlSyntax), Error(kSetOverride).
Experiment ReadExperiment(const std::string& path, const std::vector<std::string>& overrides,
                          ExperimentUse use);
/// The same from text; `name` stands for the file in messages and gives the folder for paths.
Experiment ParseExperiment(std::string_view text, const std::string& name,
                           const std::vector<std::string>& overrides, ExperimentUse use);

/// The resolved configuration as YAML, without comments; reading it gives the same experiment.
std::string ExperimentText(const Experiment& experiment);

}  // namespace bitsearch
