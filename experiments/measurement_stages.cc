// Stages that run the quantized network: the choice among whole configurations, the figures of the
// result table, and the walk to a goal.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/baselines.h"
#include "experiments/goal_walk.h"
#include "experiments/result_rows.h"
#include "experiments/result_table.h"
#include "experiments/search_stages.h"
#include "search/measured_search.h"
#include "space/hardware/latency_csv.h"

namespace bitsearch {
namespace {

void Refine(SearchInputs& inputs, StageScope& scope, const DataSpec& spec) {
  const NamedProblem named = inputs.WithSensitivity(scope);
  std::vector<BudgetLines> all = ParseLinesJson(scope.Read(kLinesName));
  JournalledEvaluator evaluator = inputs.On(spec, "search", scope);
  std::string rows;
  // What was measured is said where it is known: outputs that are no classes have no KL.
  std::string column = "measured_kl_nats";
  for (std::size_t b = 0; inputs.experiment.search.measured_candidates > 0 && b < all.size(); ++b) {
    const NamedProblem limited = WithBudget(inputs.network, named, inputs.experiment.budgets[b]);
    const std::vector<RankedConfiguration> measured = SearchByMeasurement(
        limited.problem, StartsWithin(inputs, limited, all[b], scope.context()),
        [&](const std::vector<ChoiceIndex>& choice) {
          const BitConfig config = ToBitConfig(limited, choice);
          const Evaluation evaluation = evaluator.Evaluate({&config, 1}).front();
          if (std::isnan(evaluation.kl_nats)) column = "measured_output_error_percent";
          return evaluation.divergence();
        },
        {inputs.experiment.search.measured_candidates, all[b].budget}, scope.context());
    for (const RankedConfiguration& candidate : measured) {
      rows += fmt::format("{},\"{}\",{},{}\n", CsvCell(all[b].budget),
                          ToBitConfig(limited, candidate.choice).Canonical(), candidate.predicted,
                          candidate.measured);
    }
    // The optimum keeps the budget, so something was measured.
    const RankedConfiguration& best = measured.front();
    PutInFront(ToBitConfig(limited, best.choice), best.predicted,
               fmt::format("best of {} measured", measured.size()), all[b]);
  }
  scope.Write(kRefinedName, LinesJson(all));
  scope.Write(kCandidatesName, "budget,configuration,predicted_loss_nats," + column + "\n" + rows);
}

}  // namespace

std::vector<std::vector<ChoiceIndex>> StartsWithin(const SearchInputs& inputs,
                                                   const NamedProblem& limited,
                                                   const BudgetLines& lines,
                                                   const RunContext& context) {
  std::vector<std::vector<ChoiceIndex>> starts = {
      ToChoice(limited, lines.lines.front().configs.front())};
  for (const StartConfig& start : inputs.network.starts) {
    auto choice = FindChoice(limited, start.config);
    if (choice && limited.problem.Assess(*choice).feasible()) starts.push_back(*choice);
  }
  const BaselineSection section{{"greedy", "two_level", "first_last_8", "blind", "uniform"}, 0};
  for (const BaselineLine& line : MakeBaselines(limited, section, "auto", lines.budget, context)) {
    starts.insert(starts.end(), line.choices.begin(), line.choices.end());
  }
  return starts;
}

void PutInFront(const BitConfig& config, double predicted, const std::string& note,
                BudgetLines& lines) {
  lines.gap = (predicted - lines.lower_bound) / std::max(std::abs(predicted), 1e-12);
  lines.lines.front().name = kAdditiveLine;
  lines.lines.insert(lines.lines.begin(), {"ours", note, {config}});
}

Stage RefinementStage(SearchInputs& inputs) {
  const DataSpec spec = inputs.SensitivityData();
  Stage stage{"refinement",
              fmt::format("candidates {} seed {}\n{}\ndata {}",
                          inputs.experiment.search.measured_candidates, inputs.experiment.seed,
                          inputs.quantization, inputs.hashes.Of(spec)),
              inputs.cost_names,
              {kRefinedName, kCandidatesName},
              {}};
  inputs.AddSensitivityNames(stage.inputs);
  stage.inputs.emplace_back(kLinesName);
  stage.work = [&inputs, spec](StageScope& scope) { Refine(inputs, scope, spec); };
  return stage;
}

Stage EvaluationStage(SearchInputs& inputs) {
  Stage stage{"evaluation", "", {kRefinedName}, {kEvaluationsName}, {}};
  stage.parameters =
      fmt::format("{}\nreport {}\nfp32 {}", inputs.quantization,
                  inputs.hashes.Of(inputs.experiment.data.report), inputs.wants_fp32());
  stage.work = [&inputs](StageScope& scope) {
    std::vector<BitConfig> configs;
    std::set<std::string> seen;
    const auto add = [&](const BitConfig& config) {
      if (seen.insert(config.Canonical()).second) configs.push_back(config);
    };
    if (inputs.wants_fp32()) add(inputs.Fp32());
    for (const BudgetLines& budget : ParseLinesJson(scope.Read(kRefinedName))) {
      for (const ResultLine& line : budget.lines) {
        for (const BitConfig& config : line.configs) add(config);
      }
    }
    JournalledEvaluator evaluator = inputs.On(*inputs.experiment.data.report, "report", scope);
    nlohmann::ordered_json all = nlohmann::ordered_json::object();
    const auto total = static_cast<std::int64_t>(configs.size());
    for (std::size_t i = 0; i < configs.size(); ++i) {
      all[configs[i].Canonical()] = EvaluationJson(evaluator.Evaluate({&configs[i], 1}).front());
      scope.context().progress->Progress("evaluate", static_cast<std::int64_t>(i) + 1, total);
    }
    scope.Write(kEvaluationsName, all.dump(1) + "\n");
  };
  return stage;
}

Stage GoalStage(SearchInputs& inputs) {
  const GoalSection& goal = *inputs.experiment.goal;
  Stage stage{"goal",
              fmt::format("minimise {} {} {} confidence {} evaluations {}\n{}\nsearch {}\n"
                          "report {}",
                          goal.minimise, goal.limited(), goal.largest_drop_percent, goal.confidence,
                          goal.max_evaluations, inputs.quantization,
                          inputs.hashes.Of(inputs.experiment.data.search),
                          inputs.hashes.Of(inputs.experiment.data.report)),
              inputs.cost_names,
              {kGoalName, kGoalConfigName, kFallbackConfigName},
              {}};
  inputs.AddSensitivityNames(stage.inputs);
  stage.work = [&inputs, &goal](StageScope& scope) {
    const NamedProblem named = inputs.WithSensitivity(scope);
    JournalledEvaluator search = inputs.On(*inputs.experiment.data.search, "search", scope);
    JournalledEvaluator report = inputs.On(*inputs.experiment.data.report, "report", scope);
    const BitConfig fp32 = inputs.Fp32();
    const Evaluation search_reference = search.Evaluate({&fp32, 1}).front();
    const Evaluation report_reference = report.Evaluate({&fp32, 1}).front();
    const GoalOutcome outcome = WalkToGoal(inputs.network, named, goal, {search, search_reference},
                                           {report, report_reference}, scope.context());
    const auto write = [&](const BitConfig& config, const char* chosen_by, const char* name) {
      ConfigDocument document = inputs.DocumentOf(config);
      document.predicted_loss_nats = PredictedLoss(named, config);
      document.chosen_by = chosen_by;
      document.measured = report.Evaluate({&config, 1}).front();
      scope.Write(name, ConfigJson(document));
    };
    scope.Write(kGoalName, outcome.json);
    write(outcome.config, "goal", kGoalConfigName);
    write(outcome.fallback, "fallback", kFallbackConfigName);
  };
  return stage;
}

}  // namespace bitsearch
