// Union-find over tensors. Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/ties.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "space/graph/operators.h"

namespace bitsearch {
namespace {

class TensorSets {
 public:
  explicit TensorSets(std::size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }
  std::size_t Find(TensorIndex tensor) {
    std::size_t root = tensor.value;
    while (parent_[root] != root) root = parent_[root];
    for (std::size_t t = tensor.value; parent_[t] != root;) t = std::exchange(parent_[t], root);
    return root;
  }
  void Join(TensorIndex a, TensorIndex b) { parent_[Find(a)] = Find(b); }

 private:
  std::vector<std::size_t> parent_;
};

/// The tensors whose elements a node passes on: input 0 of operators that move data.
bool PassesDataOn(const Node& node, bool joins) {
  if (node.op == "Identity" || node.op == "Dropout") return true;
  if (!joins) return false;
  // Between joins: a rectifier keeps the grid of its input (a range that starts at 0).
  if (node.op == "Relu" || node.op == "Clip" || node.op == "LeakyRelu") return true;
  const OperatorInfo* row = FindOperator(node.domain, node.op);
  return row != nullptr && row->moves_data;
}

bool IsJoin(const Node& node) {
  return node.op == "Add" || node.op == "Sub" || node.op == "Sum" || node.op == "Concat";
}

TensorSets SameBits(const LayerGraph& graph, bool joins) {
  TensorSets sets(graph.tensors().size());
  for (const Node& node : graph.nodes()) {
    const std::vector<TensorIndex> inputs = DataInputs(graph, node);
    if (inputs.empty() || node.outputs.empty()) continue;
    if (joins && IsJoin(node)) {
      // Adding a constant (a bias) joins no branches, but keeps nothing of the grid either.
      if (inputs.size() < 2) continue;
      for (const TensorIndex input : inputs) sets.Join(input, node.outputs[0]);
    } else if (PassesDataOn(node, joins)) {
      for (const TensorIndex output : node.outputs) {
        if (graph.tensor(output).type == DataType::kFloat32) sets.Join(inputs[0], output);
      }
    }
  }
  return sets;
}

/// Groups of layers by key; groups of one are dropped.
void AppendGroups(const LayerGraph& graph, TieKind kind,
                  const std::map<std::size_t, std::set<LayerIndex>>& members,
                  std::vector<TieGroup>& groups) {
  for (const auto& [key, layers] : members) {
    if (layers.size() < 2) continue;
    const Layer& first = graph.layer(*layers.begin());
    const bool is_weight = kind == TieKind::kWeight;
    TieGroup group;
    group.kind = kind;
    group.name = (is_weight ? "weight:" : "activation:") +
                 graph.tensor(is_weight ? *first.weight : first.input).name;
    group.layers.assign(layers.begin(), layers.end());
    groups.push_back(std::move(group));
  }
}

/// Layers whose sets of layers overlap belong together (a product of two activations reads two
/// tensors, and both have its bits).
void MergeOverlapping(std::vector<TieGroup>& groups) {
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (std::size_t j = i + 1; j < groups.size();) {
      std::vector<LayerIndex>& a = groups[i].layers;
      const std::vector<LayerIndex>& b = groups[j].layers;
      const bool overlap = groups[i].kind == groups[j].kind &&
                           std::any_of(b.begin(), b.end(), [&](LayerIndex layer) {
                             return std::find(a.begin(), a.end(), layer) != a.end();
                           });
      if (!overlap) {
        ++j;
        continue;
      }
      std::set<LayerIndex> all(a.begin(), a.end());
      all.insert(b.begin(), b.end());
      a.assign(all.begin(), all.end());
      groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(j));
      j = i + 1;
    }
  }
}

}  // namespace

std::vector<TensorIndex> DataInputs(const LayerGraph& graph, const Node& node) {
  std::vector<TensorIndex> inputs;
  for (const auto& input : node.inputs) {
    if (!input) continue;
    const Tensor& tensor = graph.tensor(*input);
    if (!tensor.constant && tensor.type == DataType::kFloat32) inputs.push_back(*input);
  }
  return inputs;
}

std::vector<TieGroup> InferTies(const LayerGraph& graph, const TieRules& rules) {
  std::map<std::size_t, std::set<LayerIndex>> by_weight;
  std::map<std::size_t, std::set<LayerIndex>> by_activation;
  TensorSets sets = SameBits(graph, rules.joins);
  // The first tensor with the same bytes stands for all that share them.
  std::map<const std::byte*, std::size_t> first_with_bytes;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const LayerIndex index(l);
    const Layer& layer = graph.layer(index);
    if (layer.weight) {
      const std::byte* bytes = graph.tensor(*layer.weight).constant->bytes().data();
      by_weight[first_with_bytes.emplace(bytes, layer.weight->value).first->second].insert(index);
    }
    if (!rules.activations) continue;
    by_activation[sets.Find(layer.input)].insert(index);
    if (!layer.weight) {
      // Both operands of a product of two activations have its activation bits.
      for (const TensorIndex input : DataInputs(graph, graph.node(layer.node))) {
        by_activation[sets.Find(input)].insert(index);
      }
    }
  }
  std::vector<TieGroup> groups;
  AppendGroups(graph, TieKind::kWeight, by_weight, groups);
  AppendGroups(graph, TieKind::kActivation, by_activation, groups);
  MergeOverlapping(groups);
  std::stable_sort(groups.begin(), groups.end(), [](const TieGroup& a, const TieGroup& b) {
    return std::pair(a.layers.front(), a.kind) < std::pair(b.layers.front(), b.kind);
  });
  return groups;
}

}  // namespace bitsearch
