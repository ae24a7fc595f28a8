// Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/rewrites.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

bool IsDefaultDomain(const Node& node) { return node.domain.empty() || node.domain == "ai.onnx"; }

bool IsGraphOutput(const LayerGraph& graph, TensorIndex tensor) {
  return std::find(graph.outputs().begin(), graph.outputs().end(), tensor) != graph.outputs().end();
}

/// A constant float input of a node, or null.
const TensorValue* ConstantInput(const LayerGraph& graph, const Node& node, std::size_t slot) {
  if (slot >= node.inputs.size() || !node.inputs[slot]) return nullptr;
  const Tensor& tensor = graph.tensor(*node.inputs[slot]);
  return tensor.constant && tensor.type == DataType::kFloat32 ? &*tensor.constant : nullptr;
}

std::vector<float> FloatsOf(const TensorValue& value) {
  const std::span<const float> floats = value.Floats();
  return {floats.begin(), floats.end()};
}

std::optional<BatchNormStatistics> ReadStatistics(const LayerGraph& graph, const Node& node) {
  if (node.attributes.Int("training_mode", 0) != 0) return std::nullopt;
  for (std::size_t slot = 1; slot <= 4; ++slot) {
    if (ConstantInput(graph, node, slot) == nullptr) return std::nullopt;
  }
  // Further outputs exist only in training.
  for (std::size_t i = 1; i < node.outputs.size(); ++i) {
    if (!graph.Consumers(node.outputs[i]).empty() || IsGraphOutput(graph, node.outputs[i])) {
      return std::nullopt;
    }
  }
  BatchNormStatistics statistics;
  statistics.gamma = FloatsOf(*ConstantInput(graph, node, 1));
  statistics.beta = FloatsOf(*ConstantInput(graph, node, 2));
  statistics.mean = FloatsOf(*ConstantInput(graph, node, 3));
  statistics.variance = FloatsOf(*ConstantInput(graph, node, 4));
  statistics.epsilon = node.attributes.Float("epsilon", 1e-5F);
  const std::size_t channels = statistics.gamma.size();
  if (statistics.beta.size() != channels || statistics.mean.size() != channels ||
      statistics.variance.size() != channels) {
    return std::nullopt;
  }
  for (std::size_t c = 0; c < channels; ++c) {
    if (statistics.variance[c] + statistics.epsilon > 0.0F) continue;
    throw Error(ErrorId::kModelNotFinite, "the variance of channel " + std::to_string(c) + " is " +
                                              std::to_string(statistics.variance[c]))
        .Key(node.id)
        .Hint("a variance is at least 0; the file is damaged or the training diverged");
  }
  return statistics;
}

/// The output channel of every element of a weight.
std::vector<std::size_t> ChannelOfElements(const Node& node, const Shape& shape,
                                           std::size_t count) {
  std::vector<std::size_t> channels(count);
  std::size_t inner = 1;
  const bool gemm = node.op == "Gemm";
  const std::size_t axis =
      node.op == "Conv" || (gemm && node.attributes.Int("transB", 0) != 0) ? 0 : 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) {
    inner *= static_cast<std::size_t>(shape[i]);
  }
  const auto extent = static_cast<std::size_t>(shape[axis]);
  const auto groups = static_cast<std::size_t>(node.attributes.Int("group", 1));
  const std::size_t rows_per_group =
      node.op == "ConvTranspose" ? static_cast<std::size_t>(shape[0]) / groups : 1;
  for (std::size_t i = 0; i < count; ++i) {
    channels[i] = i / inner % extent;
    // A transposed convolution's weight is [C, M/group, …]: the group follows from the row.
    if (node.op == "ConvTranspose") channels[i] += i / inner / extent / rows_per_group * extent;
  }
  return channels;
}

struct Candidate {
  NodeIndex layer;
  NodeIndex norm;
};

/// The foldable pairs, in topological order; the graph's layers must be up to date.
std::vector<Candidate> FindCandidates(const LayerGraph& graph) {
  std::vector<Candidate> candidates;
  for (const Layer& layer : graph.layers()) {
    const Node& node = graph.node(layer.node);
    if (node.op == "MatMul") continue;
    const bool has_bias = node.inputs.size() > 2 && node.inputs[2];
    if (has_bias && ConstantInput(graph, node, 2) == nullptr) continue;
    const Shape& weight = ConstantInput(graph, node, 1)->shape();
    const std::int64_t group = node.attributes.Int("group", 1);
    if (group < 1 || weight[0] % group != 0) continue;
    const TensorIndex output = node.outputs.front();
    const std::vector<NodeIndex>& readers = graph.Consumers(output);
    if (readers.size() != 1 || IsGraphOutput(graph, output)) continue;
    const Node& norm = graph.node(readers.front());
    if (norm.op != "BatchNormalization" || !IsDefaultDomain(norm)) continue;
    if (norm.inputs.front() != output) continue;
    candidates.push_back({layer.node, readers.front()});
  }
  return candidates;
}

/// Gives `slot` of a node the value: in place where only this node reads the constant, else as a
/// constant of its own.
void ReplaceConstantInput(LayerGraph& graph, NodeIndex node, std::size_t slot, std::string name,
                          TensorValue value) {
  const std::vector<std::optional<TensorIndex>>& inputs = graph.node(node).inputs;
  if (slot < inputs.size() && inputs[slot] && graph.Consumers(*inputs[slot]).size() == 1 &&
      std::count(inputs.begin(), inputs.end(), inputs[slot]) == 1) {
    graph.SetConstant(*inputs[slot], std::move(value));
    return;
  }
  while (graph.FindTensor(name)) name += "'";
  graph.SetNodeInput(node, slot, graph.AddConstant(name, std::move(value)));
}

/// "a.weight" → "a.bias"; other names get ".bias".
std::string BiasName(const std::string& weight) {
  const std::string suffix = ".weight";
  const bool ends = weight.size() >= suffix.size() &&
                    weight.compare(weight.size() - suffix.size(), suffix.size(), suffix) == 0;
  return (ends ? weight.substr(0, weight.size() - suffix.size()) : weight) + ".bias";
}

void FoldOne(LayerGraph& graph, const Candidate& candidate, const BatchNormStatistics& statistics) {
  const Node node = graph.node(candidate.layer);
  const TensorValue weight = *ConstantInput(graph, node, 1);
  const std::size_t channels = statistics.gamma.size();
  std::vector<double> factor(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    factor[c] = double{statistics.gamma[c]} /
                std::sqrt(double{statistics.variance[c]} + double{statistics.epsilon});
  }
  std::vector<float> scaled = FloatsOf(weight);
  const std::vector<std::size_t> channel_of =
      ChannelOfElements(node, weight.shape(), scaled.size());
  for (std::size_t i = 0; i < scaled.size(); ++i) {
    scaled[i] = static_cast<float>(scaled[i] * factor[channel_of[i]]);
  }
  // Gemm: alpha scales the product and goes with it; beta scales the bias, so it is divided out.
  const double bias_scale = node.op == "Gemm" ? double{node.attributes.Float("beta", 1.0F)} : 1.0;
  const TensorValue* old_bias = ConstantInput(graph, node, 2);
  std::vector<float> bias(channels);
  const std::vector<float> old = old_bias != nullptr ? FloatsOf(*old_bias) : std::vector<float>();
  for (std::size_t c = 0; c < channels; ++c) {
    const double before =
        old.empty() ? 0.0 : bias_scale * (old.size() == 1 ? double{old[0]} : double{old[c]});
    const double after =
        (before - double{statistics.mean[c]}) * factor[c] + double{statistics.beta[c]};
    bias[c] = static_cast<float>(after / bias_scale);
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(scaled.begin(), scaled.end(), finite) ||
      !std::all_of(bias.begin(), bias.end(), finite)) {
    throw Error(ErrorId::kModelNotFinite, "folding the batch normalisation overflows float32")
        .Key(node.id)
        .Hint("its scale or variance is extreme; export a sound checkpoint");
  }
  const std::string weight_name = graph.tensor(*node.inputs[1]).name;
  ReplaceConstantInput(graph, candidate.layer, 1, weight_name + ":folded",
                       TensorValue::FromFloats(weight.shape(), scaled));
  ReplaceConstantInput(graph, candidate.layer, 2, BiasName(weight_name),
                       TensorValue::FromFloats({static_cast<std::int64_t>(channels)}, bias));
}

/// Whether the old bias is a scalar or one number per channel, and fits the normalisation.
bool BiasFits(const LayerGraph& graph, const Node& node, std::size_t channels) {
  if (node.op == "Gemm" && node.attributes.Float("beta", 1.0F) == 0.0F) return false;
  const TensorValue* bias = ConstantInput(graph, node, 2);
  if (bias == nullptr) return true;
  const std::int64_t count = bias->element_count();
  const std::int64_t last = bias->shape().empty() ? 1 : bias->shape().back();
  return count == last && (count == 1 || count == static_cast<std::int64_t>(channels));
}

std::size_t OutputChannels(const Node& node, const Shape& weight) {
  if (node.op == "Conv") return static_cast<std::size_t>(weight[0]);
  if (node.op == "ConvTranspose") {
    return static_cast<std::size_t>(weight[1] * node.attributes.Int("group", 1));
  }
  return static_cast<std::size_t>(weight[node.attributes.Int("transB", 0) != 0 ? 0 : 1]);
}

}  // namespace

LayerGraph FoldBatchNorm(const LayerGraph& original, BatchNormMap* statistics) {
  LayerGraph graph = original;
  graph.FindLayers();
  std::vector<bool> dead(graph.nodes().size(), false);
  for (const Candidate& candidate : FindCandidates(graph)) {
    const Node& node = graph.node(candidate.layer);
    const std::optional<BatchNormStatistics> found =
        ReadStatistics(graph, graph.node(candidate.norm));
    if (!found) continue;
    const std::size_t channels = found->gamma.size();
    if (OutputChannels(node, ConstantInput(graph, node, 1)->shape()) != channels ||
        !BiasFits(graph, node, channels)) {
      continue;
    }
    const std::string id = node.id;
    FoldOne(graph, candidate, *found);
    // The layer writes the normalisation's output, so that names downstream stay.
    graph.SwapProducers(graph.node(candidate.layer).outputs.front(),
                        graph.node(candidate.norm).outputs.front());
    dead[candidate.norm.value] = true;
    if (statistics != nullptr) statistics->insert_or_assign(id, *found);
  }
  // Its own input is now the removed node's output; nobody else reads it.
  for (std::size_t n = 0; n < dead.size(); ++n) {
    if (dead[n]) graph.SetNodeInput(NodeIndex(n), 0, std::nullopt);
  }
  graph.RemoveNodes(dead);
  graph.FindLayers();
  return graph;
}

namespace {

bool DoesNothing(const LayerGraph& graph, const Node& node) {
  if (!IsDefaultDomain(node) || node.inputs.empty() || !node.inputs[0]) return false;
  if (node.op == "Identity") return true;
  if (node.op == "Dropout") {
    const bool mask_read = node.outputs.size() > 1 && (!graph.Consumers(node.outputs[1]).empty() ||
                                                       IsGraphOutput(graph, node.outputs[1]));
    bool training = false;
    if (node.inputs.size() > 2 && node.inputs[2]) {
      const Tensor& mode = graph.tensor(*node.inputs[2]);
      training = !mode.constant || mode.constant->ToInt64s() != std::vector<std::int64_t>{0};
    }
    return !mask_read && !training;
  }
  if (node.op == "Cast") {
    return node.attributes.Int("to", 0) ==
           static_cast<std::int64_t>(graph.tensor(*node.inputs[0]).type);
  }
  if (node.op == "Pad") {
    std::vector<std::int64_t> pads = node.attributes.Ints("pads");
    if (node.inputs.size() > 1 && node.inputs[1]) {
      const Tensor& tensor = graph.tensor(*node.inputs[1]);
      if (!tensor.constant) return false;
      pads = tensor.constant->ToInt64s();
    }
    return std::all_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad == 0; });
  }
  return false;
}

/// Whether `tensor` is computed by a node and is not itself an output of the graph.
bool CanTakeAnotherName(const LayerGraph& graph, TensorIndex tensor) {
  return graph.producer(tensor) && !IsGraphOutput(graph, tensor);
}

}  // namespace

LayerGraph RemoveIdentities(const LayerGraph& original) {
  LayerGraph graph = original;
  std::vector<bool> dead(graph.nodes().size(), false);
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (!DoesNothing(graph, node)) continue;
    const TensorIndex input = *node.inputs[0];
    const TensorIndex output = node.outputs[0];
    if (!IsGraphOutput(graph, output)) {
      graph.ReplaceUses(output, input);
    } else if (CanTakeAnotherName(graph, input)) {
      // The output's name must stay: the producer writes it, and all readers follow.
      graph.SwapProducers(input, output);
      graph.ReplaceUses(input, output);
    } else {
      continue;
    }
    graph.SetNodeInput(NodeIndex(n), 0, std::nullopt);
    dead[n] = true;
  }
  graph.RemoveNodes(dead);
  graph.FindLayers();
  return graph;
}

}  // namespace bitsearch
