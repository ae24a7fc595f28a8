// Look-up order, interpolation, errors, and the two CSV files.
#include "space/hardware/latency_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "space/hardware/latency_csv.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using ::testing::HasSubstr;

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

template <typename Call>
Error ErrorOf(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorId::kInternal, "none");
}

TEST(LatencyTable, ExactBeatsSignature) {
  LatencyTable table;
  table.Add("a", Bits(8, 8), {100});
  table.Add("Gemm:in8:out10:rows1", Bits(8, 8), {200});
  table.Add("Gemm:in8:out10:rows1", Bits(4, 4), {50});
  const LayerKey a{"a", "Gemm:in8:out10:rows1"};
  EXPECT_EQ(table.Require(a, Bits(8, 8)).entry.latency_ns, 100);
  EXPECT_EQ(table.Require(a, Bits(8, 8)).kind, LookupKind::kExact);
  EXPECT_EQ(table.Require(a, Bits(4, 4)).entry.latency_ns, 50);
  EXPECT_EQ(table.Require(a, Bits(4, 4)).kind, LookupKind::kSignature);
  const LayerKey other{"other", "Gemm:in8:out10:rows1"};
  EXPECT_EQ(table.Require(other, Bits(8, 8)).entry.latency_ns, 200);
}

TEST(LatencyTable, ADeclaredSignatureServesOtherLayers) {
  LatencyTable table;
  table.Add("a", Bits(8, 8), {100});
  table.DeclareSignature("a", "Gemm:in8:out10:rows1");
  const LatencyLookup found = table.Require({"z", "Gemm:in8:out10:rows1"}, Bits(8, 8));
  EXPECT_EQ(found.entry.latency_ns, 100);
  EXPECT_EQ(found.kind, LookupKind::kSignature);
  EXPECT_FALSE(table.Lookup({"z", "Gemm:in8:out11:rows1"}, Bits(8, 8)).has_value());
}

TEST(LatencyTable, AMissingEntryNamesLayerBitsAndWhatThereIs) {
  LatencyTable table;
  table.source_name = "t.csv";
  table.Add("layer1.conv1", Bits(8, 8), {100});
  table.Add("layer1.conv1", Bits(6, 8), {90});
  const Error error = ErrorOf([&] { table.Require({"layer1.conv1", ""}, Bits(4, 8)); });
  EXPECT_EQ(error.id(), ErrorId::kLatencyMissing);
  EXPECT_EQ(error.key(), "layer1.conv1");
  EXPECT_THAT(error.what(), HasSubstr("weight bits 4, activation bits 8"));
  EXPECT_THAT(error.what(), HasSubstr("8/8, 6/8"));
  EXPECT_THAT(error.what(), HasSubstr("t.csv"));
  const Error typo = ErrorOf([&] { table.Require({"layer1.conv2", ""}, Bits(8, 8)); });
  EXPECT_THAT(typo.what(), HasSubstr("layer1.conv1"));
}

TEST(LatencyTable, InterpolatesOnlyWhenAskedAndOnlyInside) {
  LatencyTable table;
  table.Add("a", Bits(4, 8), {400, 10, 5});
  table.Add("a", Bits(8, 8), {800, 30, 9});
  table.Add("a", {NumberFormat::Float32(), NumberFormat::Float32()}, {5000});
  const LayerKey a{"a", ""};
  EXPECT_FALSE(table.Lookup(a, Bits(5, 8)).has_value());
  const auto five = table.Lookup(a, Bits(5, 8), MissingPolicy::kInterpolate);
  ASSERT_TRUE(five.has_value());
  EXPECT_EQ(five->entry.latency_ns, 500);
  EXPECT_EQ(five->entry.stddev_ns, 15);
  EXPECT_EQ(five->entry.samples, 5);
  EXPECT_EQ(five->kind, LookupKind::kInterpolated);
  // Outside the measured bits, or between integers and floats, nothing is invented.
  EXPECT_FALSE(table.Lookup(a, Bits(3, 8), MissingPolicy::kInterpolate).has_value());
  EXPECT_FALSE(table.Lookup(a, Bits(10, 8), MissingPolicy::kInterpolate).has_value());
  EXPECT_FALSE(table.Lookup(a, Bits(5, 7), MissingPolicy::kInterpolate).has_value());
  EXPECT_FALSE(table
                   .Lookup(a, {NumberFormat::Float16(), NumberFormat::Float16()},
                           MissingPolicy::kInterpolate)
                   .has_value());
}

/// On times that are bilinear in the bits, interpolation is exact wherever it answers.
TEST(LatencyTable, InterpolationIsExactOnBilinearTimes) {
  RandomStream random(3, "interpolation-test");
  for (int round = 0; round < 200; ++round) {
    const auto time = [&](int w, int a) { return 1000 + 160 * w + 48 * a + 16 * w * a; };
    LatencyTable table;
    for (const int w : {2, 4, 8}) {
      for (const int a : {2, 4, 8}) {
        const bool corner = (w != 4) && (a != 4);
        if (corner || random.Below(3) > 0) table.Add("l", Bits(w, a), {time(w, a)});
      }
    }
    for (int w = 2; w <= 8; ++w) {
      for (int a = 2; a <= 8; ++a) {
        const auto found = table.Lookup({"l", ""}, Bits(w, a), MissingPolicy::kInterpolate);
        ASSERT_TRUE(found.has_value());
        EXPECT_NEAR(static_cast<double>(found->entry.latency_ns), time(w, a), 2.0) << w << " " << a;
      }
    }
  }
}

TEST(LatencyTable, ASkippedBlockTakesNoTime) {
  LatencyTable table;
  table.Add("a", Bits(8, 8), {100});
  const BitChoice skip{NumberFormat::Skip(), NumberFormat::Skip()};
  EXPECT_EQ(table.Require({"a", ""}, skip).entry.latency_ns, 0);
}

TEST(LatencyTable, EdgesAreFreeAtEqualBitsAndErrorsElsewhere) {
  LatencyTable table;
  const NumberFormat i8 = NumberFormat::Integer(8);
  const NumberFormat f32 = NumberFormat::Float32();
  table.AddTransition({"a", "b", f32, i8}, {70});
  EXPECT_EQ(table.RequireTransition({"a", "b", f32, i8}).latency_ns, 70);
  EXPECT_EQ(table.RequireTransition({"a", "b", i8, i8}).latency_ns, 0);
  EXPECT_EQ(table.RequireTransition({"b", "c", f32, i8}).latency_ns, 0) << "no such edge";
  const Error error = ErrorOf([&] { table.RequireTransition({"a", "b", i8, f32}); });
  EXPECT_EQ(error.id(), ErrorId::kLatencyEdgeMissing);
  EXPECT_EQ(error.key(), "a -> b");
}

TEST(LatencyCsv, ReadsItsOwnText) {
  LatencyTable table;
  table.SetProvenance("command", "bitsearch latency measure m.onnx");
  table.SetProvenance("date", "2024-05-01");
  table.set_fixed_ns(1'234'567);
  table.Add("conv,with \"comma\"", Bits(8, 8), {1500, 20, 31});
  table.Add("fc", {NumberFormat::Float32(), NumberFormat::Float32()}, {7});
  table.Add("fc", {NumberFormat::Ternary(), NumberFormat::Integer(8)}, {3, 1, 2});
  table.DeclareSignature("fc", "Gemm:in8:out10:rows1");
  table.DeclareSignature("fc2", "Gemm:in8:out10:rows1");
  table.AddTransition(
      {"fc", "conv,with \"comma\"", NumberFormat::Float32(), NumberFormat::Integer(8)},
      {250, 3, 31});
  const std::string text = LatencyCsvText(table);
  LatencyTable again = ParseLatencyCsv(text, "t.csv");
  ParseTransitionsCsv(TransitionsCsvText(table), "r.csv", &again);
  EXPECT_EQ(LatencyCsvText(again), text);
  EXPECT_EQ(TransitionsCsvText(again), TransitionsCsvText(table));
  EXPECT_EQ(again.fixed_ns(), 1'234'567);
  EXPECT_EQ(again.Provenance("command"), "bitsearch latency measure m.onnx");
  ASSERT_EQ(again.rows().size(), 3u);
  EXPECT_EQ(again.rows()[1].entry, (LatencyEntry{7}));
  EXPECT_EQ(again.rows()[2].entry, (LatencyEntry{3, 1, 2}));
  EXPECT_EQ(again
                .Require({"x", "Gemm:in8:out10:rows1"},
                         {NumberFormat::Float32(), NumberFormat::Float32()})
                .entry.latency_ns,
            7);
}

TEST(LatencyCsv, KeepsWholeNanosecondsRoundedHalfUp) {
  const LatencyTable table = ParseLatencyCsv(
      "layer,weight_bits,activation_bits,latency_us\n"
      "a,8,8,210.94404\na,4,4,0.0005\na,32,32,12\n",
      "t.csv");
  EXPECT_EQ(table.Find("a", Bits(8, 8))->latency_ns, 210'944);
  EXPECT_EQ(table.Find("a", Bits(4, 4))->latency_ns, 1);
  EXPECT_EQ(table.Find("a", {NumberFormat::Float32(), NumberFormat::Float32()})->latency_ns,
            12'000);
  EXPECT_EQ(MicrosecondsText(210'944), "210.944");
  EXPECT_EQ(MicrosecondsText(12'000), "12");
  EXPECT_EQ(MicrosecondsText(-50), "-0.05");
}

TEST(LatencyCsv, EveryFaultHasItsLineAndColumn) {
  const std::string head = "layer,weight_bits,activation_bits,latency_us\n";
  struct Case {
    std::string text;
    ErrorId id;
    int line;
    int column;
  };
  const std::vector<Case> cases = {
      {head + "a,8,8,1\na,8,8,2\n", ErrorId::kLatencyDuplicate, 3, 3},
      {head + "a,17,8,1\n", ErrorId::kLatencyBits, 2, 3},
      {head + "a,8,int8,1\n", ErrorId::kLatencyBits, 2, 5},
      {head + "a,8,-8,1\n", ErrorId::kLatencyBits, 2, 5},
      {head + "a,8,8,-1\n", ErrorId::kLatencyValue, 2, 7},
      {head + "a,8,8,fast\n", ErrorId::kCsvNumber, 2, 7},
      {head + ",8,8,1\n", ErrorId::kLatencyValue, 2, 1},
      {head + "a,8,8\n", ErrorId::kCsvRagged, 2, 1},
      {"layer,weight_bits,activation_bits,latency_ms\na,8,8,1\n", ErrorId::kCsvUnknownColumn, 1,
       35},
      {"# fixed_latency_us: -3\n" + head + "a,8,8,1\n", ErrorId::kLatencyValue, 0, 0},
  };
  for (const Case& c : cases) {
    const Error error = ErrorOf([&] { ParseLatencyCsv(c.text, "t.csv"); });
    EXPECT_EQ(error.id(), c.id) << error.what();
    EXPECT_EQ(error.location().file, "t.csv") << error.what();
    EXPECT_EQ(error.location().line, c.line) << error.what();
    EXPECT_EQ(error.location().column, c.column) << error.what();
  }
}

TEST(LatencyCsv, EdgesOfAnEarlierTableDoNotStay) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "bitsearch_stale_edges";
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "t.csv").string();
  LatencyTable table;
  const BitChoice eight{NumberFormat::Integer(8), NumberFormat::Integer(8)};
  table.Add("a", eight, {400});
  table.Add("b", eight, {400});
  table.AddTransition({"a", "b", NumberFormat::Integer(8), NumberFormat::Float32()}, {50});
  WriteLatencyCsv(table, path, TransitionsPathFor(path));
  EXPECT_TRUE(std::filesystem::exists(TransitionsPathFor(path)));
  LatencyTable without;
  without.Add("a", eight, {400});
  WriteLatencyCsv(without, path, TransitionsPathFor(path));
  EXPECT_FALSE(std::filesystem::exists(TransitionsPathFor(path)));
  std::filesystem::remove_all(folder);
}

TEST(LatencyCsv, ReadsThePublishedTableOfHawq) {
  const std::filesystem::path path =
      std::filesystem::path(BITSEARCH_SHARED_DATA) / "hawq/resnet18/latency.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared data at " << path;
  const LatencyTable table = ReadLatencyCsv(path.string());
  EXPECT_EQ(table.rows().size(), 38u);
  EXPECT_EQ(table.keys().size(), 19u);
}

}  // namespace
}  // namespace bitsearch
