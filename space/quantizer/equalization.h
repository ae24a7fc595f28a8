#pragma once
// DFQ (Nagel, van Baalen, Blankevoort, Welling, ICCV 2019): cross-layer equalisation and absorption
// of high biases, as rewrites of a LayerGraph that keep its function. Torch-free.

#include <cstdint>
#include <span>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/graph/rewrites.h"

namespace bitsearch {

/// Two layers with only positively homogeneous operators between them, f(s·x) = s·f(x), and no
/// other reader of what lies between: scaling can move from one to the other exactly.
struct EqualizablePair {
  LayerIndex first;
  LayerIndex second;
  bool operator==(const EqualizablePair&) const = default;
};

/// All such pairs, in layer order. Between may lie Relu, LeakyRelu, PRelu with constant slopes,
/// Clip from 0 without an upper bound, max and average pools, Identity, Dropout, and a Flatten
/// behind a global pool. Layers that share a weight tensor are left out.
std::vector<EqualizablePair> FindEqualizablePairs(const LayerGraph& graph);

/// Moves a positive factor for each channel between the layers of a pair: W1 ← diag(s)⁻¹W1, b1 ← b1/s,
/// W2 ← W2·diag(s). The network computes the same; `statistics` is scaled along (γ, β divided by s).
void ScalePair(const EqualizablePair& pair, std::span<const float> scale, LayerGraph& graph,
               BatchNormMap* statistics = nullptr);

struct EqualizationOptions {
  int max_sweeps = 100;
  /// Stop when no scale of a sweep differs from 1 by more than this.
  double tolerance = 1e-4;
};

/// W1 ← diag(s)⁻¹W1, b1 ← b1/s, W2 ← W2·diag(s), s_i = √(r1_i / r2_i), r the largest magnitude of the
/// channel; pairs are swept until they converge. A channel that is all zero on either side keeps
/// its scale. `statistics`, if given, is scaled along (γ, β of the first layer divided by s).
LayerGraph EqualizeLayers(const LayerGraph& graph, const EqualizationOptions& options = {},
                          BatchNormMap* statistics = nullptr);

/// Clip(0, 6) → Relu wherever that makes a pair equalisable. Changes the function above 6.
LayerGraph ReplaceRelu6(const LayerGraph& graph);

/// c = max(0, β − 3γ); b1 ← b1 − c, b2 ← b2 + W2·c for every pair with a ReLU between them. Exact
/// where the pre-activation stays above c, and away from zero-padded borders. `statistics` gives β
/// and γ of the first layer's output (already scaled); layers without an entry or biases are left.
LayerGraph AbsorbHighBiases(const LayerGraph& graph, BatchNormMap& statistics);

}  // namespace bitsearch
