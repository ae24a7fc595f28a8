#include "space/quantizer/weight_runs.h"

#include <algorithm>

#include "space/support/error.h"

namespace bitsearch {

std::int64_t ChannelSize(const Shape& shape, int axis) {
  return ElementCount(shape) / std::max<std::int64_t>(1, shape[static_cast<std::size_t>(axis)]);
}

Gathered GatherByChannel(std::span<const float> weight, const Shape& shape, int axis) {
  Gathered gathered;
  gathered.values.reserve(weight.size());
  gathered.order.reserve(weight.size());
  std::size_t inner = 1;
  for (std::size_t a = static_cast<std::size_t>(axis) + 1; a < shape.size(); ++a) {
    inner *= static_cast<std::size_t>(shape[a]);
  }
  const auto channels = static_cast<std::size_t>(shape[static_cast<std::size_t>(axis)]);
  const std::size_t outer = weight.size() / (inner * channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t o = 0; o < outer; ++o) {
      for (std::size_t i = 0; i < inner; ++i) {
        const std::size_t place = (o * channels + c) * inner + i;
        gathered.order.push_back(place);
        gathered.values.push_back(weight[place]);
      }
    }
  }
  return gathered;
}

std::vector<std::size_t> Runs(const Shape& shape, int axis, const WeightQuantizerSpec& spec) {
  const std::int64_t total = ElementCount(shape);
  if (spec.granularity == Granularity::kPerTensor) return {static_cast<std::size_t>(total)};
  const std::int64_t channel = ChannelSize(shape, axis);
  const std::int64_t block = spec.granularity == Granularity::kPerGroup
                                 ? std::min<std::int64_t>(spec.group_size, channel)
                                 : channel;
  std::vector<std::size_t> runs;
  for (std::int64_t c = 0; c < shape[static_cast<std::size_t>(axis)]; ++c) {
    for (std::int64_t start = 0; start < channel; start += block) {
      runs.push_back(static_cast<std::size_t>(std::min(block, channel - start)));
    }
  }
  return runs;
}

std::vector<std::size_t> RunsOf(std::span<const AffineGrid> grids, const Shape& shape, int axis,
                                const WeightQuantizerSpec& spec) {
  std::vector<std::size_t> runs = Runs(shape, axis, spec);
  if (runs.size() != grids.size()) {
    throw Error(ErrorId::kInternal, std::to_string(grids.size()) + " grids for " +
                                        std::to_string(runs.size()) + " runs of weights");
  }
  return runs;
}

std::vector<float> Scattered(const Gathered& gathered) {
  std::vector<float> values(gathered.values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[gathered.order[i]] = gathered.values[i];
  }
  return values;
}

}  // namespace bitsearch
