#include "space/quantizer/weight_quantizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "space/quantizer/analytic_clipping.h"
#include "space/quantizer/ranges.h"
#include "space/quantizer/weight_runs.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

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
    case RangeMethod::kAciq:
      range = AnalyticRange(values, bits, /*non_negative=*/false);
      break;
    case RangeMethod::kKl:
      range = KlRange(values, bits);
      break;
    case RangeMethod::kMovingAverage:
      throw Error(ErrorId::kUsage, "weights have no batches to take a moving average of")
          .Hint("use min_max");
  }
  const AffineGrid grid =
      spec.symmetric ? SymmetricGrid(range, bits, spec.narrow) : AsymmetricGrid(range, bits);
  FakeQuantize(values, values, grid);
  return grid;
}

// The granularity that a number of grids stands for.
WeightQuantizerSpec SpecOf(std::span<const AffineGrid> grids, const Shape& shape, int channel_axis,
                           int group_size) {
  const auto channels = static_cast<std::size_t>(shape[static_cast<std::size_t>(channel_axis)]);
  WeightQuantizerSpec spec;
  spec.granularity = grids.size() == 1          ? Granularity::kPerTensor
                     : grids.size() == channels ? Granularity::kPerChannel
                                                : Granularity::kPerGroup;
  spec.group_size = group_size;
  return spec;
}

QuantizedWeight OnGrids(std::span<const float> weight, std::vector<float> values,
                        const Shape& shape, int channel_axis, std::vector<AffineGrid> grids) {
  const std::int64_t channels = shape[static_cast<std::size_t>(channel_axis)];
  QuantizedWeight result;
  result.group_count = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(grids.size()) / std::max<std::int64_t>(1, channels));
  result.values = std::move(values);
  result.grids = std::move(grids);
  result.squared_error = SquaredDistance(weight, result.values);
  return result;
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
  const WeightQuantizerSpec spec = SpecOf(grids, shape, channel_axis, group_size);
  Gathered gathered = GatherByChannel(weight, shape, channel_axis);
  const std::vector<std::size_t> runs = RunsOf(grids, shape, channel_axis, spec);
  std::size_t start = 0;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const std::span<float> values(gathered.values.data() + start, runs[run]);
    FakeQuantize(values, values, grids[run]);
    start += runs[run];
  }
  return OnGrids(weight, Scattered(gathered), shape, channel_axis, std::move(grids));
}

void CorrectSpread(std::span<const float> weight, const Shape& shape, int channel_axis,
                   const WeightQuantizerSpec& spec, QuantizedWeight& quantized) {
  const Gathered before = GatherByChannel(weight, shape, channel_axis);
  Gathered after = GatherByChannel(quantized.values, shape, channel_axis);
  const std::vector<std::size_t> runs = RunsOf(quantized.grids, shape, channel_axis, spec);
  std::size_t start = 0;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const std::span<float> values(after.values.data() + start, runs[run]);
    AffineGrid& grid = quantized.grids[run];
    const float old_scale = grid.scale;
    grid.scale *=
        static_cast<float>(SpreadRatio({before.values.data() + start, runs[run]}, values));
    for (float& value : values) value = std::nearbyint(value / old_scale) * grid.scale;
    start += runs[run];
  }
  quantized.values = Scattered(after);
  quantized.squared_error = SquaredDistance(weight, quantized.values);
}

QuantizedWeight WeightOfCodes(std::span<const float> weight, std::span<const std::int32_t> codes,
                              const Shape& shape, int channel_axis, std::vector<AffineGrid> grids,
                              int group_size) {
  const WeightQuantizerSpec spec = SpecOf(grids, shape, channel_axis, group_size);
  Gathered gathered =
      GatherByChannel(std::vector<float>(codes.begin(), codes.end()), shape, channel_axis);
  const std::vector<std::size_t> runs = RunsOf(grids, shape, channel_axis, spec);
  std::size_t start = 0;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const AffineGrid& grid = grids[run];
    for (float& value : std::span(gathered.values).subspan(start, runs[run])) {
      value = (value - static_cast<float>(grid.zero_point)) * grid.scale;
    }
    start += runs[run];
  }
  return OnGrids(weight, Scattered(gathered), shape, channel_axis, std::move(grids));
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
