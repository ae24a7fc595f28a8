#include "experiments/deployment/fixed_ranges.h"

#include "space/graph/onnx_writer.h"
#include "space/quantizer/tensor_plan.h"

namespace bitsearch {
namespace {

constexpr Range kRectified{0.0F, 6.0F};
constexpr Range kOther{-4.0F, 4.0F};

Range RangeOf(const LayerGraph& graph, TensorIndex tensor) {
  const std::optional<NodeIndex> producer = graph.producer(tensor);
  if (!producer) return kOther;
  const std::string& op = graph.node(*producer).op;
  return op == "Relu" || op == "Clip" ? kRectified : kOther;
}

}  // namespace

ConfigDocument WithFixedRanges(const LayerGraph& graph, const BitConfig& config) {
  ConfigDocument document;
  document.placement = Placement::kRuntime;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    const Layer& layer = graph.layers()[l];
    document.layers.push_back({layer.id, layer.op, config.choices[l], {}});
  }
  for (const PlannedTensor& planned : PlanTensors(graph, config).tensors) {
    document.tensors.push_back(
        {graph.tensor(planned.tensor).name, planned.format,
         AsymmetricGrid(RangeOf(graph, planned.range_from), planned.format.bits())});
  }
  return document;
}

ModelWriter FixedRangeWriter(const LayerGraph& graph, Container container) {
  return [&graph, container](const BitConfig& config, const std::filesystem::path& path) {
    OnnxExportOptions options;
    options.container = container;
    WriteOnnx(
        BuildQuantizedOnnx(graph, WithFixedRanges(graph, config), options, path.string()).graph,
        path);
  };
}

}  // namespace bitsearch
