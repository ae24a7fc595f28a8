#pragma once
// Squared quantization errors of weights and activations under a network's quantization spec: the
// second factor of curvature scores. Torch-free header.

#include <span>
#include <vector>

#include "sensitivity/scores.h"
#include "space/quantizer/quantized_network.h"

namespace bitsearch {

/// ‖Δ‖² for every format that `choices` uses (fp32 left out). Weights: of the whole tensor.
/// Activations: of one record's input, mean over `data`; empty where the placement keeps them
/// float. Bitwise independent of context.threads. Throws Error(kUsage, kDataCount, kInterrupted).
QuantizationErrors MeasureQuantizationErrors(const CalibratedNetwork& network, const Dataset& data,
                                             std::span<const std::vector<BitChoice>> choices,
                                             const RunContext& context,
                                             std::int64_t batch_size = 128);

}  // namespace bitsearch
