#include "space/quantizer/float_network.h"

#include "space/quantizer/equalization.h"

namespace bitsearch {

FloatNetwork PrepareFloatNetwork(const LayerGraph& graph, bool fold_batch_norm,
                                 std::span<const CalibrationStep> steps) {
  FloatNetwork network;
  network.graph = fold_batch_norm ? FoldBatchNorm(graph, &network.statistics) : graph;
  for (const CalibrationStep step : steps) {
    switch (step) {
      case CalibrationStep::kReplaceRelu6:
        network.graph = ReplaceRelu6(network.graph);
        break;
      case CalibrationStep::kEqualisation:
        network.graph = EqualizeLayers(network.graph, {}, &network.statistics);
        break;
      case CalibrationStep::kBiasAbsorption:
        network.graph = AbsorbHighBiases(network.graph, network.statistics);
        break;
      default:
        break;
    }
  }
  return network;
}

}  // namespace bitsearch
