// What a measurement holds. Nothing here asserts how long anything takes.
#include "space/hardware/onednn_measure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <thread>

#include "space/hardware/latency_csv.h"
#include "space/hardware/layer_signature.h"
#include "space/hardware/onednn_kernels.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/error.h"
#include "tests/space/hardware/tiny_graph.h"

namespace bitsearch {
namespace {

constexpr BitChoice kFloat{NumberFormat::Float32(), NumberFormat::Float32()};
constexpr BitChoice kInt8{NumberFormat::Integer(8), NumberFormat::Integer(8)};

MeasureOptions Quick() {
  MeasureOptions options;
  options.repetitions = 3;
  options.warmup = 1;
  options.command = "bitsearch latency measure tiny.onnx";
  return options;
}

TEST(SampleStatistics, MedianAndSpreadIgnoreAnOutlier) {
  const std::vector<std::int64_t> samples = {100, 102, 98, 101, 1'000'000};
  const SampleSummary summary = Summarize(samples);
  EXPECT_EQ(summary.median_ns, 101);
  EXPECT_EQ(summary.spread_ns, 1);  // Deviations 1 1 3 0 big: median 1.
  EXPECT_EQ(summary.samples, 5);
  EXPECT_EQ(Summarize(std::vector<std::int64_t>{10, 20}).median_ns, 15);
  EXPECT_EQ(Summarize({}).samples, 0);
}

TEST(OnednnBackend, GivesMeasuredEntriesOnly) {
  const LayerGraph graph = TinyResidualGraph();
  OnednnBackend backend;
  const Measurement result = backend.Measure(graph, "tiny.onnx", Quick(), RunContext{});
  std::set<BitChoice> choices;
  for (const Layer& layer : graph.layers()) {
    for (const BitChoice choice : {kFloat, kInt8}) {
      const LatencyEntry* entry = result.table.Find(layer.id, choice);
      ASSERT_NE(entry, nullptr) << layer.id << choice.ToString();
      EXPECT_GT(entry->latency_ns, 0);
      EXPECT_EQ(entry->samples, 3);
      EXPECT_TRUE(entry->stddev_ns.has_value());
    }
  }
  for (const LatencyTable::Row& row : result.table.rows()) choices.insert(row.choice);
  EXPECT_EQ(choices, (std::set<BitChoice>{kFloat, kInt8}));
  EXPECT_FALSE(result.table
                   .Lookup({"a", ""}, {NumberFormat::Integer(4), NumberFormat::Integer(8)},
                           MissingPolicy::kInterpolate)
                   .has_value());
  for (const char* fact : {"backend", "command", "cpu", "library", "samples", "threads"}) {
    EXPECT_NE(result.table.Provenance(fact), "") << fact;
  }
}

TEST(OnednnBackend, SharesMeasurementsByShapeAndKeepsEverySample) {
  GraphBuilder build;
  TensorIndex x = build.Input("input", {1, 4, 8, 8});
  for (const char* id : {"c0", "c1", "c2", "c3"}) x = build.Conv(id, x, 4, 4, 8, 3, 1);
  build.graph.AddOutput(x);
  build.graph.FindLayers();
  const Measurement result = OnednnBackend().Measure(build.graph, "", Quick(), RunContext{});
  const LatencyTable& table = result.table;
  EXPECT_EQ(*table.Find("c1", kInt8), *table.Find("c2", kInt8));
  // c0 quantizes the network's input and c3 writes floats: their times are not those of the shape.
  const std::string signature = SignatureOf(build.graph, build.graph.layers()[1]).ToString();
  EXPECT_EQ(table.Require({"elsewhere", signature}, kInt8).entry, *table.Find("c1", kInt8));
  EXPECT_THAT(
      table.declared_signatures(),
      ::testing::ElementsAre(::testing::Pair("c1", signature), ::testing::Pair("c2", signature)));
  for (const RawSamples& raw : result.raw) {
    EXPECT_EQ(raw.samples_ns.size(), 3u) << raw.name << " " << raw.kind;
    EXPECT_NE(raw.implementation, "");
  }
  const std::string text = RawSamplesCsvText(result.raw);
  EXPECT_EQ(text.rfind("name,kind,formats,implementation,samples_ns\n", 0), 0u);
}

TEST(OnednnBackend, ChargesOneConversionPerTensor) {
  const LayerGraph graph = TinyResidualGraph();
  const Measurement result = OnednnBackend().Measure(graph, "", Quick(), RunContext{});
  const NumberFormat f32 = NumberFormat::Float32();
  const NumberFormat i8 = NumberFormat::Integer(8);
  EXPECT_GT(result.table.RequireTransition({"stem", "a", f32, i8}).latency_ns, 0);
  EXPECT_EQ(result.table.RequireTransition({"stem", "down", f32, i8}).latency_ns, 0);
  EXPECT_GT(result.table.RequireTransition({"down", "fc", i8, f32}).latency_ns, 0);
  EXPECT_EQ(result.table.RequireTransition({"down", "fc", i8, i8}).latency_ns, 0);
  EXPECT_EQ(result.table.RequireTransition({"b", "fc", i8, f32}).latency_ns, 0);
  EXPECT_EQ(result.table.transitions().size(), 6u) << "three tensors, both ways";
  // What was written is what is read.
  LatencyTable again = ParseLatencyCsv(LatencyCsvText(result.table), "t.csv");
  ParseTransitionsCsv(TransitionsCsvText(result.table), "r.csv", &again);
  EXPECT_EQ(again.transitions().size(), result.table.transitions().size());
}

TEST(OnednnBackend, RunsEveryKindOfLayer) {
  OnednnFactory factory;
  for (const char* text : {"Conv:in8:out8:size9x9:kernel3x3:stride1x1:groups8",
                           "Conv:in8:out16:size9x9:kernel3x3:stride2x2:groups2:pads0x1x1x0",
                           "Conv:in8:out16:size9x9:kernel3x3:stride1x1:groups1:dilation2x2",
                           "Conv:in8:out16:size20:kernel5:stride1:groups1",
                           "ConvTranspose:in8:out4:size5x5:kernel2x2:stride2x2:groups1",
                           "Gemm:in8:out10:rows1", "MatMul:in8:out10:rows7"}) {
    const auto signature = LayerSignature::Parse(text);
    ASSERT_TRUE(signature.has_value()) << text;
    for (const bool integer : {false, true}) {
      const auto work = factory.Kernel(*signature, 2, integer, KernelOutput::kSameAsInput);
      ASSERT_NE(work, nullptr) << text << integer;
      work->Run();
      EXPECT_NE(work->implementation(), "");
    }
  }
  const auto two = LayerSignature::Parse("MatMul:in8:out10:rows7:activations");
  ASSERT_TRUE(two.has_value());
  EXPECT_NE(factory.Kernel(*two, 1, false, KernelOutput::kFloat), nullptr);
  EXPECT_EQ(factory.Kernel(*two, 1, true, KernelOutput::kFloat), nullptr);
}

/// Counts the process's threads whenever there is progress, that is while kernels are timed.
class ThreadCounter : public NullProgressSink {
 public:
  static int Threads() {
    int threads = 0;
    for ([[maybe_unused]] const auto& task :
         std::filesystem::directory_iterator("/proc/self/task")) {
      ++threads;
    }
    return threads;
  }
  void Progress(std::string_view, std::int64_t, std::int64_t) override {
    most = std::max(most, Threads());
  }
  int most = 0;
};

/// A primitive built on another thread brings OpenMP workers along, which all share the pinned CPU:
/// every time is then a scheduler's time slice, not a kernel's.
TEST(OnednnBackend, RunsKernelsOnOneThreadOnly) {
  const auto counter = std::make_shared<ThreadCounter>();
  RunContext context;
  context.progress = counter;
  // A sanitizer brings a thread of its own along with the first one.
  std::thread([] {}).join();
  const int before = ThreadCounter::Threads();
  OnednnBackend().Measure(TinyResidualGraph(), "", Quick(), context);
  EXPECT_EQ(counter->most, before + 1) << "the measuring thread and nothing else";
}

TEST(OnednnBackend, StopsWhenAsked) {
  RunContext context;
  context.stop.RequestStop();
  EXPECT_THROW(OnednnBackend().Measure(TinyResidualGraph(), "", Quick(), context), Error);
  MeasureOptions none = Quick();
  none.repetitions = 0;
  EXPECT_THROW(OnednnBackend().Measure(TinyResidualGraph(), "", none, RunContext{}), Error);
}

}  // namespace
}  // namespace bitsearch
