#pragma once
// Rewrites LayerGraph → LayerGraph that keep the function computed: folding batch normalisation,
// dropping operators that do nothing at inference. Layer ids never change.
// Must not depend on ONNX's types nor on LibTorch.

#include <map>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// What a folded BatchNormalization held; one entry per output channel. Data-free methods
/// (DFQ, Nagel et al. 2019; ZeroQ) read the distribution of the layer's output from it.
struct BatchNormStatistics {
  std::vector<float> gamma;
  std::vector<float> beta;
  std::vector<float> mean;
  std::vector<float> variance;
  float epsilon = 1e-5F;
};

/// By layer id.
using BatchNormMap = std::map<std::string, BatchNormStatistics>;

/// Folds every BatchNormalization that directly follows a Conv, ConvTranspose or Gemm (and is its
/// only reader) into weight and bias: w' = w·γ/√(σ²+ε), b' = (b − μ)·γ/√(σ²+ε) + β, computed in
/// double precision. Others stay. `statistics`, if given, receives what was folded.
/// Throws Error(kModelNotFinite) where a variance is negative.
LayerGraph FoldBatchNorm(const LayerGraph& graph, BatchNormMap* statistics = nullptr);

/// Removes Identity, Dropout (inference), Cast to the same type and Pad by zeros. Graph inputs and
/// outputs keep their names.
LayerGraph RemoveIdentities(const LayerGraph& graph);

}  // namespace bitsearch
