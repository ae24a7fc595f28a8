// The semidefinite bound and the trees above it, against every configuration of small problems and
// against a tree that knows nothing but the losses.
#include "search/exact/pair_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "search/evolution/configuration_state.h"
#include "search/exact/pair_incumbent.h"
#include "search/exact/pair_relaxation.h"
#include "search/exact/pair_tree.h"
#include "tests/search/problem_makers.h"

namespace bitsearch {
namespace {

const auto kNever = [] { return false; };

/// Losses of error vectors that add up (any sign of the cross terms), limits half way.
AssignmentProblem ErrorVectors(int layers, int choices, int limits, std::uint64_t seed) {
  constexpr std::size_t kDimensions = 24;
  RandomStream random(seed, "error vectors");
  AssignmentProblem problem;
  for (int r = 0; r < limits; ++r) problem.resources.push_back({.name = std::to_string(r)});
  std::vector<std::vector<std::vector<double>>> error;
  for (int l = 0; l < layers; ++l) {
    const double size = std::exp(random.Normal());
    problem.loss.emplace_back();
    error.emplace_back();
    for (Resource& resource : problem.resources) resource.cost.emplace_back();
    for (int bits = 2; bits < 2 + choices; ++bits) {
      std::vector<double> vector(kDimensions);
      double loss = 0.0;
      for (double& value : vector) {
        value = std::pow(2.0, -bits) * random.Normal();
        loss += 0.5 * value * value;
      }
      problem.loss.back().push_back(loss);
      error.back().push_back(std::move(vector));
      for (Resource& resource : problem.resources) {
        const double cost = 1e4 * size * bits * (0.7 + 0.6 * random.Uniform());
        resource.cost.back().push_back(static_cast<std::int64_t>(cost));
      }
    }
  }
  for (std::size_t i = 0; i < error.size(); ++i) {
    for (std::size_t j = i + 1; j < error.size(); ++j) {
      PairTerm pair{LayerIndex(i), LayerIndex(j), {}, {}};
      for (const auto& a : error[i]) {
        for (const auto& b : error[j]) {
          double dot = 0.0;
          for (std::size_t k = 0; k < kDimensions; ++k) dot += a[k] * b[k];
          pair.loss.push_back(dot);
        }
      }
      problem.pairs.push_back(std::move(pair));
    }
  }
  for (Resource& resource : problem.resources) {
    std::int64_t limit = 0;
    for (const auto& row : resource.cost) limit += (row.front() + row.back()) / 2;
    resource.limit = limit;
  }
  return problem;
}

double ValueAt(const PairwiseBound& bound, const std::vector<std::uint32_t>& choice) {
  double value = bound.constant;
  for (std::size_t i = 0; i < bound.decisions; ++i) {
    value += bound.unary[i][choice[i]];
    for (std::size_t j = i + 1; j < bound.decisions; ++j) {
      const std::vector<double>& matrix = bound.pair[i * bound.decisions + j];
      if (!matrix.empty()) value += matrix[choice[i] * bound.count[j] + choice[j]];
    }
  }
  return value;
}

/// Calls `look` with each feasible configuration of what is allowed.
template <typename Look>
void ForFeasible(const ReducedProblem& problem, const AllowedChoices& allowed, const Look& look) {
  std::vector<std::uint32_t> choice(problem.decisions.size(), 0);
  ConfigurationState state(problem);
  while (true) {
    bool inside = true;
    std::size_t at = 0;
    for (std::size_t i = 0; i < choice.size(); ++i) {
      inside &= allowed[at + choice[i]] != 0;
      at += problem.decisions[i].count;
    }
    if (inside) {
      state.Assign(choice);
      if (state.feasible()) look(state);
    }
    std::size_t i = 0;
    while (i < choice.size() && ++choice[i] == problem.decisions[i].count) choice[i++] = 0;
    if (i == choice.size()) return;
  }
}

/// The bound holds at every feasible configuration; the least of them over `allowed`.
double CheckedLeast(const ReducedProblem& problem, const PairRelaxation& relaxation,
                    const AllowedChoices& allowed) {
  const PairwiseBound& bound = relaxation.bound();
  double least = std::numeric_limits<double>::infinity();
  ForFeasible(problem, allowed, [&](const ConfigurationState& state) {
    const double loss = static_cast<double>(state.loss()) / bound.scale;
    EXPECT_LE(ValueAt(bound, state.choice()) - bound.margin, loss + 1e-9);
    least = std::min(least, loss);
  });
  EXPECT_LE(relaxation.value(), least + 1e-9);
  return least;
}

TEST(PairRelaxation, IsBelowEveryConfigurationAndNearTheBest) {
  double missing = 0.0;
  int problems = 0;
  for (int n = 0; n < 24; ++n) {
    RandomStream random(31, "relaxations", static_cast<std::uint64_t>(n));
    RandomProblemShape shape{.layers_from = 5, .layers_to = 6, .choices_to = 4, .all_pairs = true};
    shape.limits = n % 3;
    shape.transitions = n % 4 == 3;
    shape.ties = n % 5 == 4;
    const bool vectors = n % 2 == 0;
    const ReducedProblem problem =
        Presolve(vectors ? ErrorVectors(6, 4, 1 + n % 4 / 2, static_cast<std::uint64_t>(n))
                         : RandomProblem(shape, random),
                 {});
    if (problem.infeasible || problem.decisions.size() < 2) continue;
    PairRelaxation relaxation(problem);
    const AllowedChoices all = PairTree::All(problem);
    CheckedLeast(problem, relaxation, all);
    relaxation.Run(300, kNever);
    const double least = CheckedLeast(problem, relaxation, all);
    // Restricted, and taken further: as good as a relaxation of the part alone, and as safe.
    AllowedChoices part = all;
    part[0] = 0;
    PairRelaxation restricted(relaxation);
    restricted.Restrict(part);
    EXPECT_GE(restricted.value(), relaxation.value() - 1e-9);
    restricted.Run(200, kNever);
    CheckedLeast(problem, restricted, part);
    if (!vectors) continue;
    missing += (least - relaxation.value()) / least;
    ++problems;
  }
  ASSERT_GE(problems, 8);
  EXPECT_LT(missing / problems, 0.1);
}

TEST(SearchPairs, FindsWhatATreeUnderTheLossesAloneFinds) {
  int beyond_the_plain_tree = 0;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const ReducedProblem problem =
        Presolve(ErrorVectors(10, 4, 1 + static_cast<int>(seed % 2), seed), {});
    ASSERT_FALSE(problem.infeasible);
    const PairwiseBound plain = PlainBound(problem);
    PairIncumbent judge(problem, 0, kNever);
    judge.LocalSearch(5);
    PairTree tree(
        problem, plain, [&] { return (static_cast<double>(judge.loss()) - 1.0) / plain.scale; },
        &judge);
    tree.Start(PairTree::All(problem));
    ASSERT_TRUE(tree.Run(std::numeric_limits<std::int64_t>::max() / 2, kNever));
    beyond_the_plain_tree += tree.nodes() > 3000 ? 1 : 0;
    const PairSearchResult found = SearchPairs(problem, {});
    ASSERT_TRUE(found.proved);
    EXPECT_EQ(found.loss, judge.loss());
    const PairSearchResult near = SearchPairs(problem, {.gap = 0.05});
    EXPECT_LE(near.lower_bound, static_cast<double>(judge.loss()));
    EXPECT_GE(near.lower_bound, 0.94 * static_cast<double>(near.loss));
  }
  EXPECT_GE(beyond_the_plain_tree, 2);
}

// Too large to be proved here: a tree of relaxations, stopped by count, not by time.
TEST(SearchPairs, BoundsRiseAndHoldWhereNothingIsProved) {
  const ReducedProblem problem = Presolve(ErrorVectors(24, 4, 1, 9), {});
  double best_bound = 0.0;
  double before = -std::numeric_limits<double>::infinity();
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  int asked = 0;
  PairSearchSettings settings;
  settings.should_stop = [&asked] { return ++asked > 12'000; };
  settings.report = [&](const char*, std::int64_t loss, double bound, std::int64_t) {
    EXPECT_GE(bound, before);
    before = bound;
    best = std::min(best, loss);
    best_bound = std::max(best_bound, bound);
  };
  const PairSearchResult once = SearchPairs(problem, settings);
  asked = 0;
  before = -std::numeric_limits<double>::infinity();
  const PairSearchResult again = SearchPairs(problem, settings);
  ASSERT_TRUE(once.found);
  EXPECT_LE(once.loss, best);
  EXPECT_LE(best_bound, static_cast<double>(once.loss));
  EXPECT_EQ(once.choice, again.choice);
  EXPECT_EQ(once.lower_bound, again.lower_bound);
}

}  // namespace
}  // namespace bitsearch
