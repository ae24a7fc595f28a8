#include "search/supernet/decode.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "search/solver.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

constexpr double kLeastProbability = 1e-12;
// A candidate that a tie or an unskippable block has dropped: worse than any sum of others.
constexpr double kForbidden = 1e6;

double LogOf(double probability) { return std::log(std::max(probability, kLeastProbability)); }

double LogProbability(const std::vector<std::vector<double>>& probabilities,
                      const std::vector<std::size_t>& picks) {
  double sum = 0.0;
  for (std::size_t g = 0; g < picks.size(); ++g) sum += LogOf(probabilities[g][picks[g]]);
  return sum;
}

// The problem's choice indices of a configuration; nothing if one is no choice there.
std::optional<std::vector<ChoiceIndex>> IndicesOf(
    const BitConfig& config, const std::vector<std::vector<BitChoice>>& choices) {
  std::vector<ChoiceIndex> indices;
  for (std::size_t l = 0; l < choices.size(); ++l) {
    const auto found = std::find(choices[l].begin(), choices[l].end(), config.choices[l]);
    if (found == choices[l].end()) return std::nullopt;
    indices.emplace_back(static_cast<std::size_t>(found - choices[l].begin()));
  }
  return indices;
}

// Σ over limits of the relative excess; 0 within all of them. Infinite for what ties, pins or the
// lists of choices forbid.
double Excess(const AssignmentProblem& problem, const BitConfig& config,
              const std::vector<std::vector<BitChoice>>& choices) {
  const auto indices = IndicesOf(config, choices);
  if (!indices) return std::numeric_limits<double>::infinity();
  const Assessment assessment = problem.Assess(*indices);
  if (!assessment.keeps_pins || !assessment.keeps_ties) {
    return std::numeric_limits<double>::infinity();
  }
  double excess = 0.0;
  for (std::size_t r = 0; r < problem.resources.size(); ++r) {
    const auto& limit = problem.resources[r].limit;
    if (!limit || assessment.resources[r] <= *limit) continue;
    excess += static_cast<double>(assessment.resources[r] - *limit) /
              std::max(1.0, std::fabs(static_cast<double>(*limit)));
  }
  return excess;
}

std::size_t Draw(const std::vector<double>& probabilities, RandomStream& random) {
  double left = random.Uniform();
  for (std::size_t k = 0; k + 1 < probabilities.size(); ++k) {
    left -= probabilities[k];
    if (left < 0.0) return k;
  }
  return probabilities.size() - 1;
}

}  // namespace

AssignmentProblem LogitProblem(const ArchitectureSpace& space,
                               const std::vector<std::vector<double>>& probabilities,
                               const std::vector<std::vector<BitChoice>>& choices,
                               const AssignmentProblem& problem) {
  AssignmentProblem result = problem;
  for (auto& pair : result.pairs) pair.loss.clear();
  std::vector<std::uint8_t> counted(space.group_count(), 0);
  for (const ChoiceGroup& group : space.groups) {
    if (group.layers.size() < 2) continue;
    Tie tie{"group " + group.name, group.layers, {}};
    for (const LayerIndex layer : group.layers) {
      std::vector<int> labels;
      for (const BitChoice& choice : choices[layer.value]) {
        const auto found = std::find_if(
            group.candidates.begin(), group.candidates.end(), [&](const BitChoice& candidate) {
              const bool weight = candidate.weight == choice.weight;
              const bool activation = candidate.activation == choice.activation;
              if (group.kind == ChoiceGroup::Kind::kWeight) return weight;
              if (group.kind == ChoiceGroup::Kind::kActivation) return activation;
              return weight && activation;
            });
        labels.push_back(static_cast<int>(found - group.candidates.begin()));
      }
      tie.label.push_back(std::move(labels));
    }
    result.ties.push_back(std::move(tie));
  }
  for (std::size_t l = 0; l < choices.size(); ++l) {
    const LayerGroups& of_layer = space.layers[l];
    const bool joint = of_layer.weight == of_layer.activation;
    const bool count_weight = std::exchange(counted[of_layer.weight], 1) == 0;
    const bool count_activation = !joint && std::exchange(counted[of_layer.activation], 1) == 0;
    for (std::size_t c = 0; c < choices[l].size(); ++c) {
      const BitChoice& choice = choices[l][c];
      const bool skip = choice.weight == NumberFormat::Skip();
      double loss = 0.0;
      const auto add = [&](std::size_t g, bool counts, auto matches) {
        const auto& candidates = space.groups[g].candidates;
        const auto found = std::find_if(candidates.begin(), candidates.end(), matches);
        if (found == candidates.end()) {
          loss = kForbidden;
        } else if (counts) {
          loss -= LogOf(probabilities[g][static_cast<std::size_t>(found - candidates.begin())]);
        }
      };
      add(of_layer.weight, count_weight, [&](const BitChoice& candidate) {
        return candidate.weight == choice.weight &&
               (!joint || candidate.activation == choice.activation);
      });
      if (!joint && !skip && loss < kForbidden) {
        add(of_layer.activation, count_activation,
            [&](const BitChoice& candidate) { return candidate.activation == choice.activation; });
      }
      result.loss[l][c] = loss;
    }
  }
  return result;
}

bool RepairPicks(const ArchitectureSpace& space,
                 const std::vector<std::vector<double>>& probabilities,
                 const std::vector<std::vector<BitChoice>>& choices,
                 const AssignmentProblem& problem, std::vector<std::size_t>& picks) {
  double excess = Excess(problem, space.ConfigOf(picks), choices);
  while (excess > 0.0) {
    double best_price = std::numeric_limits<double>::infinity();
    double best_excess = excess;
    std::size_t best_group = 0;
    std::size_t best_candidate = 0;
    for (std::size_t g = 0; g < picks.size(); ++g) {
      const std::size_t present = picks[g];
      for (std::size_t k = 0; k < space.groups[g].candidates.size(); ++k) {
        if (k == present) continue;
        picks[g] = k;
        const double after = Excess(problem, space.ConfigOf(picks), choices);
        if (!(after < excess)) continue;
        const double price =
            (LogOf(probabilities[g][present]) - LogOf(probabilities[g][k])) / (excess - after);
        if (price < best_price) {
          best_price = price;
          best_excess = after;
          best_group = g;
          best_candidate = k;
        }
      }
      picks[g] = present;
    }
    if (!(best_excess < excess)) return false;
    picks[best_group] = best_candidate;
    excess = best_excess;
  }
  return true;
}

DecodeResult DecodeDistributions(const ArchitectureSpace& space,
                                 const std::vector<std::vector<double>>& probabilities,
                                 const std::vector<std::vector<BitChoice>>& choices,
                                 const AssignmentProblem& problem, const DecodeOptions& options,
                                 const RunContext& context) {
  DecodeResult result;
  std::set<std::string> seen;
  const auto add = [&](std::vector<std::size_t> picks, const std::string& origin) {
    const bool fits = Excess(problem, space.ConfigOf(picks), choices) == 0.0;
    if (!fits && !RepairPicks(space, probabilities, choices, problem, picks)) return;
    DecodedConfig decoded;
    decoded.config = space.ConfigOf(picks);
    if (!seen.insert(decoded.config.Canonical()).second) return;
    decoded.log_probability = LogProbability(probabilities, picks);
    decoded.resources = problem.Assess(*IndicesOf(decoded.config, choices)).resources;
    decoded.origin = fits ? origin : origin + " repaired";
    decoded.picks = std::move(picks);
    result.configs.push_back(std::move(decoded));
  };

  const AssignmentProblem logits = LogitProblem(space, probabilities, choices, problem);
  result.exact = MakeSolver(options.solver)->Solve(logits, SolverOptions(), context);
  std::optional<std::vector<std::size_t>> exact_picks;
  if (result.exact.has_choice()) {
    BitConfig config;
    for (std::size_t l = 0; l < choices.size(); ++l) {
      config.choices.push_back(choices[l][result.exact.choice[l].value]);
    }
    exact_picks = space.PicksOf(config);
    if (exact_picks) add(*exact_picks, "exact");
  }
  std::vector<std::size_t> argmax;
  for (const auto& group : probabilities) {
    argmax.push_back(
        static_cast<std::size_t>(std::max_element(group.begin(), group.end()) - group.begin()));
  }
  result.argmax = space.ConfigOf(argmax);
  result.argmax_within_limits = Excess(problem, result.argmax, choices) == 0.0;
  add(argmax, "argmax");
  for (std::int64_t i = 0; i < options.samples; ++i) {
    RandomStream random(context.root_seed, "dnas.decode", static_cast<std::uint64_t>(i));
    std::vector<std::size_t> picks;
    for (const auto& group : probabilities) picks.push_back(Draw(group, random));
    add(std::move(picks), "sample");
  }
  std::stable_sort(result.configs.begin(), result.configs.end(),
                   [](const DecodedConfig& a, const DecodedConfig& b) {
                     if ((a.origin == "exact") != (b.origin == "exact")) return a.origin == "exact";
                     return a.log_probability > b.log_probability;
                   });
  if (result.configs.size() > options.keep) result.configs.resize(options.keep);
  return result;
}

std::size_t BestByLoss(const std::vector<DecodedConfig>& configs, Evaluator& evaluator,
                       std::vector<Evaluation>* evaluations) {
  if (configs.empty()) throw Error(ErrorId::kInternal, "BestByLoss: no configurations");
  std::vector<BitConfig> list;
  for (const DecodedConfig& decoded : configs) list.push_back(decoded.config);
  const std::vector<Evaluation> found = evaluator.Evaluate(list);
  std::size_t best = 0;
  for (std::size_t i = 1; i < found.size(); ++i) {
    if (found[i].loss_nats < found[best].loss_nats) best = i;
  }
  if (evaluations != nullptr) *evaluations = found;
  return best;
}

}  // namespace bitsearch
