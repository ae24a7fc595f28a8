// Random genomes repaired into the limits, then mutations and crossovers of the best.
#include "predictor/online/ask_strategy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

using Genome = std::vector<std::uint8_t>;

class Proposer {
 public:
  Proposer(const OnlinePredictor& predictor, std::span<const CostLimit> limits,
           RandomStream& random)
      : space_(predictor.space()),
        costs_(predictor.predictor().model().costs),
        limits_(limits),
        random_(random),
        active_(space_.size()) {}

  Genome Random() {
    Genome genome(space_.size());
    for (std::size_t g = 0; g < genome.size(); ++g) genome[g] = RandomValue(g);
    return genome;
  }
  /// Each gene changes with a probability that gives one or two changes on average.
  Genome Mutated(const Genome& parent) {
    Genome genome = parent;
    const double rate = 1.5 / static_cast<double>(genome.size());
    for (std::size_t g = 0; g < genome.size(); ++g) {
      if (random_.Uniform() < rate) genome[g] = RandomValue(g);
    }
    return genome;
  }
  Genome Crossed(const Genome& a, const Genome& b) {
    Genome genome = a;
    for (std::size_t g = 0; g < genome.size(); ++g) {
      if (random_.Sign() > 0) genome[g] = b[g];
    }
    return genome;
  }

  /// Changes genes, one at a time, until every limit holds. False if no single change helps.
  bool Repair(Genome& genome) {
    space_.Canonicalize(genome);
    // Every round lessens the excess; a space has at most so many useful rounds.
    const std::size_t rounds = 8 * genome.size();
    for (std::size_t round = 0; round < rounds; ++round) {
      const double excess = Excess(genome);
      if (excess <= 0.0) return true;
      std::vector<std::pair<std::size_t, std::uint8_t>> better;
      double least = excess;
      std::pair<std::size_t, std::uint8_t> best{genome.size(), 0};
      for (std::size_t g = 0; g < genome.size(); ++g) {
        const std::uint8_t before = genome[g];
        for (int v = 0; v < space_.cardinality(g); ++v) {
          genome[g] = static_cast<std::uint8_t>(v);
          const double after = v == before ? excess : Excess(genome);
          if (after >= excess) continue;
          better.emplace_back(g, genome[g]);
          if (after < least) {
            least = after;
            best = {g, genome[g]};
          }
        }
        genome[g] = before;
      }
      if (better.empty()) return false;
      // Mostly a random improvement, for variety; near the end of the rounds the best one.
      const auto [g, v] = round < rounds / 2 ? better[random_.Below(better.size())] : best;
      genome[g] = v;
      space_.Canonicalize(genome);
    }
    return Excess(genome) <= 0.0;
  }

 private:
  std::uint8_t RandomValue(std::size_t gene) {
    return static_cast<std::uint8_t>(
        random_.Below(static_cast<std::uint64_t>(space_.cardinality(gene))));
  }
  /// How far the limits are exceeded, as a sum of shares; what a device cannot run counts most.
  double Excess(const Genome& genome) {
    space_.Activity(genome, active_);
    double excess = 0.0;
    for (const CostLimit& limit : limits_) {
      const std::int64_t cost = costs_[limit.cost].EvaluateActive(genome.data(), active_.data());
      if (cost <= limit.limit) continue;
      excess += static_cast<double>(cost - limit.limit) /
                static_cast<double>(std::max<std::int64_t>(1, limit.limit));
    }
    return excess;
  }

  const CandidateSpace& space_;
  const std::vector<FactoredCost>& costs_;
  std::span<const CostLimit> limits_;
  RandomStream& random_;
  Genome active_;
};

}  // namespace

std::vector<CostLimit> CostLimits(const PredictorModel& model,
                                  std::span<const std::pair<std::string, double>> limits) {
  std::vector<CostLimit> result;
  for (const auto& [name, value] : limits) {
    std::size_t c = 0;
    while (c < model.costs.size() && model.costs[c].name() != name) ++c;
    if (c == model.costs.size()) {
      std::vector<std::string> names;
      for (const FactoredCost& cost : model.costs) names.push_back(cost.name());
      const std::string nearest = NearestName(name, names);
      throw Error(ErrorId::kResourceUnknown, "the predictor knows no such cost")
          .Key(name)
          .Hint(nearest.empty() ? "its description lists them"
                                : "did you mean \"" + nearest + "\"?");
    }
    if (!(value >= 0.0)) {
      throw Error(ErrorId::kLimitValue, fmt::format("got {}, allowed at least 0", value)).Key(name);
    }
    result.push_back({c, model.costs[c].LimitToGrid(value)});
  }
  return result;
}

std::optional<std::vector<std::uint8_t>> ProposeCandidate(
    const OnlinePredictor& predictor, std::span<const CostLimit> limits,
    const std::function<bool(std::span<const std::uint8_t>)>& taken, RandomStream& random,
    const AskOptions& options) {
  Proposer proposer(predictor, limits, random);
  const double kappa = -std::log(1.0 - random.Uniform());
  struct Scored {
    double value;
    Genome genome;
  };
  std::vector<Scored> best;
  std::set<Genome> seen;
  const auto better = [](const Scored& a, const Scored& b) {
    return a.value != b.value ? a.value > b.value : a.genome < b.genome;
  };
  for (int generation = 0; generation < options.generations; ++generation) {
    std::vector<std::uint8_t> rows;
    std::vector<Genome> fresh;
    for (std::size_t i = 0; i < options.population; ++i) {
      Genome genome;
      if (best.size() < 2 || i % 4 == 0) {
        genome = proposer.Random();
      } else if (i % 4 == 1) {
        genome = proposer.Crossed(best[random.Below(best.size())].genome,
                                  best[random.Below(best.size())].genome);
      } else {
        genome = proposer.Mutated(best[random.Below(best.size())].genome);
      }
      if (!proposer.Repair(genome) || taken(genome) || !seen.insert(genome).second) continue;
      rows.insert(rows.end(), genome.begin(), genome.end());
      fresh.push_back(std::move(genome));
    }
    if (fresh.empty()) continue;
    std::vector<CandidateScore> scores(fresh.size());
    predictor.Predict({rows.data(), fresh.size(), predictor.space().size()}, scores);
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      best.push_back({scores[i].top1_percent + kappa * scores[i].standard_deviation_percent,
                      std::move(fresh[i])});
    }
    std::sort(best.begin(), best.end(), better);
    best.resize(std::min<std::size_t>(best.size(), 16));
  }
  if (best.empty()) return std::nullopt;
  return best.front().genome;
}

}  // namespace bitsearch
