#pragma once
// What batch normalisation says about activations without any data: mean and deviation of every
// channel, carried through the graph. DFQ's analytic bias correction (Nagel et al., ICCV 2019) is
// made of it. Torch-free.

#include <optional>
#include <span>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/graph/rewrites.h"

namespace bitsearch {

/// A channel as a normal variable, or what an activation function made of one.
struct ChannelMoments {
  double mean = 0.0;
  double variance = 0.0;
};

/// By tensor, its channels (axis 1); none where they are not known. A layer's output has N(β, γ²)
/// of its folded normalisation. Known through Relu, Clip, Add (as of independent variables),
/// Identity, Dropout, average pools without padding, a Flatten of single pixels, Pad by zeros and
/// Slice, which may change the number of channels, as long as they are plain in space.
std::vector<std::optional<std::vector<ChannelMoments>>> PropagateChannelMoments(
    const LayerGraph& graph, const BatchNormMap& statistics);

/// By output channel of a layer, −Σ (W' − W)·E[x]: what takes the error of its quantized weight out
/// of its mean output. Padding at borders is left out of account. None where E[x] is not known
/// (the network's input, for one) or the weight cannot be walked.
std::optional<std::vector<float>> AnalyticShift(
    const LayerGraph& graph, const Layer& layer, std::span<const float> quantized,
    const std::optional<std::vector<ChannelMoments>>& input);

}  // namespace bitsearch
