// Runs the float network on the calibration set once, and gives grids and weights from then on.

#include <algorithm>

#include "space/network/batches_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/analytic_clipping.h"
#include "space/quantizer/calibration_state_torch.h"
#include "space/quantizer/input_moments_torch.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/quantizer/ranges.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// More values than this per tensor are thinned by a fixed stride before percentiles are taken.
constexpr std::int64_t kMostRangeValues = 1 << 25;

bool QuantizesActivations(Placement placement) { return placement != Placement::kWeightsOnly; }

// Values of 32 records, as moving averages of minima and maxima are taken.
std::size_t AveragedBatch(const at::Tensor& value, std::int64_t stride) {
  constexpr std::int64_t kRecords = 32;
  const std::int64_t per_record = value.numel() / std::max<std::int64_t>(1, value.size(0));
  return static_cast<std::size_t>(std::max<std::int64_t>(1, kRecords * per_record / stride));
}

MeasuredTensor Measure(const at::Tensor& value, const RangeSpec& spec) {
  const at::Tensor flat = value.to(at::kCPU).contiguous().view({-1});
  const std::int64_t stride = (flat.numel() + kMostRangeValues - 1) / kMostRangeValues;
  const at::Tensor kept =
      stride > 1 ? at::slice(flat, 0, 0, flat.numel(), stride).contiguous() : flat;
  const float* data = kept.data_ptr<float>();
  std::vector<float> values(data, data + kept.numel());
  switch (spec.method) {
    case RangeMethod::kMinMax:
      return {MinMaxRange(values), {}};
    case RangeMethod::kPercentile:
      return {PercentileRange(values, spec.percentile), {}};
    case RangeMethod::kMovingAverage:
      return {MovingAverageRange(values, AveragedBatch(value, stride)), {}};
    case RangeMethod::kMse:
    case RangeMethod::kAciq:
    case RangeMethod::kKl:
      break;
  }
  const Range range = MinMaxRange(values);
  return {range, std::move(values)};
}

// By TensorIndex: whose range some configuration may ask for. The more layers are integers, the
// more tensors a plan holds; moved elements never give the range.
std::vector<bool> TensorsToMeasure(const LayerGraph& graph, Placement placement) {
  std::vector<bool> wanted(graph.tensors().size(), false);
  if (QuantizesTensors(placement)) {
    const NumberFormat any = NumberFormat::Integer(8);
    const TensorPlan plan =
        PlanTensors(graph, BitConfig::Uniform(graph.layers().size(), {any, any}));
    for (const PlannedTensor& entry : plan.tensors) {
      const auto producer = graph.producer(entry.tensor);
      wanted[entry.tensor.value] = !producer || plan.forms[producer->value] != NodeForm::kMove;
    }
  }
  for (const Layer& layer : graph.layers()) {
    if (QuantizesActivations(placement)) wanted[layer.input.value] = true;
  }
  return wanted;
}

class CalibrationHooks : public ExecutionHooks {
 public:
  CalibrationHooks(const LayerGraph& graph, const QuantizationSpec& spec)
      : graph_(graph),
        spec_(spec),
        layer_of_node_(graph.nodes().size()),
        wanted_(TensorsToMeasure(graph, spec.placement)) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      layer_of_node_[graph.layers()[l].node.value] = l;
    }
    measured.resize(graph.tensors().size());
    means.resize(graph.layers().size());
    if (spec.Has(CalibrationStep::kAdaRound)) moments.resize(graph.layers().size());
  }

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    const std::size_t tensor = graph_.node(node).inputs[slot]->value;
    if (wanted_[tensor] && !measured[tensor]) {
      measured[tensor] = Measure(value, spec_.activation.range);
    }
    const std::optional<std::size_t> layer = layer_of_node_[node.value];
    if (!moments.empty() && layer && slot == graph_.layers()[*layer].input_slot) {
      // What a bias step behind it takes out anyway is no error.
      const bool centred = spec_.Has(CalibrationStep::kBiasCorrection) ||
                           spec_.Has(CalibrationStep::kAnalyticBiasCorrection);
      if (auto found =
              MeasureInputMoments(graph_, graph_.layers()[*layer], value, value, centred)) {
        moments[*layer] = std::make_shared<const InputMoments>(*std::move(found));
      }
    }
    return value;
  }

  at::Tensor OnOutput(NodeIndex node, std::size_t, at::Tensor value) override {
    const std::optional<std::size_t> layer = layer_of_node_[node.value];
    if (layer && spec_.Has(CalibrationStep::kBiasCorrection)) {
      means[*layer] = ChannelMean(value, ChannelsAreLast(graph_.node(node)));
    }
    return value;
  }

  std::vector<std::optional<MeasuredTensor>> measured;
  std::vector<at::Tensor> means;
  std::vector<std::shared_ptr<const InputMoments>> moments;

 private:
  const LayerGraph& graph_;
  const QuantizationSpec& spec_;
  std::vector<std::optional<std::size_t>> layer_of_node_;
  std::vector<bool> wanted_;
};

Range RangeOf(const CalibratedNetwork::State& state, TensorIndex tensor, NumberFormat format) {
  if (state.measured.empty() || !state.measured[tensor.value]) {
    throw Error(ErrorId::kDataCount,
                "no range of this tensor is stored for " + format.ToString() + " bits")
        .Key(state.network.graph().tensor(tensor).name)
        .Hint("give --calibration");
  }
  const MeasuredTensor& measured = *state.measured[tensor.value];
  const ActivationQuantizerSpec& spec = state.spec.activation;
  if (!format.is_integer()) return measured.range;
  switch (spec.range.method) {
    case RangeMethod::kMse:
      return MseRange(measured.sample, format.bits(), spec.symmetric, false);
    case RangeMethod::kAciq: {
      // Behind a ReLU: half of a density. A symmetric grid spends half of its codes on nothing.
      const bool half = measured.range.low >= 0.0F && !spec.symmetric;
      return AnalyticRange(measured.sample, format.bits(), half);
    }
    case RangeMethod::kKl:
      return KlRange(measured.sample, format.bits());
    default:
      return measured.range;
  }
}

AffineGrid GridOf(const CalibratedNetwork::State& state, TensorIndex tensor, NumberFormat format) {
  const Range range = RangeOf(state, tensor, format);
  return state.spec.activation.symmetric && format.bits() > 1
             ? SymmetricGrid(range, format.bits(), /*narrow=*/false)
             : AsymmetricGrid(range, format.bits());
}

void RequireActivationFormat(const LayerGraph& graph, LayerIndex layer, NumberFormat format) {
  if (format.is_float() || format.is_integer()) return;
  throw Error(ErrorId::kUsage, "activations cannot be " + format.ToString())
      .Key(graph.layer(layer).id)
      .Hint("use integers of 1–16 bits, fp16, bf16 or fp32");
}

QuantizedWeight MakeWeight(const CalibratedNetwork::State& state, LayerIndex index,
                           NumberFormat format) {
  const LayerGraph& graph = state.network.graph();
  const Layer& layer = graph.layer(index);
  const TensorValue& weight = *graph.tensor(*layer.weight).constant;
  const Shape& shape = weight.shape();
  const int axis = layer.output_channel_axis;
  const WeightQuantizerSpec& spec = state.spec.weight;
  const auto of_layer = [&](const auto& stored) {
    return index.value < stored.size() && !stored[index.value].empty() && IsAffine(format);
  };
  const StoredCalibration& stored = state.stored;
  if (of_layer(stored.weight_grids)) {
    const std::vector<AffineGrid>& grids = stored.weight_grids[index.value];
    return of_layer(stored.weight_codes)
               ? WeightOfCodes(weight.Floats(), stored.weight_codes[index.value], shape, axis,
                               grids, spec.group_size)
               : QuantizeWeightOnGrids(weight.Floats(), shape, axis, grids, spec.group_size);
  }
  QuantizedWeight made = QuantizeWeight(weight.Floats(), shape, axis, format, spec);
  if (!IsAffine(format)) return made;
  if (state.spec.Has(CalibrationStep::kWeightCorrection)) {
    CorrectSpread(weight.Floats(), shape, axis, spec, made);
  }
  if (index.value < state.input_moments.size() && state.input_moments[index.value]) {
    ReconstructLayer(weight.Floats(), shape, axis, spec, *state.input_moments[index.value], made);
  }
  return made;
}

// Whether what is stored can take the place of measured ranges.
bool HasStoredGrids(const StoredCalibration& stored, Placement placement) {
  return QuantizesTensors(placement) ? !stored.tensors.empty() : !stored.grids.empty();
}

}  // namespace

CalibratedNetwork::CalibratedNetwork(LayerGraph graph, const Dataset* calibration,
                                     const QuantizationSpec& spec, const std::string& device,
                                     const RunContext& context, StoredCalibration stored,
                                     BatchNormMap statistics)
    : state_(std::make_unique<State>(Network(std::move(graph), device), spec)) {
  state_->stored = std::move(stored);
  state_->statistics = std::move(statistics);
  const bool has_corrections = !state_->stored.corrections.empty();
  if (spec.Has(CalibrationStep::kAnalyticBiasCorrection) && !has_corrections &&
      state_->statistics.empty()) {
    throw Error(ErrorId::kUsage,
                "analytic_bias_correction reads the statistics of folded batch normalisation, and "
                "this network has none")
        .Key("calibration")
        .Hint("use bias_correction with calibration data");
  }
  const std::vector<std::optional<AffineGrid>>& grids = state_->stored.grids;
  const bool all_stored =
      !QuantizesTensors(spec.placement) && !grids.empty() &&
      std::all_of(grids.begin(), grids.end(), [](const auto& grid) { return grid.has_value(); });
  const bool corrects = spec.Has(CalibrationStep::kBiasCorrection) && !has_corrections;
  const bool rounds =
      state_->stored.weight_codes.empty() &&
      (spec.Has(CalibrationStep::kAdaRound) || spec.Has(CalibrationStep::kSequentialAdaRound));
  const bool adjusts = corrects || rounds;
  if (!adjusts && (all_stored || !QuantizesActivations(spec.placement))) return;
  if (calibration == nullptr || calibration->size() == 0) {
    // What has no grid may stay float.
    if (!adjusts && HasStoredGrids(state_->stored, spec.placement)) return;
    throw Error(ErrorId::kDataCount,
                "activation ranges, bias correction and learned rounding need calibration data")
        .Hint("give --calibration, or quantize weights only without these steps");
  }
  ForEachOnOneThread(context, 1, [&](std::int64_t) {
    state_->images = ImageBatch(*calibration, 0, calibration->size()).to(state_->network.device());
    CalibrationHooks hooks(state_->network.graph(), spec);
    state_->network.Forward(state_->images, &hooks);
    state_->measured = std::move(hooks.measured);
    state_->output_mean = std::move(hooks.means);
    state_->input_moments = std::move(hooks.moments);
  });
}

CalibratedNetwork::CalibratedNetwork(std::unique_ptr<State> state) : state_(std::move(state)) {}
CalibratedNetwork::~CalibratedNetwork() = default;
CalibratedNetwork::CalibratedNetwork(CalibratedNetwork&&) noexcept = default;

CalibratedNetwork CalibratedNetwork::WithPlacement(Placement placement) const {
  auto state = std::make_unique<State>(state_->network, state_->spec);
  state->spec.placement = placement;
  state->images = state_->images;
  state->measured = state_->measured;
  state->stored = state_->stored;
  state->output_mean = state_->output_mean;
  state->input_moments = state_->input_moments;
  state->statistics = state_->statistics;
  return CalibratedNetwork(std::move(state));
}

const Network& CalibratedNetwork::network() const { return state_->network; }
const LayerGraph& CalibratedNetwork::graph() const { return state_->network.graph(); }
const QuantizationSpec& CalibratedNetwork::spec() const { return state_->spec; }

Range CalibratedNetwork::ActivationRange(LayerIndex layer, NumberFormat format) const {
  return RangeOf(*state_, graph().layer(layer).input, format);
}

std::optional<AffineGrid> CalibratedNetwork::ActivationGrid(LayerIndex layer,
                                                            NumberFormat format) const {
  if (!QuantizesActivations(state_->spec.placement) || format.is_float()) return std::nullopt;
  RequireActivationFormat(graph(), layer, format);
  if (!state_->stored.grids.empty()) {
    const std::optional<AffineGrid>& stored = state_->stored.grids[layer.value];
    // A grid of other bits was stored for another configuration: measure instead.
    if (stored && stored->qmax - stored->qmin == (1 << format.bits()) - 1) return stored;
  }
  return GridOf(*state_, graph().layer(layer).input, format);
}

std::vector<TensorGrid> CalibratedNetwork::TensorGrids(const BitConfig& config) const {
  if (!QuantizesTensors(state_->spec.placement)) return {};
  const TensorPlan plan = PlanTensors(graph(), config);
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    RequireActivationFormat(graph(), LayerIndex(l), config.choices[l].activation);
  }
  std::vector<TensorGrid> grids;
  for (const PlannedTensor& entry : plan.tensors) {
    const std::string& name = graph().tensor(entry.tensor).name;
    const auto stored =
        std::find_if(state_->stored.tensors.begin(), state_->stored.tensors.end(),
                     [&](const TensorGrid& candidate) {
                       return candidate.tensor == name && candidate.format == entry.format;
                     });
    grids.push_back(
        stored != state_->stored.tensors.end()
            ? *stored
            : TensorGrid{name, entry.format, GridOf(*state_, entry.range_from, entry.format)});
  }
  return grids;
}

const QuantizedWeight& CalibratedNetwork::Weight(LayerIndex layer, NumberFormat format) const {
  const std::lock_guard lock(state_->mutex);
  const auto key = std::pair(layer.value, format);
  auto found = state_->weights.find(key);
  if (found == state_->weights.end()) {
    QuantizedWeight made = MakeWeight(*state_, layer, format);
    found = state_->weights.emplace(key, std::move(made)).first;
  }
  return found->second;
}

bool CalibratedNetwork::HasStoredCodes(LayerIndex layer) const {
  const auto& codes = state_->stored.weight_codes;
  return layer.value < codes.size() && !codes[layer.value].empty();
}

const at::Tensor& CalibrationImages(const CalibratedNetwork& network) {
  return network.state().images;
}

}  // namespace bitsearch
