// What a search needs, checked before anything is computed: files, records, layers, budgets. All
// that is wrong is reported at once. Computes no losses and needs no LibTorch.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "experiments/config_file.h"
#include "experiments/deployment/formats/config_format.h"
#include "experiments/search_run.h"
#include "search/solver.h"
#include "search/supernet/architecture_space.h"
#include "sensitivity/measure.h"
#include "sensitivity/sensitivity_report.h"
#include "space/network/data_fit.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

/// Runs parts of a check and keeps what is wrong with each, so that no fault hides another.
class Faults {
 public:
  /// True if `part` went through.
  template <typename Part>
  bool Check(Part&& part) {
    try {
      part();
      return true;
    } catch (const Error& error) {
      if (error.id() == ErrorId::kInternal || error.id() == ErrorId::kInterrupted) throw;
      errors_.push_back(error);
    } catch (const ErrorList& list) {
      errors_.insert(errors_.end(), list.errors().begin(), list.errors().end());
    }
    return false;
  }
  void ThrowIfAny() {
    if (!errors_.empty()) throw ErrorList(std::move(errors_));
  }

 private:
  std::vector<Error> errors_;
};

void RequireFile(const fs::path& path, const std::string& key) {
  if (path.empty() || fs::is_regular_file(path)) return;
  throw Error(ErrorId::kFileNotFound, "there is no such file")
      .At({path.string(), 0, 0})
      .Key(key)
      .Hint("check the path; relative ones start at the experiment's folder");
}

bool Trains(const Experiment& experiment) {
  return experiment.dnas.has_value() || experiment.finetune.has_value();
}

/// Every phase of a training must fill a batch, and only images can be shifted and mirrored.
void RequireTrainable(const Experiment& experiment, const Dataset& train) {
  const auto check = [&](const std::string& section, std::int64_t records, std::int64_t batch,
                         int crop_padding, bool flip) {
    if (records < batch) {
      throw Error(ErrorId::kDataCount, std::to_string(records) +
                                           " training records do not fill one batch of " +
                                           std::to_string(batch))
          .At(experiment.PlaceOf(section + ".batch_size"))
          .Key(section + ".batch_size")
          .Hint("use a smaller batch or more records");
    }
    if (!train.is_image() && (crop_padding != 0 || flip)) {
      throw Error(ErrorId::kDataSpec,
                  "the records are no images, which cropping and flipping is "
                  "for")
          .At(experiment.PlaceOf(section + ".batch_size"))
          .Key(section)
          .Hint("set crop_padding: 0 and flip: false");
    }
  };
  if (experiment.dnas.has_value()) {
    const DnasOptions& options = experiment.dnas->options;
    const double share = options.bilevel ? options.architecture_share : 0.0;
    const auto architecture = static_cast<std::int64_t>(static_cast<double>(train.size()) * share);
    const std::int64_t weights = train.size() - architecture;
    check("search", options.bilevel ? std::min(architecture, weights) : weights, options.batch_size,
          options.crop_padding, options.flip);
  }
  if (experiment.finetune.has_value()) {
    const FineTuneOptions& options = experiment.finetune->options;
    check("finetune", train.size(), options.batch_size, options.crop_padding, options.flip);
  }
}

/// Without labels there is the error of the outputs to go by, where nothing trains.
void RequireUsable(const Experiment& experiment, const Dataset& data,
                   const std::optional<NetworkProblem>& network) {
  const std::optional<GoalSection>& goal = experiment.goal;
  if (data.labelled()) {
    if (network.has_value()) RequireAccuracy(network->graph, data);
    if (!goal.has_value() || !goal->of_output_error) return;
    throw Error(ErrorId::kDataLabel,
                "goal.subject_to.output_error is for records without labels, these have some")
        .Hint("give the records alone (npy:X), or limit accuracy_drop");
  }
  if (Trains(experiment)) data.RequireLabels();
  if (goal.has_value() && !goal->of_output_error) {
    throw Error(ErrorId::kDataLabel,
                "goal.subject_to.accuracy_drop needs labels, the records have none")
        .Hint("limit output_error, in percent, or give labels (npy:X,Y)");
  }
}

/// The search and the report must have the same figures.
void RequireAlike(const Experiment& experiment, const std::optional<bool>& search,
                  const std::optional<bool>& report) {
  if (!search.has_value() || !report.has_value() || *search == *report) return;
  throw Error(ErrorId::kDataLabel, std::string("data.search has ") + (*search ? "" : "no ") +
                                       "labels, data.report has " + (*report ? "some" : "none"))
      .At(experiment.PlaceOf("data.report"))
      .Key("data.report")
      .Hint("both with labels, or both without");
}

}  // namespace

NetworkProblem PrepareSearch(const Experiment& experiment, const RunContext& context) {
  Faults faults;
  const auto present = [&](const fs::path& path, const std::string& key) {
    return faults.Check([&] { RequireFile(path, key); });
  };
  const CostSection& costs = experiment.costs;
  const bool has_model = present(experiment.model.file, "model.file");
  const bool has_latency = present(costs.latency_file, "costs.latency.table");
  const bool has_capabilities = present(costs.capabilities_file, "costs.capabilities");
  const bool has_transitions = present(costs.transitions_file, "costs.latency.transitions");
  // An unknown name is an error now, not after an hour.
  faults.Check([&] { MakeSolver(experiment.search.solver); });
  std::optional<NetworkProblem> network;
  if (has_model && has_latency && has_transitions && has_capabilities) {
    faults.Check([&] { network = BuildNetworkProblem(experiment); });
  }
  for (const fs::path& file : experiment.search.start) {
    if (!network.has_value()) break;
    faults.Check([&] {
      RequireFile(file, "search.start");
      const ConfigDocument document = ReadAnyConfig(file, &network->graph).document;
      // Runs call their files alike: the folder tells them apart.
      const std::string name = (file.parent_path().filename() / file.filename()).string();
      network->starts.push_back(
          {"start " + name, ConfigForGraph(document, network->graph, file.string())});
    });
  }
  // What would otherwise come up after an hour: too few records, other channels, a file of other
  // layers.
  std::vector<std::pair<std::string, const std::optional<DataSpec>*>> splits = {
      {"data.calibration", &experiment.data.calibration},
      {"data.search", &experiment.data.search},
      {"data.report", &experiment.data.report}};
  if (Trains(experiment)) splits.emplace_back("data.train", &experiment.data.train);
  if (experiment.finetune.has_value()) {
    splits.emplace_back("data.validation", &experiment.data.validation);
  }
  std::optional<bool> search_labelled, report_labelled;
  for (const auto& [key, spec] : splits) {
    if (!spec->has_value()) continue;
    bool has_files = true;
    for (const fs::path& path : (*spec)->paths) has_files = present(path, key) && has_files;
    if (!has_files) continue;
    std::optional<Dataset> data;
    const bool fits = faults.Check([&, &key = key, &spec = spec] {
      try {
        data = Dataset::Load(**spec);
        if (network.has_value()) RequireFit(network->graph, *data);
        if (key == "data.search" || key == "data.report") {
          RequireUsable(experiment, *data, network);
        } else if (key != "data.calibration") {
          data->RequireLabels();
        }
      } catch (const Error& error) {
        Error placed = error;
        if (placed.location().file.empty()) placed.At(experiment.PlaceOf(key));
        throw placed.Key(key);
      }
    });
    if (fits && key == "data.search") search_labelled = data->labelled();
    if (fits && key == "data.report") report_labelled = data->labelled();
    if (fits && key == "data.search" && network.has_value() &&
        experiment.sensitivity.file.empty()) {
      faults.Check([&, &key = key] {
        try {
          RequireMeasurable(experiment.sensitivity.method, network->graph, *data);
        } catch (const Error& error) {
          throw Error(error)
              .At(experiment.PlaceOf(key))
              .Key(key)
              .Hint(
                  "the records have no labels, or the outputs are no classes: sensitivity: "
                  "{method: "
                  "output-mse} needs neither");
        }
      });
    }
    if (fits && key == "data.train") faults.Check([&] { RequireTrainable(experiment, *data); });
  }
  faults.Check([&] { RequireAlike(experiment, search_labelled, report_labelled); });
  if (experiment.dnas.has_value() && network.has_value()) {
    faults.Check([&] {
      BuildArchitectureSpace(
          network->graph, network->named.choices,
          InferTies(network->graph, TieRulesOf(experiment.quantization.placement)),
          experiment.dnas->options.scope);
    });
  }
  if (!experiment.sensitivity.file.empty()) {
    const std::string file = experiment.sensitivity.file.string();
    faults.Check([&] {
      RequireFile(file, "sensitivity.file");
      const SensitivityReport report = ReadSensitivityCsv(file);
      if (network.has_value()) WithLosses(network->named, report, file);
    });
  }
  for (const Budget& budget : experiment.budgets) {
    if (!network.has_value()) break;
    faults.Check([&] {
      try {
        RequireFeasible(*network, WithBudget(*network, network->named, budget), budget, context);
      } catch (const Error& error) {
        if (error.id() != ErrorId::kBudgetInfeasible) throw;
        throw Error(error).At(experiment.PlaceOf("budgets." + budget.name));
      }
    });
  }
  faults.ThrowIfAny();
  for (const std::string& note : network->notes) context.progress->Warning(note);
  return *std::move(network);
}

}  // namespace bitsearch
