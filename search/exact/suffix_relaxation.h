#pragma once
// The linear relaxation of what is left of a one-limit problem with independent levels: exact in
// the room that is left, where a Lagrangian bound knows a few multipliers only. Knows graphs alone.

#include <cstdint>
#include <vector>

#include "search/exact/layered_graph.h"

namespace bitsearch {

/// Bounds and greedy completions over the levels from some level on. The relaxation of a
/// multiple-choice knapsack takes the steps of the levels' lower convex hulls in the order of their
/// loss saved per cost (Sinha and Zoltners 1979); several limits become one, the surrogate
/// Σ weight·cost ≤ Σ weight·room (Glover 1968).
class SuffixRelaxation {
 public:
  /// `graph` must be separable and outlive this; `weight` per dimension, ≥ 0, not all 0.
  SuffixRelaxation(const LayeredGraph& graph, std::vector<double> weight);

  /// From now on all answers are about the levels from `level` on. O(steps).
  void MoveTo(std::size_t level);

  /// No completion of surrogate cost within `room` loses less; a little less than the relaxation's
  /// value, for rounding. `steps` gets the number of whole steps taken. +∞ if nothing fits.
  double Bound(double room, std::size_t* steps) const;
  /// Loss and cost (in dimension `d`) of the completion of so many whole steps.
  std::int64_t LossAfter(std::size_t steps) const { return loss_[steps]; }
  std::int64_t CostAfter(std::size_t steps, std::size_t d) const {
    return cost_[steps * graph_.dims + d];
  }
  double weight(std::size_t d) const { return weight_[d]; }
  /// Appends that completion's choices, level by level.
  void AppendChoices(std::size_t steps, std::vector<std::uint32_t>* by_level) const;

 private:
  /// From one arc of a level to the next on its hull.
  struct Step {
    double saved_per_cost = 0.0;
    double cost = 0.0;  ///< Surrogate.
    std::int64_t saved = 0;
    std::uint32_t level = 0;
    std::uint32_t before = 0;
    std::uint32_t arc = 0;
  };

  void AddHull(std::size_t level);
  double SurrogateOf(std::size_t level, std::size_t arc) const;

  const LayeredGraph& graph_;
  std::vector<double> weight_;
  std::vector<Step> all_;                // every level's, best first
  std::vector<std::uint32_t> cheapest_;  // arc of each level
  std::size_t level_ = 0;
  std::vector<Step> steps_;  // of the levels from level_ on
  // After so many steps:
  std::vector<double> surrogate_;
  std::vector<std::int64_t> loss_;
  std::vector<std::int64_t> cost_;  // [steps · dims + d]
  double rounding_ = 0.0;           // what rounding can have added to a surrogate cost
};

}  // namespace bitsearch
