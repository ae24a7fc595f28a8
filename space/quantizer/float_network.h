#pragma once
// The float network that is going to be quantized: batch normalisation folded and, where the
// calibration asks for it, rewritten so that it quantizes better. Torch-free.

#include <span>

#include "space/choices/calibration_step.h"
#include "space/graph/layer_graph.h"
#include "space/graph/rewrites.h"

namespace bitsearch {

/// A network and what its folded normalisations say about its layers' outputs.
struct FloatNetwork {
  LayerGraph graph;
  BatchNormMap statistics;
};

/// Folds the normalisation of `graph` if `fold_batch_norm`, and takes those of `steps` that change
/// the float network (CalibrationPhase::kNetwork), in order; the others are left to
/// CalibratedNetwork. No data are read, and layer ids stay. Without folding equalisation finds no
/// pairs across a normalisation. Errors as FoldBatchNorm's.
FloatNetwork PrepareFloatNetwork(const LayerGraph& graph, bool fold_batch_norm,
                                 std::span<const CalibrationStep> steps);

}  // namespace bitsearch
