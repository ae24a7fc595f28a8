#pragma once
// A graph as text for people: the table of layers that `bitsearch layers` prints, and a Graphviz
// drawing. Must not depend on ONNX's types nor on LibTorch.

#include <string>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// A node that looks quantizable but is not, and why ("the weight is computed at run time").
struct SkippedLayer {
  NodeIndex node;
  std::string reason;
};

/// Products and convolutions among the nodes that are not in layers().
std::vector<SkippedLayer> FindSkippedLayers(const LayerGraph& graph);

/// One line per layer: number, id, operator, weight shape, input and output shape, parameters,
/// MACs per sample, ties; then totals, what is not quantizable and why, and the tie groups.
std::string DescribeLayers(const LayerGraph& graph, const std::vector<TieGroup>& ties);

/// Graphviz source: nodes with operator and id, quantizable layers filled, edges with shapes.
std::string DescribeAsDot(const LayerGraph& graph);

}  // namespace bitsearch
