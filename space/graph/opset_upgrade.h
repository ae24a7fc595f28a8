#pragma once
// Rewrites a graph's nodes to the form that a newer opset asks for, so that Q/DQ nodes can be added
// to an older model. Knows exactly the operators of operators.cc, from kOldestOpset on.
// Must not depend on ONNX's types nor on LibTorch.

#include <cstdint>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// The newest opset whose changes UpgradeOpset knows.
inline constexpr std::int64_t kNewestUpgradeOpset = 25;

/// Makes `graph` a model of `opset`, at most kNewestUpgradeOpset; what it computes stays. Nothing
/// happens where the graph's opset is already that or newer. Source of the changes: ONNX's
/// changelog of operators. Throws Error(kOperatorUnsupported) naming a node that has no equal form.
void UpgradeOpset(LayerGraph& graph, std::int64_t opset);

}  // namespace bitsearch
