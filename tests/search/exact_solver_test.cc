// Every exact solver against brute force on the same thousands of small random problems: status,
// objective, feasibility, and a bound that never exceeds the optimum.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "search/frontier.h"
#include "search/solver.h"
#include "space/support/error.h"
#include "tests/search/problem_makers.h"

namespace bitsearch {
namespace {

/// A family of problems; `count` of them, 0 to 3 limits in turn.
struct Family {
  const char* name;
  RandomProblemShape shape;
  int count;
};

const std::vector<Family>& Families() {
  static const std::vector<Family> families = {
      {"plain", {}, 500},
      {"ties", {.ties = true}, 300},
      {"pins", {.ties = true, .pins = true}, 200},
      {"transitions", {.transitions = true}, 400},
      {"residual_ties", {.ties = true, .transitions = true}, 300},
      {"pairs", {.pairs = true}, 300},
      {"all_pairs", {.layers_to = 6, .choices_to = 4, .all_pairs = true}, 200},
      {"cuts", {.cuts = true}, 300},
      {"everything",
       {.layers_to = 6,
        .choices_to = 4,
        .ties = true,
        .transitions = true,
        .pairs = true,
        .cuts = true,
        .pins = true},
       300},
  };
  return families;
}

/// The n-th problem of a family; the same for every solver.
AssignmentProblem ProblemOf(const Family& family, int n) {
  RandomStream random(20240, family.name, static_cast<std::uint64_t>(n));
  RandomProblemShape shape = family.shape;
  shape.limits = n % 4;
  shape.coarse = n % 3 == 0;
  shape.negative_losses = n % 5 == 0;
  return RandomProblem(shape, random);
}

class ExactSolvers : public testing::TestWithParam<std::tuple<const char*, std::size_t>> {};

TEST_P(ExactSolvers, AgreeWithBruteForce) {
  const Family& family = Families()[std::get<1>(GetParam())];
  const auto solver = MakeSolver(std::get<0>(GetParam()));
  ASSERT_TRUE(solver->exact());
  for (int n = 0; n < family.count; ++n) {
    const AssignmentProblem problem = ProblemOf(family, n);
    const BruteForceAnswer expected = BruteForce(problem);
    const Solution solution = solver->Solve(problem, {}, {});
    const std::string what = std::string(family.name) + " " + std::to_string(n) + "\n";
    if (!expected.feasible) {
      ASSERT_EQ(solution.status, SolveStatus::kInfeasible) << what << Describe(problem);
      ASSERT_FALSE(solution.has_choice()) << what;
      continue;
    }
    ASSERT_EQ(solution.status, SolveStatus::kOptimal) << what << Describe(problem);
    const double tolerance = 1e-11 * std::max(1.0, std::abs(expected.objective));
    ASSERT_NEAR(solution.objective, expected.objective, tolerance) << what << Describe(problem);
    ASSERT_LE(solution.lower_bound, expected.objective + tolerance) << what;
    ASSERT_LE(solution.gap(), 1e-12) << what;
    ASSERT_TRUE(problem.Assess(solution.choice).feasible()) << what;
    ASSERT_EQ(problem.Assess(solution.choice).resources, solution.resources) << what;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, ExactSolvers,
                         testing::Combine(testing::Values("auto", "label_setting", "shortest_path",
                                                          "branch_and_bound"),
                                          testing::Range(std::size_t{0}, Families().size())),
                         [](const auto& param) {
                           return std::string(std::get<0>(param.param)) + "_" +
                                  Families()[std::get<1>(param.param)].name;
                         });

// Longer problems, where bounds of many labels matter: the frontier's dynamic program, which knows
// no bounds, is the judge.
TEST(LongerProblems, OptimaAreThoseOfTheFrontier) {
  RandomStream random(21, "longer problems");
  for (int n = 0; n < 60; ++n) {
    RandomProblemShape shape{.layers_from = 18, .layers_to = 30, .limits = 1 + n % 2};
    shape.coarse = n % 4 == 0;
    shape.negative_losses = n % 5 == 0;
    shape.ties = n % 3 == 0;
    AssignmentProblem problem = RandomProblem(shape, random);
    if (shape.limits == 2) problem.resources[0].limit = *problem.resources[0].limit / 4 * 5;
    AssignmentProblem traded = problem;
    traded.resources[0].limit.reset();
    FrontierOptions options{.resources = {ResourceIndex(0)}, .epsilon = 0.0};
    const Frontier frontier = ComputeFrontier(traded, options, {});
    double expected = std::numeric_limits<double>::infinity();
    for (const FrontierPoint& point : frontier.points()) {
      if (point.resources[0] <= *problem.resources[0].limit) {
        expected = std::min(expected, point.objective);
      }
    }
    for (const char* name : {"label_setting", "shortest_path"}) {
      const Solution solution = MakeSolver(name)->Solve(problem, {}, {});
      ASSERT_EQ(solution.has_choice(), std::isfinite(expected)) << name << n;
      if (!solution.has_choice()) continue;
      ASSERT_EQ(solution.status, SolveStatus::kOptimal) << name << n;
      ASSERT_NEAR(solution.objective, expected, 1e-10) << name << n;
      ASSERT_TRUE(problem.Assess(solution.choice).feasible()) << name << n;
    }
    // A gap allowed must be kept, and the bound must hold.
    const Solution near = MakeSolver("auto")->Solve(problem, {.gap = 1e-3}, {});
    ASSERT_LE(near.lower_bound, expected + 1e-10);
    if (!near.has_choice()) continue;
    ASSERT_LE(near.objective - expected, 1.1e-3 * std::abs(near.objective));
  }
}

// A few layers far larger than the others, as in real networks: the relaxation alone bounds badly,
// and the search must branch. Judged by the frontier as above, under one to three limits.
TEST(LongerProblems, FewLargeLayersAreBranchedOn) {
  int branched = 0;
  int short_of_proof = 0;
  for (int n = 0; n < 90; ++n) {
    RandomStream random(22, "large layers", static_cast<std::uint64_t>(n));
    AssignmentProblem problem;
    const int limits = 1 + n % 3;
    for (int r = 0; r < limits; ++r) problem.resources.push_back({.name = std::to_string(r)});
    const int layers = limits == 1 ? 40 : limits == 2 ? 16 : 8;
    for (int l = 0; l < layers; ++l) {
      const double size = std::exp(6.0 + 2.0 * random.Normal());
      const double sensitivity = std::exp(1.5 * random.Normal()) * std::sqrt(size);
      problem.loss.emplace_back();
      for (Resource& resource : problem.resources) resource.cost.emplace_back();
      for (int bits = 2; bits <= 8; bits += 2) {
        problem.loss.back().push_back(sensitivity * std::pow(4.0, -bits) *
                                      (0.5 + random.Uniform()));
        for (Resource& resource : problem.resources) {
          const double cost = size * bits * (0.6 + 0.8 * random.Uniform());
          resource.cost.back().push_back(static_cast<std::int64_t>(cost));
        }
      }
    }
    for (Resource& resource : problem.resources) {
      std::int64_t limit = 0;
      for (const auto& row : resource.cost) limit += (row.front() + row.back()) / 2;
      resource.limit = limit;
    }
    AssignmentProblem traded = problem;
    traded.resources[0].limit.reset();
    const Frontier frontier =
        ComputeFrontier(traded, {.resources = {ResourceIndex(0)}, .epsilon = 0.0}, {});
    double expected = std::numeric_limits<double>::infinity();
    for (const FrontierPoint& point : frontier.points()) {
      if (point.resources[0] <= *problem.resources[0].limit) {
        expected = std::min(expected, point.objective);
      }
    }
    const double tolerance = 1e-11 * expected;
    const Solution solution = MakeSolver("auto")->Solve(problem, {}, {});
    branched += solution.counters.nodes > 0 ? 1 : 0;
    ASSERT_EQ(solution.status, SolveStatus::kOptimal) << n;
    ASSERT_NEAR(solution.objective, expected, tolerance) << n;
    ASSERT_TRUE(problem.Assess(solution.choice).feasible()) << n;
    for (const SolverOptions& options :
         {SolverOptions{.gap = 1e-2}, SolverOptions{.gap = 1e-4}, SolverOptions{.max_labels = 1}}) {
      const Solution cut = MakeSolver("auto")->Solve(problem, options, {});
      ASSERT_TRUE(cut.has_choice());
      ASSERT_LE(cut.lower_bound, expected + tolerance) << n;
      ASSERT_GE(cut.objective, expected - tolerance) << n;
      if (options.gap > 0.0) {
        ASSERT_LE(cut.gap(), options.gap + 1e-9) << n;
      }
      short_of_proof += cut.status == SolveStatus::kFeasible ? 1 : 0;
    }
  }
  EXPECT_GT(branched, 15);
  EXPECT_GT(short_of_proof, 20);
}

// A solver that is cut short must not claim more than it has proved.
class Anytime : public testing::TestWithParam<const char*> {};

TEST_P(Anytime, BoundNeverExceedsTheOptimum) {
  const auto solver = MakeSolver(GetParam());
  int cut_short = 0;
  for (const Family& family : Families()) {
    for (int n = 0; n < family.count; n += 4) {
      const AssignmentProblem problem = ProblemOf(family, n / 4 * 4 + n / 4 % 4);
      const BruteForceAnswer expected = BruteForce(problem);
      SolverOptions options;
      options.evaluations = 2000;
      switch (n / 4 % 3) {
        case 0:
          options.gap = 0.1;
          break;
        case 1:
          options.time_limit_s = 0.0;
          break;
        default:
          options.max_labels = 1;
          options.gap = 0.01;
          break;
      }
      const Solution solution = solver->Solve(problem, options, {});
      const std::string what = std::string(family.name) + " " + std::to_string(n) + "\n";
      if (solution.status == SolveStatus::kInfeasible) {
        ASSERT_FALSE(expected.feasible) << what << Describe(problem);
        continue;
      }
      if (!expected.feasible) {
        ASSERT_EQ(solution.status, SolveStatus::kInterrupted) << what;
        ASSERT_FALSE(solution.has_choice()) << what;
        continue;
      }
      const double tolerance = 1e-11 * std::max(1.0, std::abs(expected.objective));
      ASSERT_LE(solution.lower_bound, expected.objective + tolerance) << what << Describe(problem);
      if (!solution.has_choice()) {
        ASSERT_EQ(solution.status, SolveStatus::kInterrupted) << what;
        ++cut_short;
        continue;
      }
      ASSERT_TRUE(problem.Assess(solution.choice).feasible()) << what;
      ASSERT_GE(solution.objective, expected.objective - tolerance) << what;
      if (solution.status == SolveStatus::kOptimal) {
        ASSERT_NEAR(solution.objective, expected.objective, tolerance) << what;
      } else {
        ASSERT_EQ(solution.status, SolveStatus::kFeasible) << what;
        ASSERT_GT(solution.gap(), 0.0) << what << "a gap of 0 is a proof";
        ++cut_short;
        if (options.time_limit_s > 0.0 && solver->exact()) {
          ASSERT_LE(solution.gap(), options.gap + 1e-9) << what << Describe(problem);
        }
      }
    }
  }
  EXPECT_GT(cut_short, 20);
}

INSTANTIATE_TEST_SUITE_P(Solvers, Anytime,
                         testing::Values("auto", "label_setting", "shortest_path",
                                         "branch_and_bound", "greedy", "evolution", "annealing",
                                         "random"));

// Losses whose sum leaves the range of doubles must not end as an optimum of infinity.
TEST(Losses, BeyondTheRangeOfDoublesAreRefused) {
  AssignmentProblem problem;
  problem.loss = {{1e308, 9e307}, {1e308, 9e307}};
  EXPECT_THROW(MakeSolver("auto")->Solve(problem, {}, {}), Error);
  problem.loss = {{1e299, 9e298}, {1e299, 9e298}};
  const Solution solution = MakeSolver("auto")->Solve(problem, {}, {});
  EXPECT_EQ(solution.status, SolveStatus::kOptimal);
  EXPECT_DOUBLE_EQ(solution.objective, 1.8e299);
  EXPECT_EQ(solution.gap(), 0.0);
}

// What the families promise is in them: the brute force would agree on empty problems, too.
TEST(Families, HoldWhatTheirNamesSay) {
  int total = 0;
  int feasible = 0;
  int infeasible = 0;
  int binding = 0;
  int tied = 0;
  int tie_binds = 0;
  int residual = 0;
  int with_requantization = 0;
  int pairs_of_both_signs = 0;
  int by_limits[4] = {};
  for (const Family& family : Families()) {
    for (int n = 0; n < family.count; ++n) {
      const AssignmentProblem problem = ProblemOf(family, n);
      const BruteForceAnswer answer = BruteForce(problem);
      ++total;
      (answer.feasible ? feasible : infeasible)++;
      int limits = 0;
      for (const Resource& resource : problem.resources) limits += resource.is_peak() ? 0 : 1;
      ++by_limits[limits];
      AssignmentProblem free = problem;
      for (Resource& resource : free.resources) resource.limit.reset();
      const BruteForceAnswer without_limits = BruteForce(free);
      if (answer.feasible && answer.objective > without_limits.objective) ++binding;
      free.ties.clear();
      bool any_tie = false;
      for (const Tie& tie : problem.ties) any_tie |= tie.layers.size() > 1;
      tied += any_tie ? 1 : 0;
      if (any_tie && BruteForce(free).objective < without_limits.objective) ++tie_binds;
      bool skip = false;
      bool costly = false;
      bool positive = false;
      bool negative = false;
      for (const PairTerm& pair : problem.pairs) {
        const bool requantizes =
            std::any_of(pair.cost.begin(), pair.cost.end(), [](const auto& cost) {
              return std::any_of(cost.second.begin(), cost.second.end(),
                                 [](std::int64_t value) { return value > 0; });
            });
        costly |= requantizes;
        skip |= requantizes && pair.second.value > pair.first.value + 1;
        for (double value : pair.loss) (value < 0.0 ? negative : positive) |= value != 0.0;
      }
      residual += skip ? 1 : 0;
      with_requantization += costly ? 1 : 0;
      pairs_of_both_signs += positive && negative ? 1 : 0;
    }
  }
  EXPECT_GE(total, 2000);
  EXPECT_GT(feasible, 1200);
  EXPECT_GT(infeasible, 300);
  EXPECT_GT(binding, 700);
  EXPECT_GT(tied, 400);
  EXPECT_GT(tie_binds, 200);
  EXPECT_GT(residual, 200);
  EXPECT_GT(with_requantization, 400);
  EXPECT_GT(pairs_of_both_signs, 600);
  for (int count : by_limits) EXPECT_GE(count, total / 5);
}

}  // namespace
}  // namespace bitsearch
