#pragma once
// What a choice of bits costs without any device: size, bit operations, compression. Definitions
// here are the ones every report, budget and solver uses. Must not depend on latency tables.

#include <cstdint>
#include <vector>

#include "space/choices/bit_choice.h"
#include "space/choices/bit_config.h"
#include "space/choices/quantization_spec.h"
#include "space/graph/layer_graph.h"

namespace bitsearch {

/// How quantized weights are stored; decides what scales and zero points add to the size.
struct WeightStorage {
  Granularity granularity = Granularity::kPerChannel;
  /// Elements of a block, at least 1; only with kPerGroup. The last block may be shorter.
  std::int64_t group_size = 0;
  /// Asymmetric weights: one zero point beside each scale, as many bits wide as a weight.
  bool zero_points = false;
};

/// Number of scales of a layer's weight: 1, output channels, or output channels × blocks.
/// 0 for a layer without weights. Throws Error(kUsage) for a group size below 1.
std::int64_t ScaleCount(const Layer& layer, const WeightStorage& storage);

/// size_bits of one layer at one choice:
///   parameters · weight bits + 32 per scale + zero points + 32 · bias elements.
/// Integer and ternary formats have scales, float formats none; a ternary weight takes 2 bits. A
/// skipped block (0 bits) takes nothing, its bias neither. Scales of activations are not counted:
/// they are one number a tensor, the same for every choice.
std::int64_t SizeBits(const Layer& layer, BitChoice choice, const WeightStorage& storage = {});

/// Bit operations for one sample: MACs · weight bits · activation bits, with fp32 as 32 and fp16
/// and bf16 as 16 bits; 0 for a skipped block.
std::int64_t Bops(const Layer& layer, BitChoice choice);

/// For each layer whether its weight is counted here. Layers that share one weight tensor (tied
/// weights) are stored once: the first of them in layer order carries the size.
std::vector<bool> CarriesWeight(const LayerGraph& graph);

/// size_bits / BOPs of every layer and candidate: result[l][c] for choices[l][c]. A layer that
/// shares its weight with an earlier one has its biases only.
std::vector<std::vector<std::int64_t>> SizeBitsOfChoices(
    const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices,
    const WeightStorage& storage = {});
std::vector<std::vector<std::int64_t>> BopsOfChoices(
    const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices);

/// Of a whole configuration. Throws Error(kInternal) if it has another number of layers.
std::int64_t TotalSizeBits(const LayerGraph& graph, const BitConfig& config,
                           const WeightStorage& storage = {});
std::int64_t TotalBops(const LayerGraph& graph, const BitConfig& config);

/// 32 · Σ parameters / Σ parameters · bits, without scales and biases, as papers print it. Infinite
/// if no weight is left.
double WeightCompression(const LayerGraph& graph, const BitConfig& config);
/// Σ parameters · bits / Σ parameters: the mean number of bits of a weight. 0 without parameters.
double MeanWeightBits(const LayerGraph& graph, const BitConfig& config);

}  // namespace bitsearch
