// The searcher against brute force, its promises (limits, duplicates, budget, determinism), and the
// archive.
#include "search/evolution/evolution_search.h"

#include <gtest/gtest.h>

#include <set>

#include "search/evolution/pareto_archive.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

/// 4^5 candidates with pairwise interactions; counts and remembers what it is asked.
class SyntheticEvaluator : public CandidateEvaluator {
 public:
  explicit SyntheticEvaluator(std::uint64_t seed) : random_(seed, "synthetic") {
    std::vector<Gene> genes;
    for (int g = 0; g < 5; ++g) {
      genes.push_back({"g" + std::to_string(g),
                       GeneKind::kWeightBits,
                       {"2", "3", "4", "8"},
                       kNoGene,
                       ~std::uint64_t{0},
                       "l" + std::to_string(g)});
    }
    space_ = CandidateSpace("synthetic", std::move(genes));
    for (double& weight : weights_) weight = random_.Normal();
    std::vector<CostTerm> terms;
    for (GeneIndex g = 0; g < 5; ++g) terms.push_back({{g}, kNoGene, {2, 3, 4, 8}});
    cost_ = FactoredCost(space_, "size_bits", 0, 0, std::move(terms));
  }
  const CandidateSpace& space() const override { return space_; }
  const FactoredCost& cost() const { return cost_; }
  double Score(std::span<const std::uint8_t> genome) const {
    double sum = 0.0;
    for (std::size_t a = 0; a < 5; ++a) {
      sum += genome[a];
      for (std::size_t b = 0; b < a; ++b) {
        sum += weights_[(a * 5 + b) * 16 + genome[a] * 4U + genome[b]];
      }
    }
    return sum;
  }
  void Evaluate(const GenomeView& genomes, std::span<CandidateScore> scores) override {
    for (std::size_t r = 0; r < genomes.rows; ++r) {
      const auto row = genomes.row(r);
      EXPECT_TRUE(seen.insert({row.begin(), row.end()}).second) << "scored twice";
      scores[r].top1_percent = Score(row);
    }
  }
  std::set<std::vector<std::uint8_t>> seen;

 private:
  RandomStream random_;
  CandidateSpace space_;
  FactoredCost cost_;
  double weights_[400];
};

TEST(EvolutionTest, FindsTheBestOfSmallSpaces) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SyntheticEvaluator evaluator(seed);
    const std::vector<CandidateLimit> limits = {{0, 19}};
    RunContext context;
    context.root_seed = seed;
    EvolutionOptions options;
    options.evaluations = 700;
    options.population = 40;
    const EvolutionResult result =
        EvolveCandidates(evaluator, {&evaluator.cost(), 1}, limits, options, context);
    double best = -1e9;
    for (int code = 0; code < 1024; ++code) {
      std::vector<std::uint8_t> genome;
      for (int g = 0; g < 5; ++g) genome.push_back(static_cast<std::uint8_t>(code >> (2 * g) & 3));
      std::int64_t cost = 0;
      evaluator.cost().Evaluate({genome.data(), 1, 5}, {&cost, 1});
      if (cost <= 19) best = std::max(best, evaluator.Score(genome));
    }
    ASSERT_EQ(result.status, EvolutionStatus::kFound);
    EXPECT_EQ(result.best.score.top1_percent, best) << seed;
    EXPECT_LE(result.best.costs[0], 19);
    EXPECT_EQ(result.scored, static_cast<std::int64_t>(evaluator.seen.size()));
    EXPECT_LE(result.scored, 700);
  }
}

TEST(EvolutionTest, FrontierIsExactWhereTheSpaceIsExhausted) {
  SyntheticEvaluator evaluator(3);
  EvolutionOptions options;
  options.goal = EvolutionGoal::kFrontier;
  options.evaluations = 5000;
  const EvolutionResult result =
      EvolveCandidates(evaluator, {&evaluator.cost(), 1}, {}, options, RunContext{});
  for (std::size_t i = 1; i < result.frontier.size(); ++i) {
    EXPECT_LT(result.frontier[i - 1].costs[0], result.frontier[i].costs[0]);
    EXPECT_LT(result.frontier[i - 1].score.top1_percent, result.frontier[i].score.top1_percent);
  }
  EXPECT_GT(result.frontier.size(), 3U);
}

TEST(EvolutionTest, NothingWithinTheLimitsIsAStatus) {
  SyntheticEvaluator evaluator(3);
  const std::vector<CandidateLimit> limits = {{0, 9}};
  const EvolutionResult result =
      EvolveCandidates(evaluator, {&evaluator.cost(), 1}, limits, EvolutionOptions{}, RunContext{});
  EXPECT_EQ(result.status, EvolutionStatus::kNoneFeasible);
  ASSERT_EQ(result.least_costs.size(), 1U);
  EXPECT_EQ(result.least_costs[0], 10);
  EXPECT_EQ(result.scored, 0);
}

TEST(EvolutionTest, SameSeedSameResult) {
  std::vector<std::uint8_t> first;
  for (int run = 0; run < 2; ++run) {
    SyntheticEvaluator evaluator(8);
    EvolutionOptions options;
    options.evaluations = 150;
    options.population = 20;
    const EvolutionResult result =
        EvolveCandidates(evaluator, {&evaluator.cost(), 1}, {}, options, RunContext{});
    if (run == 0) first = result.best.genome;
    EXPECT_EQ(result.best.genome, first);
  }
}

TEST(EvolutionTest, StopIsAStatusAndBadOptionsAreUsage) {
  SyntheticEvaluator evaluator(8);
  RunContext stopped;
  stopped.stop.RequestStop();
  EXPECT_EQ(EvolveCandidates(evaluator, {}, {}, EvolutionOptions{}, stopped).status,
            EvolutionStatus::kInterrupted);
  EvolutionOptions options;
  options.population = 1;
  EXPECT_THROW(EvolveCandidates(evaluator, {}, {}, options, RunContext{}), Error);
}

TEST(ParetoArchiveTest, KeepsExactlyTheNonDominated) {
  RandomStream random(2, "archive");
  ParetoArchive archive;
  std::vector<ParetoPoint> all;
  for (std::size_t i = 0; i < 400; ++i) {
    const auto draw = [&random] { return static_cast<std::int64_t>(random.Below(12)); };
    all.push_back({static_cast<double>(draw()), {draw(), draw()}, i});
    archive.Offer(all.back());
  }
  std::set<std::size_t> kept;
  for (const ParetoPoint& point : archive.points()) kept.insert(point.tag);
  for (const ParetoPoint& point : all) {
    bool expected = true;
    for (const ParetoPoint& other : all) {
      const bool equal_before =
          other.accuracy == point.accuracy && other.costs == point.costs && other.tag < point.tag;
      if (Dominates(other, point) || equal_before) expected = false;
    }
    EXPECT_EQ(kept.count(point.tag) == 1, expected) << point.tag;
  }
  const std::vector<std::size_t> ranked = RankByDominance(all);
  EXPECT_EQ(std::set<std::size_t>(ranked.begin(), ranked.end()).size(), all.size());
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    for (std::size_t j = i + 1; j < ranked.size(); ++j) {
      ASSERT_FALSE(Dominates(all[ranked[j]], all[ranked[i]]));
    }
  }
}

}  // namespace
}  // namespace bitsearch
