#pragma once
// Runs a graph once on plain memory: for comparing outputs with those of another runtime.
// Torch-free header.

#include <string>
#include <utility>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Inputs and outputs as (shape, row-major floats), in the graph's order. Throws Error(kExecution)
/// where shapes do not suit the network, Error(kDevice), Error(kOperatorUnsupported).
std::vector<std::pair<Shape, std::vector<float>>> RunGraph(
    const LayerGraph& graph, const std::vector<std::pair<Shape, std::vector<float>>>& inputs,
    const std::string& device);

}  // namespace bitsearch
