#include "experiments/tuned_config.h"

namespace bitsearch {
namespace {

TensorQuantizer WeightQuantizer(const std::vector<AffineGrid>& grids,
                                std::int64_t groups_per_channel) {
  TensorQuantizer quantizer;
  quantizer.granularity = NameOf(grids.size() == 1        ? Granularity::kPerTensor
                                 : groups_per_channel > 1 ? Granularity::kPerGroup
                                                          : Granularity::kPerChannel);
  quantizer.symmetric = true;
  for (const AffineGrid& grid : grids) {
    quantizer.scale.push_back(grid.scale);
    quantizer.zero_point.push_back(grid.zero_point);
  }
  return quantizer;
}

}  // namespace

ConfigDocument TunedDocument(const TunedNetwork& network, const LearnedQuantizerOptions& trained) {
  ConfigDocument document;
  document.placement = trained.placement;
  document.weights = trained.weight;
  document.weights->range = {};
  document.learned_scales = true;
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const Layer& layer = network.graph.layers()[l];
    const LayerGrids& grids = network.layers[l];
    ConfigLayer entry{layer.id, layer.op, network.config.choices[l], {}};
    if (!grids.weight.empty()) {
      entry.quantizers.weight = WeightQuantizer(grids.weight, grids.groups_per_channel);
    }
    if (grids.activation) {
      const AffineGrid& grid = *grids.activation;
      entry.quantizers.activation =
          TensorQuantizer{"per_tensor",   grid.qmin < 0, grid.lowest(),
                          grid.highest(), {grid.scale},  {grid.zero_point}};
    }
    document.layers.push_back(std::move(entry));
  }
  return document;
}

}  // namespace bitsearch
