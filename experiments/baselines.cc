// Baseline configurations. Tied layers move together, with one choice for all of them.
#include "experiments/baselines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>

#include "experiments/network_problem.h"
#include "experiments/tied_moves.h"
#include "search/solver.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using Config = std::vector<ChoiceIndex>;
using Moves = TiedMoves;

/// A configuration with `choice` wherever a layer has a say; nothing if a layer cannot.
std::optional<Config> UniformAt(const NamedProblem& named, const BitChoice& choice) {
  Config config;
  for (const std::vector<BitChoice>& choices : named.choices) {
    const auto found = std::find(choices.begin(), choices.end(), choice);
    if (found == choices.end() && choices.size() > 1) return std::nullopt;
    config.emplace_back(found == choices.end() ? 0
                                               : static_cast<std::size_t>(found - choices.begin()));
  }
  return config;
}

/// All uniform configurations, ascending in the resource of the first limit. `fixed` layers keep
/// the choice of `base`.
std::vector<Config> UniformConfigs(const NamedProblem& named, const Moves& moves,
                                   const Config* base, const std::set<std::size_t>& fixed) {
  std::set<BitChoice> all;
  for (const auto& choices : named.choices) all.insert(choices.begin(), choices.end());
  std::vector<std::pair<std::int64_t, Config>> sorted;
  for (const BitChoice& choice : all) {
    auto config = UniformAt(named, choice);
    if (!config.has_value()) continue;
    for (const std::size_t l : fixed) (*config)[l] = (*base)[l];
    sorted.emplace_back(named.problem.Assess(*config).resources[moves.primary()], *config);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Config> configs;
  for (auto& [cost, config] : sorted) configs.push_back(std::move(config));
  return configs;
}

std::optional<Config> Uniform(const NamedProblem& named, const Moves& moves) {
  std::optional<Config> best;
  double least = 0.0;
  for (const Config& config : UniformConfigs(named, moves, nullptr, {})) {
    const Assessment assessment = named.problem.Assess(config);
    if (!assessment.feasible() || (best.has_value() && assessment.objective >= least)) continue;
    best = config;
    least = assessment.objective;
  }
  return best;
}

std::optional<Config> TwoLevel(const NamedProblem& named, const Moves& moves, const Config* base,
                               const std::set<std::size_t>& fixed) {
  const std::vector<Config> levels = UniformConfigs(named, moves, base, fixed);
  std::optional<std::size_t> low;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (moves.Feasible(levels[i])) low = i;
  }
  if (!low.has_value()) return std::nullopt;
  Config config = levels[*low];
  if (*low + 1 == levels.size()) return config;
  const Config& high = levels[*low + 1];
  for (std::size_t u = 0; u < moves.units().size(); ++u) {
    Config raised = config;
    for (const std::size_t l : moves.units()[u].layers) raised[l] = high[l];
    if (moves.Feasible(raised)) config = std::move(raised);
  }
  return config;
}

std::optional<Config> FirstLast8(const NamedProblem& named, const Moves& moves) {
  constexpr int kEightBits = 8;
  Config base(named.layers.size());
  const std::set<std::size_t> ends = {0, named.layers.size() - 1};
  for (const std::size_t l : ends) {
    std::optional<std::size_t> found;
    for (std::size_t c = 0; c < named.choices[l].size(); ++c) {
      if (named.choices[l][c].weight != NumberFormat::Integer(kEightBits)) continue;
      // Of several activation formats the one of least loss.
      if (!found.has_value() || named.problem.loss[l][c] < named.problem.loss[l][*found]) found = c;
    }
    if (!found.has_value()) return std::nullopt;
    base[l] = ChoiceIndex(*found);
  }
  return TwoLevel(named, moves, &base, ends);
}

std::optional<Config> Greedy(const Moves& moves) {
  Config config = moves.Start([&](std::size_t u, std::size_t a, std::size_t b) {
    return moves.Loss(u, a) < moves.Loss(u, b);
  });
  for (double excess = moves.Excess(config); excess > 0.0;) {
    double best_price = 0.0;
    std::optional<Config> best;
    double best_excess = 0.0;
    for (std::size_t u = 0; u < moves.units().size(); ++u) {
      const std::size_t now = moves.OptionOf(config, u);
      for (std::size_t o = 0; o < moves.units()[u].options.size(); ++o) {
        if (o == now) continue;
        Config changed = config;
        moves.Set(&changed, u, o);
        const double left = moves.Excess(changed);
        if (left >= excess) continue;
        const double price = (moves.Loss(u, o) - moves.Loss(u, now)) / (excess - left);
        if (best.has_value() && price >= best_price) continue;
        best_price = price;
        best = std::move(changed);
        best_excess = left;
      }
    }
    if (!best.has_value()) return std::nullopt;
    config = *std::move(best);
    excess = best_excess;
  }
  return moves.Feasible(config) ? std::optional<Config>(config) : std::nullopt;
}

std::optional<Config> ByParameters(const NamedProblem& named, const Moves& moves) {
  const std::size_t size = named.FindResource("size_bits").value;
  Config config = moves.Start([&](std::size_t u, std::size_t a, std::size_t b) {
    return moves.Cost(size, u, a) > moves.Cost(size, u, b);
  });
  while (!moves.Feasible(config)) {
    std::optional<std::size_t> largest;
    std::optional<std::size_t> option;
    for (std::size_t u = 0; u < moves.units().size(); ++u) {
      const std::int64_t now = moves.Cost(size, u, moves.OptionOf(config, u));
      if (largest.has_value() &&
          now <= moves.Cost(size, *largest, moves.OptionOf(config, *largest))) {
        continue;
      }
      // The next smaller option of this unit, if any.
      std::optional<std::size_t> next;
      for (std::size_t o = 0; o < moves.units()[u].options.size(); ++o) {
        const std::int64_t cost = moves.Cost(size, u, o);
        if (cost < now && (!next.has_value() || cost > moves.Cost(size, u, *next))) next = o;
      }
      if (!next.has_value()) continue;
      largest = u;
      option = next;
    }
    if (!largest.has_value()) return std::nullopt;
    moves.Set(&config, *largest, *option);
  }
  return config;
}

/// A random configuration near the first limit; nothing if none was met.
std::optional<Config> Random(const NamedProblem& named, const Moves& moves, double tolerance,
                             RandomStream random, bool* near) {
  constexpr int kMostSteps = 20000;
  Config config(named.layers.size());
  for (std::size_t u = 0; u < moves.units().size(); ++u) {
    moves.Set(&config, u, random.Below(moves.units()[u].options.size()));
  }
  const std::size_t primary = moves.primary();
  const auto limit = static_cast<double>(*named.problem.resources[primary].limit);
  std::optional<Config> feasible;
  double highest = -1.0;
  for (int step = 0; step < kMostSteps; ++step) {
    const double excess = moves.Excess(config);
    const auto value = static_cast<double>(named.problem.Assess(config).resources[primary]);
    if (excess == 0.0 && moves.Feasible(config)) {
      if (value > highest) {
        highest = value;
        feasible = config;
      }
      *near = highest >= (1.0 - tolerance) * limit;
      if (*near) return feasible;
    }
    const std::size_t u = random.Below(moves.units().size());
    Config changed = config;
    moves.Set(&changed, u, random.Below(moves.units()[u].options.size()));
    const double left = moves.Excess(changed);
    // Above the limits only downwards, below them only upwards within the limits.
    const auto moved = static_cast<double>(named.problem.Assess(changed).resources[primary]);
    if (excess > 0.0 ? left < excess : left == 0.0 && moved > value) config = std::move(changed);
  }
  return feasible;
}

AssignmentProblem BlindProblem(const NamedProblem& named) {
  constexpr double kBase = 4.0;
  AssignmentProblem problem = WithoutPairLosses(named.problem);
  for (std::size_t l = 0; l < problem.loss.size(); ++l) {
    for (std::size_t c = 0; c < problem.loss[l].size(); ++c) {
      const BitChoice& choice = named.choices[l][c];
      problem.loss[l][c] =
          std::pow(kBase, -choice.weight.bits()) + std::pow(kBase, -choice.activation.bits());
    }
  }
  return problem;
}

/// The layer of rank r is given the scale of the layer of rank L − 1 − r.
AssignmentProblem ReversedProblem(const NamedProblem& named) {
  AssignmentProblem problem = WithoutPairLosses(named.problem);
  const std::size_t count = problem.loss.size();
  std::vector<double> scale;
  for (const std::vector<double>& losses : problem.loss) {
    double sum = 0.0;
    for (const double loss : losses) sum += std::abs(loss);
    scale.push_back(std::max(sum / static_cast<double>(losses.size()), 1e-12));
  }
  std::vector<std::size_t> rank(count);
  std::iota(rank.begin(), rank.end(), std::size_t{0});
  std::stable_sort(rank.begin(), rank.end(),
                   [&](std::size_t a, std::size_t b) { return scale[a] < scale[b]; });
  for (std::size_t r = 0; r < count; ++r) {
    const std::size_t l = rank[r];
    const double factor = scale[rank[count - 1 - r]] / scale[l];
    for (double& loss : problem.loss[l]) loss *= factor;
  }
  return problem;
}

std::optional<Config> Solved(const AssignmentProblem& problem, const std::string& solver,
                             const RunContext& context) {
  const Solution solution = MakeSolver(solver)->Solve(problem, SolverOptions{}, Quiet(context));
  context.ThrowIfStopped();
  return solution.has_choice() ? std::optional<Config>(solution.choice) : std::nullopt;
}

}  // namespace

std::vector<BaselineLine> MakeBaselines(const NamedProblem& named, const BaselineSection& section,
                                        const std::string& solver, const std::string& stream,
                                        const RunContext& context) {
  const Moves moves(named);
  std::vector<BaselineLine> lines;
  for (const std::string& name : section.lines) {
    if (name == "fp32") continue;
    BaselineLine line{name, {}, ""};
    const auto one = [&](std::optional<Config> config, const std::string& why) {
      if (config.has_value()) {
        line.choices.push_back(*std::move(config));
      } else {
        line.note = why;
      }
    };
    if (!moves.usable()) {
      line.note = "tied layers have no choice in common";
    } else if (name == "uniform") {
      one(Uniform(named, moves), "no uniform candidate is within the budget");
    } else if (name == "two_level") {
      one(TwoLevel(named, moves, nullptr, {}), "no uniform candidate is within the budget");
    } else if (name == "first_last_8") {
      one(FirstLast8(named, moves), "not within the budget, or 8 bits are no candidate");
    } else if (name == "greedy") {
      one(Greedy(moves), "got stuck above the budget");
    } else if (name == "parameters") {
      one(ByParameters(named, moves), "got stuck above the budget");
    } else if (name == "blind") {
      one(Solved(BlindProblem(named), solver, context), "the solver found nothing");
    } else if (name == "reversed") {
      one(Solved(ReversedProblem(named), solver, context), "the solver found nothing");
    } else if (name == "random") {
      constexpr double kPercent = 100.0;
      std::int64_t far = 0;
      for (std::int64_t i = 0; i < section.random_count; ++i) {
        context.ThrowIfStopped();
        bool near = false;
        auto config = Random(named, moves, section.random_tolerance_percent / kPercent,
                             RandomStream(context.root_seed, "baseline.random." + stream,
                                          static_cast<std::uint64_t>(i)),
                             &near);
        if (!config.has_value()) continue;
        if (!near) ++far;
        line.choices.push_back(*std::move(config));
      }
      if (line.choices.empty()) line.note = "no random configuration was within the budget";
      if (far > 0) line.note = fmt::format("{} of them below the tolerance", far);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace bitsearch
