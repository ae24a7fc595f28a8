#pragma once
// Removing what need not be computed at run time: nodes whose inputs are all constant, nodes that
// nobody reads, and shapes computed only to reshape. Must not depend on ONNX's types nor LibTorch.

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Turns the outputs of nodes with constant inputs into constants and removes those nodes. Large
/// results of small inputs (an Expand to a gigabyte) are left to run time. Never changes an id.
void FoldConstants(LayerGraph& graph);
/// Removes nodes that no graph output depends on.
void RemoveUnreadNodes(LayerGraph& graph);
/// Gives a Reshape whose inferred output has one unknown extent a constant shape with −1 there, so
/// that the nodes that computed it go away.
void SimplifyReshapes(LayerGraph& graph);

}  // namespace bitsearch
