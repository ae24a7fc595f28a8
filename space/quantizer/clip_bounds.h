#pragma once
// The bounds of a Clip, whichever opset wrote it. Torch-free.

#include <utility>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Attributes before opset 11, constant inputs since; infinite where absent or not constant.
std::pair<float, float> ClipBoundsOf(const LayerGraph& graph, const Node& node);

}  // namespace bitsearch
