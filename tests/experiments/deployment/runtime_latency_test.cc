// Tables measured in ONNX Runtime, on the tiny network. Nothing here asserts how long anything
// takes; skipped where the runtime is not installed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "experiments/deployment/fixed_ranges.h"
#include "space/hardware/layer_edges.h"
#include "space/hardware/network_latency.h"
#include "space/hardware/onnxruntime_measure.h"
#include "space/hardware/sample_statistics.h"
#include "tests/experiments/deployment/runtime_testing.h"
#include "tests/space/hardware/tiny_graph.h"

namespace bitsearch {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr BitChoice kFloat{NumberFormat::Float32(), NumberFormat::Float32()};
constexpr BitChoice kInt8{NumberFormat::Integer(8), NumberFormat::Integer(8)};
constexpr BitChoice kInt4{NumberFormat::Integer(4), NumberFormat::Integer(8)};

Measurement MeasureTiny(const LayerGraph& graph, std::vector<BitChoice> choices,
                        Container container) {
  MeasureOptions options;
  options.repetitions = 10;
  options.warmup = 1;
  OnnxRuntimeBackend backend(TestRuntime(), std::move(choices), FixedRangeWriter(graph, container));
  return backend.Measure(graph, "tiny.onnx", options, RunContext{});
}

TEST(OnnxRuntimeBackend, LayersAddUpToTheWholeAndEveryEdgeThatPaysHasTimes) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  const LayerGraph graph = TinyResidualGraph();
  const Measurement result = MeasureTiny(graph, {kFloat, kInt8}, Container::kCompute);
  const LatencyTable& table = result.table;
  std::map<std::string, double> whole_ns;
  for (const RawSamples& raw : result.raw) {
    EXPECT_EQ(raw.samples_ns.size(), 10U) << raw.name << raw.formats;
    if (raw.kind == "end_to_end") {
      whole_ns[raw.formats] = static_cast<double>(Summarize(raw.samples_ns).median_ns);
    }
  }
  EXPECT_EQ(whole_ns.size(), 6U) << "two uniform, two alternating, two alternating at joins";
  const std::vector<LayerKey> keys = LayerKeysOf(graph);
  for (const BitChoice choice : {kFloat, kInt8}) {
    const auto predicted = PredictLatency(table, keys, BitConfig::Uniform(keys.size(), choice));
    EXPECT_NEAR(static_cast<double>(predicted.total_ns()), whole_ns[choice.ToString()],
                static_cast<double>(keys.size()));
    EXPECT_EQ(predicted.edges_ns, 0);
  }
  int pairs = 0;
  for (const LayerEdge& edge : LayerEdges(graph)) pairs += edge.pays ? 1 : 0;
  EXPECT_EQ(table.transitions().size(), static_cast<std::size_t>(2 * pairs));
  for (const char* fact : {"backend", "cpu", "runtime", "samples", "threads", "includes"}) {
    EXPECT_NE(table.Provenance(fact), "") << fact;
  }
}

TEST(OnnxRuntimeBackend, SaysThatFourBitConvolutionsRunInFloat) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  const LayerGraph graph = TinyResidualGraph();
  const Measurement result = MeasureTiny(graph, {kFloat, kInt4}, Container::kStorage);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("at W4A8 run in floating point")));
  const Measurement integer = MeasureTiny(graph, {kFloat, kInt4}, Container::kCompute);
  EXPECT_THAT(integer.warnings, Not(Contains(HasSubstr("at W4A8 run in floating point"))));
}

}  // namespace
}  // namespace bitsearch
