#pragma once
// What fine-tuning gives: a network with its batch normalisation folded, its weights on their
// grids, and the grids. What export, evaluation and reports take. Torch-free.

#include <optional>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/choices/evaluator.h"
#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"
#include "space/quantizer/affine.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// The grids of one layer.
struct LayerGrids {
  /// One per tensor, output channel, or (channel, group), channel-major, as QuantizedWeight has
  /// them; empty for float weights. One bit: scale α, levels −1 and +1.
  std::vector<AffineGrid> weight;
  std::int64_t groups_per_channel = 1;
  std::optional<AffineGrid> activation;  ///< Of the layer's input; none where it stays float.
};

/// A quantized network, complete.
struct TunedNetwork {
  /// BN folded where it follows a layer. Weights have their quantized values, so the graph alone
  /// computes the weight-quantized network in float.
  LayerGraph graph;
  BitConfig config;                ///< By layer of `graph` (skipped blocks are gone).
  std::vector<LayerGrids> layers;  ///< By layer of `graph`.
};

/// Runs it on `data`, inputs of layers rounded to their grids.
Evaluation EvaluateTuned(const TunedNetwork& network, const Dataset& data,
                         const RunContext& context, const std::string& device = "cpu");

}  // namespace bitsearch
