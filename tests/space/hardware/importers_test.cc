// Every import format from a small file of its real shape: all fields, and what it becomes.
#include "space/hardware/importers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "space/hardware/latency_csv.h"
#include "space/hardware/network_latency.h"
#include "space/support/error.h"
#include "tests/space/hardware/scratch_folder.h"
#include "tests/space/hardware/tiny_graph.h"

namespace bitsearch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr BitChoice kFloat{NumberFormat::Float32(), NumberFormat::Float32()};
constexpr BitChoice kInt8{NumberFormat::Integer(8), NumberFormat::Integer(8)};
constexpr BitChoice kInt4{NumberFormat::Integer(4), NumberFormat::Integer(4)};

std::string Golden(const std::string& name) {
  return std::string(BITSEARCH_SOURCE_DIR) + "/tests/space/hardware/golden/" + name;
}

std::int64_t Time(const LatencyTable& table, const std::string& key, BitChoice choice) {
  const LatencyEntry* entry = table.Find(key, choice);
  return entry == nullptr ? -1 : entry->latency_ns;
}

std::int64_t Edge(const LatencyTable& table, const std::string& from, const std::string& to,
                  NumberFormat format) {
  return table.RequireTransition({from, to, format, format}).latency_ns;
}

TEST(ImportTensorRt, SplitsFusedNamesAndTurnsReformatsIntoEdges) {
  const std::vector<LayerKey> layers = LayerKeysOf(TinyResidualGraph());
  const ImportedProfile result =
      ImportTensorRt(Golden("tensorrt_int8_profile.json"), "", kInt8, layers);
  EXPECT_EQ(Time(result.table, "stem", kInt8), 21'200);
  EXPECT_EQ(Time(result.table, "a", kInt8), 30'000);
  EXPECT_EQ(Time(result.table, "down", kInt8), 10'800);
  EXPECT_EQ(Time(result.table, "b", kInt8), 24'700);
  EXPECT_EQ(Time(result.table, "fc", kInt8), 8'800);
  EXPECT_EQ(result.table.Find("fc", kInt8)->samples, 1000);
  EXPECT_EQ(Edge(result.table, "down", "b", NumberFormat::Integer(8)), 2'900);
  // Formatting the network's input and output, and the pooling.
  EXPECT_EQ(result.table.fixed_ns(), 4'100 + 9'900 + 1'900);
  EXPECT_TRUE(result.warnings.empty());
}

TEST(ImportTensorRt, LayerInfoNamesOnnxNodesAndTellsFallbacks) {
  const std::vector<LayerKey> layers = LayerKeysOf(TinyResidualGraph());
  const ImportedProfile result = ImportTensorRt(Golden("tensorrt_int8_profile.json"),
                                                Golden("tensorrt_int8_layers.json"), kInt8, layers);
  EXPECT_EQ(Time(result.table, "stem", kInt8), 21'200);
  ASSERT_EQ(result.warnings.size(), 1u);
  EXPECT_THAT(result.warnings[0], HasSubstr("fc (Row major linear FP32)"));
}

TEST(ImportTensorRt, ReadsNamesOnlyAndTheFieldsOfVersion11) {
  const TestFolder folder;
  const std::string names = folder.Write("names.json", R"({"Layers": ["stem", "fc"]})");
  const std::string eleven = folder.Write(
      "eleven.json", R"({"Layers": [{"Name": "fc", "Inputs": [{"Name": "x", "Datatype": "FP32",
        "Format": "Row major linear"}]}], "I/O Tensors": ["x"]})");
  const std::vector<LayerKey> layers = LayerKeysOf(TinyResidualGraph());
  EXPECT_TRUE(
      ImportTensorRt(Golden("tensorrt_int8_profile.json"), names, kInt8, layers).warnings.empty());
  EXPECT_EQ(
      ImportTensorRt(Golden("tensorrt_int8_profile.json"), eleven, kInt8, layers).warnings.size(),
      1u);
}

TEST(ImportOnnxRuntime, TakesMediansByNode) {
  const LayerGraph graph = TinyResidualGraph();
  const ImportedProfile result = ImportOnnxRuntime(Golden("onnxruntime_fp32_profile.json"), "",
                                                   kFloat, LayerKeysOf(graph), &graph);
  EXPECT_EQ(Time(result.table, "stem", kFloat), 42'000);  // Median of 40 and 44 µs.
  EXPECT_EQ(result.table.Find("stem", kFloat)->samples, 2);
  EXPECT_EQ(Time(result.table, "a", kFloat), 30'000) << "renamed a_token_1";
  EXPECT_EQ(Time(result.table, "b", kFloat), 25'000);
  EXPECT_EQ(Edge(result.table, "down", "b", NumberFormat::Float32()), 5'000);
  EXPECT_EQ(result.table.fixed_ns(), 3'000 + 2'000);
  EXPECT_THAT(result.table.Provenance("end to end Wfp32Afp32"), HasSubstr("160000 ns"));
}

TEST(ImportOpenVino, TakesExecutedRowsAndReorders) {
  const std::vector<LayerKey> layers = LayerKeysOf(TinyResidualGraph());
  const ImportedProfile result =
      ImportOpenVino(Golden("openvino_int8_counters.csv"), kInt8, layers);
  EXPECT_EQ(Time(result.table, "stem", kInt8), 21'000);
  EXPECT_EQ(Time(result.table, "down", kInt8), 9'000);
  EXPECT_EQ(Time(result.table, "fc", kInt8), 3'000);
  EXPECT_EQ(Edge(result.table, "a", "b", NumberFormat::Integer(8)), 2'000);
  EXPECT_EQ(result.table.fixed_ns(), 6'000 + 4'000);
}

TEST(ImportOnceForAll, KeepsKeysMeansAndDeviations) {
  const ImportedProfile result = ImportOnceForAll(Golden("ofa_note10.yaml"), kFloat);
  const LatencyEntry* conv = result.table.Find("Conv-input:224x224x3-output:112x112x16", kFloat);
  ASSERT_NE(conv, nullptr);
  EXPECT_EQ(*conv, (LatencyEntry{2'937'500, 62'500, 501}));
  const LatencyEntry* block = result.table.Find(
      "expanded_conv-input:112x112x16-output:56x56x24-expand:64-kernel:3-stride:2-idskip:0-se:0-"
      "hs:0",
      kFloat);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->stddev_ns, 20'000) << "the square root of the variance";
  EXPECT_FALSE(result.table.Find("Logits-input:7x7x1280-output:1000", kFloat)->stddev_ns);
}

TEST(ImportHawq, ReadsBothArrays) {
  const ImportedProfile result =
      ImportHawq(Golden("hawq_arrays.py"), {{"c1", ""}, {"c2", ""}, {"c3", ""}});
  EXPECT_EQ(Time(result.table, "c1", kInt4), 210'944);
  EXPECT_EQ(Time(result.table, "c3", kInt4), 136'425);
  EXPECT_EQ(Time(result.table, "c3", kInt8), 33'417);
  EXPECT_EQ(result.table.rows().size(), 6u);
  EXPECT_THROW(ImportHawq(Golden("hawq_arrays.py"), {{"c1", ""}}), Error);
}

TEST(ImportApq, KeepsLatencyEnergyAndFixedCosts) {
  const ImportedCosts result = ImportApq(Golden("apq_table.json"));
  const LatencyTable& table = result.profile.table;
  const std::string pointwise = "Conv:in16:out64:size112x112:kernel1x1:stride1x1:groups1";
  EXPECT_EQ(Time(table, pointwise, kInt4), 543'618);
  EXPECT_EQ(Time(table, pointwise, kInt8), 552'022);
  EXPECT_EQ(table.fixed_ns(), 377'512);
  EXPECT_EQ(result.energy.fixed_unscaled, 657'992'047);
  EXPECT_THAT(CostCsvText(result.energy), HasSubstr(pointwise + ",4,4,0.917419369\n"));
}

std::string Npy(const std::string& header_text, const std::vector<std::int64_t>& values) {
  std::string header = header_text;
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string file = "\x93NUMPY";
  file += '\x01';
  file += '\x00';
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  file += header;
  file.append(reinterpret_cast<const char*>(values.data()), values.size() * 8);
  return file;
}

TEST(ImportHaq, ReadsLayersWeightBitsActivationBits) {
  const TestFolder folder;
  const std::string path =
      folder.Write("t.npy", Npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2, 3), }",
                                {11, 12, 13, 21, 22, 23, 110, 120, 130, 210, 220, 230}));
  const ImportedProfile result = ImportHaq(path, {});
  const auto bits = [](int w, int a) {
    return BitChoice{NumberFormat::Integer(w), NumberFormat::Integer(a)};
  };
  EXPECT_EQ(Time(result.table, "layer0", bits(2, 1)), 21);
  EXPECT_EQ(Time(result.table, "layer1", bits(1, 3)), 130);
  EXPECT_EQ(result.table.rows().size(), 12u);
  EXPECT_EQ(Time(ImportHaq(path, {{"x", ""}, {"y", ""}}).table, "y", bits(2, 3)), 230);
  EXPECT_THROW(ImportHaq(path, {{"x", ""}}), Error);
}

TEST(TableMerger, PutsSettingsSideBySide) {
  const std::vector<LayerKey> layers = LayerKeysOf(TinyResidualGraph());
  TableMerger merger;
  merger.Add(
      ImportOnnxRuntime(Golden("onnxruntime_fp32_profile.json"), "", kFloat, layers, nullptr));
  merger.Add(ImportOpenVino(Golden("openvino_int8_counters.csv"), kInt8, layers));
  const ImportedProfile merged = merger.Finish();
  EXPECT_EQ(Time(merged.table, "a", kFloat), 30'000);
  EXPECT_EQ(Time(merged.table, "b", kInt8), 24'000);
  EXPECT_EQ(merged.table.fixed_ns(), (5'000 + 10'000) / 2);
  ASSERT_EQ(merged.warnings.size(), 1u);
  EXPECT_THAT(merged.warnings[0], HasSubstr("5000 to 10000"));
  TableMerger twice;
  const ImportedProfile part = ImportOpenVino(Golden("openvino_int8_counters.csv"), kInt8, layers);
  twice.Add(part);
  EXPECT_THROW(twice.Add(part), Error);
}

TEST(ProfileRows, MatchWholeNamesOnly) {
  const std::vector<LayerKey> layers = {{"conv1", ""}, {"layer1.conv1", ""}, {"conv10", ""}};
  const auto row = [](std::string name, std::int64_t ns) {
    return ProfileRow{{std::move(name)}, ProfileRow::Kind::kKernel, {ns}};
  };
  const ImportedProfile result =
      AssembleProfile({row("fused(layer1.conv1)", 1), row("conv10_quant", 20),
                       row("conv1_token_12_nchwc", 300), row("layer2.conv1", 4000)},
                      kInt8, layers, "p");
  EXPECT_EQ(Time(result.table, "layer1.conv1", kInt8), 1);
  EXPECT_EQ(Time(result.table, "conv10", kInt8), 20);
  EXPECT_EQ(Time(result.table, "conv1", kInt8), 300);
  EXPECT_EQ(result.table.fixed_ns(), 4000);
  EXPECT_THROW(AssembleProfile({row("other", 1)}, kInt8, layers, "p"), Error);
}

TEST(ProfileRows, SharesAFusedKernelOutWithoutLosingTime) {
  const std::vector<LayerKey> layers = {{"q", ""}, {"k", ""}, {"v", ""}};
  const ImportedProfile result =
      AssembleProfile({{{"q", "k", "v"}, ProfileRow::Kind::kKernel, {100}}}, kInt8, layers, "p");
  EXPECT_EQ(Time(result.table, "q", kInt8) + Time(result.table, "k", kInt8) +
                Time(result.table, "v", kInt8),
            100);
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("shared out evenly")));
}

}  // namespace
}  // namespace bitsearch
