// Search by measurement on synthetic networks whose true loss is not the predicted one.
#include "search/measured_search.h"

#include <cmath>
#include <set>

#include "gtest/gtest.h"
#include "search/solver.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using Choice = std::vector<ChoiceIndex>;

/// Layers of 2 to 6 bits under a limit on the sum of bits; predictions that are off by a factor of
/// up to 2 either way, layer and choice by layer and choice, and a truth that saturates.
struct Synthetic {
  explicit Synthetic(std::uint64_t seed) {
    RandomStream random(seed, "tests.measured_search");
    constexpr std::size_t kLayers = 12;
    constexpr int kFewest = 2;
    constexpr int kMost = 6;
    Resource bits{"bits", {}, {}, 0, 0};
    for (std::size_t l = 0; l < kLayers; ++l) {
      const double scale = std::exp(random.Normal());
      problem.loss.emplace_back();
      truth.emplace_back();
      bits.cost.emplace_back();
      for (int b = kFewest; b <= kMost; ++b) {
        truth.back().push_back(scale * std::pow(4.0, -b));
        problem.loss.back().push_back(truth.back().back() *
                                      std::exp2(2.0 * random.Uniform() - 1.0));
        bits.cost.back().push_back(b);
      }
    }
    bits.limit = static_cast<std::int64_t>(kLayers) * 3;
    problem.resources.push_back(std::move(bits));
  }
  double Measure(const Choice& choice) const {
    double sum = 0.0;
    for (std::size_t l = 0; l < choice.size(); ++l) sum += truth[l][choice[l].value];
    return std::tanh(sum);
  }
  Choice Optimum() const {
    return MakeSolver("auto")->Solve(problem, SolverOptions{}, RunContext{}).choice;
  }

  AssignmentProblem problem;
  std::vector<std::vector<double>> truth;
};

TEST(MeasuredSearch, IsNeverWorseThanItsStartsAndClosesMostOfTheGap) {
  constexpr int kInstances = 20;
  double closed = 0.0;
  for (std::uint64_t seed = 0; seed < kInstances; ++seed) {
    const Synthetic net(seed);
    AssignmentProblem oracle = net.problem;
    oracle.loss = net.truth;
    const double best =
        net.Measure(MakeSolver("auto")->Solve(oracle, SolverOptions{}, RunContext{}).choice);
    const double start = net.Measure(net.Optimum());
    RunContext context;
    context.root_seed = seed;
    const auto found = SearchByMeasurement(
        net.problem, {net.Optimum()}, [&](const Choice& choice) { return net.Measure(choice); },
        {60, "test"}, context);
    ASSERT_FALSE(found.empty());
    EXPECT_LE(found.front().measured, start);
    EXPECT_GE(found.front().measured, best - 1e-12);
    closed += start - best < 1e-9 ? 1.0 : (start - found.front().measured) / (start - best);
  }
  // Random proposals within the budget close next to nothing of it.
  EXPECT_GT(closed / kInstances, 0.5);
}

TEST(MeasuredSearch, MeasuresFeasibleConfigurationsOnceEachAndSortsThem) {
  const Synthetic net(1);
  std::set<Choice> seen;
  const Choice infeasible(net.problem.layer_count(), ChoiceIndex(4));
  const auto found = SearchByMeasurement(
      net.problem, {infeasible, net.Optimum(), net.Optimum()},
      [&](const Choice& choice) {
        EXPECT_TRUE(net.problem.Assess(choice).feasible());
        EXPECT_TRUE(seen.insert(choice).second);
        return net.Measure(choice);
      },
      {25, "test"}, RunContext{});
  EXPECT_EQ(found.size(), seen.size());
  EXPECT_LE(found.size(), 25U);
  EXPECT_GT(found.size(), 5U);
  for (std::size_t i = 1; i < found.size(); ++i) {
    EXPECT_LE(found[i - 1].measured, found[i].measured);
  }
}

TEST(MeasuredSearch, RepeatsExactlyAndDependsOnTheSeed) {
  const Synthetic net(2);
  const auto run = [&](std::uint64_t seed) {
    RunContext context;
    context.root_seed = seed;
    std::vector<Choice> order;
    SearchByMeasurement(
        net.problem, {net.Optimum()},
        [&](const Choice& choice) {
          order.push_back(choice);
          return net.Measure(choice);
        },
        {15, "test"}, context);
    return order;
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST(MeasuredSearch, WithoutAFeasibleStartNothingIsMeasuredAndAStopEndsIt) {
  const Synthetic net(3);
  const Choice infeasible(net.problem.layer_count(), ChoiceIndex(4));
  const auto measure = [&](const Choice& choice) { return net.Measure(choice); };
  EXPECT_TRUE(SearchByMeasurement(net.problem, {infeasible}, measure, {5, "t"}, {}).empty());
  RunContext context;
  context.stop.RequestStop();
  EXPECT_THROW(SearchByMeasurement(net.problem, {net.Optimum()}, measure, {5, "t"}, context),
               Error);
}

}  // namespace
}  // namespace bitsearch
