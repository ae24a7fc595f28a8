#include "space/quantizer/equalization.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>

#include "space/quantizer/clip_bounds.h"
#include "space/quantizer/layer_weights.h"

namespace bitsearch {
namespace {

bool IsConstantInput(const LayerGraph& graph, const Node& node, std::size_t slot) {
  return slot < node.inputs.size() && node.inputs[slot] &&
         graph.tensor(*node.inputs[slot]).constant.has_value();
}

bool ScalesThrough(const LayerGraph& graph, const Node& node) {
  static const std::vector<std::string> kAlways = {
      "Relu",    "LeakyRelu",   "Identity",          "Dropout",
      "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"};
  if (std::find(kAlways.begin(), kAlways.end(), node.op) != kAlways.end()) return true;
  if (node.op == "PRelu") return IsConstantInput(graph, node, 1);
  if (node.op == "Clip") {
    const auto [low, high] = ClipBoundsOf(graph, node);
    return low == 0.0F && std::isinf(high);
  }
  if (node.op == "Flatten") {
    // Channels keep their places only if nothing is left of the spatial axes.
    const auto& shape = graph.tensor(*node.inputs[0]).shape;
    if (!shape || node.attributes.Int("axis", 1) != 1) return false;
    return std::all_of(shape->begin() + std::min<std::ptrdiff_t>(2, std::ssize(*shape)),
                       shape->end(), [](std::int64_t extent) { return extent == 1; });
  }
  return false;
}

// The only node that reads a tensor, unless it is an output of the graph.
std::optional<NodeIndex> OnlyReader(const LayerGraph& graph, TensorIndex tensor) {
  if (std::find(graph.outputs().begin(), graph.outputs().end(), tensor) != graph.outputs().end()) {
    return std::nullopt;
  }
  const std::vector<NodeIndex> readers = graph.Consumers(tensor);
  return readers.size() == 1 ? std::optional(readers[0]) : std::nullopt;
}

bool HasUsableBias(const LayerGraph& graph, const Layer& layer) {
  return !layer.bias || graph.tensor(*layer.bias).constant.has_value();
}

struct Walk {
  std::optional<LayerIndex> second;
  bool through_relu = false;
};

Walk WalkFrom(const LayerGraph& graph, const std::map<std::size_t, LayerIndex>& layer_of_node,
              const Layer& first, const std::function<bool(const Node&)>& passes) {
  Walk walk;
  TensorIndex tensor = first.output;
  while (const auto reader = OnlyReader(graph, tensor)) {
    const auto layer = layer_of_node.find(reader->value);
    if (layer != layer_of_node.end()) {
      if (graph.layer(layer->second).input == tensor) walk.second = layer->second;
      return walk;
    }
    const Node& node = graph.node(*reader);
    if (!passes(node) || node.inputs[0] != tensor) return walk;
    walk.through_relu = walk.through_relu || node.op == "Relu" || node.op == "Clip";
    tensor = node.outputs[0];
  }
  return walk;
}

std::map<std::size_t, LayerIndex> LayersByNode(const LayerGraph& graph) {
  std::map<std::size_t, LayerIndex> layers;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    layers.emplace(graph.layers()[l].node.value, LayerIndex(l));
  }
  return layers;
}

bool WeightIsItsOwn(const LayerGraph& graph, const Layer& layer) {
  return layer.weight && graph.Consumers(*layer.weight).size() == 1;
}

std::vector<float> FloatsOf(const LayerGraph& graph, TensorIndex tensor) {
  return graph.tensor(tensor).constant->ToFloats();
}

void SetFloats(LayerGraph& graph, TensorIndex tensor, const std::vector<float>& values) {
  graph.SetConstant(tensor,
                    TensorValue::FromFloats(graph.tensor(tensor).constant->shape(), values));
}

std::vector<double> LargestByChannel(const LayerGraph& graph, const Layer& layer, bool by_output) {
  const std::vector<float> weight = FloatsOf(graph, *layer.weight);
  std::map<std::int64_t, double> largest;
  const WeightChannels channels =
      ForEachWeight(graph, layer, [&](std::size_t i, std::int64_t out, std::int64_t in) {
        double& value = largest[by_output ? out : in];
        value = std::max(value, std::fabs(static_cast<double>(weight[i])));
      });
  std::vector<double> result(
      static_cast<std::size_t>(by_output ? channels.outputs : channels.inputs), 0.0);
  for (const auto& [channel, value] : largest) result[static_cast<std::size_t>(channel)] = value;
  return result;
}

}  // namespace

std::vector<EqualizablePair> FindEqualizablePairs(const LayerGraph& graph) {
  std::vector<EqualizablePair> pairs;
  const auto layer_of_node = LayersByNode(graph);
  const auto passes = [&](const Node& node) { return ScalesThrough(graph, node); };
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& first = graph.layers()[l];
    if (!CanWalkWeight(graph, first) || !WeightIsItsOwn(graph, first) ||
        !HasUsableBias(graph, first)) {
      continue;
    }
    const Walk walk = WalkFrom(graph, layer_of_node, first, passes);
    if (!walk.second) continue;
    const Layer& second = graph.layer(*walk.second);
    if (!CanWalkWeight(graph, second) || !WeightIsItsOwn(graph, second)) continue;
    if (LargestByChannel(graph, first, true).size() !=
        LargestByChannel(graph, second, false).size()) {
      continue;
    }
    pairs.push_back({LayerIndex(l), *walk.second});
  }
  return pairs;
}

void ScalePair(const EqualizablePair& pair, std::span<const float> scale, LayerGraph& graph,
               BatchNormMap* statistics) {
  const Layer& first = graph.layer(pair.first);
  const Layer& second = graph.layer(pair.second);
  std::vector<float> w1 = FloatsOf(graph, *first.weight);
  ForEachWeight(graph, first, [&](std::size_t i, std::int64_t out, std::int64_t) {
    w1[i] /= scale[static_cast<std::size_t>(out)];
  });
  std::vector<float> w2 = FloatsOf(graph, *second.weight);
  ForEachWeight(graph, second, [&](std::size_t i, std::int64_t, std::int64_t in) {
    w2[i] *= scale[static_cast<std::size_t>(in)];
  });
  if (first.bias) {
    std::vector<float> bias = FloatsOf(graph, *first.bias);
    for (std::size_t c = 0; c < bias.size(); ++c) bias[c] /= scale[c];
    SetFloats(graph, *first.bias, bias);
  }
  if (statistics != nullptr) {
    const auto entry = statistics->find(first.id);
    if (entry != statistics->end()) {
      for (std::size_t c = 0; c < scale.size(); ++c) {
        entry->second.gamma[c] /= scale[c];
        entry->second.beta[c] /= scale[c];
      }
    }
  }
  SetFloats(graph, *first.weight, w1);
  SetFloats(graph, *second.weight, w2);
}

LayerGraph EqualizeLayers(const LayerGraph& graph, const EqualizationOptions& options,
                          BatchNormMap* statistics) {
  LayerGraph result = graph;
  const std::vector<EqualizablePair> pairs = FindEqualizablePairs(graph);
  for (int sweep = 0; sweep < options.max_sweeps; ++sweep) {
    double furthest = 0.0;
    for (const auto& [first_index, second_index] : pairs) {
      const Layer& first = result.layer(first_index);
      const Layer& second = result.layer(second_index);
      const std::vector<double> r1 = LargestByChannel(result, first, true);
      const std::vector<double> r2 = LargestByChannel(result, second, false);
      std::vector<float> scale(r1.size(), 1.0F);
      for (std::size_t c = 0; c < scale.size(); ++c) {
        if (r1[c] > 0.0 && r2[c] > 0.0) scale[c] = static_cast<float>(std::sqrt(r1[c] / r2[c]));
        furthest = std::max(furthest, std::fabs(static_cast<double>(scale[c]) - 1.0));
      }
      ScalePair({first_index, second_index}, scale, result, statistics);
    }
    if (furthest <= options.tolerance) break;
  }
  result.FindLayers();
  return result;
}

LayerGraph ReplaceRelu6(const LayerGraph& graph) {
  LayerGraph result = graph;
  const auto layer_of_node = LayersByNode(graph);
  const auto is_relu6 = [&](const Node& node) {
    if (node.op != "Clip") return false;
    const auto [low, high] = ClipBoundsOf(graph, node);
    return low == 0.0F && high == 6.0F;
  };
  const auto passes = [&](const Node& node) {
    return ScalesThrough(graph, node) || is_relu6(node);
  };
  for (const Layer& first : graph.layers()) {
    if (!WalkFrom(graph, layer_of_node, first, passes).second) continue;
    TensorIndex tensor = first.output;
    while (const auto reader = OnlyReader(graph, tensor)) {
      if (layer_of_node.contains(reader->value)) break;
      if (is_relu6(graph.node(*reader))) result.ReplaceOperator(*reader, "Relu");
      tensor = graph.node(*reader).outputs[0];
    }
  }
  return result;
}

LayerGraph AbsorbHighBiases(const LayerGraph& graph, BatchNormMap& statistics) {
  LayerGraph result = graph;
  const auto layer_of_node = LayersByNode(graph);
  const auto passes = [&](const Node& node) { return ScalesThrough(graph, node); };
  for (const auto& [first_index, second_index] : FindEqualizablePairs(graph)) {
    const Layer& first = graph.layer(first_index);
    const Layer& second = graph.layer(second_index);
    const auto entry = statistics.find(first.id);
    if (entry == statistics.end() || !first.bias || !second.bias) continue;
    if (!WalkFrom(graph, layer_of_node, first, passes).through_relu) continue;
    std::vector<float> shift(entry->second.beta.size());
    for (std::size_t c = 0; c < shift.size(); ++c) {
      shift[c] = std::max(0.0F, entry->second.beta[c] - 3.0F * std::fabs(entry->second.gamma[c]));
      entry->second.beta[c] -= shift[c];
    }
    std::vector<float> b1 = FloatsOf(result, *first.bias);
    for (std::size_t c = 0; c < b1.size(); ++c) b1[c] -= shift[c];
    std::vector<double> b2;
    for (const float value : FloatsOf(result, *second.bias)) b2.push_back(value);
    const std::vector<float> w2 = FloatsOf(result, *second.weight);
    ForEachWeight(result, second, [&](std::size_t i, std::int64_t out, std::int64_t in) {
      b2[static_cast<std::size_t>(out)] +=
          static_cast<double>(w2[i]) * shift[static_cast<std::size_t>(in)];
    });
    SetFloats(result, *first.bias, b1);
    SetFloats(result, *second.bias, std::vector<float>(b2.begin(), b2.end()));
  }
  return result;
}

}  // namespace bitsearch
