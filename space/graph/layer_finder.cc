// Which nodes are quantizable layers, and their parameters and multiply-accumulates.
// Must not depend on ONNX nor on LibTorch.
#include <algorithm>
#include <limits>
#include <utility>

#include "space/graph/layer_graph.h"
#include "space/graph/operators.h"

namespace bitsearch {
namespace {

bool IsFloatConstant(const Tensor& tensor) {
  return tensor.constant && tensor.type == DataType::kFloat32 &&
         tensor.constant->element_count() > 0;
}

std::optional<TensorIndex> InputAt(const Node& node, std::size_t slot) {
  return slot < node.inputs.size() ? node.inputs[slot] : std::nullopt;
}

/// The shape for one sample; an unknown leading extent counts as one sample.
std::optional<Shape> SampleShape(const Tensor& tensor) {
  if (tensor.sample_shape) return tensor.sample_shape;
  if (!tensor.shape) return std::nullopt;
  Shape shape = *tensor.shape;
  if (!shape.empty() && shape[0] < 0) shape[0] = 1;
  if (ElementCount(shape) < 0) return std::nullopt;
  return shape;
}

/// Multiply-accumulates for one sample; 0 where a shape is unknown.
std::int64_t CountMacs(const LayerGraph& graph, const Node& node) {
  const OperatorInfo* row = FindOperator(node.domain, node.op);
  if (row == nullptr || row->macs == nullptr) return 0;
  std::vector<TensorFact> facts(node.inputs.size());
  std::vector<const TensorFact*> inputs(node.inputs.size(), nullptr);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.inputs[i]) continue;
    facts[i].shape = SampleShape(graph.tensor(*node.inputs[i]));
    inputs[i] = &facts[i];
  }
  OperatorContext context(node, graph.opset, inputs);
  context.outputs().front().shape = SampleShape(graph.tensor(node.outputs.front()));
  try {
    return row->macs(context);
  } catch (const UnknownUntilRun&) {
    return 0;
  }
}

/// A file that fixes the batch at n counts n samples; per-sample figures divide by it.
std::int64_t FixedBatch(const LayerGraph& graph) {
  std::int64_t batch = 0;
  for (const TensorIndex index : graph.inputs()) {
    const std::optional<Shape> shape = SampleShape(graph.tensor(index));
    if (!shape || shape->empty()) return 1;
    if (batch != 0 && batch != shape->front()) return 1;
    batch = shape->front();
  }
  return std::max<std::int64_t>(batch, 1);
}

/// The slots of the weight and of the activation of a quantizable node; empty if it is none.
struct Slots {
  std::optional<std::size_t> weight;
  std::size_t input = 0;
};

std::optional<Slots> QuantizableSlots(const LayerGraph& graph, const Node& node) {
  if (!node.domain.empty() && node.domain != "ai.onnx") return std::nullopt;
  const std::optional<TensorIndex> a = InputAt(node, 0);
  const std::optional<TensorIndex> b = InputAt(node, 1);
  if (!a || !b || node.outputs.empty()) return std::nullopt;
  const Tensor& left = graph.tensor(*a);
  const Tensor& right = graph.tensor(*b);
  const std::size_t right_rank = right.constant ? right.constant->shape().size() : 0;
  if (node.op == "Conv" || node.op == "ConvTranspose") {
    if (left.constant || !IsFloatConstant(right) || right_rank < 3) return std::nullopt;
    return Slots{1, 0};
  }
  if (node.op == "Gemm") {
    if (left.constant || !IsFloatConstant(right) || right_rank != 2) return std::nullopt;
    return Slots{1, 0};
  }
  if (node.op != "MatMul") return std::nullopt;
  if (left.constant && right.constant) return std::nullopt;
  if (right.constant) {
    if (!IsFloatConstant(right) || right_rank == 0) return std::nullopt;
    return Slots{1, 0};
  }
  if (left.constant) {
    if (!IsFloatConstant(left) || left.constant->shape().empty()) return std::nullopt;
    return Slots{0, 1};
  }
  if (left.type != DataType::kFloat32 || right.type != DataType::kFloat32) return std::nullopt;
  return Slots{std::nullopt, 0};
}

/// The axis of the weight along which output channels lie.
std::size_t OutputChannelAxis(const Node& node, const Slots& slots, std::size_t rank) {
  if (node.op == "Conv") return 0;
  if (node.op == "ConvTranspose") return 1;
  if (node.op == "Gemm") return node.attributes.Int("transB", 0) != 0 ? 0 : 1;
  if (rank < 2) return 0;
  return *slots.weight == 1 ? rank - 1 : rank - 2;
}

Layer DescribeLayer(const LayerGraph& graph, NodeIndex index, const Slots& slots) {
  const Node& node = graph.node(index);
  Layer layer;
  layer.id = node.id;
  layer.op = node.op;
  layer.node = index;
  layer.input_slot = slots.input;
  layer.input = *node.inputs[slots.input];
  layer.output = node.outputs.front();
  if (slots.weight) {
    layer.weight_slot = *slots.weight;
    layer.weight = node.inputs[*slots.weight];
    const Shape& shape = graph.tensor(*layer.weight).constant->shape();
    layer.parameter_count = ElementCount(shape);
    const std::size_t axis = OutputChannelAxis(node, slots, shape.size());
    layer.output_channel_axis = static_cast<int>(axis);
    const bool vector_operand = node.op == "MatMul" && shape.size() < 2;
    std::int64_t channels = vector_operand ? 1 : shape[axis];
    if (node.op == "ConvTranspose") {
      channels *= std::clamp<std::int64_t>(node.attributes.Int("group", 1), 1, shape[0]);
    }
    layer.output_channels =
        static_cast<int>(std::min<std::int64_t>(channels, std::numeric_limits<int>::max()));
  }
  if (node.op != "MatMul") {
    const std::optional<TensorIndex> bias = InputAt(node, 2);
    if (bias && graph.tensor(*bias).constant) {
      layer.bias = bias;
      layer.bias_count = graph.tensor(*bias).constant->element_count();
    }
  }
  return layer;
}

}  // namespace

void LayerGraph::FindLayers() {
  layers_wanted_ = true;
  layers_.clear();
  const std::int64_t batch = FixedBatch(*this);
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    const std::optional<Slots> slots = QuantizableSlots(*this, nodes_[n]);
    if (!slots) continue;
    Layer layer = DescribeLayer(*this, NodeIndex(n), *slots);
    layer.macs = CountMacs(*this, nodes_[n]);
    if (layer.macs % batch == 0) layer.macs /= batch;
    layers_.push_back(std::move(layer));
  }
}

}  // namespace bitsearch
