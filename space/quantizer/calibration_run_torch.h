#pragma once
// The pass over the calibration images in which a quantized network is put right layer by layer.
// Private to this folder.

#include <torch/torch.h>

#include <vector>

#include "space/quantizer/quantized_network_torch.h"

namespace bitsearch {

/// A bias as the runtime holds it: INT32 on the scale of the products where the layer is integer.
/// Where one channel does not fit (16-bit products), the layer runs in floating point as it is.
at::Tensor RoundedBias(QuantizationHooks::NodeQuantization& node, const at::Tensor& bias);

/// Runs `config` on the calibration images, once. Before a layer runs, sequential_adaround chooses
/// its integers so that they also make up for the error of its input; behind it, bias_correction
/// shifts its output back to the float mean; then the next layer sees it. Does nothing where
/// neither is asked for, or what they find is stored. `quantized`: by layer, whether its weight or
/// input is; `prefix` as in PrepareQuantization.
void CalibrateLayerwise(const CalibratedNetwork& network, const BitConfig& config,
                        const std::vector<bool>& quantized, const ExecutionState* prefix,
                        QuantizationHooks& hooks);

}  // namespace bitsearch
