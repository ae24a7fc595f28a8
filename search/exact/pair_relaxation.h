#pragma once
// PairRelaxation: a lower bound for assignment with many pair terms, by semidefinite programming.
// Knows reduced problems only; Eigen stays in the .cc file.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "search/exact/presolve.h"

namespace bitsearch {

/// A pairwise lower bound: for every configuration that keeps the limits,
///     loss ≥ constant + Σ_i unary[i][c_i] + Σ_{i<j} pair[i,j][c_i][c_j]     (scaled units),
/// so that the sum of the least entries, over whatever choices are still allowed, bounds a subtree.
struct PairwiseBound {
  std::size_t decisions = 0;
  std::vector<std::size_t> count;            ///< Choices per decision.
  double constant = 0.0;
  std::vector<std::vector<double>> unary;    ///< [i][c]
  /// [i · decisions + j] for i < j, row-major [c_i][c_j]; forbidden entries are +∞.
  std::vector<std::vector<double>> pair;
  double scale = 1.0;                        ///< Grid units of loss per scaled unit.
  /// What rounding can have added, in scaled units.
  double margin = 0.0;
};

/// The bound that needs no computing: the problem's own losses.
PairwiseBound PlainBound(const ReducedProblem& problem);

/// The doubly non-negative relaxation with limits multiplied by the variables, solved by ADMM on its
/// facial reduction (Oliveira, Wolkowicz, Xu 2018, with the trace constraint of Graham et al. 2022).
/// Anytime: the bound is safe after any number of iterations.
class PairRelaxation {
 public:
  explicit PairRelaxation(const ReducedProblem& problem);
  ~PairRelaxation();
  PairRelaxation(const PairRelaxation&) = delete;
  PairRelaxation& operator=(const PairRelaxation&) = delete;

  /// Runs iterations until `should_stop` or `iterations` are done; returns the best bound so far in
  /// scaled units (see bound().scale).
  double Run(int iterations, const std::function<bool()>& should_stop);
  /// The pairwise form of the best bound so far.
  const PairwiseBound& bound() const;
  /// Relaxed probability of each choice, [i][c]: where to look for configurations.
  const std::vector<std::vector<double>>& marginals() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bitsearch
