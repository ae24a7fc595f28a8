// What a search needs, checked before anything is computed: files, records, layers, budgets. All
// that is wrong is reported at once. Computes no losses and needs no LibTorch.
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "experiments/config_file.h"
#include "experiments/deployment/formats/config_format.h"
#include "experiments/search_run.h"
#include "search/solver.h"
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

}  // namespace

NetworkProblem PrepareSearch(const Experiment& experiment, const RunContext& context) {
  Faults faults;
  const auto present = [&](const fs::path& path, const std::string& key) {
    return faults.Check([&] { RequireFile(path, key); });
  };
  const CostSection& costs = experiment.costs;
  const bool has_model = present(experiment.model.file, "model.file");
  const bool has_latency = present(costs.latency_file, "costs.latency.table");
  const bool has_transitions = present(costs.transitions_file, "costs.latency.transitions");
  // An unknown name is an error now, not after an hour.
  faults.Check([&] { MakeSolver(experiment.search.solver); });
  std::optional<NetworkProblem> network;
  if (has_model && has_latency && has_transitions) {
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
  const std::vector<std::pair<std::string, const std::optional<DataSpec>*>> splits = {
      {"data.calibration", &experiment.data.calibration},
      {"data.search", &experiment.data.search},
      {"data.report", &experiment.data.report}};
  for (const auto& [key, spec] : splits) {
    if (!spec->has_value()) continue;
    bool has_files = true;
    for (const fs::path& path : (*spec)->paths) has_files = present(path, key) && has_files;
    if (!has_files) continue;
    faults.Check([&, &key = key, &spec = spec] {
      try {
        const Dataset data = Dataset::Load(**spec);
        if (key != "data.calibration") data.RequireLabels();
        if (network.has_value()) RequireFit(network->graph, data);
      } catch (const Error& error) {
        Error placed = error;
        if (placed.location().file.empty()) placed.At(experiment.PlaceOf(key));
        throw placed.Key(key);
      }
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
  return *std::move(network);
}

}  // namespace bitsearch
