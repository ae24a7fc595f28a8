// From a calibrated network and a configuration to what runs: weights, grids, biases.
#include "space/quantizer/quantized_network.h"

#include <map>
#include <span>
#include <utility>

#include "space/network/thread_budget_torch.h"
#include "space/quantizer/calibration_state_torch.h"
#include "space/quantizer/integer_arithmetic.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using NodeQuantization = QuantizationHooks::NodeQuantization;

// A bias as the runtime holds it: INT32 on the scale of the products where the layer is integer.
// Where one channel does not fit (16-bit products), the layer runs in floating point as it is.
at::Tensor RoundedBias(NodeQuantization& node, const at::Tensor& bias) {
  if (node.product_scale.empty()) return bias;
  const at::Tensor host = bias.to(at::kCPU).contiguous();
  const std::span values(host.data_ptr<float>(), static_cast<std::size_t>(host.numel()));
  if (!FitsIntegerBias(values, node.product_scale)) {
    node.product_scale.clear();
    node.integer_bias.clear();
    return bias;
  }
  at::Tensor rounded = at::empty_like(host);
  node.integer_bias.resize(static_cast<std::size_t>(host.numel()));
  for (std::size_t c = 0; c < node.integer_bias.size(); ++c) {
    const float scale = node.product_scale[c % node.product_scale.size()];
    node.integer_bias[c] = QuantizeBias(host.data_ptr<float>()[c], scale);
    rounded.data_ptr<float>()[c] = static_cast<float>(node.integer_bias[c]) * scale;
  }
  return rounded.to(bias.device());
}

// Runs the quantized network on the calibration images and shifts each quantized layer's output
// back to the float mean before the next layer sees it: one forward pass corrects every layer.
class BiasCorrectionHooks : public ExecutionHooks {
 public:
  BiasCorrectionHooks(const LayerGraph& graph, const std::vector<at::Tensor>& means,
                      const std::vector<bool>& quantized, QuantizationHooks& target)
      : graph_(graph), target_(target), mean_of_node_(graph.nodes().size()) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      if (quantized[l]) mean_of_node_[graph.layers()[l].node.value] = means[l];
    }
  }

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    return target_.OnInput(node, slot, std::move(value));
  }
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override {
    value = target_.OnConstant(node, slot, std::move(value));
    if (slot == QuantizationHooks::kBiasSlot) biases_[node.value] = value;
    return value;
  }
  at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    value = target_.ShiftOutput(node, std::move(value));
    if (mean_of_node_[node.value].defined()) value = Correct(node, value);
    return target_.QuantizeOutput(node, slot, std::move(value));
  }

 private:
  at::Tensor Correct(NodeIndex node, const at::Tensor& value) {
    NodeQuantization& quantization = target_.nodes[node.value];
    const bool channels_last = quantization.channels_last;
    at::Tensor shift = mean_of_node_[node.value] - ChannelMean(value, channels_last);
    const auto bias = biases_.find(node.value);
    const bool plain_bias = bias != biases_.end() && bias->second.numel() == shift.numel() &&
                            graph_.node(node).attributes.Float("beta", 1.0F) == 1.0F;
    if (plain_bias) {
      const at::Tensor before = bias->second.view_as(shift);
      quantization.bias = RoundedBias(quantization, before + shift);
      if (!quantization.product_scale.empty()) shift = quantization.bias - before;
    } else {
      shift = RoundedBias(quantization, shift);
      quantization.output_shift = shift;
    }
    return value + BroadcastOverChannels(shift, value, channels_last);
  }

  const LayerGraph& graph_;
  QuantizationHooks& target_;
  std::vector<at::Tensor> mean_of_node_;
  std::map<std::size_t, at::Tensor> biases_;  ///< By node: what the run adds before correction.
};

at::Tensor ToTensor(const CalibratedNetwork& network, const std::vector<float>& values) {
  return values.empty() ? at::Tensor() : at::tensor(values).to(network.network().device());
}

void ApplyCorrections(const CalibratedNetwork& network,
                      const std::vector<BiasCorrection>& corrections, QuantizationHooks& hooks) {
  for (std::size_t l = 0; l < corrections.size(); ++l) {
    auto& node = hooks.nodes[network.graph().layers()[l].node.value];
    node.bias = ToTensor(network, corrections[l].bias);
    node.output_shift = ToTensor(network, corrections[l].output_shift);
  }
}

// s_x·s_w by output channel (or one for all), if the products of this layer have such a scale and
// what the layer adds to them is one value per channel; empty otherwise.
std::vector<float> ProductScales(const CalibratedNetwork& network, const BitChoice& choice,
                                 LayerIndex index, const QuantizedTensors& tensors) {
  const LayerGraph& graph = network.graph();
  const Layer& layer = graph.layer(index);
  const Node& node = graph.node(layer.node);
  if (tensors.plan.forms[layer.node.value] != NodeForm::kLayer ||
      node.attributes.Float("alpha", 1.0F) != 1.0F || node.attributes.Float("beta", 1.0F) != 1.0F) {
    return {};
  }
  const bool adds = node.inputs.size() > QuantizationHooks::kBiasSlot &&
                    node.inputs[QuantizationHooks::kBiasSlot].has_value();
  if (adds != layer.bias.has_value()) return {};  // computed at run time
  const float input = tensors.grids[layer.input.value]->scale;
  if (!layer.weight) return {input * tensors.grids[node.inputs[1]->value]->scale};
  const auto channels = static_cast<std::size_t>(layer.output_channels);
  if (layer.bias && static_cast<std::size_t>(layer.bias_count) != channels) return {};
  const Shape& shape = graph.tensor(*layer.weight).constant->shape();
  const auto scales =
      static_cast<std::size_t>(shape[static_cast<std::size_t>(layer.output_channel_axis)]);
  const QuantizedWeight& weight = network.Weight(index, choice.weight);
  if (weight.grids.size() != 1 && weight.grids.size() != scales) return {};
  std::vector<float> products;
  for (const AffineGrid& grid : weight.grids) products.push_back(input * grid.scale);
  return products;
}

std::shared_ptr<const QuantizedTensors> TensorsOf(const CalibratedNetwork& network,
                                                  const BitConfig& config) {
  auto tensors = std::make_shared<QuantizedTensors>();
  tensors->graph = &network.graph();
  tensors->plan = PlanTensors(network.graph(), config);
  tensors->grids.resize(network.graph().tensors().size());
  tensors->at_readers.resize(network.graph().tensors().size(), false);
  const std::vector<TensorGrid> grids = network.TensorGrids(config);
  for (std::size_t i = 0; i < grids.size(); ++i) {
    const PlannedTensor& entry = tensors->plan.tensors[i];
    tensors->grids[entry.tensor.value] = grids[i].grid;
    tensors->at_readers[entry.tensor.value] = entry.at_readers;
  }
  return tensors;
}

// Whole tensors on their grids, and biases as the runtime holds them.
void QuantizeByTensors(const CalibratedNetwork& network, const BitConfig& config,
                       QuantizationHooks& hooks) {
  hooks.tensors = TensorsOf(network, config);
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    const Layer& layer = network.graph().layers()[l];
    NodeQuantization& node = hooks.nodes[layer.node.value];
    node.product_scale = ProductScales(network, config.choices[l], LayerIndex(l), *hooks.tensors);
    if (layer.bias) {
      node.bias = RoundedBias(
          node, node.bias.defined() ? node.bias : network.network().constant(*layer.bias));
    } else if (node.output_shift.defined()) {
      node.output_shift = RoundedBias(node, node.output_shift);
    }
  }
}

}  // namespace

std::vector<BiasCorrection> CorrectionsOf(const CalibratedNetwork& network,
                                          const BitConfig& config) {
  const QuantizationHooks hooks = PrepareQuantization(network, config);
  const auto values = [](const at::Tensor& tensor) {
    if (!tensor.defined()) return std::vector<float>();
    const at::Tensor plain = tensor.to(at::kCPU).contiguous();
    return std::vector<float>(plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel());
  };
  std::vector<BiasCorrection> corrections;
  for (const Layer& layer : network.graph().layers()) {
    const NodeQuantization& node = hooks.nodes[layer.node.value];
    corrections.push_back({values(node.bias), values(node.output_shift)});
  }
  return corrections;
}

QuantizationHooks PrepareQuantization(const CalibratedNetwork& network, const BitConfig& config,
                                      const ExecutionState* calibration_prefix) {
  const LayerGraph& graph = network.graph();
  if (config.choices.size() != graph.layers().size()) {
    throw Error(ErrorId::kUsage, "the configuration has " + std::to_string(config.choices.size()) +
                                     " layers, the network " +
                                     std::to_string(graph.layers().size()))
        .Hint("was it made for another network?");
  }
  const Placement placement = network.spec().placement;
  QuantizationHooks hooks;
  hooks.nodes.resize(graph.nodes().size());
  std::vector<bool> quantized(graph.layers().size(), false);
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    const BitChoice& choice = config.choices[l];
    NodeQuantization& node = hooks.nodes[layer.node.value];
    node.input_slot = layer.input_slot;
    node.weight_slot = layer.weight_slot;
    node.channels_last = ChannelsAreLast(graph.node(layer.node));
    if (layer.weight && choice.weight != NumberFormat::Float32()) {
      const QuantizedWeight& weight = network.Weight(LayerIndex(l), choice.weight);
      node.weight = at::from_blob(const_cast<float*>(weight.values.data()),
                                  network.network().constant(*layer.weight).sizes(), at::kFloat)
                        .clone()
                        .to(network.network().device());
      quantized[l] = true;
    }
    if (placement == Placement::kWeightsOnly) continue;
    node.input_format = choice.activation;
    if (placement == Placement::kLayerInputs) {
      node.input_grid = network.ActivationGrid(LayerIndex(l), choice.activation);
    }
    quantized[l] = quantized[l] || choice.activation != NumberFormat::Float32();
  }
  const CalibratedNetwork::State& state = network.state();
  const bool has_corrections = !state.stored.corrections.empty();
  if (has_corrections) ApplyCorrections(network, state.stored.corrections, hooks);
  if (QuantizesTensors(placement)) QuantizeByTensors(network, config, hooks);
  if (has_corrections) return hooks;
  // Nothing behind the last quantized layer needs to run: its own output gives its correction.
  std::size_t end = 0;
  for (std::size_t l = 0; l < quantized.size(); ++l) {
    if (quantized[l]) end = graph.layers()[l].node.value + 1;
  }
  if (network.spec().bias_correction && end > 0) {
    ForEachOnOneThread(RunContext{}, 1, [&](std::int64_t) {
      BiasCorrectionHooks correction(graph, state.output_mean, quantized, hooks);
      // A layer's input may be quantized before the prefix ends: for others that read it.
      const bool has_prefix = calibration_prefix != nullptr && !QuantizesTensors(placement);
      ExecutionState run =
          has_prefix ? *calibration_prefix : network.network().Start({state.images});
      network.network().Advance(run, end, &correction);
    });
  }
  return hooks;
}

}  // namespace bitsearch
