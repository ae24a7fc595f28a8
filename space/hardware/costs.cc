// Size and bit operations. See costs.h for the definitions.
#include "space/hardware/costs.h"

#include <limits>
#include <string>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kScaleBits = 32;
constexpr std::int64_t kBiasBits = 32;

bool IsSkip(NumberFormat format) { return format.kind() == NumberFormat::Kind::kSkip; }

bool HasScale(NumberFormat format) { return !format.is_float() && !IsSkip(format); }

void CheckLayerCount(const LayerGraph& graph, std::size_t count) {
  if (count == graph.layers().size()) return;
  throw Error(ErrorId::kInternal, "got choices for " + std::to_string(count) +
                                      " layers, the graph has " +
                                      std::to_string(graph.layers().size()));
}

std::int64_t BiasBits(const Layer& layer, BitChoice choice) {
  return IsSkip(choice.weight) ? 0 : kBiasBits * layer.bias_count;
}

/// Parameters and parameters · bits, each weight tensor once.
struct WeightSum {
  std::int64_t parameters = 0;
  std::int64_t bits = 0;
};

WeightSum SumWeights(const LayerGraph& graph, const BitConfig& config) {
  CheckLayerCount(graph, config.choices.size());
  const std::vector<bool> carries = CarriesWeight(graph);
  WeightSum sum;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    if (!carries[l]) continue;
    const std::int64_t parameters = graph.layers()[l].parameter_count;
    sum.parameters += parameters;
    sum.bits += parameters * config.choices[l].weight.bits();
  }
  return sum;
}

}  // namespace

std::int64_t ScaleCount(const Layer& layer, const WeightStorage& storage) {
  if (layer.parameter_count == 0) return 0;
  const std::int64_t channels = layer.output_channels > 0 ? layer.output_channels : 1;
  switch (storage.granularity) {
    case Granularity::kPerTensor:
      return 1;
    case Granularity::kPerChannel:
      return channels;
    case Granularity::kPerGroup: {
      if (storage.group_size < 1) {
        throw Error(ErrorId::kUsage, "got a group size of " + std::to_string(storage.group_size) +
                                         " (allowed: 1 or more)")
            .Key("group_size");
      }
      const std::int64_t per_channel = layer.parameter_count / channels;
      return channels * ((per_channel + storage.group_size - 1) / storage.group_size);
    }
  }
  return 0;
}

std::int64_t SizeBits(const Layer& layer, BitChoice choice, const WeightStorage& storage) {
  std::int64_t size_bits = layer.parameter_count * choice.weight.bits() + BiasBits(layer, choice);
  if (HasScale(choice.weight)) {
    const std::int64_t zero_point_bits = storage.zero_points ? choice.weight.bits() : 0;
    size_bits += ScaleCount(layer, storage) * (kScaleBits + zero_point_bits);
  }
  return size_bits;
}

std::int64_t Bops(const Layer& layer, BitChoice choice) {
  return layer.macs * choice.weight.bits() * choice.activation.bits();
}

std::vector<bool> CarriesWeight(const LayerGraph& graph) {
  const std::vector<Layer>& layers = graph.layers();
  std::vector<bool> carries(layers.size(), true);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (!layers[l].weight) continue;
    const Tensor& mine = graph.tensor(*layers[l].weight);
    for (std::size_t earlier = 0; earlier < l && carries[l]; ++earlier) {
      if (!layers[earlier].weight) continue;
      const Tensor& theirs = graph.tensor(*layers[earlier].weight);
      const bool same_bytes =
          mine.constant && theirs.constant && mine.constant->SharesBytesWith(*theirs.constant);
      carries[l] = *layers[l].weight != *layers[earlier].weight && !same_bytes;
    }
  }
  return carries;
}

std::vector<std::vector<std::int64_t>> SizeBitsOfChoices(
    const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices,
    const WeightStorage& storage) {
  CheckLayerCount(graph, choices.size());
  const std::vector<bool> carries = CarriesWeight(graph);
  std::vector<std::vector<std::int64_t>> sizes(choices.size());
  for (std::size_t l = 0; l < choices.size(); ++l) {
    for (const BitChoice choice : choices[l]) {
      const Layer& layer = graph.layers()[l];
      sizes[l].push_back(carries[l] ? SizeBits(layer, choice, storage) : BiasBits(layer, choice));
    }
  }
  return sizes;
}

std::vector<std::vector<std::int64_t>> BopsOfChoices(
    const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices) {
  CheckLayerCount(graph, choices.size());
  std::vector<std::vector<std::int64_t>> bops(choices.size());
  for (std::size_t l = 0; l < choices.size(); ++l) {
    for (const BitChoice choice : choices[l]) {
      bops[l].push_back(Bops(graph.layers()[l], choice));
    }
  }
  return bops;
}

std::int64_t TotalSizeBits(const LayerGraph& graph, const BitConfig& config,
                           const WeightStorage& storage) {
  CheckLayerCount(graph, config.choices.size());
  const std::vector<bool> carries = CarriesWeight(graph);
  std::int64_t total = 0;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    const Layer& layer = graph.layers()[l];
    total += carries[l] ? SizeBits(layer, config.choices[l], storage)
                        : BiasBits(layer, config.choices[l]);
  }
  return total;
}

std::int64_t TotalBops(const LayerGraph& graph, const BitConfig& config) {
  CheckLayerCount(graph, config.choices.size());
  std::int64_t total = 0;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    total += Bops(graph.layers()[l], config.choices[l]);
  }
  return total;
}

double WeightCompression(const LayerGraph& graph, const BitConfig& config) {
  const WeightSum sum = SumWeights(graph, config);
  if (sum.bits == 0) return std::numeric_limits<double>::infinity();
  return 32.0 * static_cast<double>(sum.parameters) / static_cast<double>(sum.bits);
}

double MeanWeightBits(const LayerGraph& graph, const BitConfig& config) {
  const WeightSum sum = SumWeights(graph, config);
  if (sum.parameters == 0) return 0.0;
  return static_cast<double>(sum.bits) / static_cast<double>(sum.parameters);
}

}  // namespace bitsearch
