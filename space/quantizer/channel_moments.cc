#include "space/quantizer/channel_moments.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "space/quantizer/clip_bounds.h"
#include "space/quantizer/clipped_normal.h"
#include "space/quantizer/layer_weights.h"

namespace bitsearch {
namespace {

using Channels = std::optional<std::vector<ChannelMoments>>;

class Propagation {
 public:
  Propagation(const LayerGraph& graph, const BatchNormMap& statistics)
      : graph_(graph), statistics_(statistics), known_(graph.tensors().size()) {
    for (const Layer& layer : graph.layers()) layer_of_node_.emplace(layer.node.value, &layer);
  }

  std::vector<Channels> Run() {
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
      const Node& node = graph_.nodes()[n];
      if (node.outputs.empty()) continue;
      const auto layer = layer_of_node_.find(n);
      known_[node.outputs[0].value] =
          layer == layer_of_node_.end() ? Through(node) : OfLayer(*layer->second);
    }
    return std::move(known_);
  }

 private:
  Channels OfLayer(const Layer& layer) const {
    const auto entry = statistics_.find(layer.id);
    if (entry == statistics_.end()) return std::nullopt;
    std::vector<ChannelMoments> channels;
    for (std::size_t c = 0; c < entry->second.beta.size(); ++c) {
      const double gamma = entry->second.gamma[c];
      channels.push_back({entry->second.beta[c], gamma * gamma});
    }
    return channels;
  }

  const Channels& Input(const Node& node, std::size_t slot) const {
    static const Channels kUnknown;
    return slot < node.inputs.size() && node.inputs[slot] ? known_[node.inputs[slot]->value]
                                                          : kUnknown;
  }

  Channels Through(const Node& node) const {
    if (node.op == "Relu") return Clipped(Input(node, 0), 0.0, kInfinity);
    if (node.op == "Clip") {
      const auto [low, high] = ClipBoundsOf(graph_, node);
      return Clipped(Input(node, 0), low, high);
    }
    if (node.op == "Identity" || node.op == "Dropout") return Input(node, 0);
    if (node.op == "GlobalAveragePool") return MeanOnly(Input(node, 0));
    if (node.op == "AveragePool" && IsZero(node.attributes.Ints("pads"))) {
      return MeanOnly(Input(node, 0));
    }
    if (node.op == "Flatten" || node.op == "Reshape") return Flattened(node);
    if (node.op == "Add") return Sum(node);
    if (node.op == "Pad") return Padded(node);
    if (node.op == "Slice") return Sliced(node);
    return std::nullopt;
  }

  static bool IsZero(const std::vector<std::int64_t>& values) {
    return std::all_of(values.begin(), values.end(), [](std::int64_t v) { return v == 0; });
  }

  // Moments of min(max(X, low), high) for normal X; exact where X is one.
  static Channels Clipped(Channels channels, double low, double high) {
    if (!channels) return channels;
    for (ChannelMoments& channel : *channels) {
      const double deviation = std::sqrt(channel.variance);
      const double mean = ClippedNormalMean(channel.mean, deviation, low, high);
      channel.variance =
          std::max(0.0, ClippedNormalSquare(channel.mean, deviation, low, high) - mean * mean);
      channel.mean = mean;
    }
    return channels;
  }

  // The mean of many pixels; their variance is not known, and taken as none.
  static Channels MeanOnly(Channels channels) {
    if (channels) {
      for (ChannelMoments& channel : *channels) channel.variance = 0.0;
    }
    return channels;
  }

  Channels Flattened(const Node& node) const {
    const Channels& input = Input(node, 0);
    const auto& shape = graph_.tensor(node.outputs[0]).shape;
    // As many outputs as channels: there was one pixel each.
    if (!input || !shape || shape->size() != 2) return std::nullopt;
    return (*shape)[1] == std::ssize(*input) ? input : std::nullopt;
  }

  Channels Sum(const Node& node) const {
    const Channels& a = Input(node, 0);
    const Channels& b = Input(node, 1);
    if (!a || !b || a->size() != b->size()) return std::nullopt;
    std::vector<ChannelMoments> sum = *a;
    for (std::size_t c = 0; c < sum.size(); ++c) {
      sum[c].mean += (*b)[c].mean;
      sum[c].variance += (*b)[c].variance;
    }
    return sum;
  }

  std::optional<std::vector<std::int64_t>> Integers(const Node& node, std::size_t slot) const {
    if (slot >= node.inputs.size() || !node.inputs[slot]) return std::nullopt;
    const Tensor& tensor = graph_.tensor(*node.inputs[slot]);
    if (!tensor.constant) return std::nullopt;
    return tensor.constant->ToInt64s();
  }

  // Channels of zeros beside the others; borders of zeros would change the means.
  Channels Padded(const Node& node) const {
    const Channels& input = Input(node, 0);
    const auto pads =
        node.attributes.Has("pads") ? node.attributes.Ints("pads") : Integers(node, 1);
    if (!input || !pads || pads->size() != 8) return std::nullopt;
    for (std::size_t i = 0; i < pads->size(); ++i) {
      if (i % 4 != 1 && (*pads)[i] != 0) return std::nullopt;
    }
    if ((*pads)[1] < 0 || (*pads)[5] < 0) return std::nullopt;
    std::vector<ChannelMoments> channels(static_cast<std::size_t>((*pads)[1]));
    channels.insert(channels.end(), input->begin(), input->end());
    channels.resize(channels.size() + static_cast<std::size_t>((*pads)[5]));
    return channels;
  }

  // Of pixels only: each channel stays.
  Channels Sliced(const Node& node) const {
    const Channels& input = Input(node, 0);
    const auto& shape = graph_.tensor(node.outputs[0]).shape;
    if (!input || !shape || shape->size() < 2) return std::nullopt;
    return (*shape)[1] == std::ssize(*input) ? input : std::nullopt;
  }

  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const LayerGraph& graph_;
  const BatchNormMap& statistics_;
  std::map<std::size_t, const Layer*> layer_of_node_;
  std::vector<Channels> known_;
};

}  // namespace

std::vector<std::optional<std::vector<ChannelMoments>>> PropagateChannelMoments(
    const LayerGraph& graph, const BatchNormMap& statistics) {
  return Propagation(graph, statistics).Run();
}

std::optional<std::vector<float>> AnalyticShift(
    const LayerGraph& graph, const Layer& layer, std::span<const float> quantized,
    const std::optional<std::vector<ChannelMoments>>& input) {
  if (!input || !CanWalkWeight(graph, layer)) return std::nullopt;
  const std::vector<float> weight = graph.tensor(*layer.weight).constant->ToFloats();
  std::vector<double> shift(static_cast<std::size_t>(layer.output_channels), 0.0);
  bool fits = true;
  const WeightChannels channels =
      ForEachWeight(graph, layer, [&](std::size_t i, std::int64_t out, std::int64_t in) {
        fits = fits && out < std::ssize(shift) && in < std::ssize(*input);
        if (!fits) return;
        shift[static_cast<std::size_t>(out)] -= (static_cast<double>(quantized[i]) - weight[i]) *
                                                (*input)[static_cast<std::size_t>(in)].mean;
      });
  if (!fits || channels.inputs != std::ssize(*input)) return std::nullopt;
  return std::vector<float>(shift.begin(), shift.end());
}

}  // namespace bitsearch
