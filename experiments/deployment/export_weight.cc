#include "experiments/deployment/export_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "space/quantizer/weight_quantizer.h"

namespace bitsearch {
namespace {

void RequireGridCount(const Layer& layer, const WeightQuantizerSpec& spec, const Shape& shape,
                      std::size_t given, const std::string& path) {
  const std::int64_t channels = shape[static_cast<std::size_t>(layer.output_channel_axis)];
  const std::int64_t per_channel = ElementCount(shape) / std::max<std::int64_t>(1, channels);
  const std::int64_t block = std::min<std::int64_t>(spec.group_size, per_channel);
  const std::int64_t wanted = spec.granularity == Granularity::kPerTensor ? 1
                              : spec.granularity == Granularity::kPerChannel
                                  ? channels
                                  : channels * ((per_channel + block - 1) / block);
  if (static_cast<std::int64_t>(given) == wanted) return;
  throw Error(ErrorId::kConfigLayers,
              fmt::format("the weight has {} scales, this network's needs {}", given, wanted))
      .At({path})
      .Key(layer.id + ".weight_quantizer.scale")
      .Hint("was the configuration made for another network?");
}

}  // namespace

std::vector<float> ExportedWeight::Values(const Shape& shape, int channel_axis) const {
  const auto axis = static_cast<std::size_t>(channel_axis);
  std::size_t inner = 1;
  for (std::size_t a = axis + 1; a < shape.size(); ++a) {
    inner *= static_cast<std::size_t>(shape[a]);
  }
  std::vector<float> values(codes.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t channel = i / inner % static_cast<std::size_t>(shape[axis]);
    const AffineGrid& grid = grids[grids.size() == 1 ? 0 : channel];
    values[i] = grid.scale * static_cast<float>(codes[i] - grid.zero_point);
  }
  return values;
}

DataType IntegerType(int bits, bool is_signed, bool two_bits, bool four_bits) {
  if (two_bits && bits <= 2) return is_signed ? DataType::kInt2 : DataType::kUint2;
  if (four_bits && bits <= 4) return is_signed ? DataType::kInt4 : DataType::kUint4;
  if (bits <= 8) return is_signed ? DataType::kInt8 : DataType::kUint8;
  return is_signed ? DataType::kInt16 : DataType::kUint16;
}

ExportedWeight WeightOnGrids(const Layer& layer, const ConfigLayer& entry, const TensorValue& value,
                             const ConfigDocument& config, const std::string& path) {
  const NumberFormat format = entry.choice.weight;
  WeightQuantizerSpec spec = config.weights.value_or(WeightQuantizerSpec{});
  const std::optional<TensorQuantizer>& stored = entry.quantizers.weight;
  if (stored) {
    spec.granularity = stored->granularity == "per_tensor"  ? Granularity::kPerTensor
                       : stored->granularity == "per_group" ? Granularity::kPerGroup
                                                            : Granularity::kPerChannel;
    spec.symmetric = stored->symmetric;
  }
  const bool two_levels = format.kind() == NumberFormat::Kind::kTernary || format.bits() == 1;
  std::vector<float> values(value.Floats().begin(), value.Floats().end());
  ExportedWeight weight;
  if (two_levels || !stored) {
    QuantizedWeight made =
        QuantizeWeight(value.Floats(), value.shape(), layer.output_channel_axis, format, spec);
    values = std::move(made.values);
    weight.grids = std::move(made.grids);
  } else {
    for (std::size_t i = 0; i < stored->scale.size(); ++i) {
      AffineGrid grid{stored->scale[i], stored->zero_point[i], 0, (1 << format.bits()) - 1};
      if (spec.symmetric) {
        grid.qmax = (1 << (format.bits() - 1)) - 1;
        grid.qmin = spec.narrow ? -grid.qmax : -grid.qmax - 1;
      }
      weight.grids.push_back(grid);
    }
  }
  const auto channels =
      static_cast<std::size_t>(value.shape()[static_cast<std::size_t>(layer.output_channel_axis)]);
  weight.groups = std::max<std::size_t>(1, weight.grids.size() / channels);
  RequireGridCount(layer, spec, value.shape(), weight.grids.size(), path);
  if (!two_levels && stored && !stored->codes.empty()) {
    weight.codes.assign(stored->codes.begin(), stored->codes.end());
    weight.chosen = true;
    return weight;
  }
  const std::vector<std::int32_t> codes =
      WeightCodes(values, value.shape(), layer.output_channel_axis, weight.grids, spec.granularity,
                  spec.group_size);
  weight.codes.assign(codes.begin(), codes.end());
  return weight;
}

IntegerStorage WeightStorage(const Layer& layer, NumberFormat format, const ExportedWeight& weight,
                             const Shape& shape, const OnnxExportOptions& options,
                             const ConfigDocument& config, const std::string& path) {
  const bool narrow = options.container == Container::kStorage;
  IntegerStorage storage;
  storage.type = IntegerType(format.bits(), weight.grids.front().qmin < 0,
                             narrow && options.two_bit_types, narrow);
  const auto count = static_cast<std::int64_t>(weight.grids.size());
  const auto axis = static_cast<std::size_t>(layer.output_channel_axis);
  for (const AffineGrid& grid : weight.grids) {
    storage.scales.push_back(grid.scale);
    storage.zero_points.push_back(grid.zero_point);
  }
  if (count == 1) return storage;
  storage.axis = layer.output_channel_axis;
  storage.scale_shape = {count};
  if (weight.groups == 1) return storage;
  const std::int64_t groups = static_cast<std::int64_t>(weight.groups);
  const std::int64_t per_channel = ElementCount(shape) / shape[axis];
  storage.block_size = std::min<std::int64_t>(
      config.weights.value_or(WeightQuantizerSpec{}).group_size, per_channel);
  if (axis == 0) {
    storage.axis = 1;
    storage.scale_shape = {shape[0], groups};
    return storage;
  }
  if (shape.size() != 2) {
    throw RefusedLayer(layer, path, "weights in groups cannot be stored for this operator's layout",
                       "use granularity: per_channel");
  }
  // A matrix [inputs, outputs]: blocks along the inputs, so scales are [groups, outputs].
  storage.axis = 0;
  storage.scale_shape = {groups, shape[1]};
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t c = 0; c < shape[1]; ++c) {
      const AffineGrid& grid = weight.grids[static_cast<std::size_t>(c * groups + g)];
      const auto place = static_cast<std::size_t>(g * shape[1] + c);
      storage.scales[place] = grid.scale;
      storage.zero_points[place] = grid.zero_point;
    }
  }
  return storage;
}

Error RefusedLayer(const Layer& layer, const std::string& path, const std::string& why,
                   const std::string& hint) {
  return Error(ErrorId::kExportRefused, why).At({path}).Key(layer.id).Hint(hint);
}

}  // namespace bitsearch
