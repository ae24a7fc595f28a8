// Solves the problem once more with its explanation.
#include "experiments/explanation.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "experiments/json_values.h"
#include "experiments/network_problem.h"
#include "experiments/solution_json.h"
#include "search/solver.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

/// [layer]: [weight, activation, count] of each choice that optima took, most frequent first.
Json VotesJson(const NamedProblem& limited, const RedrawnOptima& redrawn) {
  Json votes = Json::array();
  for (std::size_t l = 0; l < limited.choices.size(); ++l) {
    std::vector<std::pair<std::int64_t, std::size_t>> order;
    for (std::size_t c = 0; c < limited.choices[l].size(); ++c) {
      const std::int64_t count = redrawn.Votes(l, limited.choices[l][c]);
      if (count > 0) order.emplace_back(-count, c);
    }
    std::sort(order.begin(), order.end());
    Json layer = Json::array();
    for (const auto& [minus_count, c] : order) {
      const BitChoice& choice = limited.choices[l][c];
      layer.push_back({BitsJson(choice.weight), BitsJson(choice.activation), -minus_count});
    }
    votes.push_back(std::move(layer));
  }
  return votes;
}

}  // namespace

std::string ExplanationJson(const NamedProblem& limited, const std::string& solver,
                            const std::string& name, const RedrawnOptima& redrawn,
                            const RunContext& context) {
  SolverOptions options;
  options.explain = true;
  const Solution solution = MakeSolver(solver)->Solve(limited.problem, options, Quiet(context));
  context.ThrowIfStopped();
  std::ostringstream text;
  WriteSolutionJson(limited, solution, text);
  const Json solved = Json::parse(text.str());
  Json limits = Json::array();
  for (std::size_t r = 0; r < limited.problem.resources.size(); ++r) {
    const Resource& resource = limited.problem.resources[r];
    if (!resource.limit.has_value() || !solution.has_choice()) continue;
    limits.push_back(
        {{"resource", resource.name},
         {"limit", Json::parse(limited.ValueText(ResourceIndex(r), *resource.limit))},
         {"used", Json::parse(limited.ValueText(ResourceIndex(r), solution.resources[r]))}});
  }
  const auto part = [&](const char* key) { return solved.value(key, Json::array()); };
  return Json{{"format", "bitsearch/explanation/1"},
              {"budget", name},
              {"status", solved.at("status")},
              {"objective", solved.at("objective")},
              {"limits", limits},
              {"shadow_prices", part("shadow_prices")},
              {"runner_ups", part("runner_ups")},
              {"redraws", redrawn.redraws},
              {"votes", redrawn.redraws > 0 ? VotesJson(limited, redrawn) : Json::array()}}
             .dump(1) +
         "\n";
}

}  // namespace bitsearch
