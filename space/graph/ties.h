#pragma once
// Layers that must get equal bits, inferred from the graph: shared inputs tie activations, shared
// weights tie weights, and joined branches tie activations where the join itself is quantized.
// Takes rules instead of a Placement, which lives in a later room. Must not depend on LibTorch.

#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// What a placement quantizes, as far as ties depend on it. weights_only: neither; layer_inputs:
/// activations; runtime and integer: both.
struct TieRules {
  /// Inputs of layers are quantized: layers that read one tensor share its bits.
  bool activations = true;
  /// The skip path is quantized too: the tensors that a residual add or a concat joins, and its
  /// result, share their bits, and so do the layers that read them.
  bool joins = false;
};

/// The non-constant floating-point inputs of a node, in order; a tensor read twice stands twice.
std::vector<TensorIndex> DataInputs(const LayerGraph& graph, const Node& node);

/// Groups of at least two layers, ordered by their first layer; a layer is in at most one group per
/// kind. Names are "weight:<tensor>" and "activation:<tensor>" after the first layer's tensor.
std::vector<TieGroup> InferTies(const LayerGraph& graph, const TieRules& rules);

}  // namespace bitsearch
