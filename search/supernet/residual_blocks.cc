#include "search/supernet/residual_blocks.h"

#include <algorithm>

#include "space/support/error.h"

namespace bitsearch {
namespace {

// Nodes that a tensor depends on.
std::vector<bool> Ancestors(const LayerGraph& graph, TensorIndex tensor) {
  std::vector<bool> seen(graph.nodes().size(), false);
  std::vector<TensorIndex> open = {tensor};
  while (!open.empty()) {
    const auto producer = graph.producer(open.back());
    open.pop_back();
    if (!producer || seen[producer->value]) continue;
    seen[producer->value] = true;
    for (const auto& input : graph.node(*producer).inputs) {
      if (input) open.push_back(*input);
    }
  }
  return seen;
}

std::string CommonPrefix(const LayerGraph& graph, const std::vector<LayerIndex>& layers,
                         const std::string& fallback) {
  std::string prefix = graph.layer(layers.front()).id;
  for (const LayerIndex layer : layers) {
    const std::string& id = graph.layer(layer).id;
    std::size_t length = 0;
    while (length < prefix.size() && length < id.size() && prefix[length] == id[length]) ++length;
    prefix.resize(length);
  }
  const std::size_t end = prefix.find_last_of("./_");
  return end == std::string::npos || end == 0 ? fallback : prefix.substr(0, end);
}

// Nobody outside the branch, but for the Add, reads what the branch computes.
bool IsPrivate(const LayerGraph& graph, const std::vector<bool>& branch, NodeIndex add) {
  for (std::size_t n = 0; n < branch.size(); ++n) {
    if (!branch[n]) continue;
    for (const TensorIndex output : graph.nodes()[n].outputs) {
      for (const NodeIndex reader : graph.Consumers(output)) {
        if (reader != add && !branch[reader.value]) return false;
      }
      const auto& outputs = graph.outputs();
      if (std::find(outputs.begin(), outputs.end(), output) != outputs.end()) return false;
    }
  }
  return true;
}

}  // namespace

std::vector<ResidualBlock> FindResidualBlocks(const LayerGraph& graph) {
  std::vector<ResidualBlock> blocks;
  std::vector<bool> taken(graph.layers().size(), false);
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (node.op != "Add" || node.inputs.size() != 2 || !node.inputs[0] || !node.inputs[1]) continue;
    if (graph.tensor(*node.inputs[0]).constant || graph.tensor(*node.inputs[1]).constant) continue;
    std::vector<bool> branch[2] = {Ancestors(graph, *node.inputs[0]),
                                   Ancestors(graph, *node.inputs[1])};
    std::vector<LayerIndex> layers[2];
    for (std::size_t i = 0; i < branch[0].size(); ++i) {
      const bool shared = branch[0][i] && branch[1][i];
      if (shared) branch[0][i] = branch[1][i] = false;
    }
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      for (int side = 0; side < 2; ++side) {
        if (branch[side][graph.layers()[l].node.value] && !taken[l]) {
          layers[side].push_back(LayerIndex(l));
        }
      }
    }
    const int side = layers[0].size() >= layers[1].size() ? 0 : 1;
    if (layers[side].empty()) continue;
    ResidualBlock block;
    block.add = NodeIndex(n);
    block.branch_slot = static_cast<std::size_t>(side);
    block.layers = layers[side];
    block.shortcut_layers = layers[1 - side];
    block.name = CommonPrefix(graph, block.layers, node.id);
    const TensorIndex shortcut = *node.inputs[static_cast<std::size_t>(1 - side)];
    const auto& shape = graph.tensor(shortcut).shape;
    block.skippable = block.shortcut_layers.empty() && shape &&
                      shape == graph.tensor(node.outputs[0]).shape &&
                      IsPrivate(graph, branch[side], block.add);
    for (const LayerIndex layer : block.layers) taken[layer.value] = true;
    for (const LayerIndex layer : block.shortcut_layers) taken[layer.value] = true;
    blocks.push_back(std::move(block));
  }
  return blocks;
}

LayerGraph WithoutBranches(const LayerGraph& graph, const std::vector<ResidualBlock>& blocks) {
  LayerGraph result = graph;
  for (const ResidualBlock& block : blocks) {
    if (!block.skippable) {
      throw Error(ErrorId::kUsage,
                  "the block cannot be skipped: its shortcut has layers, or "
                  "another shape than the sum")
          .Key(block.name);
    }
    const Node& add = graph.node(block.add);
    result.ReplaceUses(add.outputs[0], *add.inputs[1 - block.branch_slot]);
  }
  // What no output depends on any more is dead.
  std::vector<bool> dead(result.nodes().size(), true);
  for (const TensorIndex output : result.outputs()) {
    const std::vector<bool> live = Ancestors(result, output);
    for (std::size_t n = 0; n < live.size(); ++n) dead[n] = dead[n] && !live[n];
  }
  result.RemoveNodes(dead);
  return result;
}

}  // namespace bitsearch
