// What a solution says beside itself, against brute force: which limits conflict and the least
// value of each that would do, each layer's runner-up, and what a unit of a limit is worth.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "search/exact/conflicts.h"
#include "search/frontier.h"
#include "search/solver.h"
#include "tests/search/problem_makers.h"

namespace bitsearch {
namespace {

/// Least value of resource `r` over the configurations that keep ties, pins and the limits given.
std::optional<std::int64_t> LeastValueOf(AssignmentProblem problem, std::size_t r) {
  problem.resources[r].limit.reset();
  std::optional<std::int64_t> least;
  for (const BruteForcePoint& point : FeasiblePoints(problem)) {
    least = std::min(least.value_or(point.resources[r]), point.resources[r]);
  }
  return least;
}

AssignmentProblem WithOnly(AssignmentProblem problem, const std::vector<std::size_t>& limits) {
  for (std::size_t r = 0; r < problem.resources.size(); ++r) {
    if (std::find(limits.begin(), limits.end(), r) == limits.end()) {
      problem.resources[r].limit.reset();
    }
  }
  return problem;
}

std::vector<std::vector<std::size_t>> SetsOf(const Solution& solution) {
  std::vector<std::vector<std::size_t>> sets;
  for (const LimitConflict& conflict : solution.conflicts) {
    sets.resize(static_cast<std::size_t>(conflict.set));
    sets.back().push_back(conflict.resource.value);
  }
  return sets;
}

/// Each set conflicts and is minimal; no limit is in two; without all of them the rest can be kept.
void CheckSets(const AssignmentProblem& problem, const std::vector<std::vector<std::size_t>>& sets,
               int n) {
  AssignmentProblem rest = problem;
  for (const std::vector<std::size_t>& set : sets) {
    ASSERT_FALSE(BruteForce(WithOnly(problem, set)).feasible) << n << Describe(problem);
    for (std::size_t r : set) {
      std::vector<std::size_t> others = set;
      std::erase(others, r);
      ASSERT_TRUE(BruteForce(WithOnly(problem, others)).feasible) << n << Describe(problem);
      ASSERT_TRUE(rest.resources[r].limit.has_value());
      rest.resources[r].limit.reset();
    }
  }
  ASSERT_TRUE(BruteForce(rest).feasible) << n << Describe(problem);
}

void CheckValues(const AssignmentProblem& problem, const Solution& solution, int n) {
  for (const LimitConflict& conflict : solution.conflicts) {
    const std::size_t r = conflict.resource.value;
    ASSERT_TRUE(conflict.proved);
    ASSERT_EQ(conflict.least_feasible, LeastValueOf(problem, r)) << n << Describe(problem);
    ASSERT_EQ(conflict.least_alone, LeastValueOf(WithOnly(problem, {}), r)) << n;
  }
  AssignmentProblem kept = WithOnly(problem, {});
  std::size_t at = 0;
  for (std::size_t r = 0; r < problem.resources.size(); ++r) {
    if (!problem.resources[r].limit) continue;
    ASSERT_LT(at, solution.feasible_limits.size());
    ASSERT_EQ(solution.feasible_limits[at].resource.value, r);
    const std::int64_t least = *LeastValueOf(kept, r);
    kept.resources[r].limit = std::max(least, *problem.resources[r].limit);
    ASSERT_EQ(solution.feasible_limits[at++].value, *kept.resources[r].limit) << n;
  }
  ASSERT_TRUE(BruteForce(kept).feasible);
}

TEST(Conflicts, NameLimitsThatCannotBeKeptTogetherAndTheLeastThatWould) {
  RandomStream random(11, "conflicts");
  int infeasible = 0;
  int several = 0;
  int several_sets = 0;
  for (int n = 0; n < 500; ++n) {
    RandomProblemShape shape{.layers_to = 6, .choices_to = 4, .limits = 1 + n % 3};
    shape.ties = n % 2 == 0;
    shape.transitions = n % 3 == 0;
    shape.cuts = n % 5 == 0;
    AssignmentProblem problem = RandomProblem(shape, random);
    // Tight limits: most of these problems have no answer.
    for (Resource& resource : problem.resources) {
      const std::size_t r = static_cast<std::size_t>(&resource - problem.resources.data());
      const std::int64_t least = *LeastValueOf(WithOnly(problem, {}), r);
      if (n % 4 != 0) resource.limit = std::max(least, *resource.limit - *resource.limit / 3);
    }
    if (BruteForce(problem).feasible) continue;
    ++infeasible;
    const Solution solution = MakeSolver("auto")->Solve(problem, {}, {});
    ASSERT_EQ(solution.status, SolveStatus::kInfeasible);
    ASSERT_FALSE(solution.conflicts.empty()) << n << Describe(problem);
    several += SetsOf(solution).front().size() > 1 ? 1 : 0;
    several_sets += SetsOf(solution).size() > 1 ? 1 : 0;
    CheckSets(problem, SetsOf(solution), n);
    CheckValues(problem, solution, n);
    // Every solver says the same, and so does a frontier.
    const Solution path = MakeSolver("shortest_path")->Solve(problem, {}, {});
    const Solution greedy = MakeSolver("greedy")->Solve(problem, {}, {});
    const Frontier frontier = ComputeFrontier(problem, {.resources = {ResourceIndex(0)}}, {});
    ASSERT_EQ(path.status, SolveStatus::kInfeasible);
    ASSERT_EQ(greedy.status, SolveStatus::kInfeasible) << n;
    ASSERT_EQ(frontier.status(), SolveStatus::kInfeasible);
    ASSERT_EQ(SetsOf(path), SetsOf(solution));
    ASSERT_EQ(SetsOf(greedy), SetsOf(solution));
    ASSERT_EQ(frontier.conflicts.size(), solution.conflicts.size());
    ASSERT_EQ(frontier.feasible_limits.size(), solution.feasible_limits.size());
  }
  EXPECT_GT(infeasible, 100);
  EXPECT_GT(several, 50);
  EXPECT_GT(several_sets, 20);
}

TEST(Conflicts, AnAnalysisCutShortSaysSo) {
  RandomStream random(14, "conflicts cut short");
  int open = 0;
  for (int n = 0; n < 200; ++n) {
    AssignmentProblem problem =
        RandomProblem({.layers_from = 5, .layers_to = 6, .choices_to = 4, .limits = 3}, random);
    // Limits just below a configuration that none is below in everything: relaxations think that
    // they can be kept.
    std::vector<std::int64_t> least;
    for (const BruteForcePoint& point : FeasiblePoints(WithOnly(problem, {}))) {
      bool below = true;
      for (std::size_t r = 0; r < least.size(); ++r) below &= point.resources[r] < least[r];
      if (below) least = point.resources;
    }
    for (std::size_t r = 0; r < 3; ++r) problem.resources[r].limit = least[r] - 1;
    if (BruteForce(problem).feasible) continue;
    const ConflictAnalysis analysis = FindConflicts(problem, {.should_stop = [] { return true; }});
    ASSERT_FALSE(analysis.conflicts.empty());
    std::vector<std::size_t> named;
    for (const LimitConflict& conflict : analysis.conflicts) {
      const std::size_t r = conflict.resource.value;
      named.push_back(r);
      open += conflict.proved ? 0 : 1;
      // What is not proved to be least would do all the same.
      if (!conflict.least_feasible) continue;
      AssignmentProblem raised = problem;
      raised.resources[r].limit = conflict.least_feasible;
      ASSERT_TRUE(BruteForce(raised).feasible) << n;
    }
    ASSERT_FALSE(BruteForce(WithOnly(problem, named)).feasible) << n;
  }
  EXPECT_GT(open, 20);
}

TEST(RunnerUps, AreTheBestWithoutTheChosenCandidate) {
  RandomStream random(12, "runner-ups");
  int exact = 0;
  for (int n = 0; n < 200; ++n) {
    RandomProblemShape shape{.layers_to = 6, .choices_to = 4, .limits = 1 + n % 2};
    shape.ties = n % 2 == 0;
    shape.transitions = n % 3 == 0;
    shape.pins = n % 4 == 0;
    const AssignmentProblem problem = RandomProblem(shape, random);
    const Solution solution = MakeSolver("auto")->Solve(problem, {.explain = true}, {});
    if (solution.status != SolveStatus::kOptimal) continue;
    ASSERT_TRUE(solution.explanation);
    std::vector<std::uint8_t> explained(problem.layer_count(), 0);
    for (const RunnerUp& runner : solution.explanation->runner_ups) {
      const std::size_t l = runner.layer.value;
      explained[l] = 1;
      ASSERT_NE(runner.choice, solution.choice[l]);
      ASSERT_TRUE(runner.exact);
      ++exact;
      // Brute force with the chosen candidate made impossible by an enormous loss.
      AssignmentProblem without = problem;
      without.loss[l][solution.choice[l].value] = 1e6;
      const BruteForceAnswer best = BruteForce(without);
      ASSERT_TRUE(best.feasible);
      ASSERT_NEAR(runner.loss_increase, best.objective - solution.objective, 1e-9) << n;
      without.loss[l].assign(problem.loss[l].size(), 1e6);
      without.loss[l][runner.choice.value] = problem.loss[l][runner.choice.value];
      ASSERT_NEAR(BruteForce(without).objective, best.objective, 1e-9) << n;
    }
    // A layer without a runner-up has no other choice within the limits, ties and pins.
    for (std::size_t l = 0; l < problem.layer_count(); ++l) {
      if (explained[l]) continue;
      AssignmentProblem without = problem;
      without.loss[l][solution.choice[l].value] = 1e6;
      ASSERT_GT(BruteForce(without).objective, 9e5) << n << " layer " << l << Describe(problem);
    }
  }
  EXPECT_GT(exact, 300);
}

/// A separable problem whose frontier is nearly smooth: what a real network with many layers is.
AssignmentProblem SmoothProblem(int resources, int layers = 80) {
  RandomStream random(13, "smooth");
  AssignmentProblem problem;
  problem.resources.resize(static_cast<std::size_t>(resources));
  for (std::size_t r = 0; r < problem.resources.size(); ++r) {
    problem.resources[r].name = "r" + std::to_string(r);
  }
  for (int l = 0; l < layers; ++l) {
    const double size = std::exp(random.Normal());
    const double sensitivity = std::exp(random.Normal());
    problem.loss.emplace_back();
    for (Resource& resource : problem.resources) resource.cost.emplace_back();
    for (int bits = 2; bits <= 8; ++bits) {
      problem.loss.back().push_back(sensitivity * std::pow(4.0, -bits));
      for (Resource& resource : problem.resources) {
        resource.cost.back().push_back(
            static_cast<std::int64_t>(1e5 * size * bits * (0.7 + 0.6 * random.Uniform())));
      }
    }
  }
  return problem;
}

double OptimumAt(AssignmentProblem problem, std::size_t r, std::int64_t limit) {
  problem.resources[r].limit = limit;
  const Solution solution = MakeSolver("auto")->Solve(problem, {}, {});
  EXPECT_EQ(solution.status, SolveStatus::kOptimal);
  return solution.objective;
}

// Too many layers for a search each: bounds from reduced costs, which must stay below the truth
// also where the best alternative is a choice that another one dominates.
TEST(RunnerUps, OfLargeProblemsAreBounds) {
  AssignmentProblem problem = SmoothProblem(1, 150);
  std::int64_t limit = 0;
  for (std::size_t l = 0; l < problem.layer_count(); ++l) {
    std::vector<std::int64_t>& cost = problem.resources[0].cost[l];
    limit += (cost.front() + cost.back()) / 2;
    if (l % 3 != 0) continue;
    // Each choice again, a little worse.
    for (std::size_t c = 0; c < 7; ++c) {
      problem.loss[l].push_back(problem.loss[l][c] * 1.001);
      cost.push_back(cost[c] + 1);
    }
  }
  problem.resources[0].limit = limit;
  const Solution solution = MakeSolver("auto")->Solve(problem, {.explain = true}, {});
  ASSERT_TRUE(solution.explanation);
  ASSERT_EQ(solution.explanation->runner_ups.size(), problem.layer_count());
  for (const RunnerUp& runner : solution.explanation->runner_ups) {
    if (runner.layer.value % 5 != 0) continue;
    AssignmentProblem without = problem;
    without.loss[runner.layer.value][solution.choice[runner.layer.value].value] = 1e6;
    const Solution best = MakeSolver("auto")->Solve(without, {}, {});
    EXPECT_LE(runner.loss_increase, best.objective - solution.objective + 1e-9);
  }
}

TEST(ShadowPrices, AreTheSlopeOfTheFrontier) {
  for (int resources : {1, 2}) {
    AssignmentProblem problem = SmoothProblem(resources);
    for (Resource& resource : problem.resources) {
      std::int64_t total = 0;
      for (const auto& row : resource.cost) total += (row.front() + row.back()) / 2;
      resource.limit = total;
    }
    const Solution solution = MakeSolver("auto")->Solve(problem, {.explain = true}, {});
    ASSERT_TRUE(solution.explanation);
    ASSERT_EQ(solution.explanation->shadow_prices.size(), problem.resources.size());
    for (const ShadowPrice& price : solution.explanation->shadow_prices) {
      const std::size_t r = price.resource.value;
      const std::int64_t limit = *problem.resources[r].limit;
      const std::int64_t step = limit / 50;
      const double slope =
          (OptimumAt(problem, r, limit - step) - OptimumAt(problem, r, limit + step)) /
          (2.0 * static_cast<double>(step));
      EXPECT_NEAR(price.loss_per_unit, slope, 0.15 * slope) << r;
    }
  }
}

TEST(ShadowPrices, AreZeroWhereALimitDoesNotBind) {
  AssignmentProblem problem = SmoothProblem(2);
  problem.resources[0].limit = 1'000'000'000'000;
  std::int64_t total = 0;
  for (const auto& row : problem.resources[1].cost) total += (row.front() + row.back()) / 2;
  problem.resources[1].limit = total;
  const Solution solution = MakeSolver("auto")->Solve(problem, {.explain = true}, {});
  ASSERT_TRUE(solution.explanation);
  EXPECT_EQ(solution.explanation->shadow_prices[0].loss_per_unit, 0.0);
  EXPECT_GT(solution.explanation->shadow_prices[1].loss_per_unit, 0.0);
}

}  // namespace
}  // namespace bitsearch
