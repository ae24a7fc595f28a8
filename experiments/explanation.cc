// Solves the problem once more with its explanation, then with losses drawn within their errors.
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
#include "space/support/random.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kRedrawGap = 1e-3;

bool HasErrors(const NamedProblem& named) {
  return std::any_of(named.standard_error.begin(), named.standard_error.end(), [](const auto& row) {
    return std::any_of(row.begin(), row.end(), [](double error) { return error > 0.0; });
  });
}

/// [layer][choice]: how many of the redrawn problems' optima took the choice.
std::vector<std::vector<std::int64_t>> Votes(const NamedProblem& limited, const std::string& solver,
                                             const std::string& name, const RunContext& context) {
  std::vector<std::vector<std::int64_t>> votes;
  for (const auto& choices : limited.choices) votes.emplace_back(choices.size(), 0);
  SolverOptions options;
  options.gap = kRedrawGap;
  const auto engine = MakeSolver(solver);
  AssignmentProblem drawn = limited.problem;
  for (std::int64_t r = 0; r < kRedraws; ++r) {
    context.ThrowIfStopped();
    RandomStream random(context.root_seed, "explanation " + name, static_cast<std::uint64_t>(r));
    for (std::size_t l = 0; l < drawn.loss.size(); ++l) {
      for (std::size_t c = 0; c < drawn.loss[l].size(); ++c) {
        drawn.loss[l][c] =
            limited.problem.loss[l][c] + limited.standard_error[l][c] * random.Normal();
      }
    }
    const Solution solution = engine->Solve(drawn, options, Quiet(context));
    for (std::size_t l = 0; l < solution.choice.size(); ++l) {
      ++votes[l][solution.choice[l].value];
    }
    context.progress->Progress("explain " + name, r + 1, kRedraws);
  }
  return votes;
}

}  // namespace

std::string ExplanationJson(const NamedProblem& limited, const std::string& solver,
                            const std::string& name, const RunContext& context) {
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
  Json votes = Json::array();
  const bool drawn = HasErrors(limited);
  if (drawn) {
    const auto counts = Votes(limited, solver, name, context);
    for (std::size_t l = 0; l < counts.size(); ++l) {
      std::vector<std::pair<std::int64_t, std::size_t>> order;
      for (std::size_t c = 0; c < counts[l].size(); ++c) {
        if (counts[l][c] > 0) order.emplace_back(-counts[l][c], c);
      }
      std::sort(order.begin(), order.end());
      Json layer = Json::array();
      for (const auto& [minus_count, c] : order) {
        const BitChoice& choice = limited.choices[l][c];
        layer.push_back({BitsJson(choice.weight), BitsJson(choice.activation), -minus_count});
      }
      votes.push_back(std::move(layer));
    }
  }
  const auto part = [&](const char* key) { return solved.value(key, Json::array()); };
  return Json{{"format", "bitsearch/explanation/1"},
              {"budget", name},
              {"status", solved.at("status")},
              {"objective", solved.at("objective")},
              {"limits", limits},
              {"shadow_prices", part("shadow_prices")},
              {"runner_ups", part("runner_ups")},
              {"redraws", drawn ? kRedraws : 0},
              {"votes", votes}}
             .dump(1) +
         "\n";
}

}  // namespace bitsearch
