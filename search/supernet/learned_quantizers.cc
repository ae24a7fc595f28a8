#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "search/supernet/learned_quantizers_torch.h"
#include "space/network/batches_torch.h"
#include "space/quantizer/ranges.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// Ranges are fitted to at most this many values of a tensor, taken at a fixed stride.
constexpr std::int64_t kMostValues = 1 << 15;
constexpr float kLeastScale = 1e-8F;
// Where the search for the least squared error ends with nothing but zeros.
constexpr float kScaleOfZeros = 1e-3F;

float LsqFactor(std::int64_t elements, float highest) {
  return 1.0F / std::sqrt(static_cast<float>(elements) * std::max(1.0F, highest));
}

bool RoundsActivations(Placement placement) { return placement != Placement::kWeightsOnly; }

// Keeps a sample of every layer's input.
class InputSampler : public ExecutionHooks {
 public:
  explicit InputSampler(const LayerGraph& graph) : parts_(graph.nodes().size()) {
    for (const Layer& layer : graph.layers()) parts_[layer.node.value] = &layer;
    samples.resize(graph.layers().size());
    elements.resize(graph.layers().size());
    layers_ = graph.layers().data();
  }
  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    const Layer* layer = parts_[node.value];
    if (layer == nullptr || slot != layer->input_slot) return value;
    const at::Tensor flat = value.detach().to(at::kCPU).contiguous().view({-1});
    const std::int64_t stride = (flat.numel() + kMostValues - 1) / kMostValues;
    // An odd stride does not fall into step with even extents.
    const at::Tensor kept =
        at::slice(flat, 0, 0, flat.numel(), stride > 1 ? stride | 1 : 1).contiguous();
    const auto l = static_cast<std::size_t>(layer - layers_);
    samples[l].assign(kept.data_ptr<float>(), kept.data_ptr<float>() + kept.numel());
    elements[l] = value.numel() / std::max<std::int64_t>(1, value.size(0));
    lowest[l] = flat.min().item<float>();
    return value;
  }

  std::vector<std::vector<float>> samples;
  std::vector<std::int64_t> elements;
  std::map<std::size_t, float> lowest;

 private:
  std::vector<const Layer*> parts_;
  const Layer* layers_ = nullptr;
};

std::int64_t SliceCount(const Layer& layer, const Shape& shape, const WeightQuantizerSpec& spec) {
  switch (spec.granularity) {
    case Granularity::kPerTensor:
      return 1;
    case Granularity::kPerChannel:
      return layer.output_channels;
    case Granularity::kPerGroup:
      break;
  }
  const std::int64_t per_channel = ElementCount(shape) / layer.output_channels;
  if (spec.group_size < 1 || per_channel % spec.group_size != 0) {
    throw Error(ErrorId::kUsage, "training with groups of " + std::to_string(spec.group_size) +
                                     " needs channels that they divide, this layer's have " +
                                     std::to_string(per_channel) + " weights")
        .Key(layer.id)
        .Hint("choose another group_size, or per_channel");
  }
  return layer.output_channels * (per_channel / spec.group_size);
}

CandidateRoundings FitWeight(const at::Tensor& weight, const Layer& layer, const ChoiceGroup& group,
                             const LearnedQuantizerOptions& options) {
  CandidateRoundings quantizer;
  const Shape shape = weight.sizes().vec();
  const std::int64_t slices = SliceCount(layer, shape, options.weight);
  const std::int64_t size = weight.numel() / slices;
  const at::Tensor rows = weight.detach()
                              .to(at::kCPU)
                              .transpose(0, layer.output_channel_axis)
                              .contiguous()
                              .view({slices, size});
  const auto count = static_cast<std::int64_t>(group.candidates.size());
  quantizer.scales = at::ones({count, slices});
  for (std::int64_t k = 0; k < count; ++k) {
    const NumberFormat format = group.candidates[static_cast<std::size_t>(k)].weight;
    RoundingLevels levels = RoundingLevels::ForWeight(format, options.weight.narrow);
    float* scale = quantizer.scales.data_ptr<float>() + k * slices;
    const bool rounds =
        levels.kind == RoundingLevels::Kind::kAffine || levels.kind == RoundingLevels::Kind::kSign;
    quantizer.is_float = quantizer.is_float && !rounds;
    for (std::int64_t s = 0; rounds && s < slices; ++s) {
      const std::span<const float> values(rows.data_ptr<float>() + s * size,
                                          static_cast<std::size_t>(size));
      if (levels.kind == RoundingLevels::Kind::kSign) {
        double sum = 0.0;
        for (const float value : values) sum += std::fabs(value);
        scale[s] = static_cast<float>(sum / static_cast<double>(size));
      } else {
        const int bits = format.kind() == NumberFormat::Kind::kTernary ? 2 : format.bits();
        const bool narrow = levels.lowest == -levels.highest;
        const Range range = MseRange(values, bits, /*symmetric=*/true, narrow);
        scale[s] = SymmetricGrid(range, bits, narrow).scale;
      }
      if (!(scale[s] > kLeastScale)) scale[s] = kScaleOfZeros;
    }
    if (rounds) levels.scale_gradient = LsqFactor(size, levels.highest);
    quantizer.levels.push_back(levels);
  }
  quantizer.scales.requires_grad_(options.learn_weight_scales && !quantizer.is_float);
  return quantizer;
}

CandidateRoundings FitActivation(std::vector<float>& sample, float lowest, std::int64_t elements,
                                 const ChoiceGroup& group, const LearnedQuantizerOptions& options) {
  CandidateRoundings quantizer;
  const auto count = static_cast<std::int64_t>(group.candidates.size());
  quantizer.scales = at::ones({count});
  for (std::int64_t k = 0; k < count; ++k) {
    const NumberFormat format = group.candidates[static_cast<std::size_t>(k)].activation;
    if (!format.is_integer()) {
      quantizer.levels.push_back(RoundingLevels::ForActivation(format, 0));
      continue;
    }
    quantizer.is_float = false;
    Range range = MseRange(sample, format.bits(), /*symmetric=*/false, false);
    if (lowest >= 0.0F) range.low = 0.0F;
    const AffineGrid grid = AsymmetricGrid(range, format.bits());
    quantizer.scales.data_ptr<float>()[k] = grid.scale > kLeastScale ? grid.scale : kScaleOfZeros;
    RoundingLevels levels = RoundingLevels::ForActivation(format, grid.zero_point);
    levels.scale_gradient = LsqFactor(elements, static_cast<float>((1 << format.bits()) - 1));
    quantizer.levels.push_back(levels);
  }
  quantizer.scales.requires_grad_(options.learn_activation_scales && !quantizer.is_float);
  return quantizer;
}

}  // namespace

LearnedQuantizers::LearnedQuantizers(const Network& network, const ArchitectureSpace& space,
                                     const Dataset* calibration,
                                     const LearnedQuantizerOptions& options,
                                     const RunContext& context)
    : options_(options) {
  if (options.placement != Placement::kWeightsOnly &&
      options.placement != Placement::kLayerInputs) {
    throw Error(ErrorId::kUsage,
                "placement '" + std::string(NameOf(options.placement)) + "' cannot be trained yet")
        .Hint("use weights_only or layer_inputs");
  }
  const LayerGraph& graph = network.graph();
  const bool rounds_activations = RoundsActivations(options.placement);
  InputSampler sampler(graph);
  if (rounds_activations) {
    if (calibration == nullptr || calibration->size() == 0) {
      throw Error(ErrorId::kDataCount, "activation ranges need calibration images");
    }
    const at::NoGradGuard no_grad;
    at::set_num_threads(context.threads);
    const std::int64_t count = std::min(options.calibration_samples, calibration->size());
    network.Forward(ImageBatch(*calibration, 0, count).to(network.device()), &sampler);
  }
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> index_of;  // (tensor, group)
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    CandidateRoundings weight;
    if (layer.weight) {
      weight = FitWeight(network.constant(*layer.weight), layer,
                         space.groups[space.layers[l].weight], options);
    }
    weights_.push_back(std::move(weight));
    const auto [entry, is_new] = index_of.try_emplace(
        std::pair(layer.input.value, space.layers[l].activation), activations_.size());
    activation_of_layer_.push_back(entry->second);
    if (!is_new) continue;
    activations_.push_back(rounds_activations
                               ? FitActivation(sampler.samples[l], sampler.lowest[l],
                                               sampler.elements[l],
                                               space.groups[space.layers[l].activation], options)
                               : CandidateRoundings());
  }
  for (const CandidateRoundings& quantizer : activations_) {
    at::Tensor bounds = at::empty({static_cast<std::int64_t>(quantizer.levels.size()), 2});
    float* bound = bounds.data_ptr<float>();
    for (const RoundingLevels& levels : quantizer.levels) {
      *bound++ = levels.lowest;
      *bound++ = levels.highest;
    }
    activation_bounds_.push_back(std::move(bounds));
  }
}

std::vector<at::Tensor> LearnedQuantizers::Parameters() const {
  std::vector<at::Tensor> parameters;
  for (const auto* list : {&weights_, &activations_}) {
    for (const CandidateRoundings& quantizer : *list) {
      if (quantizer.scales.defined() && quantizer.scales.requires_grad()) {
        parameters.push_back(quantizer.scales);
      }
    }
  }
  return parameters;
}

std::vector<std::pair<std::string, at::Tensor>> LearnedQuantizers::NamedState() const {
  std::vector<std::pair<std::string, at::Tensor>> named;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i].scales.defined()) {
      named.emplace_back("weight_scale" + std::to_string(i), weights_[i].scales);
    }
  }
  for (std::size_t i = 0; i < activations_.size(); ++i) {
    if (!activations_[i].scales.defined()) continue;
    named.emplace_back("activation_scale" + std::to_string(i), activations_[i].scales);
    named.emplace_back("activation_bounds" + std::to_string(i), activation_bounds_[i]);
  }
  return named;
}

void LearnedQuantizers::StateLoaded() {
  for (std::size_t i = 0; i < activations_.size(); ++i) {
    const float* bound = activation_bounds_[i].data_ptr<float>();
    for (RoundingLevels& levels : activations_[i].levels) {
      levels.lowest = *bound++;
      levels.highest = *bound++;
    }
  }
}

void LearnedQuantizers::KeepPositive() {
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : Parameters()) parameter.clamp_min_(kLeastScale);
}

}  // namespace bitsearch
