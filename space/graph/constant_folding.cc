// Folding, dead code and reshape clean-up. Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/constant_folding.h"

#include <algorithm>
#include <utility>

#include "space/graph/operators.h"

namespace bitsearch {
namespace {

/// Results up to this size are always stored; larger ones only if the inputs were as large.
constexpr std::int64_t kFreelyStoredBytes = 1 << 20;

std::int64_t ByteCountOf(const TensorFact& fact) {
  if (!fact.shape) return -1;
  const std::int64_t count = ElementCount(*fact.shape);
  return count > (std::int64_t{1} << 40) ? count : count * std::max(BitsOf(fact.type), 8) / 8;
}

/// The values of a node's outputs, or an empty list.
std::vector<TensorValue> Evaluate(const LayerGraph& graph, const Node& node) {
  const OperatorInfo& row = RequireOperator(node, graph.opset);
  if (row.fold == nullptr) return {};
  std::vector<TensorFact> facts(node.inputs.size());
  std::vector<const TensorFact*> inputs(node.inputs.size(), nullptr);
  std::int64_t allowed = kFreelyStoredBytes;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.inputs[i]) continue;
    const Tensor& tensor = graph.tensor(*node.inputs[i]);
    if (!tensor.constant) return {};
    facts[i] = {tensor.type, tensor.constant->shape(), tensor.constant};
    allowed += static_cast<std::int64_t>(tensor.constant->bytes().size());
    inputs[i] = &facts[i];
  }
  OperatorContext context(node, graph.opset, inputs);
  try {
    row.shape(context);
    // A constant's attribute is in memory already, however large.
    for (const TensorFact& output : context.outputs()) {
      const std::int64_t bytes = ByteCountOf(output);
      if (bytes < 0 || (bytes > allowed && node.op != "Constant")) return {};
    }
    return row.fold(context);
  } catch (const UnknownUntilRun&) {
    return {};
  } catch (Error& error) {
    if (error.key().empty()) error.Key(node.id);
    throw;
  }
}

}  // namespace

void FoldConstants(LayerGraph& graph) {
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    std::vector<TensorValue> values = Evaluate(graph, graph.nodes()[n]);
    const std::vector<TensorIndex> outputs = graph.nodes()[n].outputs;
    if (values.size() < outputs.size()) continue;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      graph.SetConstant(outputs[i], std::move(values[i]));
    }
  }
  RemoveUnreadNodes(graph);
}

void RemoveUnreadNodes(LayerGraph& graph) {
  std::vector<bool> dead(graph.nodes().size(), true);
  std::vector<TensorIndex> open = graph.outputs();
  while (!open.empty()) {
    const std::optional<NodeIndex> producer = graph.producer(open.back());
    open.pop_back();
    if (!producer || !dead[producer->value]) continue;
    dead[producer->value] = false;
    for (const auto& input : graph.node(*producer).inputs) {
      if (input) open.push_back(*input);
    }
  }
  if (std::find(dead.begin(), dead.end(), true) != dead.end()) graph.RemoveNodes(dead);
}

void SimplifyReshapes(LayerGraph& graph) {
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (node.op != "Reshape" || !node.inputs[1] || graph.tensor(*node.inputs[1]).constant) continue;
    const std::optional<Shape>& shape = graph.tensor(node.outputs[0]).shape;
    if (!shape || std::count(shape->begin(), shape->end(), -1) > 1 ||
        std::count(shape->begin(), shape->end(), 0) > 0) {
      continue;
    }
    std::string name = node.id + ":shape";
    while (graph.FindTensor(name)) name += "'";
    const TensorIndex constant = graph.AddConstant(
        name, TensorValue::FromInt64s({static_cast<std::int64_t>(shape->size())}, Shape(*shape)));
    graph.SetNodeInput(NodeIndex(n), 1, constant);
  }
  RemoveUnreadNodes(graph);
}

}  // namespace bitsearch
