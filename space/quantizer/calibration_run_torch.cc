// sequential_adaround and bias_correction: one pass over the calibration images.
#include "space/quantizer/calibration_run_torch.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "space/network/thread_budget_torch.h"
#include "space/quantizer/calibration_state_torch.h"
#include "space/quantizer/input_moments_torch.h"
#include "space/quantizer/integer_arithmetic.h"

namespace bitsearch {
namespace {

// One forward pass puts every layer right.
class LayerwiseHooks : public ExecutionHooks {
 public:
  /// Called with a layer's quantized input before its weight is asked for.
  using Reconstruct = std::function<void(const Layer&, std::size_t, const at::Tensor&)>;

  LayerwiseHooks(const LayerGraph& graph, QuantizationHooks& target)
      : graph_(graph),
        target_(target),
        layer_of_node_(graph.nodes().size()),
        mean_of_node_(graph.nodes().size()) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      layer_of_node_[graph.layers()[l].node.value] = l;
    }
  }

  void ReconstructBy(Reconstruct reconstruct) { reconstruct_ = std::move(reconstruct); }

  /// Corrects the biases of layers that are quantized to these means of their outputs.
  void CorrectTo(const std::vector<at::Tensor>& means, const std::vector<bool>& quantized) {
    for (std::size_t l = 0; l < quantized.size(); ++l) {
      if (quantized[l]) mean_of_node_[graph_.layers()[l].node.value] = means[l];
    }
  }

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    value = target_.OnInput(node, slot, std::move(value));
    const std::optional<std::size_t> layer = layer_of_node_[node.value];
    if (reconstruct_ && layer && slot == graph_.layers()[*layer].input_slot) {
      reconstruct_(graph_.layers()[*layer], *layer, value);
    }
    return value;
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
    QuantizationHooks::NodeQuantization& quantization = target_.nodes[node.value];
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
  Reconstruct reconstruct_;
  std::vector<std::optional<std::size_t>> layer_of_node_;
  std::vector<at::Tensor> mean_of_node_;
  std::map<std::size_t, at::Tensor> biases_;  ///< By node: what the run adds before correction.
};

// The integers of one layer, given what it reads in the float network and in the quantized one.
void ReconstructBehind(const CalibratedNetwork& network, const Layer& layer, LayerIndex index,
                       NumberFormat format, const at::Tensor& exact, const at::Tensor& quantized,
                       QuantizationHooks& hooks) {
  const bool centred = network.spec().Has(CalibrationStep::kBiasCorrection);
  const LayerGraph& graph = network.graph();
  const auto moments = MeasureInputMoments(graph, layer, quantized, quantized, centred);
  if (!moments) return;
  const auto cross = MeasureInputMoments(graph, layer, exact, quantized, centred);
  const TensorValue& weight = *graph.tensor(*layer.weight).constant;
  const int axis = layer.output_channel_axis;
  const std::vector<float> target =
      CompensatingWeight(weight.Floats(), weight.shape(), axis, *moments, *cross);
  QuantizedWeight made = network.Weight(index, format);
  ReconstructLayer(target, weight.shape(), axis, network.spec().weight, *moments, made);
  at::Tensor& replaced = hooks.nodes[layer.node.value].weight;
  replaced = at::tensor(made.values).view(replaced.sizes()).to(replaced.device());
}

}  // namespace

at::Tensor RoundedBias(QuantizationHooks::NodeQuantization& node, const at::Tensor& bias) {
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

void CalibrateLayerwise(const CalibratedNetwork& network, const BitConfig& config,
                        const std::vector<bool>& quantized, const ExecutionState* prefix,
                        QuantizationHooks& hooks) {
  const CalibratedNetwork::State& state = network.state();
  const LayerGraph& graph = network.graph();
  const bool corrects =
      state.spec.Has(CalibrationStep::kBiasCorrection) && state.stored.corrections.empty();
  const bool reconstructs =
      state.spec.Has(CalibrationStep::kSequentialAdaRound) && state.stored.weight_codes.empty();
  // Nothing behind the last quantized layer needs to run: its own output gives its correction.
  std::size_t end = 0;
  for (std::size_t l = 0; l < quantized.size(); ++l) {
    if (quantized[l]) end = std::max(end, graph.layers()[l].node.value + 1);
  }
  if ((!corrects && !reconstructs) || end == 0) return;
  ForEachOnOneThread(RunContext{}, 1, [&](std::int64_t) {
    // A layer's input may be quantized before the prefix ends: for others that read it.
    const bool has_prefix = prefix != nullptr && !QuantizesTensors(state.spec.placement);
    ExecutionState run = has_prefix ? *prefix : network.network().Start({state.images});
    ExecutionState exact = run;
    const auto reconstruct = [&](const Layer& layer, std::size_t index, const at::Tensor& input) {
      const NumberFormat format = config.choices[index].weight;
      if (!layer.weight || !IsAffine(format)) return;
      network.network().Advance(exact, layer.node.value);
      ReconstructBehind(network, layer, LayerIndex(index), format, exact.values[layer.input.value],
                        input, hooks);
    };
    LayerwiseHooks layerwise(graph, hooks);
    if (reconstructs) layerwise.ReconstructBy(reconstruct);
    if (corrects) layerwise.CorrectTo(state.output_mean, quantized);
    network.network().Advance(run, end, &layerwise);
  });
}

}  // namespace bitsearch
