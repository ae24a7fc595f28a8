// The walk to a goal, and its JSON.
#include "experiments/goal_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "experiments/result_rows.h"
#include "experiments/tied_moves.h"
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

Json CostsJson(const NetworkProblem& network, const BitConfig& config) {
  Json costs = Json::object();
  for (const auto& [name, value] : CostTexts(network, config)) costs[name] = value;
  return costs;
}

/// Configurations of greedy fallback, from the most harmful to the most accurate one.
struct FallbackPath {
  std::vector<std::vector<ChoiceIndex>> choices;
  std::vector<double> predicted_loss;  ///< Strictly falling.
};

FallbackPath MakeFallbackPath(const NamedProblem& named) {
  const TiedMoves moves(named);
  const auto extreme = [&](std::size_t u, bool least) {
    std::vector<std::size_t> options(moves.units()[u].options.size());
    std::iota(options.begin(), options.end(), std::size_t{0});
    return *std::min_element(options.begin(), options.end(), [&](std::size_t a, std::size_t b) {
      return least ? moves.Loss(u, a) < moves.Loss(u, b) : moves.Loss(u, a) > moves.Loss(u, b);
    });
  };
  std::vector<std::pair<double, std::size_t>> order;  // (−what the step saves, unit)
  std::vector<ChoiceIndex> choice(named.layers.size());
  double loss = 0.0;
  for (std::size_t u = 0; u < moves.units().size(); ++u) {
    const std::size_t worst = extreme(u, false);
    moves.Set(&choice, u, worst);
    loss += moves.Loss(u, worst);
    order.emplace_back(moves.Loss(u, extreme(u, true)) - moves.Loss(u, worst), u);
  }
  std::stable_sort(order.begin(), order.end());
  FallbackPath path;
  path.choices.push_back(choice);
  path.predicted_loss.push_back(loss);
  for (const auto& [change, u] : order) {
    if (loss + change >= loss) break;  // nothing left that would lower the sum
    loss += change;
    moves.Set(&choice, u, extreme(u, true));
    path.choices.push_back(choice);
    path.predicted_loss.push_back(loss);
  }
  return path;
}

/// Measures along the path until the limit is kept; at its end it may not be.
Json WalkFallback(const NetworkProblem& network, const NamedProblem& named,
                  const LeastCostOptions& options, GoalSplit search, GoalSplit report,
                  const RunContext& context, BitConfig* config) {
  const FallbackPath path = MakeFallbackPath(named);
  GoalCandidates candidates;
  candidates.predicted_loss = path.predicted_loss;
  candidates.cost.resize(path.choices.size());
  std::iota(candidates.cost.begin(), candidates.cost.end(), 1.0);  // steps
  candidates.config = [&](std::size_t index) { return ToBitConfig(named, path.choices[index]); };
  LeastCostOptions every_step = options;
  every_step.cost_tolerance = 0.0;
  const LeastCostResult result = FindLeastCost(candidates, every_step, search, report, context);
  context.ThrowIfStopped();
  const std::size_t steps = result.chosen.value_or(path.choices.size() - 1);
  *config = candidates.config(steps);
  return {{"status", NameOf(result.status)},
          {"steps", steps},
          {"of_steps", path.choices.size() - 1},
          {"evaluations", result.measured.size()},
          {"configuration", config->Canonical()},
          {"costs", CostsJson(network, *config)},
          {"confirmation", result.confirmation ? DropJson(*result.confirmation) : Json(nullptr)}};
}

}  // namespace

std::string GoalText(const std::string& json) {
  const Json goal = Json::parse(json);
  const Json& confirmation = goal.at("confirmation");
  const auto costs_of = [](const Json& of) {
    std::string costs;
    for (const auto& [name, value] : of.at("costs").items()) {
      costs += fmt::format("{}{} {}", costs.empty() ? "" : ", ", name, value.get<std::string>());
    }
    return costs;
  };
  const bool of_output = goal.contains("output_error_percent");
  const Json& fallback = goal.at("fallback");
  std::string beyond;
  if (fallback.contains("latency_beyond_us")) {
    beyond = fmt::format("; {:+.4g} us, standard error {:.2g} us by the table's noise",
                         fallback.at("latency_beyond_us").get<double>(),
                         fallback.at("latency_error_us").get<double>());
  }
  return fmt::format(
      "goal {}: least {} with {} of at most {} {}: {}{}\n"
      "{} on the report records {:.3f} {}, {:.0f} % bound {:.3f}; measured {} of {} frontier "
      "points\n"
      "greedy fallback by sensitivity ({} of {} steps, {}): {}{}\n",
      goal.at("status").get<std::string>(), goal.at("minimise").get<std::string>(),
      of_output ? "an output error" : "a drop",
      goal.at(of_output ? "output_error_percent" : "accuracy_drop_percent").get<double>(),
      of_output ? "%" : "points", costs_of(goal),
      goal.at("bits") == "mixed"
          ? ""
          : ", uniform " + goal.at("bits").get<std::string>() + ": nothing is gained by mixing",
      of_output ? "output error" : "drop", confirmation.at("drop_percent").get<double>(),
      of_output ? "%" : "points", 100.0 * goal.at("confidence").get<double>(),
      confirmation.at("upper_bound_percent").get<double>(), goal.at("evaluations").get<int>(),
      goal.at("frontier_points").get<int>(), fallback.at("steps").get<int>(),
      fallback.at("of_steps").get<int>(), fallback.at("status").get<std::string>(),
      costs_of(fallback), beyond);
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
  options.largest_drop_percent = goal.largest_drop_percent;
  options.confidence = goal.confidence;
  options.max_evaluations = goal.max_evaluations;
  const LeastCostResult result = FindLeastCost(candidates, options, search, report, context);
  context.ThrowIfStopped();
  if (!result.chosen.has_value()) {
    const DropEstimate& drop = result.measured.back().drop;
    throw Error(ErrorId::kBudgetInfeasible,
                fmt::format("even the most accurate candidate {} (bound {:.4g}), allowed {:.4g}",
                            goal.of_output_error
                                ? fmt::format("has an output error of {:.4g} %", drop.drop_percent)
                                : fmt::format("drops {:.2f} points", drop.drop_percent),
                            drop.upper_bound_percent, goal.largest_drop_percent))
        .Key(std::string("goal.subject_to.") + goal.limited())
        .Hint(
            "allow more, give more bits in space, or more records in data.search (the bound "
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
  Json fallback = WalkFallback(network, named, options, search, report, context, &outcome.fallback);
  if (const auto beyond = LatencyBeyond(network, outcome.fallback, outcome.config)) {
    fallback["latency_beyond_us"] = beyond->difference_ns * 1e-3;
    fallback["latency_error_us"] = beyond->standard_error_ns * 1e-3;
  }
  outcome.json =
      Json{{"format", "bitsearch/goal/1"},
           {"minimise", goal.minimise},
           {std::string(goal.limited()) + "_percent", goal.largest_drop_percent},
           {"confidence", goal.confidence},
           {"status", NameOf(result.status)},
           {"frontier_points", frontier.points().size()},
           {"evaluations", result.measured.size()},
           {"configuration", outcome.config.Canonical()},
           {"bits", BitsText(outcome.config)},
           {"costs", CostsJson(network, outcome.config)},
           {"confirmation", result.confirmation ? DropJson(*result.confirmation) : Json(nullptr)},
           {"measured", measured},
           {"fallback", fallback}}
          .dump(2) +
      "\n";
  return outcome;
}

}  // namespace bitsearch
