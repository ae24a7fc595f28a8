#pragma once
// What a quantized network computes, on plain memory: for comparing with a runtime. Torch-free
// header.

#include <utility>
#include <vector>

#include "space/quantizer/quantized_network.h"

namespace bitsearch {

/// Shape and row-major values of a tensor.
using PlainTensor = std::pair<Shape, std::vector<float>>;

/// The first output of `config` for every record of `data`: shape N × …. In integer arithmetic for
/// Placement::kInteger.
PlainTensor SimulatedOutputs(const CalibratedNetwork& network, const BitConfig& config,
                             const Dataset& data, const RunContext& context);

/// The output of each layer of `config` (before any activation function) when its input is
/// `layer_inputs[layer]`, whatever the layers before it computed: so a difference to another
/// implementation is that layer's own. Inputs are quantized as the configuration says.
/// `data` gives the batch that the network is run on otherwise.
std::vector<PlainTensor> SimulatedLayers(const CalibratedNetwork& network, const BitConfig& config,
                                         const Dataset& data,
                                         const std::vector<PlainTensor>& layer_inputs);

}  // namespace bitsearch
