#include "experiments/deployment/calibrated_document.h"

#include <algorithm>
#include <utility>

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

bool LacksRanges(const ConfigDocument& document) {
  return document.placement != Placement::kWeightsOnly &&
         std::any_of(document.layers.begin(), document.layers.end(), [](const ConfigLayer& layer) {
           return layer.choice.activation.is_integer() && !layer.quantizers.activation;
         });
}

void StoreQuantizers(QuantizationSession& session, const std::string& path,
                     ConfigDocument& document) {
  const LayerGraph& graph = session.graph();
  std::vector<LayerQuantizers> quantizers =
      session.Quantizers(ConfigForGraph(document, graph, path));
  for (ConfigLayer& layer : document.layers) {
    layer.quantizers = std::move(quantizers[graph.FindLayer(layer.name)->value]);
  }
}

}  // namespace bitsearch
