#pragma once
// Layered graphs with the paths of another one, but other losses or fewer costs: the smaller
// questions that a search asks on its way. Knows graphs alone.

#include "search/exact/layered_graph.h"

namespace bitsearch {

/// The same paths where dimension `d`'s cost is the loss; the other dimensions stay, in order.
LayeredGraph WithCostAsLoss(const LayeredGraph& graph, std::size_t d);
/// The same paths and losses with dimension `d` alone.
LayeredGraph WithDimensionAlone(const LayeredGraph& graph, std::size_t d);

}  // namespace bitsearch
