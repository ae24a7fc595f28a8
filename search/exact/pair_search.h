#pragma once
// PairSearch: branch and bound for problems whose pair terms are too dense for a layered graph.
// Starts from local search, bounds by the semidefinite relaxation's pairwise form; anytime.

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "search/exact/presolve.h"
#include "search/solution.h"

namespace bitsearch {

struct PairSearchSettings {
  std::function<bool()> should_stop = [] { return false; };
  double gap = 0.0;        ///< Relative gap of (loss + loss_offset) at which to stop.
  std::uint64_t seed = 0;  ///< Of the local search.
  /// Called now and then: what, best loss (or the largest integer), bound, nodes.
  std::function<void(const char* what, std::int64_t best, double bound, std::int64_t nodes)> report;
};

struct PairSearchResult {
  bool found = false;
  std::vector<std::uint32_t> choice;  ///< Per decision.
  std::int64_t loss = 0;
  double lower_bound = 0.0;  ///< Grid units; +∞ if nothing is feasible.
  bool proved = false;
  SolveCounters counters;
};

PairSearchResult SearchPairs(const ReducedProblem& problem, const PairSearchSettings& settings);

}  // namespace bitsearch
