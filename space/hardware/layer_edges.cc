// Edges between layers. See layer_edges.h.
#include "space/hardware/layer_edges.h"

#include <map>
#include <optional>
#include <set>

#include "space/support/error.h"

namespace bitsearch {
namespace {

/// For each node the layer it is, if it is one.
std::vector<std::optional<LayerIndex>> LayerOfNode(const LayerGraph& graph) {
  std::vector<std::optional<LayerIndex>> layer_of(graph.nodes().size());
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    layer_of[graph.layers()[l].node.value] = LayerIndex(l);
  }
  return layer_of;
}

/// For each tensor the layers whose output it carries, through operators that are no layers, and
/// whether a graph input reaches it. Nodes lie in topological order.
struct Reach {
  std::vector<std::set<LayerIndex>> producers;
  std::vector<bool> from_input;
};

Reach FindReach(const LayerGraph& graph) {
  Reach reach;
  reach.producers.resize(graph.tensors().size());
  reach.from_input.resize(graph.tensors().size(), false);
  for (const TensorIndex input : graph.inputs()) {
    if (!graph.tensor(input).constant) reach.from_input[input.value] = true;
  }
  const auto layer_of = LayerOfNode(graph);
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    std::set<LayerIndex> producers;
    bool from_input = false;
    if (layer_of[n]) {
      producers = {*layer_of[n]};
    } else if (node.op != "Shape" && node.op != "Size") {  // These read no values.
      for (const std::optional<TensorIndex>& input : node.inputs) {
        if (!input) continue;
        producers.insert(reach.producers[input->value].begin(),
                         reach.producers[input->value].end());
        from_input = from_input || reach.from_input[input->value];
      }
    }
    for (const TensorIndex output : node.outputs) {
      reach.producers[output.value] = producers;
      reach.from_input[output.value] = from_input;
    }
  }
  return reach;
}

std::int64_t SampleElements(const LayerGraph& graph, const Layer& layer) {
  const std::optional<Shape>& shape = graph.tensor(layer.output).sample_shape;
  const std::int64_t elements = shape ? ElementCount(*shape) : -1;
  if (elements >= 0) return elements;
  throw Error(ErrorId::kLayerShape, "the shape of its output is unknown")
      .Key(layer.id)
      .Hint(
          "costs need fixed shapes: give --shape, or a model with fixed extents (the batch may be "
          "free)");
}

}  // namespace

std::vector<LayerEdge> LayerEdges(const LayerGraph& graph) {
  const Reach reach = FindReach(graph);
  std::map<std::pair<LayerIndex, LayerIndex>, TensorIndex> read;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Node& node = graph.node(graph.layers()[l].node);
    for (const std::optional<TensorIndex>& input : node.inputs) {
      if (!input) continue;
      for (const LayerIndex producer : reach.producers[input->value]) {
        read.emplace(std::pair(producer, LayerIndex(l)), *input);
      }
    }
  }
  // By tensor: the last producer, and for it the first consumer.
  std::map<TensorIndex, std::pair<LayerIndex, LayerIndex>> payer;
  for (const auto& [pair, tensor] : read) {
    const auto [known, is_new] = payer.emplace(tensor, pair);
    if (!is_new && known->second.first < pair.first) known->second = pair;
  }
  std::vector<LayerEdge> edges;
  for (const auto& [pair, tensor] : read) {
    edges.push_back({pair.first, pair.second, SampleElements(graph, graph.layer(pair.first)),
                     payer.at(tensor) == pair});
  }
  return edges;
}

std::vector<bool> ReadsGraphInput(const LayerGraph& graph) {
  const Reach reach = FindReach(graph);
  std::vector<bool> reads;
  for (const Layer& layer : graph.layers()) reads.push_back(reach.from_input[layer.input.value]);
  return reads;
}

std::vector<bool> FeedsGraphOutput(const LayerGraph& graph) {
  const Reach reach = FindReach(graph);
  std::vector<bool> feeds(graph.layers().size(), false);
  for (const TensorIndex output : graph.outputs()) {
    for (const LayerIndex producer : reach.producers[output.value]) feeds[producer.value] = true;
  }
  return feeds;
}

}  // namespace bitsearch
