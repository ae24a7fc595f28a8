#pragma once
// Quantized networks for timing: a configuration with ranges that are made up, because integer
// kernels take the same time whatever the scales are. Never for accuracy. Must not depend on
// LibTorch.

#include "experiments/config_file.h"
#include "experiments/deployment/onnx_export.h"
#include "space/choices/bit_config.h"
#include "space/graph/layer_graph.h"
#include "space/hardware/onnxruntime_measure.h"

namespace bitsearch {

/// `config` under placement runtime, so that integer kernels run. Tensors behind a Relu or Clip get
/// the range [0, 6], others [−4, 4]; weights get the grids that follow from them. `graph` has BN
/// folded. Throws as PlanTensors.
ConfigDocument WithFixedRanges(const LayerGraph& graph, const BitConfig& config);

/// Writes such exports of `graph`, which must outlive the writer. It throws as BuildQuantizedOnnx.
ModelWriter FixedRangeWriter(const LayerGraph& graph, Container container);

}  // namespace bitsearch
