#pragma once
// Do the data suit the network? Asked before the first batch, where the answer can be in plain
// words.

#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"

namespace bitsearch {

/// Throws Error(kDataFormat) if the images have other extents than the network's input, and
/// Error(kDataLabel) if a label is beyond its outputs. Extents that the graph leaves open suit all.
void RequireFit(const LayerGraph& graph, const Dataset& data);

}  // namespace bitsearch
