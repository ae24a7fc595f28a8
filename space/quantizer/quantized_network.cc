#include "space/quantizer/quantized_network.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "space/network/batches_torch.h"
#include "space/network/network_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/quantizer/ranges.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kBatch = 25;

// More values than this per tensor are thinned by a fixed stride before percentiles are taken.
constexpr std::int64_t kMostRangeValues = 1 << 25;

bool QuantizesActivations(Placement placement) { return placement != Placement::kWeightsOnly; }

// Mean of a layer's output over everything but its channel axis (axis 1, or the last for matrices
// of rank other than 4).
at::Tensor ChannelMean(const at::Tensor& output) {
  const std::int64_t axis = output.dim() >= 4 || output.dim() == 2 ? 1 : output.dim() - 1;
  std::vector<std::int64_t> others;
  for (std::int64_t a = 0; a < output.dim(); ++a) {
    if (a != axis) others.push_back(a);
  }
  return output.mean(others);
}

at::Tensor BroadcastOverChannels(const at::Tensor& values, const at::Tensor& like) {
  if (like.dim() >= 4) {
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(like.dim() - 1), 1);
    sizes[0] = values.size(0);
    return values.view(sizes);
  }
  return values;
}

class StraightThrough : public torch::autograd::Function<StraightThrough> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& value,
                            double scale, std::int64_t zero_point, std::int64_t qmin,
                            std::int64_t qmax) {
    const AffineGrid grid{static_cast<float>(scale), static_cast<std::int32_t>(zero_point),
                          static_cast<std::int32_t>(qmin), static_cast<std::int32_t>(qmax)};
    const float half = 0.5F * grid.scale;
    context->save_for_backward(
        {value.ge(grid.lowest() - half).logical_and_(value.le(grid.highest() + half))});
    const at::NoGradGuard no_grad;
    return FakeQuantize(value.detach().clone(), grid);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradient) {
    return {gradient[0] * context->get_saved_variables()[0], {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor FakeQuantize(at::Tensor value, const AffineGrid& grid) {
  if (at::GradMode::is_enabled() && value.requires_grad()) {
    return StraightThrough::apply(value, static_cast<double>(grid.scale),
                                  static_cast<std::int64_t>(grid.zero_point),
                                  static_cast<std::int64_t>(grid.qmin),
                                  static_cast<std::int64_t>(grid.qmax));
  }
  if (!value.device().is_cpu()) {
    return at::clamp(at::round(value / grid.scale), grid.qmin - grid.zero_point,
                     grid.qmax - grid.zero_point)
        .mul_(grid.scale);
  }
  // The kernel is element-wise, so any dense layout (channels last too) can be walked as it lies.
  if (!value.is_non_overlapping_and_dense()) value = value.contiguous();
  const bool in_place = value.use_count() == 1 && value.storage().use_count() == 1 &&
                        !value.requires_grad();
  at::Tensor out = in_place ? value : at::empty_like(value);
  const auto count = static_cast<std::size_t>(value.numel());
  FakeQuantize(std::span<const float>(value.data_ptr<float>(), count),
               std::span<float>(out.data_ptr<float>(), count), grid);
  return out;
}

at::Tensor QuantizationHooks::OnInput(NodeIndex node, std::size_t slot, at::Tensor value) {
  const NodeQuantization& quantization = nodes[node.value];
  if (slot != 0) return value;
  if (quantization.input_grid) return FakeQuantize(std::move(value), *quantization.input_grid);
  if (quantization.input_format.kind() == NumberFormat::Kind::kFloat16) {
    return value.to(at::kHalf).to(at::kFloat);
  }
  if (quantization.input_format.kind() == NumberFormat::Kind::kBfloat16) {
    return value.to(at::kBFloat16).to(at::kFloat);
  }
  return value;
}

at::Tensor QuantizationHooks::OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) {
  const NodeQuantization& quantization = nodes[node.value];
  if (slot == 1 && quantization.weight.defined()) return quantization.weight;
  if (slot == 2 && quantization.bias.defined()) return quantization.bias;
  return value;
}

at::Tensor QuantizationHooks::OnOutput(NodeIndex node, std::size_t, at::Tensor value) {
  const NodeQuantization& quantization = nodes[node.value];
  return quantization.output_shift.defined()
             ? value + BroadcastOverChannels(quantization.output_shift, value)
             : value;
}

struct CalibratedNetwork::State {
  State(LayerGraph graph, const QuantizationSpec& s, const std::string& device)
      : network(std::move(graph), device), spec(s) {}

  Network network;
  QuantizationSpec spec;
  at::Tensor images;                       ///< Calibration batch; undefined without one.
  std::vector<Range> input_range;          ///< By layer, for min-max and percentile.
  StoredCalibration stored;
  std::vector<std::vector<float>> sample;  ///< By layer, values for MSE ranges.
  std::vector<at::Tensor> output_mean;     ///< By layer: float mean per output channel.
  mutable std::mutex mutex;
  mutable std::map<std::pair<std::size_t, NumberFormat>, QuantizedWeight> weights;
};

namespace {

class CalibrationHooks : public ExecutionHooks {
 public:
  CalibrationHooks(const LayerGraph& graph, const QuantizationSpec& spec)
      : spec_(spec), layer_of_node_(graph.nodes().size(), -1) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      layer_of_node_[graph.layers()[l].node.value] = static_cast<int>(l);
    }
    ranges.resize(graph.layers().size());
    samples.resize(graph.layers().size());
    means.resize(graph.layers().size());
  }

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    const int layer = layer_of_node_[node.value];
    if (layer < 0 || slot != 0 || !QuantizesActivations(spec_.placement)) return value;
    const at::Tensor flat = value.to(at::kCPU).contiguous().view({-1});
    const std::int64_t stride = (flat.numel() + kMostRangeValues - 1) / kMostRangeValues;
    const at::Tensor kept =
        stride > 1 ? at::slice(flat, 0, 0, flat.numel(), stride).contiguous() : flat;
    const float* data = kept.data_ptr<float>();
    std::vector<float> values(data, data + kept.numel());
    const auto l = static_cast<std::size_t>(layer);
    switch (spec_.activation.range.method) {
      case RangeMethod::kMinMax:
        ranges[l] = MinMaxRange(values);
        break;
      case RangeMethod::kPercentile:
        ranges[l] = PercentileRange(values, spec_.activation.range.percentile);
        break;
      case RangeMethod::kMse:
        ranges[l] = MinMaxRange(values);
        samples[l] = std::move(values);
        break;
    }
    return value;
  }

  at::Tensor OnOutput(NodeIndex node, std::size_t, at::Tensor value) override {
    const int layer = layer_of_node_[node.value];
    if (layer >= 0 && spec_.bias_correction) {
      means[static_cast<std::size_t>(layer)] = ChannelMean(value);
    }
    return value;
  }

  std::vector<Range> ranges;
  std::vector<std::vector<float>> samples;
  std::vector<at::Tensor> means;

 private:
  const QuantizationSpec& spec_;
  std::vector<int> layer_of_node_;
};

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
    if (slot == 2) biases_[node.value] = value;
    return target_.OnConstant(node, slot, std::move(value));
  }
  at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    value = target_.OnOutput(node, slot, std::move(value));
    const at::Tensor& wanted = mean_of_node_[node.value];
    if (!wanted.defined()) return value;
    const at::Tensor shift = wanted - ChannelMean(value);
    auto& quantization = target_.nodes[node.value];
    const auto bias = biases_.find(node.value);
    const bool plain_bias = bias != biases_.end() && bias->second.sizes() == shift.sizes() &&
                            graph_.node(node).attributes.Float("beta", 1.0F) == 1.0F;
    if (plain_bias) {
      quantization.bias = bias->second + shift;
    } else {
      quantization.output_shift = shift;
    }
    return value + BroadcastOverChannels(shift, value);
  }

 private:
  const LayerGraph& graph_;
  QuantizationHooks& target_;
  std::vector<at::Tensor> mean_of_node_;
  std::map<std::size_t, at::Tensor> biases_;
};

}  // namespace

CalibratedNetwork::CalibratedNetwork(LayerGraph graph, const Dataset* calibration,
                                     const QuantizationSpec& spec, const std::string& device,
                                     const RunContext& context,
                                     StoredCalibration stored)
    : state_(std::make_unique<State>(std::move(graph), spec, device)) {
  state_->stored = std::move(stored);
  if (spec.placement != Placement::kWeightsOnly && spec.placement != Placement::kLayerInputs) {
    throw Error(ErrorId::kUsage, "placement '" + std::string(NameOf(spec.placement)) +
                                     "' cannot be simulated yet")
        .Hint("use weights_only or layer_inputs");
  }
  const std::vector<std::optional<AffineGrid>>& grids = state_->stored.grids;
  const bool all_stored =
      !grids.empty() && std::all_of(grids.begin(), grids.end(), [](const auto& grid) {
        return grid.has_value();
      });
  const bool corrects = spec.bias_correction && state_->stored.corrections.empty();
  if (!corrects && (all_stored || !QuantizesActivations(spec.placement))) return;
  if (calibration == nullptr || calibration->size() == 0) {
    if (!corrects && !grids.empty()) return;  // the layers without a grid may stay float
    throw Error(ErrorId::kDataCount, "activation ranges and bias correction need calibration data")
        .Hint("give --calibration, or quantize weights only without bias correction");
  }
  ForEachOnOneThread(context, 1, [&](std::int64_t) {
    state_->images = ImageBatch(*calibration, 0, calibration->size()).to(state_->network.device());
    CalibrationHooks hooks(state_->network.graph(), spec);
    state_->network.Forward(state_->images, &hooks);
    state_->input_range = std::move(hooks.ranges);
    state_->sample = std::move(hooks.samples);
    state_->output_mean = std::move(hooks.means);
  });
}

CalibratedNetwork::~CalibratedNetwork() = default;
CalibratedNetwork::CalibratedNetwork(CalibratedNetwork&&) noexcept = default;

const Network& CalibratedNetwork::network() const { return state_->network; }
const LayerGraph& CalibratedNetwork::graph() const { return state_->network.graph(); }
const QuantizationSpec& CalibratedNetwork::spec() const { return state_->spec; }

Range CalibratedNetwork::ActivationRange(LayerIndex layer, NumberFormat format) const {
  const ActivationQuantizerSpec& spec = state_->spec.activation;
  if (spec.range.method == RangeMethod::kMse && format.is_integer()) {
    return MseRange(state_->sample[layer.value], format.bits(), spec.symmetric, false);
  }
  return state_->input_range[layer.value];
}

std::optional<AffineGrid> CalibratedNetwork::ActivationGrid(LayerIndex layer,
                                                            NumberFormat format) const {
  if (!QuantizesActivations(state_->spec.placement) || format.is_float()) return std::nullopt;
  if (!format.is_integer()) {
    throw Error(ErrorId::kUsage, "activations cannot be " + format.ToString())
        .Key(graph().layer(layer).id)
        .Hint("use integers of 1–16 bits, fp16, bf16 or fp32");
  }
  if (!state_->stored.grids.empty()) {
    const std::optional<AffineGrid>& stored = state_->stored.grids[layer.value];
    // A grid of other bits was stored for another configuration: measure instead.
    if (stored && stored->qmax - stored->qmin == (1 << format.bits()) - 1) return stored;
  }
  if (state_->input_range.empty()) {
    throw Error(ErrorId::kDataCount,
                "no range of this layer's input is stored for " + format.ToString())
        .Key(graph().layer(layer).id)
        .Hint("give --calibration");
  }
  const Range range = ActivationRange(layer, format);
  return state_->spec.activation.symmetric && format.bits() > 1
             ? SymmetricGrid(range, format.bits(), /*narrow=*/false)
             : AsymmetricGrid(range, format.bits());
}

const QuantizedWeight& CalibratedNetwork::Weight(LayerIndex layer, NumberFormat format) const {
  const std::lock_guard lock(state_->mutex);
  const auto key = std::pair(layer.value, format);
  auto found = state_->weights.find(key);
  if (found == state_->weights.end()) {
    const Layer& described = graph().layer(layer);
    const TensorValue& weight = *graph().tensor(*described.weight).constant;
    found = state_->weights
                .emplace(key, QuantizeWeight(weight.Floats(), weight.shape(),
                                             described.output_channel_axis, format,
                                             state_->spec.weight))
                .first;
  }
  return found->second;
}

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
    const QuantizationHooks::NodeQuantization& node = hooks.nodes[layer.node.value];
    corrections.push_back({values(node.bias), values(node.output_shift)});
  }
  return corrections;
}

const at::Tensor& CalibrationImages(const CalibratedNetwork& network) {
  return network.state().images;
}

namespace {

void ApplyCorrections(const CalibratedNetwork& network,
                      const std::vector<BiasCorrection>& corrections, QuantizationHooks& hooks) {
  const auto tensor = [&](const std::vector<float>& values) {
    return values.empty() ? at::Tensor() : at::tensor(values).to(network.network().device());
  };
  for (std::size_t l = 0; l < corrections.size(); ++l) {
    auto& node = hooks.nodes[network.graph().layers()[l].node.value];
    node.bias = tensor(corrections[l].bias);
    node.output_shift = tensor(corrections[l].output_shift);
  }
}

}  // namespace

QuantizationHooks PrepareQuantization(const CalibratedNetwork& network, const BitConfig& config,
                                      const ExecutionState* calibration_prefix) {
  const LayerGraph& graph = network.graph();
  if (config.choices.size() != graph.layers().size()) {
    throw Error(ErrorId::kUsage, "the configuration has " + std::to_string(config.choices.size()) +
                                     " layers, the network " +
                                     std::to_string(graph.layers().size()))
        .Hint("was it made for another network?");
  }
  QuantizationHooks hooks;
  hooks.nodes.resize(graph.nodes().size());
  std::vector<bool> quantized(graph.layers().size(), false);
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    const BitChoice& choice = config.choices[l];
    auto& node = hooks.nodes[layer.node.value];
    if (layer.weight && choice.weight != NumberFormat::Float32()) {
      const QuantizedWeight& weight = network.Weight(LayerIndex(l), choice.weight);
      node.weight = at::from_blob(const_cast<float*>(weight.values.data()),
                                  network.network().constant(*layer.weight).sizes(), at::kFloat)
                        .clone()
                        .to(network.network().device());
      quantized[l] = true;
    }
    if (QuantizesActivations(network.spec().placement)) {
      node.input_grid = network.ActivationGrid(LayerIndex(l), choice.activation);
      node.input_format = choice.activation;
      quantized[l] = quantized[l] || choice.activation != NumberFormat::Float32();
    }
  }
  const CalibratedNetwork::State& state = network.state();
  if (!state.stored.corrections.empty()) {
    ApplyCorrections(network, state.stored.corrections, hooks);
    return hooks;
  }
  // Nothing behind the last quantized layer needs to run: its own output gives its correction.
  std::size_t end = 0;
  for (std::size_t l = 0; l < quantized.size(); ++l) {
    if (quantized[l]) end = graph.layers()[l].node.value + 1;
  }
  if (network.spec().bias_correction && end > 0) {
    ForEachOnOneThread(RunContext{}, 1, [&](std::int64_t) {
      BiasCorrectionHooks correction(graph, state.output_mean, quantized, hooks);
      ExecutionState run = calibration_prefix != nullptr ? *calibration_prefix
                                                         : network.network().Start({state.images});
      network.network().Advance(run, end, &correction);
    });
  }
  return hooks;
}

struct PtqEvaluator::State {
  const CalibratedNetwork* network;
  const Dataset* data;
  RunContext context;
  std::vector<at::Tensor> float_log_probabilities;  ///< By batch.
  Evaluation float_evaluation;

  // Runs all batches; where `hooks` is null, records the float network's outputs.
  Evaluation Run(QuantizationHooks* hooks) {
    const std::int64_t batches = (data->size() + kBatch - 1) / kBatch;
    std::vector<double> loss(static_cast<std::size_t>(batches));
    std::vector<double> kl(static_cast<std::size_t>(batches));
    std::vector<std::uint8_t> correct(static_cast<std::size_t>(data->size()));
    if (hooks == nullptr) float_log_probabilities.resize(static_cast<std::size_t>(batches));
    ForEachOnOneThread(context, batches, [&](std::int64_t b) {
      const auto slot = static_cast<std::size_t>(b);
      const std::int64_t first = b * kBatch;
      const std::int64_t count = std::min(kBatch, data->size() - first);
      const at::Device device = network->network().device();
      const at::Tensor labels = LabelBatch(*data, first, count).to(device);
      const at::Tensor logits =
          network->network().Forward(ImageBatch(*data, first, count).to(device), hooks);
      const at::Tensor log_p = at::log_softmax(logits, 1);
      loss[slot] = at::nll_loss(log_p, labels, {}, at::Reduction::Sum).item<double>();
      if (hooks == nullptr) {
        float_log_probabilities[slot] = log_p;
      } else if (float_log_probabilities.empty()) {
        kl[slot] = std::numeric_limits<double>::quiet_NaN();
      } else {
        const at::Tensor& reference = float_log_probabilities[slot];
        kl[slot] = (reference.exp() * (reference - log_p)).sum().item<double>();
      }
      const at::Tensor hits = logits.argmax(1).eq(labels).to(at::kCPU, at::kByte).contiguous();
      std::copy_n(hits.data_ptr<std::uint8_t>(), count, correct.begin() + first);
    });
    Evaluation result;
    result.samples = data->size();
    for (std::size_t b = 0; b < loss.size(); ++b) {
      result.loss_nats += loss[b];
      result.kl_nats += kl[b];
    }
    result.loss_nats /= static_cast<double>(data->size());
    result.kl_nats /= static_cast<double>(data->size());
    result.correct_per_sample.assign(correct.begin(), correct.end());
    result.correct = std::count(correct.begin(), correct.end(), 1);
    return result;
  }
};

PtqEvaluator::PtqEvaluator(const CalibratedNetwork& network, const Dataset& data,
                           const RunContext& context, bool compare_with_float)
    : state_(std::make_unique<State>(State{&network, &data, context, {}, {}})) {
  if (compare_with_float) state_->float_evaluation = state_->Run(nullptr);
}

PtqEvaluator::~PtqEvaluator() = default;

const Evaluation& PtqEvaluator::FloatEvaluation() const { return state_->float_evaluation; }

std::vector<Evaluation> PtqEvaluator::Evaluate(std::span<const BitConfig> configs) {
  std::vector<Evaluation> results;
  for (const BitConfig& config : configs) {
    state_->context.ThrowIfStopped();
    QuantizationHooks hooks = PrepareQuantization(*state_->network, config);
    results.push_back(state_->Run(&hooks));
  }
  return results;
}

}  // namespace bitsearch
