// Stages that explain and show what the others found; they change no result.
#include <fmt/format.h>

#include <algorithm>

#include "experiments/explanation.h"
#include "experiments/network_outline.h"
#include "experiments/report/report.h"
#include "experiments/report/run_report.h"
#include "experiments/search_stages.h"

namespace bitsearch {

Stage ExplanationStage(SearchInputs& inputs) {
  Experiment relevant;
  relevant.budgets = inputs.experiment.budgets;
  Stage stage{
      "explanation",
      fmt::format("{}solver {}\nmodel {} folded {}\n{}", ExperimentText(relevant),
                  inputs.experiment.search.solver, inputs.hashes.Of(inputs.experiment.model.file),
                  inputs.experiment.model.fold_batch_norm, CandidatesText(inputs.network.named)),
      inputs.cost_names,
      {kNetworkName},
      {}};
  inputs.AddSensitivityNames(stage.inputs);
  for (std::size_t b = 0; b < inputs.experiment.budgets.size(); ++b) {
    stage.inputs.push_back(StabilityName(b));
    stage.outputs.push_back(ExplanationName(b));
  }
  stage.work = [&inputs](StageScope& scope) {
    scope.Write(kNetworkName, NetworkOutlineJson(inputs.network.graph));
    const NamedProblem named = inputs.WithSensitivity(scope);
    for (std::size_t b = 0; b < inputs.experiment.budgets.size(); ++b) {
      const Budget& budget = inputs.experiment.budgets[b];
      scope.Write(
          ExplanationName(b),
          ExplanationJson(WithBudget(inputs.network, named, budget),
                          inputs.experiment.search.solver, budget.name,
                          ParseStabilityJson(scope.Read(StabilityName(b))), scope.context()));
    }
  };
  return stage;
}

Stage ReportStage(SearchInputs& inputs) {
  const Experiment& experiment = inputs.experiment;
  Stage stage{"report",
              fmt::format("{} {}", experiment.name, ReportTemplateHash()),
              inputs.cost_names,
              {kReportName, kReportMarkdownName},
              {}};
  stage.inputs.insert(stage.inputs.end(), {kSensitivityName, kNetworkName});
  if (experiment.goal.has_value()) {
    stage.inputs.insert(stage.inputs.end(), {kGoalName, kGoalConfigName});
  }
  if (!experiment.budgets.empty()) {
    stage.inputs.insert(stage.inputs.end(), {kResultsName, kRefinedName, kEvaluationsName});
    const bool has_dnas = experiment.dnas.has_value();
    if (!has_dnas) stage.inputs.emplace_back(kCandidatesName);
    if (experiment.predictor.has_value()) stage.inputs.emplace_back(kTransferCurveName);
    if (experiment.finetune.has_value()) {
      stage.inputs.insert(stage.inputs.end(), {kFineTuneName, kTunedResultsName});
    }
    for (std::size_t b = 0; b < experiment.budgets.size(); ++b) {
      if (has_dnas) stage.inputs.push_back(DnasName(b));
      stage.inputs.insert(stage.inputs.end(), {ConfigName(b), SolutionName(b), ExplanationName(b)});
    }
    for (const std::string& resource : FrontierResources(experiment)) {
      stage.inputs.push_back(FrontierName(resource));
    }
  }
  stage.work = [&experiment, names = stage.inputs](StageScope& scope) {
    const ReportSource source{experiment.name,
                              names,
                              [&](const std::string& name) { return scope.Read(name); },
                              {},
                              ReportRecords(experiment)};
    const ReportData data = ReadReportData(source);
    scope.Write(kReportName, ReportHtml({data}));
    scope.Write(kReportMarkdownName, ReportMarkdown(data));
  };
  return stage;
}

}  // namespace bitsearch
