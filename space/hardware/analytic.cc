// The models' formulas. See analytic.h.
#include "space/hardware/analytic.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr double kBricksPerUnit = 16.0;

std::int64_t CeilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// 2, 4, 8 or 16: the widths that bricks are fused to.
int FusedBits(int bits) {
  int fused = 2;
  while (fused < bits) fused *= 2;
  return fused;
}

double BytesMoved(const LayerSignature& signature, BitChoice choice) {
  const double weight_bits = static_cast<double>(signature.WeightElements()) * choice.weight.bits();
  const double activation_bits =
      static_cast<double>(signature.InputElements() + signature.OutputElements()) *
      choice.activation.bits();
  return (weight_bits + activation_bits) / 8.0;
}

/// A layer as a matrix product: `positions` times `depth` inputs × `width` outputs, `groups` times.
struct Product {
  std::int64_t positions, depth, width, groups;
};

Product ProductOf(const LayerSignature& signature) {
  if (!signature.is_convolution()) {
    return {signature.rows, signature.in_channels, signature.out_channels, 1};
  }
  const std::int64_t width = signature.out_channels / signature.groups;
  const std::int64_t depth = signature.WeightElements() / signature.out_channels;
  const std::int64_t per_position = depth * width * signature.groups;
  return {signature.Macs() / std::max<std::int64_t>(per_position, 1), depth, width,
          signature.groups};
}

std::optional<double> ComputeSeconds(const AnalyticDevice& device, const LayerSignature& signature,
                                     BitChoice choice) {
  const double hertz = device.frequency_mhz * 1e6;
  switch (device.kind) {
    case AnalyticDevice::Kind::kRoofline: {
      const auto rate = device.gmacs_per_s.find(choice);
      if (rate == device.gmacs_per_s.end()) return std::nullopt;
      return static_cast<double>(signature.Macs()) / (rate->second * 1e9);
    }
    case AnalyticDevice::Kind::kBitFusion: {
      if (choice.weight.is_float() || choice.activation.is_float()) return std::nullopt;
      const int bricks =
          FusedBits(choice.weight.bits()) / 2 * (FusedBits(choice.activation.bits()) / 2);
      const Product product = ProductOf(signature);
      // A unit makes 16 / bricks products in a cycle, or one in bricks / 16 cycles.
      const double products_per_cycle = static_cast<double>(device.rows) * kBricksPerUnit / bricks;
      const double row_cycles = std::ceil(static_cast<double>(product.depth) / products_per_cycle);
      const double cycles = static_cast<double>(product.positions * product.groups *
                                                CeilDivide(product.width, device.columns)) *
                            row_cycles;
      return cycles / hertz;
    }
    case AnalyticDevice::Kind::kBitSerial: {
      if (choice.weight.is_float() || choice.activation.is_float()) return std::nullopt;
      const double lanes = static_cast<double>(device.rows * device.columns);
      const double bit_products =
          static_cast<double>(signature.Macs()) * choice.weight.bits() * choice.activation.bits();
      return std::ceil(bit_products / lanes) / hertz;
    }
  }
  return std::nullopt;
}

NumberFormat FormatAt(const YamlNode& node) {
  const std::string text = node.Required().String("fp32");
  const auto format = NumberFormat::Parse(text);
  if (format && format->kind() != NumberFormat::Kind::kSkip) return *format;
  node.Fail(Error(ErrorId::kLatencyBits,
                  "got '" + text + "' (allowed: 1 to 16, ternary, fp16, bf16, fp32)"));
  return NumberFormat::Float32();
}

}  // namespace

AnalyticDevice ReadAnalyticDevice(const YamlNode& node) {
  using Kind = AnalyticDevice::Kind;
  const NumberRange positive{.min = 0.0, .excludes_min = true};
  AnalyticDevice device;
  device.kind = node["model"].Required().Enum<Kind>({{"roofline", Kind::kRoofline},
                                                     {"bit_fusion", Kind::kBitFusion},
                                                     {"bit_serial", Kind::kBitSerial}},
                                                    Kind::kRoofline);
  device.name = node["name"].String("unnamed");
  device.bandwidth_gb_per_s = node["bandwidth_gb_per_s"].Required().Number(1.0, positive);
  device.launch_us = node["launch_us"].Number(0.0, {.min = 0.0});
  if (device.kind == Kind::kRoofline) {
    for (const YamlNode& item : node["rates"].Required().Items()) {
      const BitChoice choice{FormatAt(item["weight_bits"]), FormatAt(item["activation_bits"])};
      device.gmacs_per_s[choice] = item["gmacs_per_s"].Required().Number(1.0, positive);
    }
  } else {
    device.frequency_mhz = node["frequency_mhz"].Required().Number(1.0, positive);
    device.rows = node["rows"].Required().Integer(1, {.min = 1, .max = 1 << 20});
    device.columns = node["columns"].Required().Integer(1, {.min = 1, .max = 1 << 20});
  }
  return device;
}

AnalyticDevice ReadAnalyticDeviceFile(const std::string& path) {
  const YamlFile file = YamlFile::Read(path);
  AnalyticDevice device = ReadAnalyticDevice(file.root());
  file.Finish();
  return device;
}

std::optional<std::int64_t> AnalyticNanoseconds(const AnalyticDevice& device,
                                                const LayerSignature& signature, BitChoice choice) {
  const std::optional<double> compute = ComputeSeconds(device, signature, choice);
  if (!compute) return std::nullopt;
  const double memory = BytesMoved(signature, choice) / (device.bandwidth_gb_per_s * 1e9);
  const double nanoseconds = std::max(*compute, memory) * 1e9 + device.launch_us * 1e3;
  return std::max<std::int64_t>(1, std::llround(nanoseconds));
}

LatencyTable AnalyticTable(const AnalyticDevice& device, const std::vector<LayerKey>& layers,
                           const std::vector<BitChoice>& candidates) {
  LatencyTable table;
  table.SetProvenance("backend", "analytic");
  table.SetProvenance("device", device.name);
  table.SetProvenance("note", "a MODEL of a device, not a measurement");
  for (const LayerKey& layer : layers) {
    const auto signature = LayerSignature::Parse(layer.signature);
    if (!signature) {
      throw Error(ErrorId::kLayerShape, "got the signature '" + layer.signature + "'")
          .Key(layer.id);
    }
    for (const BitChoice choice : candidates) {
      if (const auto time_ns = AnalyticNanoseconds(device, *signature, choice)) {
        table.Add(layer.id, choice, {*time_ns});
      }
    }
    table.DeclareSignature(layer.id, layer.signature);
  }
  return table;
}

}  // namespace bitsearch
