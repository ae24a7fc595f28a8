// The sections of a search: sensitivities, costs, limits, solvers, rows of the table.
#include <fmt/format.h>

#include <algorithm>

#include "experiments/experiment_sections.h"
#include "experiments/supernet_sections.h"
#include "sensitivity/measure.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

void ReadSensitivity(const YamlNode& node, const ExperimentPaths& paths, Experiment& experiment) {
  SensitivitySection& section = experiment.sensitivity;
  const YamlNode method = node["method"];
  const std::size_t index = method.Choice(SensitivityMethods(), 0);
  section.method = SensitivityMethods()[index];
  section.samples = node["samples"].Integer(section.samples, {1});
  section.probes = node["probes"].Integer(section.probes, {1});
  section.score = node["score"].Enum<std::string>({{"half", "half"}, {"hawq", "hawq"}}, "half");
  section.redraws = node["redraws"].Integer(section.redraws, {0, 100'000});
  section.file = paths.Read(node["file"]);
  experiment.places["sensitivity.file"] = node["file"].location();
  if (!section.file.empty() && method.present()) {
    node["file"].Fail(Error(ErrorId::kYamlConflict, "got both \"file\" and \"method\"")
                          .Hint("remove one: a file is taken as it is, a method computes"));
  }
  const YamlNode pairs = node["pairs"];
  if (!pairs.present()) return;
  const std::string text = pairs.String();
  const auto request = ParsePairRequest(text);
  if (!request.has_value()) {
    pairs.Fail(Error(ErrorId::kYamlChoice,
                     fmt::format("got \"{}\" (allowed: none, neighbours, or a number)", text))
                   .Hint("a number is how many runs of two layers at once may be spent"));
    return;
  }
  section.pairs = *request;
  if (section.pairs.kind == PairRequest::Kind::kNone) return;
  if (!section.file.empty()) {
    pairs.Fail(Error(ErrorId::kYamlConflict, "got both \"file\" and \"pairs\"")
                   .Hint("pairs are measured together with the layers: remove one"));
  } else if (!SensitivityHasPairs(section.method)) {
    pairs.Fail(Error(ErrorId::kYamlConflict,
                     fmt::format("method \"{}\" measures no pairs of layers", section.method))
                   .Hint("pairs go with kl, loss and output-mse"));
  }
}

void ReadCosts(const YamlNode& node, const ExperimentPaths& paths, Experiment& experiment) {
  CostSection& costs = experiment.costs;
  costs.capabilities_file = paths.Read(node["capabilities"]);
  const YamlNode latency = node["latency"];
  if (latency.is_scalar()) {
    costs.latency_file = paths.Read(latency);
    return;
  }
  costs.latency_file = paths.Read(latency["table"]);
  if (latency.present()) latency["table"].Required();
  costs.transitions_file = paths.Read(latency["transitions"]);
  costs.missing = latency["missing"].Enum<MissingPolicy>(
      {{"error", MissingPolicy::kError}, {"interpolate", MissingPolicy::kInterpolate}},
      MissingPolicy::kError);
}

void ReadBudgets(const YamlNode& node, Experiment& experiment) {
  std::vector<std::string> names;
  for (const YamlNode& item : node.Items()) {
    Budget budget;
    for (const std::string& resource : BudgetResources()) {
      const YamlNode value = item[resource];
      if (!value.present()) continue;
      const std::string text = value.String();
      if (text.empty()) continue;
      try {
        budget.limits.push_back(ParseBudgetLimit(resource, text));
      } catch (const Error& error) {
        value.Fail(error);
      }
    }
    budget.name = item["name"].String(LimitsText(budget));
    const bool names_a_resource =
        std::any_of(BudgetResources().begin(), BudgetResources().end(),
                    [&](const std::string& resource) { return item[resource].present(); });
    if (item.is_map() && !names_a_resource) {
      item.Fail(Error(ErrorId::kYamlMissingKey, "the budget limits nothing")
                    .Hint("add, for example, size_bytes: 0.6 x int8"));
    }
    if (std::find(names.begin(), names.end(), budget.name) != names.end()) {
      item.Fail(Error(ErrorId::kYamlConflict,
                      fmt::format("another budget has the name \"{}\"", budget.name))
                    .Hint("give each budget its own name"));
    }
    experiment.places["budgets." + budget.name] = item.location();
    names.push_back(budget.name);
    experiment.budgets.push_back(std::move(budget));
  }
  if (node.is_list() && names.empty()) {
    node.Fail(Error(ErrorId::kYamlRange, "got an empty list")
                  .Hint("add, for example, - size_bytes: 0.6 x int8"));
  }
}

void ReadGoal(const YamlNode& node, Experiment& experiment) {
  if (!node.present()) return;
  GoalSection goal;
  const YamlNode minimise = node["minimise"].Required();
  const std::size_t index = minimise.Choice(BudgetResources(), 0);
  goal.minimise = BudgetResources()[index];
  constexpr double kAll = 100.0;
  const YamlNode subject_to = node["subject_to"].Required();
  const YamlNode error = subject_to["output_error"];
  const YamlNode drop = subject_to["accuracy_drop"];
  goal.of_output_error = error.present();
  if (goal.of_output_error && drop.present()) {
    drop.Fail(Error(ErrorId::kYamlConflict, "a goal has one limit, there are two")
                  .Hint("keep accuracy_drop for records with labels, output_error for others"));
  }
  goal.largest_drop_percent =
      goal.of_output_error ? error.Number(0.0, {0.0}) : drop.Required().Number(0.0, {0.0, kAll});
  goal.confidence = node["confidence"].Number(goal.confidence, {0.5, 1.0, true, true});
  goal.max_evaluations = node["max_evaluations"].Integer(goal.max_evaluations, {1});
  experiment.goal = goal;
}

void ReadPredictor(const YamlNode& node, Experiment& experiment) {
  constexpr std::int64_t kLeastExpensive = 5;  // What a predictor can be fitted to.
  PredictorSection section;
  const auto integer = [&node](const char* key, std::int64_t& value, std::int64_t least) {
    value = node[key].Integer(value, {least});
  };
  integer("cheap_evaluations", section.cheap_evaluations, kLeastExpensive);
  integer("cheap_samples", section.cheap_samples, 1);
  integer("expensive_evaluations", section.expensive_evaluations, kLeastExpensive);
  integer("held_out", section.held_out, 0);
  integer("evaluations", section.evaluations, 1);
  integer("evaluate_best", section.evaluate_best, 1);
  experiment.predictor = section;
  const YamlNode measured = node["measured_candidates"];
  if (measured.present()) {
    measured.Fail(Error(ErrorId::kYamlConflict, "method predictor runs what it proposes")
                      .Hint("set evaluate_best instead"));
  }
}

void ReadSearch(const YamlNode& node, const ExperimentPaths& paths, Experiment& experiment) {
  SearchSection& search = experiment.search;
  search.solver = node["solver"].String(search.solver);
  search.time_limit_s = node["time_limit_s"].Number(0.0, {0.0});
  search.gap = node["gap"].Number(0.0, {0.0, 1.0});
  search.frontier = ReadNames(node["frontier"], {}, BudgetResources());
  search.max_points = node["max_points"].Integer(search.max_points, {2});
  const YamlNode measured = node["measured_candidates"];
  search.measured_candidates = measured.Integer(search.measured_candidates, {0});
  for (const YamlNode& item : node["start"].Items()) search.start.push_back(paths.Read(item));
  const std::size_t method = node["method"].Choice({"exact", "predictor", "dnas"}, 0);
  if (method == 1) ReadPredictor(node, experiment);
  if (method != 2) return;
  experiment.dnas = ReadDnasSection(node);
  experiment.places["search.batch_size"] = node["batch_size"].location();
  if (measured.present()) {
    measured.Fail(Error(ErrorId::kYamlConflict, "method dnas measures what its supernet proposes")
                      .Hint("set evaluate_best instead"));
  }
}

void ReadFineTune(const YamlNode& node, Experiment& experiment) {
  if (!node.present()) return;
  const bool has_dnas = experiment.dnas.has_value();
  experiment.finetune = ReadFineTuneSection(node, has_dnas ? experiment.dnas->options.epochs : 0);
  experiment.places["finetune.batch_size"] = node["batch_size"].location();
}

void ReadBaselines(const YamlNode& node, Experiment& experiment) {
  BaselineSection& section = experiment.baselines;
  const std::vector<std::string> usual = {"fp32", "uniform", "random", "reversed"};
  if (!node.present() || node.is_list()) {
    section.lines = ReadNames(node, usual, BaselineNames());
    return;
  }
  section.lines = ReadNames(node["lines"], usual, BaselineNames());
  section.random_count = node["random_count"].Integer(section.random_count, {1, 100'000});
  constexpr double kAll = 100.0;
  section.random_tolerance_percent =
      node["random_tolerance_percent"].Number(section.random_tolerance_percent, {0.0, kAll});
}

}  // namespace

void ReadSearchSections(const YamlNode& root, const ExperimentPaths& paths,
                        Experiment& experiment) {
  ReadSensitivity(root["sensitivity"], paths, experiment);
  ReadCosts(root["costs"], paths, experiment);
  ReadBudgets(root["budgets"], experiment);
  ReadGoal(root["goal"], experiment);
  ReadSearch(root["search"], paths, experiment);
  ReadBaselines(root["baselines"], experiment);
  ReadFineTune(root["finetune"], experiment);
}

}  // namespace bitsearch
