// Storage and consistency of the layer graph: names, producers, consumers, order.
// Which layers are quantizable is layer_finder.cc's job. Must not depend on ONNX nor on LibTorch.
#include "space/graph/layer_graph.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

template <typename T>
const T* FindAttribute(const std::map<std::string, AttributeValue>& values, const std::string& name,
                       std::string_view expected) {
  const auto found = values.find(name);
  if (found == values.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) {
    static constexpr std::string_view kNames[] = {
        "an int",           "a float",           "a string", "a list of ints",
        "a list of floats", "a list of strings", "a tensor"};
    throw Error(ErrorId::kModelAttribute, "attribute '" + name + "' is " +
                                              std::string(kNames[found->second.index()]) +
                                              ", expected " + std::string(expected))
        .Hint("the model file is damaged or was written by a faulty exporter; export it again");
  }
  return value;
}

void InsertSorted(std::vector<NodeIndex>& nodes, NodeIndex node) {
  const auto place = std::lower_bound(nodes.begin(), nodes.end(), node);
  if (place == nodes.end() || *place != node) nodes.insert(place, node);
}

}  // namespace

void Attributes::Set(std::string name, AttributeValue value) {
  values_.insert_or_assign(std::move(name), std::move(value));
}

std::int64_t Attributes::Int(const std::string& name, std::int64_t fallback) const {
  const auto* value = FindAttribute<std::int64_t>(values_, name, "an int");
  return value != nullptr ? *value : fallback;
}

float Attributes::Float(const std::string& name, float fallback) const {
  const auto* value = FindAttribute<float>(values_, name, "a float");
  return value != nullptr ? *value : fallback;
}

std::string Attributes::String(const std::string& name, const std::string& fallback) const {
  const auto* value = FindAttribute<std::string>(values_, name, "a string");
  return value != nullptr ? *value : fallback;
}

std::vector<std::int64_t> Attributes::Ints(const std::string& name,
                                           std::vector<std::int64_t> fallback) const {
  const auto* value = FindAttribute<std::vector<std::int64_t>>(values_, name, "a list of ints");
  return value != nullptr ? *value : std::move(fallback);
}

std::vector<float> Attributes::Floats(const std::string& name, std::vector<float> fallback) const {
  const auto* value = FindAttribute<std::vector<float>>(values_, name, "a list of floats");
  return value != nullptr ? *value : std::move(fallback);
}

const TensorValue* Attributes::Tensor(const std::string& name) const {
  return FindAttribute<TensorValue>(values_, name, "a tensor");
}

TensorIndex LayerGraph::AddTensor(Tensor tensor) {
  if (tensor.name.empty())
    throw Error(ErrorId::kModelGraph, "a tensor needs a name").Hint("the model file is damaged");
  const TensorIndex index(tensors_.size());
  if (!tensor_by_name_.emplace(tensor.name, index).second) {
    throw Error(ErrorId::kModelGraph, "the tensor is defined twice")
        .Key(tensor.name)
        .Hint("every tensor has one producer: a node, an initializer or a graph input");
  }
  tensors_.push_back(std::move(tensor));
  producers_.emplace_back();
  consumers_.emplace_back();
  return index;
}

TensorIndex LayerGraph::AddInput(std::string tensor_name, DataType type, Shape shape,
                                 std::vector<std::string> extent_names) {
  Tensor tensor;
  tensor.extent_names = std::move(extent_names);
  tensor.name = std::move(tensor_name);
  tensor.type = type;
  tensor.shape = std::move(shape);
  const TensorIndex index = AddTensor(std::move(tensor));
  inputs_.push_back(index);
  return index;
}

TensorIndex LayerGraph::AddConstant(std::string tensor_name, TensorValue value) {
  Tensor tensor;
  tensor.name = std::move(tensor_name);
  tensor.type = value.type();
  tensor.shape = value.shape();
  tensor.sample_shape = value.shape();
  tensor.constant = std::move(value);
  return AddTensor(std::move(tensor));
}

void LayerGraph::AddOutput(TensorIndex tensor) {
  CheckTensor(tensor, "graph output");
  outputs_.push_back(tensor);
}

NodeIndex LayerGraph::AddNode(Node node) {
  if (node.outputs.empty()) {
    throw Error(ErrorId::kModelGraph, "the node (" + node.op + ") has no outputs")
        .Key(node.id)
        .Hint("the model file is damaged");
  }
  for (const TensorIndex output : node.outputs) {
    CheckTensor(output, node.id);
    const Tensor& tensor = tensors_[output.value];
    const bool is_input = std::find(inputs_.begin(), inputs_.end(), output) != inputs_.end();
    const bool repeated = std::count(node.outputs.begin(), node.outputs.end(), output) > 1;
    if (producers_[output.value] || tensor.constant || is_input || repeated) {
      throw Error(ErrorId::kModelGraph, "the tensor '" + tensor.name + "' has a second producer")
          .Key(node.id.empty() ? tensor.name : node.id)
          .Hint("every tensor has one producer: a node, an initializer or a graph input");
    }
  }
  for (const auto& input : node.inputs) {
    if (input) CheckTensor(*input, node.id);
  }
  node.id = UniqueNodeId(node.id.empty() ? tensors_[node.outputs.front().value].name : node.id);
  const NodeIndex index(nodes_.size());
  for (const TensorIndex output : node.outputs) producers_[output.value] = index;
  for (const auto& input : node.inputs) {
    if (!input) continue;
    std::vector<NodeIndex>& readers = consumers_[input->value];
    if (readers.empty() || readers.back() != index) readers.push_back(index);
  }
  node_by_id_.emplace(node.id, index);
  nodes_.push_back(std::move(node));
  return index;
}

void LayerGraph::SetConstant(TensorIndex tensor, TensorValue value) {
  CheckTensor(tensor, "constant");
  if (producers_[tensor.value]) {
    Node& node = nodes_[producers_[tensor.value]->value];
    Tensor unread;
    unread.name = tensors_[tensor.value].name + ":folded";
    while (tensor_by_name_.contains(unread.name)) unread.name += "'";
    const TensorIndex replacement = AddTensor(std::move(unread));
    std::replace(node.outputs.begin(), node.outputs.end(), tensor, replacement);
    producers_[replacement.value] = producers_[tensor.value];
    producers_[tensor.value] = std::nullopt;
  }
  Tensor& target = tensors_[tensor.value];
  const bool layers_change =
      !target.constant || target.constant->shape() != value.shape() || target.type != value.type();
  std::erase(inputs_, tensor);
  target.type = value.type();
  target.shape = value.shape();
  target.sample_shape = value.shape();
  target.constant = std::move(value);
  if (layers_change && layers_wanted_) FindLayers();
}

void LayerGraph::SetShape(TensorIndex tensor, std::optional<Shape> shape, DataType type) {
  CheckTensor(tensor, "shape");
  tensors_[tensor.value].shape = std::move(shape);
  tensors_[tensor.value].type = type;
}

void LayerGraph::SetSampleShape(TensorIndex tensor, std::optional<Shape> shape) {
  CheckTensor(tensor, "shape");
  tensors_[tensor.value].sample_shape = std::move(shape);
}

void LayerGraph::RemoveNodes(const std::vector<bool>& dead) {
  if (dead.size() != nodes_.size()) {
    throw Error(ErrorId::kInternal, "RemoveNodes needs one flag per node");
  }
  std::vector<bool> used(tensors_.size(), false);
  for (const TensorIndex tensor : inputs_) used[tensor.value] = true;
  for (const TensorIndex tensor : outputs_) used[tensor.value] = true;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (dead[n]) continue;
    for (const auto& input : nodes_[n].inputs) {
      if (input) used[input->value] = true;
    }
  }
  // Checked before anything changes, so that a refused call leaves the graph as it was.
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (!dead[n]) continue;
    for (const TensorIndex output : nodes_[n].outputs) {
      if (used[output.value]) {
        throw Error(ErrorId::kInternal, "the node cannot be removed: its output '" +
                                            tensors_[output.value].name + "' is still used")
            .Key(nodes_[n].id);
      }
    }
  }
  std::vector<Node> kept;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (dead[n]) continue;
    for (const TensorIndex output : nodes_[n].outputs) used[output.value] = true;
    kept.push_back(std::move(nodes_[n]));
  }
  nodes_ = std::move(kept);

  std::vector<TensorIndex> renumbered(tensors_.size());
  std::vector<Tensor> tensors;
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    if (!used[t]) continue;
    renumbered[t] = TensorIndex(tensors.size());
    tensors.push_back(std::move(tensors_[t]));
  }
  tensors_ = std::move(tensors);
  for (TensorIndex& tensor : inputs_) tensor = renumbered[tensor.value];
  for (TensorIndex& tensor : outputs_) tensor = renumbered[tensor.value];
  for (Node& node : nodes_) {
    for (auto& input : node.inputs) {
      if (input) input = renumbered[input->value];
    }
    for (TensorIndex& output : node.outputs) output = renumbered[output.value];
  }
  RebuildIndices();
}

void LayerGraph::ReplaceUses(TensorIndex from, TensorIndex to) {
  CheckTensor(from, "replaced tensor");
  CheckTensor(to, "replacing tensor");
  if (from == to) return;
  for (const NodeIndex reader : consumers_[from.value]) {
    for (auto& input : nodes_[reader.value].inputs) {
      if (input == from) input = to;
    }
    InsertSorted(consumers_[to.value], reader);
  }
  consumers_[from.value].clear();
  std::replace(outputs_.begin(), outputs_.end(), from, to);
  if (layers_wanted_) FindLayers();
}

void LayerGraph::ReplaceOperator(NodeIndex node, std::string op) {
  Node& changed = nodes_[node.value];
  changed.op = std::move(op);
  changed.attributes = Attributes();
  changed.inputs.resize(1);
}

void LayerGraph::SetAttributes(NodeIndex node, Attributes attributes) {
  nodes_.at(node.value).attributes = std::move(attributes);
}

void LayerGraph::SetNodeInput(NodeIndex node, std::size_t slot, std::optional<TensorIndex> tensor) {
  std::vector<std::optional<TensorIndex>>& inputs = nodes_.at(node.value).inputs;
  if (tensor) CheckTensor(*tensor, nodes_[node.value].id);
  if (slot >= inputs.size()) inputs.resize(slot + 1);
  const std::optional<TensorIndex> old = std::exchange(inputs[slot], tensor);
  if (old && std::find(inputs.begin(), inputs.end(), old) == inputs.end()) {
    std::erase(consumers_[old->value], node);
  }
  if (tensor) InsertSorted(consumers_[tensor->value], node);
  if (layers_wanted_) FindLayers();
}

void LayerGraph::SwapProducers(TensorIndex a, TensorIndex b) {
  CheckTensor(a, "swapped tensor");
  CheckTensor(b, "swapped tensor");
  const std::optional<NodeIndex> writer_a = producers_[a.value];
  const std::optional<NodeIndex> writer_b = producers_[b.value];
  if (!writer_a || !writer_b || *writer_a == *writer_b) {
    throw Error(ErrorId::kInternal, "SwapProducers needs two computed tensors of two nodes");
  }
  auto& outputs_a = nodes_[writer_a->value].outputs;
  auto& outputs_b = nodes_[writer_b->value].outputs;
  std::replace(outputs_a.begin(), outputs_a.end(), a, b);
  std::replace(outputs_b.begin(), outputs_b.end(), b, a);
  std::swap(producers_[a.value], producers_[b.value]);
  if (layers_wanted_) FindLayers();
}

void LayerGraph::SortTopologically() {
  // Kahn's algorithm; among the ready nodes the first listed comes first, so that a sorted graph
  // keeps its order.
  std::vector<std::size_t> missing(nodes_.size(), 0);
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    std::vector<TensorIndex> seen;
    for (const auto& input : nodes_[n].inputs) {
      if (!input || !producers_[input->value]) continue;
      if (std::find(seen.begin(), seen.end(), *input) != seen.end()) continue;
      seen.push_back(*input);
      ++missing[n];
    }
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (missing[n] == 0) ready.push(n);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t n = ready.top();
    ready.pop();
    order.push_back(n);
    for (const TensorIndex output : nodes_[n].outputs) {
      for (const NodeIndex reader : consumers_[output.value]) {
        if (--missing[reader.value] == 0) ready.push(reader.value);
      }
    }
  }
  if (order.size() != nodes_.size()) {
    // Walk backwards through unsorted producers: a node met twice lies on a cycle.
    std::size_t n = 0;
    while (missing[n] == 0) ++n;
    std::vector<bool> met(nodes_.size(), false);
    while (!met[n]) {
      met[n] = true;
      for (const auto& input : nodes_[n].inputs) {
        if (!input || !producers_[input->value]) continue;
        const std::size_t source_node = producers_[input->value]->value;
        if (missing[source_node] > 0) {
          n = source_node;
          break;
        }
      }
    }
    throw Error(ErrorId::kModelGraph, "the node (" + nodes_[n].op + ") lies on a cycle")
        .Key(nodes_[n].id)
        .Hint("a network must be a directed acyclic graph; unroll loops before exporting");
  }
  std::vector<Node> sorted;
  sorted.reserve(nodes_.size());
  for (const std::size_t n : order) sorted.push_back(std::move(nodes_[n]));
  nodes_ = std::move(sorted);
  RebuildIndices();
}

std::optional<TensorIndex> LayerGraph::FindTensor(const std::string& tensor_name) const {
  const auto found = tensor_by_name_.find(tensor_name);
  if (found == tensor_by_name_.end()) return std::nullopt;
  return found->second;
}

std::optional<NodeIndex> LayerGraph::FindNode(const std::string& id) const {
  const auto found = node_by_id_.find(id);
  if (found == node_by_id_.end()) return std::nullopt;
  return found->second;
}

std::optional<LayerIndex> LayerGraph::FindLayer(const std::string& id_or_weight) const {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    if (layers_[l].id == id_or_weight) return LayerIndex(l);
  }
  std::optional<LayerIndex> found;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    if (!layers_[l].weight) continue;
    const std::string& weight = tensors_[layers_[l].weight->value].name;
    if (weight != id_or_weight && weight != id_or_weight + ".weight") continue;
    if (found) return std::nullopt;
    found = LayerIndex(l);
  }
  return found;
}

void LayerGraph::RebuildIndices() {
  tensor_by_name_.clear();
  node_by_id_.clear();
  producers_.assign(tensors_.size(), std::nullopt);
  consumers_.assign(tensors_.size(), {});
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    tensor_by_name_.emplace(tensors_[t].name, TensorIndex(t));
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    node_by_id_.emplace(nodes_[n].id, NodeIndex(n));
    for (const TensorIndex output : nodes_[n].outputs) producers_[output.value] = NodeIndex(n);
    for (const auto& input : nodes_[n].inputs) {
      if (!input) continue;
      std::vector<NodeIndex>& readers = consumers_[input->value];
      if (readers.empty() || readers.back().value != n) readers.emplace_back(n);
    }
  }
  if (layers_wanted_) FindLayers();
}

std::string LayerGraph::UniqueNodeId(const std::string& wanted) const {
  if (!node_by_id_.contains(wanted)) return wanted;
  for (int k = 2;; ++k) {
    std::string candidate = wanted + "#" + std::to_string(k);
    if (!node_by_id_.contains(candidate)) return candidate;
  }
}

void LayerGraph::CheckTensor(TensorIndex tensor, const std::string& node_id) const {
  if (tensor.value >= tensors_.size()) {
    throw Error(ErrorId::kModelGraph, "refers to tensor number " + std::to_string(tensor.value) +
                                          " of " + std::to_string(tensors_.size()))
        .Key(node_id)
        .Hint("the model file is damaged");
  }
}

}  // namespace bitsearch
