// The stage that writes down: the result table and the configuration files.
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/result_rows.h"
#include "experiments/result_table.h"
#include "experiments/search_stages.h"

namespace bitsearch {
namespace {

/// Raised where configuration files say more than before, so that a resume writes old ones anew.
constexpr int kConfigContent = 3;

void WriteResults(SearchInputs& inputs, StageScope& scope) {
  const NamedProblem named = inputs.WithSensitivity(scope);
  const std::vector<BudgetLines> lines = ParseLinesJson(scope.Read(kRefinedName));
  std::map<std::string, Evaluation> evaluations;
  const auto all = nlohmann::ordered_json::parse(scope.Read(kEvaluationsName));
  for (const auto& [config, payload] : all.items()) {
    evaluations[config] = ParseEvaluationJson(payload.get<std::string>());
  }
  std::vector<RedrawnOptima> redrawn;
  for (std::size_t b = 0; b < lines.size(); ++b) {
    redrawn.push_back(ParseStabilityJson(scope.Read(StabilityName(b))));
  }
  const std::vector<ResultRow> rows = ResultRows(
      inputs.network, named, lines, evaluations,
      inputs.wants_fp32() ? std::optional<BitConfig>(inputs.Fp32()) : std::nullopt, redrawn);
  scope.Write(kResultsName, ResultsJson(rows));
  scope.Write("results.csv", ResultsCsv(rows));
  scope.Write(kResultsTextName, ResultsText(rows));
  for (std::size_t b = 0; b < lines.size(); ++b) {
    const BitConfig& config = lines[b].lines.front().configs.front();
    ConfigDocument document = inputs.DocumentOf(config);
    document.predicted_loss_nats = PredictedLoss(named, config);
    // Where measuring chose, the solver's own answer is the line after.
    const bool measured = lines[b].lines.size() > 1 && lines[b].lines[1].name == kAdditiveLine;
    document.chosen_by = inputs.experiment.dnas.has_value() ? "dnas"
                         : measured                         ? "measured"
                                                            : "predicted";
    if (std::isfinite(lines[b].lower_bound)) {
      document.lower_bound_nats = lines[b].lower_bound;
      document.gap = lines[b].gap;
    }
    document.measured = evaluations.at(config.Canonical());
    if (redrawn[b].redraws > 0) document.stability = StabilityOf(redrawn[b], config);
    scope.Write(ConfigName(b), ConfigJson(document));
  }
}

}  // namespace

Stage ResultStage(SearchInputs& inputs) {
  Stage stage{"results",
              fmt::format("{}\nmodel {}\nseed {}\nfp32 {}\nconfig {}", inputs.quantization,
                          inputs.experiment.model.file.filename().string(), inputs.experiment.seed,
                          inputs.wants_fp32(), kConfigContent),
              inputs.cost_names,
              {kResultsName, "results.csv", kResultsTextName},
              {}};
  if (inputs.experiment.dnas.has_value()) stage.parameters += "\nchosen by dnas";
  inputs.AddSensitivityNames(stage.inputs);
  for (const char* name : {kRefinedName, kEvaluationsName}) stage.inputs.emplace_back(name);
  for (std::size_t b = 0; b < inputs.experiment.budgets.size(); ++b) {
    stage.inputs.push_back(StabilityName(b));
    stage.outputs.push_back(ConfigName(b));
  }
  stage.work = [&inputs](StageScope& scope) { WriteResults(inputs, scope); };
  return stage;
}

}  // namespace bitsearch
