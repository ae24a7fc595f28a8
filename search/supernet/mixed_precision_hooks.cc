#include <algorithm>
#include <utility>

#include "search/supernet/learned_quantizers_torch.h"

namespace bitsearch {
namespace {

// Scales from the weights themselves: the largest magnitude falls on the last level.
at::Tensor LargestMagnitudeScales(const at::Tensor& rows, const CandidateRoundings& quantizer) {
  const at::NoGradGuard no_grad;
  const std::int64_t slices = quantizer.scales.size(1);
  const at::Tensor magnitude = rows.detach().abs().reshape({slices, -1});
  const at::Tensor largest = magnitude.amax(1).clamp_min(1e-8);
  std::vector<at::Tensor> scales;
  for (const RoundingLevels& levels : quantizer.levels) {
    scales.push_back(levels.kind == RoundingLevels::Kind::kSign
                         ? magnitude.mean(1)
                         : largest / std::max(1.0F, levels.highest));
  }
  return at::stack(scales).to(at::kCPU);
}

}  // namespace

MixedPrecisionHooks::MixedPrecisionHooks(const LayerGraph& graph, const ArchitectureSpace& space,
                                         const LearnedQuantizers& quantizers)
    : graph_(graph),
      space_(space),
      quantizers_(quantizers),
      parts_(graph.nodes().size()),
      mixture_rows_(space.group_count()),
      keep_(space.group_count()) {
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    parts_[graph.layers()[l].node.value].layer = LayerIndex(l);
  }
  for (const auto& [block, group] : space.skippable_blocks) {
    parts_[block.add.value].skip_group = group;
    parts_[block.add.value].branch_slot = block.branch_slot;
  }
}

void MixedPrecisionHooks::SetMasks(const at::Tensor& masks, const at::Tensor& mixtures) {
  const std::vector<at::Tensor> mixture_rows = mixtures.unbind(0);
  for (std::size_t g = 0; g < space_.group_count(); ++g) {
    const ChoiceGroup& group = space_.groups[g];
    const auto count = static_cast<std::int64_t>(group.candidates.size());
    mixture_rows_[g] = count == 1              ? at::Tensor()
                       : count < masks.size(1) ? mixture_rows[g].slice(0, 0, count)
                                               : mixture_rows[g];
    keep_[g] = group.skip ? 1.0 - masks.select(0, static_cast<std::int64_t>(g))
                                      .select(0, static_cast<std::int64_t>(*group.skip))
                          : at::Tensor();
  }
  cached_input_ = at::Tensor();
  cached_rounded_ = at::Tensor();
}

void MixedPrecisionHooks::SetPicks(const std::vector<std::size_t>& picks) {
  const auto widest = static_cast<std::int64_t>(space_.widest());
  at::Tensor masks = at::zeros({static_cast<std::int64_t>(picks.size()), widest});
  at::Tensor mixtures = at::zeros_like(masks);
  for (std::size_t g = 0; g < picks.size(); ++g) {
    const auto row = static_cast<std::int64_t>(g);
    masks.select(0, row).select(0, static_cast<std::int64_t>(picks[g])).fill_(1.0);
    // A skipped block still runs: with its first candidate, and its output multiplied by 0.
    const bool skipped = space_.groups[g].skip == picks[g];
    const std::size_t used = skipped ? (picks[g] == 0 ? 1 : 0) : picks[g];
    mixtures.select(0, row).select(0, static_cast<std::int64_t>(used)).fill_(1.0);
  }
  SetMasks(masks, mixtures);
}

at::Tensor MixedPrecisionHooks::OnInput(NodeIndex node, std::size_t slot, at::Tensor value) {
  const NodePart& part = parts_[node.value];
  if (part.skip_group && slot == part.branch_slot && keep_[*part.skip_group].defined()) {
    return value * keep_[*part.skip_group];
  }
  if (!part.layer || slot != graph_.layer(*part.layer).input_slot) return value;
  const CandidateRoundings& quantizer = quantizers_.activation(*part.layer);
  if (quantizer.is_float) return value;
  const std::size_t group = space_.layers[part.layer->value].activation;
  const auto round = [&] {
    return MixRoundings(value, mixture_rows_[group], quantizer.scales, quantizer.levels);
  };
  // Evaluation may run on several threads at once: only training keeps the last input.
  const bool is_shared =
      at::GradMode::is_enabled() && graph_.Consumers(graph_.layer(*part.layer).input).size() > 1;
  if (!is_shared) return round();
  const std::size_t index = quantizers_.activation_index(*part.layer);
  if (cached_rounded_.defined() && cached_quantizer_ == index && cached_input_.is_same(value)) {
    return cached_rounded_;
  }
  cached_quantizer_ = index;
  cached_input_ = value;
  cached_rounded_ = round();
  return cached_rounded_;
}

at::Tensor MixedPrecisionHooks::OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) {
  const NodePart& part = parts_[node.value];
  if (!part.layer) return value;
  const Layer& layer = graph_.layer(*part.layer);
  if (!layer.weight || slot != layer.weight_slot) return value;
  if (quantizers_.weight(*part.layer).is_float) return value;
  return RoundWeight(*part.layer, value);
}

at::Tensor MixedPrecisionHooks::WeightScales(LayerIndex index, const at::Tensor& weight) const {
  const CandidateRoundings& quantizer = quantizers_.weight(index);
  if (quantizers_.options().learn_weight_scales) return quantizer.scales;
  return LargestMagnitudeScales(weight.transpose(0, graph_.layer(index).output_channel_axis),
                                quantizer);
}

at::Tensor MixedPrecisionHooks::RoundWeight(LayerIndex index, const at::Tensor& weight) const {
  const CandidateRoundings& quantizer = quantizers_.weight(index);
  const at::Tensor& mixture = mixture_rows_[space_.layers[index.value].weight];
  const at::Tensor scales = WeightScales(index, weight);
  const int axis = graph_.layer(index).output_channel_axis;
  at::Tensor rows = axis == 0 ? weight : weight.transpose(0, axis);
  const std::int64_t slices = quantizer.scales.size(1);
  const auto sizes = rows.sizes().vec();
  const bool grouped = slices > 1 && slices != rows.size(0);
  if (grouped) rows = rows.reshape({slices, -1});
  at::Tensor rounded = MixRoundings(rows, mixture, scales, quantizer.levels);
  if (grouped) rounded = rounded.reshape(sizes);
  return axis == 0 ? rounded : rounded.transpose(0, axis);
}

}  // namespace bitsearch
