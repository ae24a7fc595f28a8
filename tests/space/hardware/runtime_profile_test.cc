// Which layer owns which node of a profile that ONNX Runtime 1.30 wrote for the tiny network, half
// of it at 8 bits; and what is made of times without any runtime.
#include "space/hardware/runtime_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>

#include "space/hardware/command_measure.h"
#include "space/hardware/layer_edges.h"
#include "space/hardware/onnxruntime_measure.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "tests/space/hardware/tiny_graph.h"

namespace bitsearch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr BitChoice kFloat{NumberFormat::Float32(), NumberFormat::Float32()};
constexpr BitChoice kInt8{NumberFormat::Integer(8), NumberFormat::Integer(8)};

std::string Golden(const std::string& name) {
  return std::string(BITSEARCH_SOURCE_DIR) + "/tests/space/hardware/golden/" + name;
}

using Map = std::map<std::string, std::string>;

/// Layer id → operators of the nodes that are part of its time.
Map OperatorsOf(const std::string& stem) {
  const LayerGraph graph = TinyResidualGraph();
  const LayerSamples samples =
      ReadLayerSamples(Golden(stem + "_profile.json"), Golden(stem + "_optimized.onnx"), graph, 2);
  Map operators;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    operators[graph.layers()[l].id] = samples.operators[l];
  }
  return operators;
}

/// No node's time is lost or counted twice.
void ExpectTimesKept(const std::string& stem) {
  const LayerGraph graph = TinyResidualGraph();
  const std::string path = Golden(stem + "_profile.json");
  const LayerSamples samples = ReadLayerSamples(path, Golden(stem + "_optimized.onnx"), graph, 2);
  std::int64_t owned = 0, all = 0;
  for (const auto& layer : samples.by_layer) {
    owned = std::accumulate(layer.begin(), layer.end(), owned);
  }
  for (const RuntimeNode& node : ReadRuntimeProfile(path).nodes) {
    ASSERT_GE(node.samples_ns.size(), 2U);
    all = std::accumulate(node.samples_ns.end() - 2, node.samples_ns.end(), all);
  }
  EXPECT_EQ(owned, all);
}

TEST(RuntimeProfile, GivesEveryNodeOfAnIntegerNetworkToALayer) {
  ExpectTimesKept("onnxruntime_w8a8");
  const Map expected = {
      {"stem", "QuantizeLinear + Transpose + QLinearConv"},
      {"a", "QLinearConv"},
      {"b", "QLinearConv"},
      {"down", "QLinearConv + QLinearAdd + QLinearGlobalAveragePool + Transpose + Flatten"},
      {"fc", "QGemm"}};
  EXPECT_EQ(OperatorsOf("onnxruntime_w8a8"), expected);
}

TEST(RuntimeProfile, GivesEveryNodeOfAFloatNetworkToALayer) {
  ExpectTimesKept("onnxruntime_float");
  // The addition is part of b's kernel, which reads down's output.
  const Map expected = {{"stem", "Conv + ReorderOutput"},
                        {"a", "Conv + ReorderOutput"},
                        {"b", "Conv + ReorderOutput + GlobalAveragePool + Flatten"},
                        {"down", "Conv"},
                        {"fc", "Gemm"}};
  EXPECT_EQ(OperatorsOf("onnxruntime_float"), expected);
}

TEST(RuntimeProfile, TellsFallbacksOfAMixedNetwork) {
  ExpectTimesKept("onnxruntime_mixed");
  // a and down have 8 bits between float neighbours: weights are dequantized in every run.
  const Map expected = {
      {"stem", "Conv + ReorderOutput + QuantizeLinear + DequantizeLinear + DequantizeLinear"},
      {"a", "DequantizeLinear + DequantizeLinear + FusedConv"},
      {"b", "Conv + ReorderOutput"},
      {"down", "DequantizeLinear + DequantizeLinear + FusedConv + GlobalAveragePool + Flatten"},
      {"fc", "Gemm"}};
  EXPECT_EQ(OperatorsOf("onnxruntime_mixed"), expected);
}

TEST(RuntimeProfile, RefusesAnotherNetworksProfile) {
  GraphBuilder build;
  const TensorIndex input = build.Input("x", {1, 3, 8, 8});
  build.graph.AddOutput(build.Conv("elsewhere", input, 3, 4, 8, 3, 1));
  build.graph.FindLayers();
  EXPECT_THROW(ReadLayerSamples(Golden("onnxruntime_w8a8_profile.json"),
                                Golden("onnxruntime_w8a8_optimized.onnx"), build.graph, 2),
               Error);
}

TEST(AlternatingConfig, DiffersOnEveryEdgeThatPaysAndAgreesOnSharedInputs) {
  const LayerGraph graph = TinyResidualGraph();
  const BitConfig config = AlternatingConfig(graph, kFloat, kInt8, Alternation::kEverywhere);
  int paying = 0;
  for (const LayerEdge& edge : LayerEdges(graph)) {
    if (!edge.pays) continue;
    ++paying;
    EXPECT_NE(config.choices[edge.producer.value], config.choices[edge.consumer.value]);
  }
  EXPECT_EQ(paying, 3);  // stem → a (and down), a → b, the last of b and down → fc.
  // At joins only: the branches a–b and down are alike, fc differs.
  const BitConfig joins = AlternatingConfig(graph, kFloat, kInt8, Alternation::kAtJoins);
  EXPECT_EQ(joins.Canonical(), "fp32/fp32,fp32/fp32,fp32/fp32,fp32/fp32,8/8");
  for (const Layer& one : graph.layers()) {
    for (const Layer& other : graph.layers()) {
      if (one.input != other.input) continue;
      EXPECT_EQ(config.choices[graph.FindLayer(one.id)->value],
                config.choices[graph.FindLayer(other.id)->value]);
    }
  }
}

TEST(MedianInterval, HoldsTheMedianWith95PercentAndNoMoreThanItMust) {
  for (int n = 6; n <= 60; ++n) {
    std::vector<double> values(static_cast<std::size_t>(n));
    std::iota(values.begin(), values.end(), 0.0);
    const MedianInterval interval = MedianInterval95(values);
    const int rank = static_cast<int>(interval.low);
    EXPECT_EQ(interval.high, n - 1 - rank);
    // P(median < x_(rank) or > x_(n−1−rank)) = 2·P(at most `rank` of n fair coins show heads).
    const auto outside = [&](int most) {
      double sum = 0.0;
      for (int k = 0; k <= most; ++k) {
        sum += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                        n * std::log(2.0));
      }
      return 2.0 * sum;
    };
    EXPECT_LE(outside(rank), 0.05) << n;
    EXPECT_GT(outside(rank + 1), 0.05) << n;
  }
  EXPECT_EQ(MedianInterval95({3.0, 1.0, 2.0}).low, 1.0);
  EXPECT_EQ(MedianInterval95({3.0, 1.0, 2.0}).high, 3.0);
}

TEST(CommandBackend, ReadsCommandsAndSeconds) {
  EXPECT_THAT(CommandFor("time_it --file={model} -n 3", "m.onnx"),
              ElementsAre("time_it", "--file=m.onnx", "-n", "3"));
  EXPECT_THAT(CommandFor("time_it", "m.onnx"), ElementsAre("time_it", "m.onnx"));
  EXPECT_THROW(CommandFor(" ", "m.onnx"), Error);
  EXPECT_THAT(ParseSeconds("0.5\n\n 1e-3 \r\n", "p"), ElementsAre(0.5, 1e-3));
  for (const char* output : {"", "\n", "0.5 s\n", "nan\n", "-1\n", "0\n", "0.5 0.6\n"}) {
    EXPECT_THROW(ParseSeconds(output, "p"), Error) << output;
  }
}

/// A "device" on which 8 bits save 1 ms in every layer but make layer `a` slower by 2 ms.
TEST(CommandBackend, FindsWhatEachLayerSaves) {
  const LayerGraph graph = TinyResidualGraph();
  const std::size_t slow = graph.FindLayer("a")->value;
  const ModelWriter writer = [&](const BitConfig& config, const std::filesystem::path& path) {
    int milliseconds = 100;
    for (std::size_t l = 0; l < config.choices.size(); ++l) {
      if (config.choices[l] == kInt8) milliseconds += l == slow ? 2 : -1;
    }
    WriteFileAtomically(path, std::to_string(milliseconds) + "e-3\n");
  };
  CommandBackend backend("cat {model}", {kFloat, kInt8}, writer);
  MeasureOptions options;
  options.repetitions = 3;
  const Measurement result = backend.Measure(graph, "tiny.onnx", options, RunContext{});
  std::int64_t whole = 0, integer = 0;
  for (const Layer& layer : graph.layers()) {
    whole += result.table.Find(layer.id, kFloat)->latency_ns;
    integer += result.table.Find(layer.id, kInt8)->latency_ns;
  }
  EXPECT_EQ(whole, 100'000'000);
  EXPECT_EQ(integer, 98'000'000);  // 100 + 2 − 4 ms.
  const auto saves = [&](const std::string& id) {
    return result.table.Find(id, kFloat)->latency_ns - result.table.Find(id, kInt8)->latency_ns;
  };
  EXPECT_EQ(saves("stem"), 1'000'000);
  EXPECT_EQ(saves("b"), 1'000'000);
  // One input, so one step: −2 + 1 ms shared out by multiply-accumulates.
  EXPECT_EQ(saves("a") + saves("down"), -1'000'000);
  EXPECT_LT(saves("a"), saves("down"));
  EXPECT_EQ(result.table.Find("b", kInt8)->samples, 3);
}

TEST(CommandBackend, SaysWhatItsProgramDidWrong) {
  const LayerGraph graph = TinyResidualGraph();
  const ModelWriter writer = [](const BitConfig&, const std::filesystem::path& path) {
    WriteFileAtomically(path, "soon\n");
  };
  MeasureOptions options;
  options.repetitions = 1;
  for (const auto& [command, id] :
       std::map<std::string, ErrorId>{{"cat {model}", ErrorId::kRuntimeFailed},
                                      {"false", ErrorId::kRuntimeFailed},
                                      {"no-such-program-here", ErrorId::kRuntimeMissing}}) {
    try {
      CommandBackend(command, {kFloat}, writer).Measure(graph, "", options, RunContext{});
      ADD_FAILURE() << command;
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), id) << command;
    }
  }
}

}  // namespace
}  // namespace bitsearch
