#include "space/quantizer/weight_quantizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "space/quantizer/ranges.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// Weights gathered so that all that share a scale lie side by side; `order[i]` is the place in the
// tensor of gathered element i.
struct Gathered {
  std::vector<float> values;
  std::vector<std::size_t> order;
};

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

// Lengths of consecutive gathered runs that share a scale.
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

// The same, for grids that are given.
std::vector<std::size_t> RunsOf(std::span<const AffineGrid> grids, const Shape& shape, int axis,
                                const WeightQuantizerSpec& spec) {
  std::vector<std::size_t> runs = Runs(shape, axis, spec);
  if (runs.size() != grids.size()) {
    throw Error(ErrorId::kInternal, std::to_string(grids.size()) + " grids for " +
                                        std::to_string(runs.size()) + " runs of weights");
  }
  return runs;
}

// The values back in the tensor's own order.
std::vector<float> Scattered(const Gathered& gathered) {
  std::vector<float> values(gathered.values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[gathered.order[i]] = gathered.values[i];
  }
  return values;
}

double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  return sum;
}

double MeanMagnitude(std::span<const float> values) {
  double sum = 0.0;
  for (const float value : values) sum += std::fabs(static_cast<double>(value));
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

AffineGrid QuantizeBinary(std::span<float> values) {
  const auto alpha = static_cast<float>(MeanMagnitude(values));
  for (float& value : values) value = std::signbit(value) ? -alpha : alpha;
  return {alpha, 0, -1, 1};
}

AffineGrid QuantizeTernary(std::span<float> values) {
  const double threshold = 0.7 * MeanMagnitude(values);
  double sum = 0.0;
  std::int64_t kept = 0;
  for (const float value : values) {
    if (std::fabs(value) > threshold) {
      sum += std::fabs(value);
      ++kept;
    }
  }
  const float alpha = kept > 0 ? static_cast<float>(sum / static_cast<double>(kept)) : 0.0F;
  for (float& value : values) {
    value = std::fabs(value) > threshold ? std::copysign(alpha, value) : 0.0F;
  }
  return {alpha, 0, -1, 1};
}

AffineGrid QuantizeAffine(std::span<float> values, int bits, const WeightQuantizerSpec& spec) {
  Range range;
  switch (spec.range.method) {
    case RangeMethod::kMinMax:
      range = MinMaxRange(values);
      break;
    case RangeMethod::kPercentile: {
      std::vector<float> copy(values.begin(), values.end());
      range = PercentileRange(copy, spec.range.percentile);
      break;
    }
    case RangeMethod::kMse:
      range = MseRange(values, bits, spec.symmetric, spec.narrow);
      break;
  }
  const AffineGrid grid =
      spec.symmetric ? SymmetricGrid(range, bits, spec.narrow) : AsymmetricGrid(range, bits);
  FakeQuantize(values, values, grid);
  return grid;
}

}  // namespace

QuantizedWeight QuantizeWeight(std::span<const float> weight, const Shape& shape, int channel_axis,
                               NumberFormat format, const WeightQuantizerSpec& spec) {
  QuantizedWeight result;
  if (format.kind() == NumberFormat::Kind::kSkip) {
    throw Error(ErrorId::kUsage, "0 bits (skip the block) cannot be applied to a weight")
        .Hint("skipping needs a supernet or a rewritten graph");
  }
  if (format.is_float()) {
    result.values.resize(weight.size());
    RoundToFloatFormat(weight, result.values, format);
  } else {
    Gathered gathered = GatherByChannel(weight, shape, channel_axis);
    const std::vector<std::size_t> runs = Runs(shape, channel_axis, spec);
    std::size_t start = 0;
    for (const std::size_t length : runs) {
      const std::span<float> values(gathered.values.data() + start, length);
      if (format.kind() == NumberFormat::Kind::kTernary) {
        result.grids.push_back(QuantizeTernary(values));
      } else if (format.bits() == 1) {
        result.grids.push_back(QuantizeBinary(values));
      } else {
        result.grids.push_back(QuantizeAffine(values, format.bits(), spec));
      }
      start += length;
    }
    result.group_count = static_cast<std::int64_t>(runs.size()) /
                         (spec.granularity == Granularity::kPerTensor
                              ? 1
                              : shape[static_cast<std::size_t>(channel_axis)]);
    result.values = Scattered(gathered);
  }
  result.squared_error = SquaredDistance(weight, result.values);
  return result;
}

QuantizedWeight QuantizeWeightOnGrids(std::span<const float> weight, const Shape& shape,
                                      int channel_axis, std::vector<AffineGrid> grids,
                                      int group_size) {
  const std::int64_t channels = shape[static_cast<std::size_t>(channel_axis)];
  WeightQuantizerSpec spec;
  spec.granularity = grids.size() == 1 ? Granularity::kPerTensor
                     : static_cast<std::int64_t>(grids.size()) == channels
                         ? Granularity::kPerChannel
                         : Granularity::kPerGroup;
  spec.group_size = group_size;
  Gathered gathered = GatherByChannel(weight, shape, channel_axis);
  const std::vector<std::size_t> runs = RunsOf(grids, shape, channel_axis, spec);
  std::size_t start = 0;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const std::span<float> values(gathered.values.data() + start, runs[run]);
    FakeQuantize(values, values, grids[run]);
    start += runs[run];
  }
  QuantizedWeight result;
  result.values = Scattered(gathered);
  result.group_count = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(grids.size()) / std::max<std::int64_t>(1, channels));
  result.grids = std::move(grids);
  result.squared_error = SquaredDistance(weight, result.values);
  return result;
}

std::vector<std::int32_t> WeightCodes(std::span<const float> values, const Shape& shape,
                                      int channel_axis, std::span<const AffineGrid> grids,
                                      Granularity granularity, int group_size) {
  const Gathered gathered = GatherByChannel(values, shape, channel_axis);
  WeightQuantizerSpec spec;
  spec.granularity = granularity;
  spec.group_size = group_size;
  const std::vector<std::size_t> runs = RunsOf(grids, shape, channel_axis, spec);
  std::vector<std::int32_t> gathered_codes(values.size());
  std::size_t start = 0;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    QuantizeToIntegers(std::span<const float>(gathered.values.data() + start, runs[run]),
                       std::span<std::int32_t>(gathered_codes.data() + start, runs[run]),
                       grids[run]);
    start += runs[run];
  }
  std::vector<std::int32_t> codes(values.size());
  for (std::size_t i = 0; i < codes.size(); ++i) codes[gathered.order[i]] = gathered_codes[i];
  return codes;
}

}  // namespace bitsearch
