#pragma once
// Shapes of all tensors of a graph, with symbolic extents (batch, height, width).
// Method: the graph is walked with concrete extents twice, the symbols standing for different
// numbers; what differs is unknown (−1), what agrees is fixed. So shape functions need no algebra,
// and shapes that a network computes from other shapes (Shape → Gather → Concat → Reshape) come out
// exactly. Must not depend on ONNX's types nor on LibTorch.

#include <map>
#include <string>

#include "space/graph/layer_graph.h"

namespace bitsearch {

struct InferenceOptions {
  /// By input name: extents that replace the declared ones where those are unknown; −1 leaves an
  /// extent unknown.
  std::map<std::string, Shape> input_shapes;
};

/// Sets shape, sample_shape and type of every tensor; computed tensors whose value does not depend
/// on data nor on symbols become constants, and nodes left without readers are removed. An unknown
/// leading extent of an input counts as the batch.
/// Throws Error(kModelShape, kModelAttribute, kOperatorUnsupported), keyed with the node. Where the
/// spatial extents are unknown and no guess fits the network, its shapes stay unknown.
void InferShapes(LayerGraph& graph, const InferenceOptions& options = {});

}  // namespace bitsearch
