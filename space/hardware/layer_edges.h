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
  /// True for the one edge that pays for converting the tensor the consumer reads. Several
  /// producers may reach it (a residual add, and through identity skips every block before): the
  /// last of them pays. Several consumers may read it, with equal bits then: the first pays.
  bool pays = false;
};

/// All edges, ascending by producer, then consumer; each pair once. Exactly one edge pays for each
/// tensor that layers read from layers. Throws Error(kLayerShape) where a size is unknown.
std::vector<LayerEdge> LayerEdges(const LayerGraph& graph);

/// For each layer whether its input comes from a graph input without another layer before it (so
/// that somebody has to quantize a float input first).
std::vector<bool> ReadsGraphInput(const LayerGraph& graph);
/// For each layer whether its output reaches a graph output without another layer in between.
std::vector<bool> FeedsGraphOutput(const LayerGraph& graph);

}  // namespace bitsearch
