// The exact solvers against brute force on thousands of small random problems.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "search/solver.h"
#include "tests/search/problem_makers.h"

namespace bitsearch {
namespace {

struct Case {
  const char* name;
  RandomProblemShape shape;
  int count;
};

class ExactSolvers : public testing::TestWithParam<Case> {};

TEST_P(ExactSolvers, AgreeWithBruteForce) {
  const Case& param = GetParam();
  RandomStream random(20240, param.name);
  const auto solver = MakeSolver("label_setting");
  int feasible = 0;
  for (int n = 0; n < param.count; ++n) {
    RandomProblemShape shape = param.shape;
    shape.limits = n % 4;
    shape.coarse = n % 3 == 0;
    shape.negative_losses = n % 5 == 0;
    const AssignmentProblem problem = RandomProblem(shape, random);
    const BruteForceAnswer expected = BruteForce(problem);
    const Solution solution = solver->Solve(problem, {}, {});
    const std::string what = std::string(param.name) + " " + std::to_string(n) + "\n";
    if (!expected.feasible) {
      ASSERT_EQ(solution.status, SolveStatus::kInfeasible) << what << Describe(problem);
      continue;
    }
    ++feasible;
    ASSERT_EQ(solution.status, SolveStatus::kOptimal) << what << Describe(problem);
    const double scale = std::max(1.0, std::abs(expected.objective));
    ASSERT_NEAR(solution.objective, expected.objective, 1e-11 * scale) << what << Describe(problem);
    ASSERT_LE(solution.lower_bound, expected.objective + 1e-11 * scale) << what;
    ASSERT_TRUE(problem.Assess(solution.choice).feasible()) << what;
    ASSERT_EQ(problem.Assess(solution.choice).resources, solution.resources) << what;
  }
  EXPECT_GT(feasible, param.count / 4);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ExactSolvers,
    testing::Values(Case{"plain", {}, 500}, Case{"ties", {.ties = true}, 300},
                    Case{"pins", {.ties = true, .pins = true}, 200},
                    Case{"transitions", {.transitions = true}, 400},
                    Case{"residual_ties", {.ties = true, .transitions = true}, 300},
                    Case{"pairs", {.pairs = true}, 300},
                    Case{"all_pairs", {.layers_to = 6, .choices_to = 4, .all_pairs = true}, 200},
                    Case{"cuts", {.cuts = true}, 300},
                    Case{"everything",
                         {.layers_to = 6, .choices_to = 4, .ties = true, .transitions = true,
                          .pairs = true, .cuts = true, .pins = true},
                         300}),
    [](const testing::TestParamInfo<Case>& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace bitsearch
