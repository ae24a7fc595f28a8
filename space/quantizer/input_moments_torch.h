#pragma once
// Measures how the inputs of a layer's weights vary together, for ReconstructLayer. Include only
// from torch targets.

#include <torch/torch.h>

#include <optional>

#include "space/graph/layer_graph.h"
#include "space/quantizer/layer_reconstruction.h"

namespace bitsearch {

/// E[a bᵀ] over records and positions, where a and b are what an output of `layer` is made of if
/// its input is `left` or `right` (N × …, equally many records), minus the product of their means
/// if `centred`. Of many positions some records are left out, evenly. On the input's device; in
/// float32.
/// Nothing for layers that ReconstructLayer cannot take: other than Conv of one or two dimensions
/// and products with a constant matrix on the right.
std::optional<InputMoments> MeasureInputMoments(const LayerGraph& graph, const Layer& layer,
                                                const at::Tensor& left, const at::Tensor& right,
                                                bool centred);

}  // namespace bitsearch
