// Capabilities and analytic models: what is offered, and that the formulas behave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/hardware/analytic.h"
#include "space/hardware/capabilities.h"
#include "space/hardware/network_latency.h"
#include "space/support/error.h"
#include "tests/space/hardware/tiny_graph.h"

namespace bitsearch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr BitChoice kFloat{NumberFormat::Float32(), NumberFormat::Float32()};

constexpr BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

DeviceCapabilities Capabilities(const std::string& text) {
  const YamlFile file = YamlFile::Parse(text, "device.yaml");
  DeviceCapabilities device = ReadCapabilities(file.root());
  file.Finish();
  return device;
}

constexpr const char* kCpu = R"(device: cpu
fallback: fp32
runs:
  - {operators: [Conv, Gemm], weight_bits: [8], activation_bits: [8],
     granularities: [per_tensor, per_channel]}
  - {operators: [MatMul], weight_bits: [4, 8], activation_bits: [fp32]}
)";

TEST(Capabilities, RulesHoldByOperatorBitsAndGranularity) {
  const DeviceCapabilities cpu = Capabilities(kCpu);
  EXPECT_EQ(cpu.SupportOf("Conv", Bits(8, 8), Granularity::kPerChannel), Support::kRuns);
  EXPECT_EQ(cpu.SupportOf("Conv", Bits(8, 8), Granularity::kPerGroup), Support::kFallsBack);
  EXPECT_EQ(cpu.SupportOf("Conv", Bits(4, 8), Granularity::kPerChannel), Support::kFallsBack);
  EXPECT_EQ(cpu.SupportOf("MatMul", {NumberFormat::Integer(4), NumberFormat::Float32()},
                          Granularity::kPerGroup),
            Support::kRuns);
  EXPECT_EQ(cpu.SupportOf("Conv", kFloat, Granularity::kPerTensor), Support::kRuns);
  const DeviceCapabilities strict = Capabilities("device: npu\nruns: []\n");
  EXPECT_EQ(strict.SupportOf("Conv", Bits(8, 8), Granularity::kPerTensor), Support::kUnsupported);
}

TEST(Capabilities, FaultsComeWithPlaces) {
  EXPECT_THROW(Capabilities("device: x\nruns: [{weight_bits: [99], activation_bits: [8]}]\n"),
               ErrorList);
  EXPECT_THROW(Capabilities("device: x\nruns: []\nfallbak: fp32\n"), ErrorList);
  EXPECT_THROW(Capabilities("device: x\n"), ErrorList);
}

TEST(OfferChoices, OffersAFallbackOnlyAtAKnownTime) {
  const DeviceCapabilities cpu = Capabilities(kCpu);
  LatencyTable table;
  table.Add("timed", kFloat, {3900});
  table.Add("timed", Bits(8, 8), {2000});
  table.Add("measured", kFloat, {3900});
  table.Add("measured", Bits(8, 8), {2000});
  table.Add("measured", Bits(4, 8), {8600});
  table.Add("untimed", Bits(8, 8), {2000});
  const std::vector<BitChoice> both = {Bits(8, 8), Bits(4, 8)};
  const OfferedChoices offered = OfferChoices(cpu, table,
                                              {{{"timed", ""}, "Conv", both},
                                               {{"measured", ""}, "Conv", both},
                                               {{"untimed", ""}, "Conv", both}},
                                              Granularity::kPerChannel);
  EXPECT_THAT(offered.choices[0], ElementsAre(Bits(8, 8), Bits(4, 8)));
  EXPECT_EQ(offered.table.Find("timed", Bits(4, 8))->latency_ns, 3900) << "the float time";
  EXPECT_EQ(offered.table.Find("measured", Bits(4, 8))->latency_ns, 8600) << "as measured";
  EXPECT_THAT(offered.choices[2], ElementsAre(Bits(8, 8))) << "its float time is unknown";
  EXPECT_THAT(offered.notes, ElementsAre(HasSubstr("W4A8 falls back to fp32 in 2 of 3"),
                                         HasSubstr("W4A8 falls back to fp32 with unknown time")));
}

TEST(OfferChoices, AnEmptyLayerIsAnErrorThatNamesIt) {
  const DeviceCapabilities strict = Capabilities("device: npu\nruns: []\n");
  try {
    OfferChoices(strict, LatencyTable(), {{{"stem", ""}, "Conv", {Bits(8, 8)}}},
                 Granularity::kPerTensor);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kCapabilityEmpty);
    EXPECT_EQ(error.key(), "stem");
  }
}

AnalyticDevice Device(const std::string& text) {
  const YamlFile file = YamlFile::Parse(text, "model.yaml");
  AnalyticDevice device = ReadAnalyticDevice(file.root());
  file.Finish();
  return device;
}

TEST(Analytic, RooflineIsTheLargerOfComputeAndMemory) {
  const AnalyticDevice device = Device(
      "model: roofline\nname: toy\nbandwidth_gb_per_s: 1\nlaunch_us: 2\n"
      "rates:\n  - {weight_bits: 8, activation_bits: 8, gmacs_per_s: 10}\n"
      "  - {weight_bits: fp32, activation_bits: fp32, gmacs_per_s: 2}\n");
  // 1×1 over 10×10: 100·64·64 MACs; 4096 weights, 2·6400 activations.
  const auto layer =
      LayerSignature::Parse("Conv:in64:out64:size10x10:kernel1x1:stride1x1:groups1").value();
  EXPECT_EQ(AnalyticNanoseconds(device, layer, Bits(8, 8)), 2000 + 40'960);  // Compute.
  const auto fc = LayerSignature::Parse("Gemm:in1000:out1000:rows1").value();
  // Memory: 10⁶ weights and 2,000 activations of a byte at 1 GB/s.
  EXPECT_EQ(AnalyticNanoseconds(device, fc, Bits(8, 8)), 2000 + 1'002'000);
  EXPECT_EQ(AnalyticNanoseconds(device, fc, kFloat), 2000 + 4 * 1'002'000);
  EXPECT_FALSE(AnalyticNanoseconds(device, fc, Bits(4, 8)).has_value()) << "no such kernel";
}

TEST(Analytic, BitFusionCountsBricksAndTiles) {
  const AnalyticDevice device = Device(
      "model: bit_fusion\nbandwidth_gb_per_s: 1000000\nfrequency_mhz: 1000\nrows: 8\n"
      "columns: 4\n");
  const auto layer =
      LayerSignature::Parse("Conv:in64:out64:size10x10:kernel1x1:stride1x1:groups1").value();
  // 8×8 bits: 16 bricks, so one product a unit and cycle: 64/8 · 64/4 cycles at each position.
  EXPECT_EQ(AnalyticNanoseconds(device, layer, Bits(8, 8)), 100 * 8 * 16);
  EXPECT_EQ(AnalyticNanoseconds(device, layer, Bits(4, 4)), 100 * 2 * 16);
  EXPECT_EQ(AnalyticNanoseconds(device, layer, Bits(4, 8)), 100 * 4 * 16);
  EXPECT_EQ(AnalyticNanoseconds(device, layer, Bits(3, 3)), 100 * 2 * 16) << "3 bits fuse as 4";
  EXPECT_EQ(AnalyticNanoseconds(device, layer, Bits(16, 16)), 100 * 32 * 16);
  // Depthwise: 9 inputs and one output each fill little of the array, whatever the bits.
  const auto depthwise =
      LayerSignature::Parse("Conv:in64:out64:size10x10:kernel3x3:stride1x1:groups64").value();
  EXPECT_EQ(AnalyticNanoseconds(device, depthwise, Bits(8, 8)), 100 * 64 * 2);
  EXPECT_EQ(AnalyticNanoseconds(device, depthwise, Bits(4, 4)), 100 * 64 * 1);
  EXPECT_FALSE(AnalyticNanoseconds(device, layer, kFloat).has_value());
}

TEST(Analytic, BitSerialTimeIsProportionalToBitsOfBoth) {
  const AnalyticDevice device = Device(
      "model: bit_serial\nbandwidth_gb_per_s: 1000000\nfrequency_mhz: 1000\nrows: 16\n"
      "columns: 16\n");
  const auto layer =
      LayerSignature::Parse("Conv:in64:out64:size16x16:kernel1x1:stride1x1:groups1").value();
  const std::int64_t macs_per_lane = layer.Macs() / 256;
  for (const int w : {1, 3, 8}) {
    for (const int a : {2, 5, 8}) {
      EXPECT_EQ(AnalyticNanoseconds(device, layer, Bits(w, a)), macs_per_lane * w * a);
    }
  }
}

TEST(Analytic, ATableSaysThatItIsAModel) {
  const AnalyticDevice device = Device(
      "model: bit_serial\nname: toy\nbandwidth_gb_per_s: 10\nfrequency_mhz: 100\nrows: 4\n"
      "columns: 4\n");
  const LayerGraph graph = TinyResidualGraph();
  const LatencyTable table =
      AnalyticTable(device, LayerKeysOf(graph), {Bits(4, 4), Bits(8, 8), kFloat});
  EXPECT_EQ(table.rows().size(), 2 * graph.layers().size());
  EXPECT_THAT(table.Provenance("note"), HasSubstr("MODEL"));
  EXPECT_EQ(table.rows().front().entry.samples, 0);
}

TEST(Analytic, FaultsComeWithPlaces) {
  EXPECT_THROW(Device("model: roofline\nbandwidth_gb_per_s: 0\nrates: []\n"), ErrorList);
  EXPECT_THROW(Device("model: magic\nbandwidth_gb_per_s: 1\n"), ErrorList);
  EXPECT_THROW(Device("model: bit_serial\nbandwidth_gb_per_s: 1\nfrequency_mhz: 1\nrows: 0\n"
                      "columns: 1\n"),
               ErrorList);
}

}  // namespace
}  // namespace bitsearch
