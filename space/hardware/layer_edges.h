#pragma once
// Which layer feeds which, through the operators between them: the edges on which tensors change
// their format. Reads LayerGraph only.

#include <cstdint>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// A path from one layer's output to another's input that meets no layer on its way.
struct LayerEdge {
  LayerIndex producer;
  LayerIndex consumer;
  /// Elements of the producer's output for one sample: what a change of format has to convert.
  std::int64_t elements = 0;
  /// False where an earlier edge already pays for the same conversion: two consumers that read
  /// one tensor must agree on its bits, and it is converted once.
  bool pays = true;
};

/// All edges, ascending by producer, then consumer; each pair once.
/// A conversion is charged to the producer's output; of several consumers that read one tensor the
/// first pays. Throws Error(kLayerShape) where a size is unknown.
std::vector<LayerEdge> LayerEdges(const LayerGraph& graph);

/// For each layer whether its input comes from a graph input without another layer before it (so
/// that somebody has to quantize a float input first).
std::vector<bool> ReadsGraphInput(const LayerGraph& graph);
/// For each layer whether its output reaches a graph output without another layer in between.
std::vector<bool> FeedsGraphOutput(const LayerGraph& graph);

}  // namespace bitsearch
