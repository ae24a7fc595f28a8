// Copies level by level.
#include "search/exact/graph_projection.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace bitsearch {

LayeredGraph WithCostAsLoss(const LayeredGraph& graph, std::size_t d) {
  LayeredGraph result = graph;
  --result.dims;
  for (LayeredLevel& level : result.levels) {
    std::vector<std::int64_t> rest;
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      level.arcs[a].loss = level.cost[a * graph.dims + d];
      for (std::size_t e = 0; e < graph.dims; ++e) {
        if (e != d) rest.push_back(level.cost[a * graph.dims + e]);
      }
    }
    level.cost = std::move(rest);
  }
  return result;
}

LayeredGraph WithDimensionAlone(const LayeredGraph& graph, std::size_t d) {
  LayeredGraph result = graph;
  result.dims = 1;
  for (LayeredLevel& level : result.levels) {
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      level.cost[a] = level.cost[a * graph.dims + d];
    }
    level.cost.resize(level.arcs.size());
  }
  return result;
}

}  // namespace bitsearch
