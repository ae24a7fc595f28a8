#pragma once
// LabelSearch: the least loss on a layered graph under several limits, with a proof. Label setting
// level by level with dominance and Lagrangian completion bounds, in passes of growing width, so
// that it is anytime: every pass leaves an incumbent and a bound. Integers only; knows no problem.

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "search/exact/layered_graph.h"
#include "search/solution.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// When to stop, and what to tell on the way.
struct LabelSearchSettings {
  /// Ends the search when it returns true; called often.
  std::function<bool()> should_stop = [] { return false; };
  /// Relative gap at which to stop, of (loss + loss_offset); 0: prove the optimum.
  double gap = 0.0;
  /// What to add to a loss to get the true objective, in grid units; only for `gap`.
  std::int64_t loss_offset = 0;
  /// Labels held at one level at most; when it is not enough the result is not proved.
  std::int64_t max_labels = 4'000'000;
  /// Only configurations with a loss below this count. A known loss + 1, or no cutoff.
  std::int64_t cutoff = std::numeric_limits<std::int64_t>::max() / 4;
  /// Also branch on single levels where they are independent.
  bool branch = true;
  /// Stop as soon as any configuration within the limits and the cutoff is known.
  bool first_feasible = false;
  /// Called after each pass and when an incumbent is found: (best loss or cutoff, lower bound).
  std::function<void(std::int64_t best, double bound, std::int64_t labels)> report;
};

struct LabelSearchResult {
  bool found = false;
  std::vector<std::uint32_t> by_level;  ///< Choices of the best configuration found.
  std::int64_t loss = 0;
  /// No configuration below the cutoff has a smaller loss than this (grid units); +∞ if none
  /// exists.
  double lower_bound = 0.0;
  /// The result (best configuration, or none below the cutoff) is proved.
  bool proved = false;
  /// Multipliers of the limits at the dual optimum, grid units of loss per unit of cost.
  std::vector<double> multipliers;
  /// Without LabelSearchSettings::branch, where levels are independent: [level], the choices that a
  /// configuration better than the best may still use.
  std::vector<std::vector<std::uint32_t>> remaining;
  SolveCounters counters;
};

/// Searches `graph` under `capacity` (per dimension; kUnlimited allowed). At most 16 dimensions;
/// throws Error(kSolverUnsupported) beyond.
LabelSearchResult LabelSearch(const LayeredGraph& graph, const std::vector<std::int64_t>& capacity,
                              const LabelSearchSettings& settings);

}  // namespace bitsearch
