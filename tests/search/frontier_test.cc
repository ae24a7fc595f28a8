// Frontiers against brute force: every point, its configuration, and the ε-guarantee.
#include "search/frontier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "search/exact/frontier_sweep.h"
#include "search/exact/reduced_limits.h"
#include "space/support/error.h"
#include "tests/search/problem_makers.h"

namespace bitsearch {
namespace {

std::vector<ResourceIndex> Indices(const std::vector<std::size_t>& values) {
  std::vector<ResourceIndex> result;
  for (std::size_t value : values) result.emplace_back(value);
  return result;
}

struct Case {
  const char* name;
  RandomProblemShape shape;
  std::vector<std::size_t> traded;
  int count;
};

class Frontiers : public testing::TestWithParam<Case> {};

TEST_P(Frontiers, AreThoseOfBruteForce) {
  const Case& param = GetParam();
  RandomStream random(77, param.name);
  for (int n = 0; n < param.count; ++n) {
    RandomProblemShape shape = param.shape;
    shape.coarse = n % 3 == 0;
    shape.negative_losses = n % 5 == 0;
    AssignmentProblem problem = RandomProblem(shape, random);
    for (std::size_t r : param.traded) {
      if (n % 2 == 0) problem.resources[r].limit.reset();
    }
    const auto expected = BruteForceFrontier(problem, param.traded);
    FrontierOptions options;
    options.resources = Indices(param.traded);
    options.epsilon = 0.0;
    const Frontier frontier = ComputeFrontier(problem, options, {});
    ASSERT_EQ(frontier.points().size(), expected.size()) << param.name << n << Describe(problem);
    if (expected.empty()) {
      ASSERT_EQ(frontier.status(), SolveStatus::kInfeasible);
      continue;
    }
    ASSERT_TRUE(frontier.exact());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(frontier.points()[i].resources, expected[i].resources) << param.name << n;
      ASSERT_NEAR(frontier.points()[i].objective, expected[i].objective, 1e-9);
      const Assessment assessment = problem.Assess(frontier.Choice(i));
      ASSERT_TRUE(assessment.feasible());
      ASSERT_NEAR(assessment.objective, expected[i].objective, 1e-9);
      for (std::size_t c = 0; c < param.traded.size(); ++c) {
        ASSERT_EQ(assessment.resources[param.traded[c]], expected[i].resources[c]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Frontiers,
    testing::Values(
        Case{"one", {.limits = 1}, {0}, 300}, Case{"two", {.limits = 2}, {0, 1}, 200},
        Case{"swapped", {.limits = 2}, {1, 0}, 100}, Case{"one_of_two", {.limits = 2}, {0}, 200},
        Case{"three", {.limits = 3}, {2, 0, 1}, 60},
        Case{"ties", {.limits = 2, .ties = true, .pins = true}, {0}, 100},
        Case{"transitions", {.layers_to = 7, .limits = 1, .transitions = true}, {0}, 200},
        Case{"two_transitions",
             {.layers_to = 6, .limits = 2, .ties = true, .transitions = true},
             {1, 0},
             100},
        Case{"pairs", {.layers_to = 6, .limits = 1, .pairs = true}, {0}, 100},
        Case{"peak", {.layers_to = 7, .limits = 1, .cuts = true}, {1}, 150},
        Case{"peak_and_cost", {.layers_to = 6, .limits = 1, .cuts = true}, {0, 1}, 100}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(Frontier, EpsilonGuaranteeHoldsForEveryTruePoint) {
  RandomStream random(5, "epsilon");
  for (int n = 0; n < 60; ++n) {
    const bool two = n % 2 == 0;
    RandomProblemShape shape{.layers_from = 7, .limits = 2, .transitions = n % 3 == 0};
    AssignmentProblem problem = RandomProblem(shape, random);
    for (Resource& resource : problem.resources) resource.limit.reset();
    const std::vector<std::size_t> traded =
        two ? std::vector<std::size_t>{0, 1} : std::vector<std::size_t>{0};
    FrontierOptions options;
    options.resources = Indices(traded);
    options.epsilon = 0.02;
    options.max_points = 10;
    const Frontier frontier = ComputeFrontier(problem, options, {});
    const auto expected = BruteForceFrontier(problem, traded);
    ASSERT_LE(frontier.points().size(), expected.size());
    double least = expected[0].objective;
    double largest = least;
    for (const BruteForcePoint& point : expected) {
      least = std::min(least, point.objective);
      largest = std::max(largest, point.objective);
    }
    const double allowed = frontier.epsilon() * (largest - least) + 1e-9;
    for (const BruteForcePoint& point : expected) {
      bool covered = false;
      for (const FrontierPoint& mine : frontier.points()) {
        bool fits = mine.objective <= point.objective + allowed;
        for (std::size_t c = 0; c < traded.size(); ++c) {
          fits = fits && mine.resources[c] <= point.resources[c];
        }
        covered = covered || fits;
      }
      ASSERT_TRUE(covered) << n;
    }
  }
}

TEST(Frontier, KeepsFewerPointsWhenTimeRunsShort) {
  RandomStream random(9, "hurried");
  AssignmentProblem problem =
      RandomProblem({.layers_from = 12, .layers_to = 12, .choices_from = 4, .limits = 2}, random);
  for (Resource& resource : problem.resources) resource.limit.reset();
  const ReducedProblem reduced =
      Presolve(problem, {.traded = Indices({0, 1}), .allowed = {}, .keep_dominated = false});
  LayeredGraph graph;
  ASSERT_TRUE(BuildLayeredGraph(reduced, LevelOrder::kAscendingCost, 100'000, &graph));
  FrontierSweepSettings settings;
  settings.capacity = CapacitiesOf(reduced);
  settings.error_budget = 1;
  settings.max_points = 100;
  std::size_t before = 0;
  for (double time_used : {0.1, 0.6, 0.9}) {
    settings.time_used = [time_used] { return time_used; };
    FrontierSweep<2> sweep(graph, settings);
    ASSERT_TRUE(sweep.Run());
    EXPECT_GT(sweep.size(), 0u);
    EXPECT_TRUE(before == 0 || sweep.size() < before) << sweep.size() << " after " << before;
    before = sweep.size();
  }
}

TEST(Frontier, ThinningKeepsTheEnds) {
  RandomStream random(6, "thin");
  AssignmentProblem problem = RandomProblem({.layers_from = 8, .limits = 1}, random);
  problem.resources[0].limit.reset();
  const Frontier all = ComputeFrontier(problem, {.resources = {ResourceIndex(0)}}, {});
  ASSERT_GT(all.points().size(), 20u);
  const Frontier few = ThinnedTo(all, 7);
  ASSERT_EQ(few.points().size(), 7u);
  EXPECT_EQ(few.points().front().resources, all.points().front().resources);
  EXPECT_EQ(few.points().back().resources, all.points().back().resources);
  EXPECT_EQ(few.Choice(6), all.Choice(all.points().size() - 1));
}

TEST(Frontier, NoiseJoinsPointsThatCannotBeToldApart) {
  AssignmentProblem problem;
  problem.loss = {{1.0, 0.9, 0.0}};
  problem.resources = {{.name = "r", .cost = {{0, 1, 2}}}};
  const Frontier all = ComputeFrontier(problem, {.resources = {ResourceIndex(0)}}, {});
  ASSERT_EQ(all.points().size(), 3u);
  // 1.0 and 0.9 differ by 0.1 with a standard error of 0.14; 1.0 and 0 differ clearly.
  const Frontier told = DistinguishablePoints(all, {{0.1, 0.1, 0.1}});
  ASSERT_EQ(told.points().size(), 2u);
  EXPECT_EQ(told.Choice(1)[0], ChoiceIndex(2));
  EXPECT_EQ(DistinguishablePoints(all, {{0.0, 0.0, 0.0}}).points().size(), 3u);
}

}  // namespace
}  // namespace bitsearch
