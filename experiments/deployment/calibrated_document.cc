#include "experiments/deployment/calibrated_document.h"

#include <algorithm>
#include <utility>

#include "space/quantizer/tensor_plan.h"

namespace bitsearch {

CalibrationRequest CalibrationFor(const ConfigDocument& document, const LayerGraph& graph,
                                  const std::string& path) {
  CalibrationRequest request;
  request.graph = graph;
  request.spec.placement = document.placement;
  if (document.weights) request.spec.weight = *document.weights;
  request.stored = StoredCalibrationOf(document, graph, path);
  request.spec.bias_correction = std::find(document.calibration.begin(), document.calibration.end(),
                                           "bias_correction") != document.calibration.end();
  return request;
}

bool LacksRanges(const ConfigDocument& document, Placement placement) {
  if (placement == Placement::kWeightsOnly) return false;
  const bool by_tensor = QuantizesTensors(placement);
  return std::any_of(document.layers.begin(), document.layers.end(), [&](const ConfigLayer& layer) {
    return layer.choice.activation.is_integer() &&
           (by_tensor ? document.tensors.empty() : !layer.quantizers.activation);
  });
}

void StoreQuantizers(QuantizationSession& session, const std::string& path,
                     ConfigDocument& document) {
  const LayerGraph& graph = session.graph();
  const BitConfig config = ConfigForGraph(document, graph, path);
  std::vector<LayerQuantizers> quantizers = session.Quantizers(config);
  document.tensors = session.TensorGrids(config);
  for (ConfigLayer& layer : document.layers) {
    layer.quantizers = std::move(quantizers[graph.FindLayer(layer.name)->value]);
  }
}

}  // namespace bitsearch
