#pragma once
// What bounds say of single arcs and levels before labels are made: which arcs cannot pay, and
// which levels are in doubt. Knows graphs and completions alone.

#include <cstddef>
#include <vector>

#include "search/exact/completion_bounds.h"
#include "search/exact/lagrangian.h"
#include "search/exact/layered_graph.h"

namespace bitsearch {

/// Removes the arcs all of whose paths are bounded above `threshold` (grid units, rounding added)
/// under some of `completions`, which are those of `graph`. Returns the least bound of an arc
/// removed, +∞ if none was; peaks of arcs are dropped then.
double RemoveArcsAbove(double threshold, const std::vector<Completions>& completions,
                       LayeredGraph* graph);

/// The levels of a separable graph, the one whose second choice costs least first, so that after a
/// few levels no other choice than the cheapest can pay (the core of a knapsack: Pisinger 1995).
std::vector<std::size_t> OrderByDoubt(const Lagrangian& relaxation,
                                      const std::vector<double>& scaled_multipliers);

}  // namespace bitsearch
