#include "experiments/stability.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/artifact_json.h"
#include "experiments/network_problem.h"
#include "experiments/result_rows.h"
#include "search/solver.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "bitsearch/stability/1";
constexpr double kRedrawGap = 1e-3;

bool HasErrors(const NamedProblem& named) {
  return std::any_of(named.standard_error.begin(), named.standard_error.end(), [](const auto& row) {
    return std::any_of(row.begin(), row.end(), [](double error) { return error > 0.0; });
  });
}

}  // namespace

std::int64_t RedrawnOptima::Votes(std::size_t layer, const BitChoice& choice) const {
  std::int64_t votes = 0;
  for (const Optimum& optimum : optima) {
    if (optimum.config.choices[layer] == choice) votes += optimum.count;
  }
  return votes;
}

RedrawnOptima RedrawOptima(const NamedProblem& limited, const std::string& solver,
                           const std::string& name, std::int64_t redraws,
                           const RunContext& context) {
  RedrawnOptima result;
  if (!HasErrors(limited)) return result;
  result.redraws = redraws;
  SolverOptions options;
  options.gap = kRedrawGap;
  const auto engine = MakeSolver(solver);
  AssignmentProblem drawn = limited.problem;
  std::map<BitConfig, std::int64_t> counts;
  for (std::int64_t r = 0; r < redraws; ++r) {
    context.ThrowIfStopped();
    RandomStream random(context.root_seed, "stability " + name, static_cast<std::uint64_t>(r));
    for (std::size_t l = 0; l < drawn.loss.size(); ++l) {
      for (std::size_t c = 0; c < drawn.loss[l].size(); ++c) {
        drawn.loss[l][c] =
            limited.problem.loss[l][c] + limited.standard_error[l][c] * random.Normal();
      }
    }
    const Solution solution = engine->Solve(drawn, options, Quiet(context));
    if (solution.has_choice()) ++counts[ToBitConfig(limited, solution.choice)];
    context.progress->Progress("redraw " + name, r + 1, redraws);
  }
  for (const auto& [config, count] : counts) result.optima.push_back({config, count});
  std::stable_sort(result.optima.begin(), result.optima.end(),
                   [](const auto& a, const auto& b) { return a.count > b.count; });
  return result;
}

Stability StabilityOf(const RedrawnOptima& redrawn, const BitConfig& config) {
  const auto total = static_cast<double>(redrawn.redraws);
  Stability stability;
  stability.redraws = redrawn.redraws;
  for (const RedrawnOptima::Optimum& optimum : redrawn.optima) {
    if (optimum.config == config) {
      stability.configuration = static_cast<double>(optimum.count) / total;
    }
  }
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    stability.layers.push_back(static_cast<double>(redrawn.Votes(l, config.choices[l])) / total);
  }
  return stability;
}

Stability ParseStabilityFigures(const JsonValue& json) {
  Stability stability;
  stability.redraws = json.At("redraws").Count();
  stability.configuration = json.At("configuration").NonNegative();
  for (const JsonValue& share : json.At("layers").Elements()) {
    stability.layers.push_back(share.NonNegative());
  }
  return stability;
}

std::string StabilityJson(const RedrawnOptima& redrawn, const std::string& budget) {
  Json optima = Json::array();
  for (const RedrawnOptima::Optimum& optimum : redrawn.optima) {
    optima.push_back({optimum.config.Canonical(), optimum.count});
  }
  return Json{{"format", kFormat},
              {"budget", budget},
              {"redraws", redrawn.redraws},
              {"optima", optima}}
             .dump(1) +
         "\n";
}

RedrawnOptima ParseStabilityJson(const std::string& text) {
  const JsonValue json = ParseArtifact(text, "stability.json", ErrorId::kRunDamaged);
  RedrawnOptima redrawn;
  redrawn.redraws = json.At("redraws").Count();
  for (const JsonValue& item : json.At("optima").Elements()) {
    const std::vector<JsonValue> parts = item.Elements();
    if (parts.size() != 2) throw item.Fault("must be a configuration and a count");
    auto config = ParseCanonical(parts[0].String());
    if (!config.has_value()) throw parts[0].Fault("this is no configuration");
    redrawn.optima.push_back({*std::move(config), parts[1].Count()});
  }
  return redrawn;
}

}  // namespace bitsearch
