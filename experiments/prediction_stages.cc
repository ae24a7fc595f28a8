// Stages that predict: costs, sensitivities, and what the solvers make of them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "experiments/baselines.h"
#include "experiments/result_rows.h"
#include "experiments/search_stages.h"
#include "experiments/solution_json.h"
#include "experiments/stability.h"
#include "search/frontier.h"
#include "search/solver.h"
#include "sensitivity/sensitivity_report.h"
#include "space/support/error.h"

namespace bitsearch {

/// Resources of the problem against which frontiers are drawn.
std::vector<std::string> FrontierResources(const Experiment& experiment) {
  std::vector<std::string> wanted = experiment.search.frontier;
  if (wanted.empty()) {
    for (const Budget& budget : experiment.budgets) {
      for (const BudgetLimit& limit : budget.limits) wanted.push_back(limit.resource);
    }
  }
  std::vector<std::string> resources;
  for (const std::string& name : wanted) {
    const std::string resource = ProblemResource(name);
    if (std::find(resources.begin(), resources.end(), resource) == resources.end()) {
      resources.push_back(resource);
    }
  }
  return resources;
}

std::string CandidatesText(const NamedProblem& named) {
  std::string text;
  for (std::size_t l = 0; l < named.layers.size(); ++l) {
    text += named.layers[l] + ":";
    for (const BitChoice& choice : named.choices[l]) text += " " + choice.ToString();
    text += "\n";
  }
  return text;
}

Stage CostStage(SearchInputs& inputs) {
  Stage stage{"costs", "", {}, inputs.cost_names, {}};
  for (const auto& [name, text] : inputs.cost_files) stage.parameters += name + "\n" + text;
  stage.work = [&inputs](StageScope& scope) {
    for (const auto& [name, text] : inputs.cost_files) scope.Write(name, text);
  };
  return stage;
}

namespace {

/// Before they are kept: overflowing weights would be found in our own file later.
void RequireFinite(const SensitivityReport& report, const std::filesystem::path& model) {
  for (const LayerSensitivity& layer : report.layers) {
    for (const ChoiceSensitivity& choice : layer.choices) {
      if (std::isfinite(choice.loss_increase)) continue;
      throw Error(ErrorId::kModelNotFinite,
                  fmt::format("the network's output is not finite with {}: its loss cannot be "
                              "measured",
                              choice.choice.ToString()))
          .At({model.string()})
          .Key(layer.layer)
          .Hint("do weights of the model overflow? bitsearch evaluate shows its float loss");
    }
  }
}

}  // namespace

Stage SensitivityStage(SearchInputs& inputs) {
  const SensitivitySection& section = inputs.experiment.sensitivity;
  Stage stage{"sensitivity", "", {}, {kSensitivityName}, {}};
  if (!section.file.empty()) {
    stage.parameters = "file " + inputs.hashes.Of(section.file);
    stage.work = [&section](StageScope& scope) {
      scope.Write(kSensitivityName, SensitivityCsv(ReadSensitivityCsv(section.file.string())));
    };
    return stage;
  }
  if (section.pairs.kind != PairRequest::Kind::kNone) stage.outputs.emplace_back(kPairsName);
  const DataSpec spec = inputs.SensitivityData();
  stage.parameters = fmt::format(
      "method {} probes {} score {} pairs {} seed {}\n{}\ndata {}\n{}", section.method,
      section.probes, section.score, ToString(section.pairs), inputs.experiment.seed,
      inputs.quantization, inputs.hashes.Of(spec), CandidatesText(inputs.network.named));
  stage.work = [&inputs, spec](StageScope& scope) {
    SensitivityRequest request;
    request.method = inputs.experiment.sensitivity.method;
    request.probes = inputs.experiment.sensitivity.probes;
    request.score = inputs.experiment.sensitivity.score;
    request.pairs = inputs.experiment.sensitivity.pairs;
    request.choices = inputs.network.named.choices;
    request.known = [&scope](const std::string& key) { return scope.Known(key); };
    request.record = [&scope](const std::string& key, const std::string& text) {
      scope.Record(key, text);
    };
    const Dataset data = Dataset::Load(spec);
    const SensitivityReport report =
        inputs.session.Get().MeasureSensitivity(data, request, scope.context());
    RequireFinite(report, inputs.experiment.model.file);
    scope.Write(kSensitivityName, SensitivityCsv(report));
    if (request.pairs.kind != PairRequest::Kind::kNone) scope.Write(kPairsName, PairsCsv(report));
  };
  return stage;
}

namespace {

/// The points on both sides of each budget's limit of the resource: what a reader asks for first.
std::vector<std::size_t> PointsAtBudgets(const SearchInputs& inputs, const NamedProblem& named,
                                         const Frontier& frontier, ResourceIndex resource) {
  std::vector<std::size_t> at;
  for (const Budget& budget : inputs.experiment.budgets) {
    const NamedProblem limited = WithBudget(inputs.network, named, budget);
    const std::optional<std::int64_t>& limit = limited.problem.resources[resource.value].limit;
    if (!limit.has_value()) continue;
    const std::vector<FrontierPoint>& points = frontier.points();
    const auto above =
        static_cast<std::size_t>(std::partition_point(points.begin(), points.end(),
                                                      [&](const FrontierPoint& point) {
                                                        return point.resources.front() <= *limit;
                                                      }) -
                                 points.begin());
    if (above > 0) at.push_back(above - 1);
    if (above < points.size()) at.push_back(above);
  }
  return at;
}

void WriteFrontier(const SearchInputs& inputs, StageScope& scope, const NamedProblem& named,
                   const std::string& resource) {
  FrontierOptions options;
  options.resources = {named.FindResource(resource)};
  Frontier frontier;
  try {
    frontier = ComputeFrontier(named.problem, options, scope.context());
  } catch (const Error& error) {
    if (error.id() != ErrorId::kSolverUnsupported) throw;
    scope.context().progress->Warning(
        "the frontier of " + resource +
        " leaves the pair terms out: between distant layers they make it too large");
    frontier = ComputeFrontier(WithoutPairLosses(named.problem), options, scope.context());
  }
  scope.context().ThrowIfStopped();
  FrontierOutput output;
  output.resources = options.resources;
  output.computed_points = frontier.points().size();
  const auto most = static_cast<std::size_t>(inputs.experiment.search.max_points);
  output.thinned = output.computed_points > most;
  if (output.thinned) {
    frontier = ThinnedTo(frontier, most,
                         PointsAtBudgets(inputs, named, frontier, options.resources.front()));
  }
  std::ostringstream json;
  WriteFrontierJson(named, frontier, output, json);
  scope.Write(FrontierName(resource), json.str());
}

/// The row of a starting configuration, which need keep neither budget nor candidates.
ResultLine StartLine(const NamedProblem& limited, const StartConfig& start) {
  ResultLine line{start.name, "", {start.config}};
  const auto choice = FindChoice(limited, start.config);
  if (!choice) {
    line.note = "outside the search space";
  } else if (!limited.problem.Assess(*choice).feasible()) {
    line.note = "above the budget, or ties broken";
  }
  return line;
}

void Search(const SearchInputs& inputs, StageScope& scope) {
  const NamedProblem named = inputs.WithSensitivity(scope);
  const RunContext& context = scope.context();
  for (const std::string& resource : FrontierResources(inputs.experiment)) {
    WriteFrontier(inputs, scope, named, resource);
  }
  SolverOptions options;
  options.gap = inputs.experiment.search.gap;
  if (inputs.experiment.search.time_limit_s > 0.0) {
    options.time_limit_s = inputs.experiment.search.time_limit_s;
  }
  std::vector<BudgetLines> all;
  for (std::size_t b = 0; b < inputs.experiment.budgets.size(); ++b) {
    const Budget& budget = inputs.experiment.budgets[b];
    const NamedProblem limited = WithBudget(inputs.network, named, budget);
    const Solution solution =
        MakeSolver(inputs.experiment.search.solver)->Solve(limited.problem, options, context);
    context.ThrowIfStopped();
    if (!solution.has_choice()) {
      throw Error(ErrorId::kBudgetInfeasible,
                  fmt::format("no configuration found ({})", NameOf(solution.status)))
          .Key(fmt::format("budgets (\"{}\")", budget.name))
          .Hint("raise the limit or search.time_limit_s");
    }
    std::ostringstream json;
    WriteSolutionJson(limited, solution, json);
    scope.Write(SolutionName(b), json.str());
    BudgetLines lines;
    lines.budget = budget.name;
    lines.limits = LimitsText(budget);
    lines.lower_bound = solution.lower_bound;
    lines.gap = solution.gap();
    lines.lines.push_back({"ours", "", {ToBitConfig(limited, solution.choice)}});
    for (const BaselineLine& baseline :
         MakeBaselines(limited, inputs.experiment.baselines, "auto", budget.name, context)) {
      ResultLine line{baseline.name, baseline.note, {}};
      for (const auto& choice : baseline.choices) {
        line.configs.push_back(ToBitConfig(limited, choice));
      }
      lines.lines.push_back(std::move(line));
    }
    for (const StartConfig& start : inputs.network.starts) {
      lines.lines.push_back(StartLine(limited, start));
    }
    all.push_back(std::move(lines));
  }
  scope.Write(kLinesName, LinesJson(all));
}

}  // namespace

Stage StabilityStage(SearchInputs& inputs) {
  Experiment relevant;
  relevant.seed = inputs.experiment.seed;
  relevant.budgets = inputs.experiment.budgets;
  const std::string& solver = inputs.experiment.search.solver;
  const std::int64_t redraws = inputs.experiment.sensitivity.redraws;
  Stage stage{"stability",
              fmt::format("{}solver {} redraws {}\n{}", ExperimentText(relevant), solver, redraws,
                          CandidatesText(inputs.network.named)),
              inputs.cost_names,
              {},
              {}};
  inputs.AddSensitivityNames(stage.inputs);
  for (std::size_t b = 0; b < inputs.experiment.budgets.size(); ++b) {
    stage.outputs.push_back(StabilityName(b));
  }
  stage.work = [&inputs, &solver, redraws](StageScope& scope) {
    const NamedProblem named = inputs.WithSensitivity(scope);
    for (std::size_t b = 0; b < inputs.experiment.budgets.size(); ++b) {
      const Budget& budget = inputs.experiment.budgets[b];
      const NamedProblem limited = WithBudget(inputs.network, named, budget);
      scope.Write(StabilityName(b), StabilityJson(RedrawOptima(limited, solver, budget.name,
                                                               redraws, scope.context()),
                                                  budget.name));
    }
  };
  return stage;
}

Stage SearchStage(SearchInputs& inputs) {
  Experiment relevant;
  relevant.seed = inputs.experiment.seed;
  relevant.budgets = inputs.experiment.budgets;
  relevant.search = inputs.experiment.search;
  relevant.baselines = inputs.experiment.baselines;
  // What the files say counts, not where they lie.
  relevant.search.start.clear();
  std::string starts;
  for (const StartConfig& start : inputs.network.starts) {
    starts += "start " + start.name + " " + start.config.Canonical() + "\n";
  }
  Stage stage{"search",
              ExperimentText(relevant) + CandidatesText(inputs.network.named) + starts,
              inputs.cost_names,
              {kLinesName},
              {}};
  inputs.AddSensitivityNames(stage.inputs);
  for (std::size_t b = 0; b < inputs.experiment.budgets.size(); ++b) {
    stage.outputs.push_back(SolutionName(b));
  }
  for (const std::string& resource : FrontierResources(inputs.experiment)) {
    stage.outputs.push_back(FrontierName(resource));
  }
  stage.work = [&inputs](StageScope& scope) { Search(inputs, scope); };
  return stage;
}

}  // namespace bitsearch
