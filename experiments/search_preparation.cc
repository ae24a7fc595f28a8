// What a search needs, checked before anything is computed: files, records, layers, budgets. All
// that is wrong is reported at once. Computes no losses and needs no LibTorch.
#include <filesystem>

#include "experiments/search_run.h"
#include "search/solver.h"
#include "sensitivity/sensitivity_report.h"
#include "space/network/data_fit.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

void RequireFile(const fs::path& path, const std::string& key) {
  if (fs::is_regular_file(path)) return;
  throw Error(ErrorId::kFileNotFound, "there is no such file")
      .At({path.string(), 0, 0})
      .Key(key)
      .Hint("check the path; relative ones start at the experiment's folder");
}

}  // namespace

NetworkProblem PrepareSearch(const Experiment& experiment, const RunContext& context) {
  std::vector<Error> errors;
  const auto require = [&](const fs::path& path, const std::string& key) {
    if (path.empty()) return;
    try {
      RequireFile(path, key);
    } catch (const Error& error) {
      errors.push_back(error);
    }
  };
  require(experiment.model.file, "model.file");
  const std::vector<std::pair<std::string, const std::optional<DataSpec>*>> splits = {
      {"data.calibration", &experiment.data.calibration},
      {"data.search", &experiment.data.search},
      {"data.report", &experiment.data.report}};
  for (const auto& [key, spec] : splits) {
    if (!spec->has_value()) continue;
    for (const fs::path& path : (*spec)->paths) require(path, key);
  }
  require(experiment.sensitivity.file, "sensitivity.file");
  require(experiment.costs.latency_file, "costs.latency.table");
  require(experiment.costs.transitions_file, "costs.latency.transitions");
  if (!errors.empty()) throw ErrorList(std::move(errors));
  MakeSolver(experiment.search.solver);  // an unknown name is an error now, not after an hour
  NetworkProblem network = BuildNetworkProblem(experiment);
  // What would otherwise come up after an hour: too few records, other channels, a file of other
  // layers.
  for (const auto& [key, spec] : splits) {
    if (!spec->has_value()) continue;
    try {
      RequireFit(network.graph, Dataset::Load(**spec));
    } catch (const Error& error) {
      Error placed = error;
      if (placed.location().file.empty()) placed.At(experiment.PlaceOf(key));
      errors.push_back(placed.Key(key));
    }
  }
  if (!experiment.sensitivity.file.empty()) {
    const std::string file = experiment.sensitivity.file.string();
    WithLosses(network.named, ReadSensitivityCsv(file), file);
  }
  for (const Budget& budget : experiment.budgets) {
    try {
      RequireFeasible(network, WithBudget(network, network.named, budget), budget, context);
    } catch (const Error& error) {
      if (error.id() != ErrorId::kBudgetInfeasible) throw;
      errors.push_back(Error(error).At(experiment.PlaceOf("budgets." + budget.name)));
    }
  }
  if (!errors.empty()) throw ErrorList(std::move(errors));
  return network;
}

}  // namespace bitsearch
