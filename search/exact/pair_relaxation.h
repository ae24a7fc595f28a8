#pragma once
// PairRelaxation: a lower bound for assignment with many pair terms, by semidefinite programming.
// Knows reduced problems only; Eigen stays in the .cc file.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "search/exact/pairwise_bound.h"
#include "search/exact/presolve.h"

namespace bitsearch {

/// The doubly non-negative relaxation with limits multiplied by the variables, solved by ADMM on
/// its facial reduction (Oliveira, Wolkowicz, Xu 2018, with the trace constraint of Graham et al.
/// 2022). Anytime: the bound is safe after any number of iterations.
class PairRelaxation {
 public:
  explicit PairRelaxation(const ReducedProblem& problem);
  ~PairRelaxation();
  PairRelaxation(const PairRelaxation& other);
  PairRelaxation& operator=(const PairRelaxation&) = delete;

  /// Leaves only these choices (all decisions' in a row); goes on from where it is.
  void Restrict(const std::vector<std::uint8_t>& allowed);
  /// Runs iterations until `should_stop` or `iterations` are done; returns the best bound so far in
  /// scaled units (see bound().scale).
  double Run(int iterations, const std::function<bool()>& should_stop);
  /// The best bound so far, of what is allowed; rounding taken off.
  double value() const;
  /// The pairwise form of the best bound so far.
  const PairwiseBound& bound() const;
  /// Relaxed probability of each choice, [i][c]: where to look for configurations.
  const std::vector<std::vector<double>>& marginals() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bitsearch
