#pragma once
// What a partial configuration can still become: for several multiplier vectors, the cheapest
// completion from every state, the second cheapest, and the least further cost. Shared by the label
// search and by the shortest-path oracle.

#include <cstdint>
#include <vector>

#include "search/exact/lagrangian.h"

namespace bitsearch {

/// Completions under one multiplier vector. Values in grid units of loss; [level][state], level 0
/// before the first decision.
struct Completions {
  std::vector<double> multiplier;  ///< Per dimension: grid units of loss per unit of cost.
  double credit = 0.0;             ///< Σ multiplier·capacity.
  double margin_per_unit = 0.0;    ///< Rounding of a bound: margin_per_unit·(|loss| + 2·credit).
  std::vector<std::vector<double>> to_go;       ///< Least loss + multiplier·cost − credit.
  std::vector<std::vector<double>> second;      ///< The same without the cheapest completion.
  std::vector<std::vector<std::uint32_t>> arc;  ///< First arc of the cheapest completion.
  std::vector<std::vector<std::int64_t>> loss;  ///< Loss of the cheapest completion.
  std::vector<std::vector<std::int64_t>> cost;  ///< [state · dims + d].

  double Margin(double loss_value) const {
    return margin_per_unit * ((loss_value < 0 ? -loss_value : loss_value) + 2.0 * credit);
  }
};

/// What rounding can have added to a bound near `loss_value` under any of `completions`.
double LargestMargin(const std::vector<Completions>& completions, double loss_value);

/// `best` and some multipliers around it: a partial configuration that has drifted off the budget
/// is bounded better by those of the budget it has left. The first `followed` are worth bounding
/// labels with, all of them arcs.
std::vector<std::vector<double>> MultipliersAround(const std::vector<double>& best, bool separable,
                                                   std::size_t* followed);

/// `scaled_multipliers` as in Lagrangian.
Completions CompletionsUnder(const Lagrangian& lagrangian,
                             const std::vector<double>& scaled_multipliers);

/// Least cost to the end from each state, per dimension: [level][state · dims + d]; kUnlimited
/// where no path leads on.
std::vector<std::vector<std::int64_t>> LeastCostToGo(const LayeredGraph& graph);

}  // namespace bitsearch
