#include "space/quantizer/layer_weights.h"

#include "space/support/error.h"

namespace bitsearch {
namespace {

const Shape& WeightShape(const LayerGraph& graph, const Layer& layer) {
  return graph.tensor(*layer.weight).constant->shape();
}

}  // namespace

bool CanWalkWeight(const LayerGraph& graph, const Layer& layer) {
  if (!layer.weight) return false;
  const std::size_t rank = WeightShape(graph, layer).size();
  if (layer.op == "Conv" || layer.op == "ConvTranspose") return rank >= 3;
  return (layer.op == "Gemm" || layer.op == "MatMul") && rank == 2;
}

WeightChannels ForEachWeight(
    const LayerGraph& graph, const Layer& layer,
    const std::function<void(std::size_t, std::int64_t, std::int64_t)>& visit) {
  if (!CanWalkWeight(graph, layer)) {
    throw Error(ErrorId::kInternal, "the weight of " + layer.id + " cannot be walked");
  }
  const Shape& shape = WeightShape(graph, layer);
  const Attributes& attributes = graph.node(layer.node).attributes;
  const std::int64_t groups =
      layer.op == "Conv" || layer.op == "ConvTranspose" ? attributes.Int("group", 1) : 1;
  std::int64_t inner = 1;
  for (std::size_t a = 2; a < shape.size(); ++a) inner *= shape[a];
  // Axis 0 of a Conv holds all outputs and axis 1 the inputs of one group; of a ConvTranspose it is
  // the other way round.
  const bool outputs_first =
      layer.op == "Conv" || (layer.op == "Gemm" && attributes.Int("transB", 0) != 0);
  const std::int64_t first_per_group = shape[0] / groups;
  std::size_t element = 0;
  for (std::int64_t first = 0; first < shape[0]; ++first) {
    const std::int64_t group = first / first_per_group;
    for (std::int64_t second = 0; second < shape[1]; ++second) {
      const std::int64_t grouped_second = group * shape[1] + second;
      for (std::int64_t i = 0; i < inner; ++i, ++element) {
        visit(element, outputs_first ? first : grouped_second,
              outputs_first ? grouped_second : first);
      }
    }
  }
  return outputs_first ? WeightChannels{shape[0], shape[1] * groups}
                       : WeightChannels{shape[1] * groups, shape[0]};
}

}  // namespace bitsearch
