#include "space/quantizer/clip_bounds.h"

#include <limits>
#include <optional>
#include <vector>

namespace bitsearch {
namespace {

std::optional<float> ConstantScalar(const LayerGraph& graph, const Node& node, std::size_t slot) {
  if (slot >= node.inputs.size() || !node.inputs[slot]) return std::nullopt;
  const Tensor& tensor = graph.tensor(*node.inputs[slot]);
  if (!tensor.constant || tensor.constant->element_count() != 1) return std::nullopt;
  return tensor.constant->ToFloats()[0];
}

}  // namespace

std::pair<float, float> ClipBoundsOf(const LayerGraph& graph, const Node& node) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return {node.attributes.Float("min", ConstantScalar(graph, node, 1).value_or(-kInfinity)),
          node.attributes.Float("max", ConstantScalar(graph, node, 2).value_or(kInfinity))};
}

}  // namespace bitsearch
