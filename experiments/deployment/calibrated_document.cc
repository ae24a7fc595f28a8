#include "experiments/deployment/calibrated_document.h"

#include <algorithm>
#include <utility>

#include "space/quantizer/tensor_plan.h"
#include "space/quantizer/weight_quantizer.h"
#include "space/support/error.h"

namespace bitsearch {

CalibrationRequest CalibrationFor(const ConfigDocument& document, const LayerGraph& graph,
                                  const std::string& path) {
  CalibrationRequest request;
  request.graph = graph;
  request.spec.placement = document.placement;
  if (document.weights) request.spec.weight = *document.weights;
  request.stored = StoredCalibrationOf(document, graph, path);
  request.spec.calibration = StepsOf(document, path);
  // What stands in the file is not found anew.
  const bool has_codes =
      std::all_of(document.layers.begin(), document.layers.end(), [](const ConfigLayer& layer) {
        return !IsAffine(layer.choice.weight) ||
               (layer.quantizers.weight && !layer.quantizers.weight->codes.empty());
      });
  if (has_codes) {
    std::erase_if(request.spec.calibration, [](CalibrationStep step) {
      return InfoOf(step).phase == CalibrationPhase::kWeights;
    });
  }
  return request;
}

std::vector<CalibrationStep> StepsOf(const ConfigDocument& document, const std::string& path) {
  try {
    return ParseCalibrationSteps(document.calibration);
  } catch (const Error& error) {
    throw Error(ErrorId::kConfigLayers, error.message())
        .At({path})
        .Key("calibration")
        .Hint(error.hint());
  }
}

void SetSteps(const std::vector<CalibrationStep>& steps, ConfigDocument& document) {
  document.calibration = NamesOf(steps);
  document.tensors.clear();
  for (ConfigLayer& layer : document.layers) {
    layer.quantizers.activation.reset();
    layer.quantizers.correction = {};
    if (layer.quantizers.weight) layer.quantizers.weight->codes.clear();
  }
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
