#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "search/supernet/tuned_network_torch.h"
#include "space/graph/rewrites.h"
#include "space/network/batches_torch.h"
#include "space/network/evaluate.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/quantizer/weight_quantizer.h"

namespace bitsearch {
namespace {

// Channels that BN switches off keep a scale that can be divided by.
constexpr float kLeastScale = 1e-12F;

AffineGrid GridOf(const RoundingLevels& levels, float scale) {
  if (levels.kind == RoundingLevels::Kind::kSign) return {scale, 0, -1, 1};
  return {scale, 0, static_cast<std::int32_t>(levels.lowest),
          static_cast<std::int32_t>(levels.highest)};
}

// A grid times a factor. A negative one mirrors the levels; the zero point keeps them in range.
AffineGrid Scaled(AffineGrid grid, double factor) {
  grid.scale = std::max(static_cast<float>(grid.scale * std::fabs(factor)), kLeastScale);
  if (factor < 0.0) grid.zero_point = grid.qmin + grid.qmax - grid.zero_point;
  return grid;
}

bool IsRounding(const RoundingLevels& levels) {
  return levels.kind == RoundingLevels::Kind::kAffine || levels.kind == RoundingLevels::Kind::kSign;
}

// Folding multiplies weights and scales, each rounded by itself: this makes every weight the value
// that its code and its scale stand for, to the last bit, as whoever reads the grids computes it.
void PutOnGrids(int group_size, TunedNetwork* tuned) {
  for (std::size_t l = 0; l < tuned->layers.size(); ++l) {
    const std::vector<AffineGrid>& grids = tuned->layers[l].weight;
    const NumberFormat format = tuned->config.choices[l].weight;
    if (grids.empty() || !format.is_integer() || format.bits() == 1) continue;
    const Layer& layer = tuned->graph.layers()[l];
    const TensorIndex index = *layer.weight;
    const TensorValue& weight = *tuned->graph.tensor(index).constant;
    const Shape shape = weight.shape();
    const QuantizedWeight rounded = QuantizeWeightOnGrids(
        weight.Floats(), shape, layer.output_channel_axis, grids, group_size);
    tuned->graph.SetConstant(index, TensorValue::FromFloats(shape, rounded.values));
  }
}

// Collects the mean and the variance (with Bessel's correction, as training's running statistics
// have it) of what each BatchNormalization reads.
class StatisticsHooks : public ExecutionHooks {
 public:
  StatisticsHooks(const LayerGraph& graph, ExecutionHooks* inner) : graph_(graph), inner_(inner) {}
  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    if (inner_ != nullptr) value = inner_->OnInput(node, slot, std::move(value));
    if (slot == 0 && graph_.node(node).op == "BatchNormalization") {
      const at::Tensor rows = value.transpose(0, 1).reshape({value.size(1), -1});
      auto& [mean, variance] = sums[node.value];
      const at::Tensor batch_mean = rows.mean(1);
      const at::Tensor batch_variance = rows.var(1, /*unbiased=*/true);
      mean = mean.defined() ? mean + batch_mean : batch_mean;
      variance = variance.defined() ? variance + batch_variance : batch_variance;
    }
    return value;
  }
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override {
    return inner_ != nullptr ? inner_->OnConstant(node, slot, std::move(value)) : value;
  }
  at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    return inner_ != nullptr ? inner_->OnOutput(node, slot, std::move(value)) : value;
  }

  std::map<std::size_t, std::pair<at::Tensor, at::Tensor>> sums;  ///< By node.

 private:
  const LayerGraph& graph_;
  ExecutionHooks* inner_;
};

}  // namespace

TunedNetwork FreezeTuned(const Network& network, const ArchitectureSpace& space,
                         const LearnedQuantizers& quantizers) {
  const at::NoGradGuard no_grad;
  MixedPrecisionHooks hooks(network.graph(), space, quantizers);
  LayerGraph graph = network.ToGraph();
  TunedNetwork tuned;
  tuned.config = space.ConfigOf(std::vector<std::size_t>(space.group_count(), 0));
  tuned.layers.resize(graph.layers().size());
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer layer = graph.layers()[l];
    const LayerIndex index(l);
    LayerGrids& grids = tuned.layers[l];
    const CandidateRoundings& input = quantizers.activation(index);
    if (!input.is_float) {
      const RoundingLevels& levels = input.levels[0];
      // Unsigned integers: the level of zero is the zero point.
      grids.activation =
          AffineGrid{input.scales.data_ptr<float>()[0], static_cast<std::int32_t>(-levels.lowest),
                     0, static_cast<std::int32_t>(levels.highest - levels.lowest)};
    }
    const CandidateRoundings& weight = quantizers.weight(index);
    if (weight.is_float || !layer.weight || !IsRounding(weight.levels[0])) continue;
    const at::Tensor& value = network.constant(*layer.weight);
    const at::Tensor rounded = hooks.OnConstant(layer.node, layer.weight_slot, value);
    graph.SetConstant(*layer.weight, FromTorch(rounded));
    const at::Tensor scales = hooks.WeightScales(index, value).contiguous();
    const std::int64_t slices = scales.size(1);
    for (std::int64_t s = 0; s < slices; ++s) {
      grids.weight.push_back(GridOf(weight.levels[0], scales.data_ptr<float>()[s]));
    }
    if (slices > 1) grids.groups_per_channel = slices / layer.output_channels;
  }
  BatchNormMap folded;
  tuned.graph = FoldBatchNorm(graph, &folded);
  for (std::size_t l = 0; l < tuned.graph.layers().size(); ++l) {
    const Layer& layer = tuned.graph.layers()[l];
    LayerGrids& grids = tuned.layers[l];
    const auto found = folded.find(layer.id);
    if (found == folded.end() || grids.weight.empty()) continue;
    const BatchNormStatistics& norm = found->second;
    std::vector<AffineGrid> scaled;
    for (int c = 0; c < layer.output_channels; ++c) {
      const auto channel = static_cast<std::size_t>(c);
      const double factor = static_cast<double>(norm.gamma[channel]) /
                            std::sqrt(static_cast<double>(norm.variance[channel]) +
                                      static_cast<double>(norm.epsilon));
      // One scale per tensor becomes one per channel: that is what folding does to it.
      const bool per_tensor = grids.weight.size() == 1;
      for (std::int64_t g = 0; g < grids.groups_per_channel; ++g) {
        const std::size_t place =
            per_tensor ? 0
                       : channel * static_cast<std::size_t>(grids.groups_per_channel) +
                             static_cast<std::size_t>(g);
        scaled.push_back(Scaled(grids.weight[place], factor));
      }
    }
    grids.weight = std::move(scaled);
  }
  PutOnGrids(quantizers.options().weight.group_size, &tuned);
  return tuned;
}

void ReestimateBatchNorm(Network& network, ExecutionHooks* hooks, const Dataset& data,
                         std::int64_t batch_size, int batches) {
  const at::NoGradGuard no_grad;
  StatisticsHooks statistics(network.graph(), hooks);
  const std::int64_t available = data.size() / batch_size;
  const std::int64_t count = std::min<std::int64_t>(batches, available);
  for (std::int64_t b = 0; b < count; ++b) {
    const at::Tensor images = ImageBatch(data, b * batch_size, batch_size).to(network.device());
    network.Forward(images, &statistics, /*training=*/true);
  }
  for (const auto& [node, sums] : statistics.sums) {
    const Node& norm = network.graph().nodes()[node];
    at::Tensor mean = network.constant(*norm.inputs[3]);
    at::Tensor variance = network.constant(*norm.inputs[4]);
    mean.copy_(sums.first / static_cast<double>(count));
    variance.copy_(sums.second / static_cast<double>(count));
  }
}

Evaluation EvaluateTuned(const TunedNetwork& network, const Dataset& data,
                         const RunContext& context, const std::string& device) {
  const Network executable(network.graph, device);
  QuantizationHooks hooks;
  hooks.nodes.resize(network.graph.nodes().size());
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    hooks.nodes[network.graph.layers()[l].node.value].input_grid = network.layers[l].activation;
  }
  return EvaluateNetwork(executable, data, &hooks, context);
}

}  // namespace bitsearch
