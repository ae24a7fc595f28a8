// The walk to a goal, and its JSON.
#include "experiments/goal_walk.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "experiments/result_rows.h"
#include "search/frontier.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

const char* NameOf(LeastCostStatus status) {
  switch (status) {
    case LeastCostStatus::kMet:
      return "met";
    case LeastCostStatus::kUnconfirmed:
      return "unconfirmed";
    case LeastCostStatus::kUnreachable:
      return "unreachable";
    case LeastCostStatus::kOutOfBudget:
      break;
  }
  return "evaluations_spent";
}

Json DropJson(const DropEstimate& drop) {
  return {{"drop_percent", drop.drop_percent}, {"upper_bound_percent", drop.upper_bound_percent}};
}

}  // namespace

std::string GoalText(const std::string& json) {
  const Json goal = Json::parse(json);
  const Json& confirmation = goal.at("confirmation");
  std::string costs;
  for (const auto& [name, value] : goal.at("costs").items()) {
    costs += fmt::format("{}{} {}", costs.empty() ? "" : ", ", name, value.get<std::string>());
  }
  return fmt::format(
      "goal {}: least {} with a drop of at most {} points: {}\n"
      "drop on the report records {:.2f} points, {:.0f} % bound {:.2f}; measured {} of {} frontier "
      "points\n",
      goal.at("status").get<std::string>(), goal.at("minimise").get<std::string>(),
      goal.at("accuracy_drop_percent").get<double>(), costs,
      confirmation.at("drop_percent").get<double>(), 100.0 * goal.at("confidence").get<double>(),
      confirmation.at("upper_bound_percent").get<double>(), goal.at("evaluations").get<int>(),
      goal.at("frontier_points").get<int>());
}

GoalOutcome WalkToGoal(const NetworkProblem& network, const NamedProblem& named,
                       const GoalSection& goal, GoalSplit search, GoalSplit report,
                       const RunContext& context) {
  FrontierOptions frontier_options;
  const ResourceIndex resource = named.FindResource(ProblemResource(goal.minimise));
  frontier_options.resources = {resource};
  const Frontier frontier = ComputeFrontier(named.problem, frontier_options, context);
  context.ThrowIfStopped();

  GoalCandidates candidates;
  for (const FrontierPoint& point : frontier.points()) {
    candidates.cost.push_back(static_cast<double>(point.resources.front()));
    candidates.predicted_loss.push_back(point.objective);
  }
  candidates.config = [&](std::size_t index) { return ToBitConfig(named, frontier.Choice(index)); };
  LeastCostOptions options;
  options.largest_drop_percent = goal.accuracy_drop_percent;
  options.confidence = goal.confidence;
  options.max_evaluations = goal.max_evaluations;
  const LeastCostResult result = FindLeastCost(candidates, options, search, report, context);
  context.ThrowIfStopped();
  if (!result.chosen.has_value()) {
    const DropEstimate& drop = result.measured.back().drop;
    throw Error(
        ErrorId::kBudgetInfeasible,
        fmt::format("even the most accurate candidate drops {:.2f} points (bound {:.2f}), "
                    "allowed {}",
                    drop.drop_percent, drop.upper_bound_percent, goal.accuracy_drop_percent))
        .Key("goal.subject_to.accuracy_drop")
        .Hint(
            "allow a larger drop, more bits in space, or more records in data.search (the bound "
            "shrinks with them)");
  }

  GoalOutcome outcome;
  outcome.config = candidates.config(*result.chosen);
  Json measured = Json::array();
  for (const GoalMeasurement& candidate : result.measured) {
    Json entry = {{"point", candidate.index},
                  {"cost", InUnitOf(network, goal.minimise, named,
                                    frontier.points()[candidate.index].resources.front())},
                  {"predicted_loss_nats", frontier.points()[candidate.index].objective}};
    entry.update(DropJson(candidate.drop));
    entry["passed"] = candidate.passed;
    measured.push_back(std::move(entry));
  }
  Json costs = Json::object();
  for (const auto& [name, value] : CostTexts(network, outcome.config)) costs[name] = value;
  outcome.json =
      Json{{"format", "bitsearch/goal/1"},
           {"minimise", goal.minimise},
           {"accuracy_drop_percent", goal.accuracy_drop_percent},
           {"confidence", goal.confidence},
           {"status", NameOf(result.status)},
           {"frontier_points", frontier.points().size()},
           {"evaluations", result.measured.size()},
           {"configuration", outcome.config.Canonical()},
           {"costs", costs},
           {"confirmation", result.confirmation ? DropJson(*result.confirmation) : Json(nullptr)},
           {"measured", measured}}
          .dump(2) +
      "\n";
  return outcome;
}

}  // namespace bitsearch
