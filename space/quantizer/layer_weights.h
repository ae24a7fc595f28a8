#pragma once
// Walks a layer's weight by output and input channel, whatever the operator's layout. Equalisation
// and analytic corrections are written once on top of it. Torch-free.

#include <cstdint>
#include <functional>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Channels of a layer as its weight sees them. Supported: Conv and ConvTranspose (any groups),
/// Gemm (either orientation), MatMul with a 2-D weight.
struct WeightChannels {
  std::int64_t outputs = 0;
  std::int64_t inputs = 0;
};

/// Whether ForEachWeight can walk this layer.
bool CanWalkWeight(const LayerGraph& graph, const Layer& layer);

/// Calls `visit(element, output_channel, input_channel)` for every element of the weight, ascending
/// in `element`. Throws Error(kInternal) if CanWalkWeight is false.
WeightChannels ForEachWeight(
    const LayerGraph& graph, const Layer& layer,
    const std::function<void(std::size_t, std::int64_t, std::int64_t)>& visit);

}  // namespace bitsearch
