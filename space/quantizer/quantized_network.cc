// From a calibrated network and a configuration to what runs: weights, grids, biases.
#include "space/quantizer/quantized_network.h"

#include <map>
#include <span>
#include <utility>

#include "space/quantizer/calibration_run_torch.h"
#include "space/quantizer/calibration_state_torch.h"
#include "space/quantizer/channel_moments.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using NodeQuantization = QuantizationHooks::NodeQuantization;

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

// What batch normalisation's statistics say about the mean error of each quantized weight.
void CorrectAnalytically(const CalibratedNetwork& network, QuantizationHooks& hooks) {
  const LayerGraph& graph = network.graph();
  const auto moments = PropagateChannelMoments(graph, network.state().statistics);
  for (const Layer& layer : graph.layers()) {
    NodeQuantization& node = hooks.nodes[layer.node.value];
    if (!node.weight.defined()) continue;
    const at::Tensor weight = node.weight.to(at::kCPU).contiguous();
    const auto shift = AnalyticShift(
        graph, layer, {weight.data_ptr<float>(), static_cast<std::size_t>(weight.numel())},
        moments[layer.input.value]);
    if (!shift) continue;
    const at::Tensor added = ToTensor(network, *shift);
    const bool plain = layer.bias && graph.tensor(*layer.bias).constant &&
                       layer.bias_count == std::ssize(*shift) &&
                       graph.node(layer.node).attributes.Float("beta", 1.0F) == 1.0F;
    if (plain) {
      node.bias = network.network().constant(*layer.bias).view_as(added) + added;
    } else {
      node.output_shift = added;
    }
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

std::vector<LayerCalibration> CalibrationOf(const CalibratedNetwork& network,
                                            const BitConfig& config) {
  const QuantizationHooks hooks = PrepareQuantization(network, config);
  const auto values = [](const at::Tensor& tensor) {
    if (!tensor.defined()) return std::vector<float>();
    const at::Tensor plain = tensor.to(at::kCPU).contiguous();
    return std::vector<float>(plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel());
  };
  const QuantizationSpec& spec = network.spec();
  std::vector<LayerCalibration> calibration;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    const Layer& layer = network.graph().layers()[l];
    const NodeQuantization& node = hooks.nodes[layer.node.value];
    calibration.push_back({{values(node.bias), values(node.output_shift)}, {}});
    const bool nearest = !spec.ChoosesIntegers() && !network.HasStoredCodes(LayerIndex(l));
    if (nearest || !layer.weight || !IsAffine(config.choices[l].weight)) continue;
    calibration.back().weight_codes = WeightCodes(
        values(node.weight), network.graph().tensor(*layer.weight).constant->shape(),
        layer.output_channel_axis, network.Weight(LayerIndex(l), config.choices[l].weight).grids,
        spec.weight.granularity, spec.weight.group_size);
  }
  return calibration;
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
  if (!state.stored.corrections.empty()) {
    ApplyCorrections(network, state.stored.corrections, hooks);
  } else if (network.spec().Has(CalibrationStep::kAnalyticBiasCorrection)) {
    CorrectAnalytically(network, hooks);
  }
  if (QuantizesTensors(placement)) QuantizeByTensors(network, config, hooks);
  CalibrateLayerwise(network, config, quantized, calibration_prefix, hooks);
  return hooks;
}

}  // namespace bitsearch
