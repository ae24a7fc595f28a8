#pragma once
// PairwiseBound: a lower bound of the loss in the form of the problem itself, one number per choice
// and per pair of choices, so that every subtree of a search is bounded by sums of least entries.

#include <cstddef>
#include <vector>

#include "search/exact/presolve.h"

namespace bitsearch {

/// A pairwise lower bound: for every configuration that keeps the limits,
///     loss ≥ constant + Σ_i unary[i][c_i] + Σ_{i<j} pair[i,j][c_i][c_j]     (scaled units),
/// so that the sum of the least entries, over whatever choices are still allowed, bounds a subtree.
struct PairwiseBound {
  std::size_t decisions = 0;
  std::vector<std::size_t> count;  ///< Choices per decision.
  double constant = 0.0;
  std::vector<std::vector<double>> unary;  ///< [i][c]
  /// [i · decisions + j] for i < j, row-major [c_i][c_j]; forbidden entries are +∞.
  std::vector<std::vector<double>> pair;
  double scale = 1.0;  ///< Grid units of loss per scaled unit.
  /// What rounding can have added, in scaled units.
  double margin = 0.0;
};

/// The bound that needs no computing: the problem's own losses.
PairwiseBound PlainBound(const ReducedProblem& problem);

}  // namespace bitsearch
