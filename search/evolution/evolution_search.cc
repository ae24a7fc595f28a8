// Generations by mutation and crossover, then climbing by systematic changes.
#include "search/evolution/evolution_search.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "search/evolution/candidate_pool.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Genome = std::vector<std::uint8_t>;

// Offspring drawn per candidate wanted before a generation is called exhausted.
constexpr int kDrawsPerCandidate = 20;
// Pairs of changes are scored in batches, so that climbing can move on early.
constexpr std::size_t kPairBatch = 192;

class Evolution {
 public:
  Evolution(CandidatePool& pool, const EvolutionOptions& options, const RunContext& context)
      : pool_(pool), options_(options), random_(context.root_seed, "evolution") {}

  void Run() {
    const auto all = pool_.remaining();
    const auto reserve =
        options_.goal == EvolutionGoal::kBest
            ? static_cast<std::int64_t>(options_.climbing_fraction * static_cast<double>(all))
            : 0;
    Populate();
    while (!population_.empty() && pool_.remaining() > reserve) {
      const std::int64_t wanted =
          std::min<std::int64_t>(options_.population, pool_.remaining() - reserve);
      if (!Generation(wanted)) break;
    }
    if (options_.goal == EvolutionGoal::kBest && !population_.empty()) Climb();
  }

 private:
  std::uint8_t RandomValue(std::size_t gene) {
    return static_cast<std::uint8_t>(
        random_.Below(static_cast<std::uint64_t>(pool_.space().cardinality(gene))));
  }

  void Populate() {
    Genome genome(pool_.genes());
    for (std::int64_t i = 0; i < options_.population * 4; ++i) {
      if (static_cast<std::int64_t>(pool_.queued()) >= options_.population) break;
      for (std::size_t g = 0; g < genome.size(); ++g) genome[g] = RandomValue(g);
      if (pool_.Repair(genome, random_)) pool_.Enqueue(genome);
    }
    Absorb(pool_.ScoreQueue());
  }

  /// Takes new candidates into the population and keeps the best of it.
  void Absorb(std::size_t first) {
    for (std::size_t i = first; i < pool_.scored().size(); ++i) population_.push_back(i);
    const auto& scored = pool_.scored();
    if (options_.goal == EvolutionGoal::kBest) {
      std::stable_sort(population_.begin(), population_.end(), [&](std::size_t a, std::size_t b) {
        return scored[a].score.top1_percent > scored[b].score.top1_percent;
      });
    } else {
      std::vector<ParetoPoint> points;
      for (const std::size_t i : population_) {
        points.push_back({scored[i].score.top1_percent, scored[i].costs, i});
      }
      std::vector<std::size_t> ranked;
      for (const std::size_t p : RankByDominance(points)) ranked.push_back(points[p].tag);
      population_ = std::move(ranked);
    }
    const auto most = static_cast<std::size_t>(options_.population);
    if (population_.size() > most) population_.resize(most);
  }

  const Genome& Parent() {
    const auto parents = std::max<std::size_t>(
        1, static_cast<std::size_t>(options_.parent_fraction *
                                    static_cast<double>(population_.size())));
    return pool_.scored()[population_[random_.Below(parents)]].genome;
  }

  void Mutate(Genome& genome, double expected) {
    const double probability = std::min(1.0, expected / static_cast<double>(genome.size()));
    for (std::size_t g = 0; g < genome.size(); ++g) {
      if (random_.Uniform() < probability) genome[g] = RandomValue(g);
    }
  }

  bool Generation(std::int64_t wanted) {
    Genome child;
    for (std::int64_t draws = 0; draws < wanted * kDrawsPerCandidate; ++draws) {
      if (static_cast<std::int64_t>(pool_.queued()) >= wanted) break;
      child = Parent();
      if (random_.Uniform() < options_.crossover_fraction) {
        const Genome& other = Parent();
        for (std::size_t g = 0; g < child.size(); ++g) {
          if (random_.Uniform() < 0.5) child[g] = other[g];
        }
        Mutate(child, 0.5 * options_.mutated_genes);
      } else {
        Mutate(child, options_.mutated_genes);
      }
      if (pool_.Repair(child, random_)) pool_.Enqueue(child);
    }
    if (pool_.queued() == 0) return false;
    Absorb(pool_.ScoreQueue());
    return true;
  }

  /// Iterated local search: to a local optimum under changes of one gene, then of pairs; then a
  /// kick. Ends with the budget, or when kicks find nothing new.
  void Climb() {
    Genome current = pool_.scored()[pool_.best()].genome;
    double accuracy = pool_.scored()[pool_.best()].score.top1_percent;
    int idle = 0;
    while (pool_.remaining() > 0 && idle < 50) {
      const std::int64_t before = pool_.remaining();
      while (pool_.remaining() > 0 && (StepOne(current, accuracy) || StepTwo(current, accuracy))) {
      }
      idle = pool_.remaining() == before ? idle + 1 : 0;
      if (pool_.remaining() <= 0) break;
      Kick(current, accuracy);
    }
  }

  /// Moves to the best of the newly scored if it improves.
  bool MoveTo(std::size_t first, Genome& current, double& accuracy) {
    bool improved = false;
    for (std::size_t i = first; i < pool_.scored().size(); ++i) {
      if (pool_.scored()[i].score.top1_percent > accuracy) {
        accuracy = pool_.scored()[i].score.top1_percent;
        current = pool_.scored()[i].genome;
        improved = true;
      }
    }
    return improved;
  }

  using Change = std::pair<std::size_t, std::uint8_t>;
  std::vector<Change> Changes(const Genome& genome) const {
    std::vector<Change> changes;
    for (std::size_t g = 0; g < genome.size(); ++g) {
      for (int v = 0; v < pool_.space().cardinality(g); ++v) {
        if (genome[g] != v) changes.emplace_back(g, static_cast<std::uint8_t>(v));
      }
    }
    return changes;
  }

  bool StepOne(Genome& current, double& accuracy) {
    Genome trial;
    for (const auto& [gene, value] : Changes(current)) {
      trial = current;
      trial[gene] = value;
      if (pool_.Violation(trial) == 0.0) pool_.Enqueue(trial);
    }
    if (pool_.queued() == 0) return false;
    return MoveTo(pool_.ScoreQueue(), current, accuracy);
  }

  bool StepTwo(Genome& current, double& accuracy) {
    const std::vector<Change> changes = Changes(current);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
    for (std::uint32_t a = 0; a < changes.size(); ++a) {
      for (std::uint32_t b = a + 1; b < changes.size(); ++b) {
        if (changes[a].first != changes[b].first) pairs.emplace_back(a, b);
      }
    }
    for (std::size_t i = pairs.size(); i > 1; --i) std::swap(pairs[i - 1], pairs[random_.Below(i)]);
    Genome trial;
    for (std::size_t i = 0; i < pairs.size() && pool_.remaining() > 0; ++i) {
      trial = current;
      trial[changes[pairs[i].first].first] = changes[pairs[i].first].second;
      trial[changes[pairs[i].second].first] = changes[pairs[i].second].second;
      if (pool_.Violation(trial) == 0.0) pool_.Enqueue(trial);
      if (pool_.queued() >= kPairBatch && MoveTo(pool_.ScoreQueue(), current, accuracy)) return true;
    }
    return pool_.queued() > 0 && MoveTo(pool_.ScoreQueue(), current, accuracy);
  }

  /// A new start: a member of the population or the best, with a few genes changed at random.
  void Kick(Genome& current, double& accuracy) {
    const auto& scored = pool_.scored();
    for (int tries = 0; tries < 100; ++tries) {
      current = random_.Uniform() < 0.5 ? scored[pool_.best()].genome : Parent();
      Mutate(current, 3.0 + 4.0 * random_.Uniform());
      if (!pool_.Repair(current, random_) || !pool_.Enqueue(current)) continue;
      accuracy = -std::numeric_limits<double>::infinity();
      MoveTo(pool_.ScoreQueue(), current, accuracy);
      return;
    }
  }

  CandidatePool& pool_;
  const EvolutionOptions& options_;
  RandomStream random_;
  std::vector<std::size_t> population_;  ///< Into pool_.scored(), best first.
};

}  // namespace

bool EvolutionOptions::IsValid(std::string* error) const {
  const auto fail = [error](const char* what) {
    *error = what;
    return false;
  };
  const auto share = [](double value) { return value >= 0.0 && value <= 1.0; };
  if (evaluations < 1) return fail("evaluations: allowed at least 1");
  if (population < 2) return fail("population: allowed at least 2");
  if (!(parent_fraction > 0.0 && parent_fraction <= 1.0)) {
    return fail("parent_fraction: allowed above 0, at most 1");
  }
  if (!share(crossover_fraction)) return fail("crossover_fraction: allowed 0 to 1");
  if (!share(climbing_fraction)) return fail("climbing_fraction: allowed 0 to 1");
  if (!(mutated_genes > 0.0)) return fail("mutated_genes: allowed above 0");
  return true;
}

EvolutionResult EvolveCandidates(CandidateEvaluator& evaluator,
                                 std::span<const FactoredCost> costs,
                                 std::span<const CandidateLimit> limits,
                                 const EvolutionOptions& options, const RunContext& context) {
  std::string error;
  if (!options.IsValid(&error)) throw Error(ErrorId::kUsage, error).Key("evolution");
  for (const CandidateLimit& limit : limits) {
    if (limit.cost >= costs.size()) {
      throw Error(ErrorId::kUsage, "a limit names a cost that is not given").Key("evolution.limits");
    }
  }
  CandidatePool pool(evaluator, costs, limits, options.evaluations, context);
  bool interrupted = false;
  try {
    Evolution(pool, options, context).Run();
  } catch (const Error& stopped) {
    if (stopped.id() != ErrorId::kInterrupted) throw;
    interrupted = true;
  }
  return pool.Finish(interrupted);
}

}  // namespace bitsearch
