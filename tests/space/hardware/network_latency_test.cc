// Sums over a network, fits, comparisons, warnings.
#include "space/hardware/network_latency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "space/hardware/table_warnings.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const NumberFormat kF32 = NumberFormat::Float32();

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

TEST(PredictLatency, AddsLayersEdgesAndFixedTime) {
  LatencyTable table;
  const BitChoice f32{kF32, kF32};
  for (const char* layer : {"a", "b", "c"}) {
    table.Add(layer, f32, {1000, 30, 9});
    table.Add(layer, Bits(8, 8), {400, 30, 9});
  }
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("b", "c")}) {
    table.AddTransition({from, to, kF32, NumberFormat::Integer(8)}, {70});
    table.AddTransition({from, to, NumberFormat::Integer(8), kF32}, {50});
  }
  table.set_fixed_ns(5);
  const std::vector<LayerKey> layers = {{"a", ""}, {"b", ""}, {"c", ""}};
  const LatencyPrediction mixed = PredictLatency(table, layers, {{f32, Bits(8, 8), f32}});
  EXPECT_EQ(mixed.layers_ns, 2400);
  EXPECT_EQ(mixed.edges_ns, 120);
  EXPECT_EQ(mixed.total_ns(), 2525);
  EXPECT_EQ(mixed.counts.exact, 3);
  // Three independent medians of nine samples with deviation 30.
  EXPECT_NEAR(mixed.standard_error_ns, 1.2533 * 10 * std::sqrt(3.0), 1e-9);
  EXPECT_EQ(PredictLatency(table, layers, BitConfig::Uniform(3, Bits(8, 8))).total_ns(), 1205);
  EXPECT_THROW(PredictLatency(table, layers, BitConfig::Uniform(2, f32)), Error);
  EXPECT_THROW(PredictLatency(table, layers, BitConfig::Uniform(3, Bits(4, 8))), Error);
}

TEST(PredictLatency, LayersOfOneShapeShareTheirNoise) {
  LatencyTable table;
  table.Add("Gemm:in8:out8:rows1", Bits(8, 8), {400, 30, 9});
  const std::vector<LayerKey> layers = {{"a", "Gemm:in8:out8:rows1"}, {"b", "Gemm:in8:out8:rows1"}};
  const LatencyPrediction both = PredictLatency(table, layers, BitConfig::Uniform(2, Bits(8, 8)));
  EXPECT_NEAR(both.standard_error_ns, 2 * 1.2533 * 10, 1e-9);
  EXPECT_EQ(both.counts.signature, 2);
}

TEST(CompareLatency, WhatIsSharedCancels) {
  LatencyTable table;
  const BitChoice f32{kF32, kF32};
  for (const char* layer : {"a", "b", "c"}) {
    table.Add(layer, f32, {1000, 40, 16});
    table.Add(layer, Bits(8, 8), {400, 30, 9});
  }
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("b", "c")}) {
    table.AddTransition({from, to, kF32, NumberFormat::Integer(8)}, {70, 20, 4});
    table.AddTransition({from, to, NumberFormat::Integer(8), kF32}, {50});
  }
  const std::vector<LayerKey> layers = {{"a", ""}, {"b", ""}, {"c", ""}};
  const BitConfig mixed{{f32, f32, Bits(8, 8)}};
  const BitConfig floats = BitConfig::Uniform(3, f32);
  const LatencyDifference none = CompareLatency(table, layers, mixed, mixed);
  EXPECT_EQ(none.difference_ns, 0.0);
  EXPECT_EQ(none.standard_error_ns, 0.0);
  const LatencyDifference one = CompareLatency(table, layers, mixed, floats);
  EXPECT_EQ(one.difference_ns, 400 + 70 - 1000);
  // Layer c's two entries and one edge; layers a and b are the same measurements.
  EXPECT_NEAR(one.standard_error_ns, 1.2533 * std::sqrt(10.0 * 10 + 10 * 10 + 10 * 10), 1e-9);
  EXPECT_EQ(CompareLatency(table, layers, floats, mixed).difference_ns, -one.difference_ns);

  // Two layers of one signature at one choice: one error, twice.
  LatencyTable shared;
  shared.Add("Gemm:in8:out8:rows1", Bits(8, 8), {400, 30, 9});
  shared.Add("Gemm:in8:out8:rows1", f32, {900, 0, 9});
  const std::vector<LayerKey> twins = {{"a", "Gemm:in8:out8:rows1"}, {"b", "Gemm:in8:out8:rows1"}};
  EXPECT_NEAR(
      CompareLatency(shared, twins, BitConfig::Uniform(2, Bits(8, 8)), BitConfig::Uniform(2, f32))
          .standard_error_ns,
      2 * 1.2533 * 10, 1e-9);
  EXPECT_NEAR(
      CompareLatency(shared, twins, BitConfig{{Bits(8, 8), f32}}, BitConfig{{f32, Bits(8, 8)}})
          .standard_error_ns,
      0.0, 1e-12);
}

TEST(ResolveLatency, ReportsEveryMissingEntryAtOnce) {
  LatencyTable table;
  table.Add("a", Bits(8, 8), {1});
  table.Add("a", Bits(4, 8), {1});
  const std::vector<std::vector<BitChoice>> choices = {{Bits(8, 8), Bits(6, 8)}, {Bits(8, 8)}};
  try {
    ResolveLatency(table, {{"a", ""}, {"b", ""}}, choices);
    FAIL();
  } catch (const ErrorList& errors) {
    ASSERT_EQ(errors.errors().size(), 2u);
    EXPECT_EQ(errors.errors()[0].key(), "a");
    EXPECT_EQ(errors.errors()[1].key(), "b");
  }
  const ResolvedLatency resolved =
      ResolveLatency(table, {{"a", ""}}, {{Bits(8, 8), Bits(6, 8)}}, MissingPolicy::kInterpolate);
  EXPECT_EQ(resolved.counts.exact, 1);
  EXPECT_EQ(resolved.counts.interpolated, 1);
}

TEST(FitAffine, RecoversALine) {
  RandomStream random(1, "affine-test");
  for (int round = 0; round < 100; ++round) {
    const double slope = 4 * random.Uniform() - 2, offset = 10 * random.Normal();
    std::vector<double> x, y;
    for (int i = 0; i < 5; ++i) {
      x.push_back(random.Normal());
      y.push_back(slope * x.back() + offset);
    }
    const AffineFit fit = FitAffine(x, y);
    EXPECT_NEAR(fit.slope, slope, 1e-9);
    EXPECT_NEAR(fit.offset, offset, 1e-9);
  }
  const std::vector<double> same = {2, 2}, values = {3, 5};
  EXPECT_DOUBLE_EQ(FitAffine(same, values)(2), 4.0);
  EXPECT_THROW(FitAffine({}, {}), Error);
}

TEST(Compare, PerfectAndReversedPredictions) {
  const std::vector<double> measured = {1, 2, 4, 8};
  const PredictionQuality perfect = Compare(measured, measured);
  EXPECT_EQ(perfect.median_relative_error, 0.0);
  EXPECT_EQ(perfect.r_squared, 1.0);
  EXPECT_EQ(perfect.kendall_tau, 1.0);
  const std::vector<double> reversed = {8, 4, 2, 1};
  EXPECT_EQ(Compare(reversed, measured).kendall_tau, -1.0);
  EXPECT_EQ(Compare(reversed, measured).largest_relative_error, 7.0);
  const std::vector<double> constant(4, 3.75);
  EXPECT_TRUE(std::isnan(Compare(constant, measured).kendall_tau));
  EXPECT_EQ(Compare(constant, measured).r_squared, 0.0);
}

TEST(JudgePredictors, FitsOnTheOthersOnlyAndAddsAConstant) {
  std::vector<double> measured, good, bad;
  for (int i = 0; i < 12; ++i) {
    measured.push_back(100 + 10 * (i * 7 % 12));
    good.push_back(3 * measured.back() - 40);
    bad.push_back(i % 2);
  }
  const auto judged = JudgePredictors({"table", "noise"}, {good, bad}, measured);
  ASSERT_EQ(judged.size(), 3u);
  EXPECT_NEAR(judged[0].quality.largest_relative_error, 0.0, 1e-9);
  EXPECT_GT(judged[1].quality.median_relative_error, 0.01);
  EXPECT_EQ(judged[2].name, "constant");
  // The mean of the others runs against what is left out.
  EXPECT_LT(judged[2].quality.r_squared, 0.0);
  EXPECT_EQ(judged[2].quality.kendall_tau, -1.0);
  EXPECT_THROW(JudgePredictors({"table"}, {{1.0, 2.0}}, std::vector<double>{1.0, 2.0}), Error);
}

TEST(TableWarnings, AreLoudWhereLowBitsBuyNothing) {
  LatencyTable table;
  for (int l = 0; l < 5; ++l) {
    const std::string layer = "l" + std::to_string(l);
    table.Add(layer, {kF32, kF32}, {3900, 10, 50});
    table.Add(layer, Bits(8, 8), {2000, 10, 50});
    table.Add(layer, Bits(4, 8), {8600, 10, 50});
  }
  const std::vector<std::string> warnings = TableWarnings(table);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("W4A8 against W8A8"));
  EXPECT_THAT(warnings[0], HasSubstr("NOT faster in 5 of 5 layers"));
}

TEST(TableWarnings, TellNoiseFromDifference) {
  LatencyTable noisy, sound;
  for (int l = 0; l < 4; ++l) {
    const std::string layer = "l" + std::to_string(l);
    noisy.Add(layer, Bits(8, 8), {1000, 400, 10});
    noisy.Add(layer, Bits(4, 8), {980, 400, 10});
    sound.Add(layer, Bits(8, 8), {1000, 4, 10});
    sound.Add(layer, Bits(4, 8), {900, 4, 10});
  }
  ASSERT_EQ(TableWarnings(noisy).size(), 1u);
  EXPECT_THAT(TableWarnings(noisy)[0], HasSubstr("within the noise in 4 of 4"));
  EXPECT_THAT(TableWarnings(sound), IsEmpty());
}

TEST(TableWarnings, SayWhenNothingIsFasterThanTheMostPrecise) {
  LatencyTable table;
  for (int l = 0; l < 3; ++l) {
    const std::string layer = "l" + std::to_string(l);
    table.Add(layer, {kF32, kF32}, {100});
    table.Add(layer, Bits(8, 8), {100});
  }
  const std::vector<std::string> warnings = TableWarnings(table);
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_THAT(warnings[1], HasSubstr("lower bits buy no time"));
}

}  // namespace
}  // namespace bitsearch
