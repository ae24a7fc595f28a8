#pragma once
// Good configurations near the optimum of the relaxation: on a graph of independent levels, all
// that differ from the cheapest path under some multipliers in at most three levels and can pay.

#include <cstdint>
#include <functional>
#include <vector>

#include "search/exact/lagrangian.h"

namespace bitsearch {

/// A configuration of a graph.
struct CorePath {
  std::vector<std::uint32_t> by_level;  ///< Choices.
  std::int64_t loss = 0;
  std::vector<std::int64_t> cost;
};

/// The path of least cost in dimension `d` (least loss among equals is not sought); without levels
/// if there is none. `least_to_go` is LeastCostToGo of the graph.
CorePath CheapestPath(const LayeredGraph& graph,
                      const std::vector<std::vector<std::int64_t>>& least_to_go, std::size_t d);

/// The best configuration within the capacities among those tried, if its loss is below
/// `best_loss`; else one without levels. Work is bounded (the core of a knapsack: few levels are in
/// doubt, Pisinger 1995). Stops early where the loss is within `slack` of the bound that the
/// multipliers give.
CorePath BestNearRelaxation(const Lagrangian& relaxation,
                            const std::vector<double>& scaled_multipliers, std::int64_t best_loss,
                            double slack);

}  // namespace bitsearch
