#include "space/quantizer/weight_quantizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

std::vector<float> RandomWeight(std::size_t count, std::uint64_t seed) {
  RandomStream random(seed, "weight_test");
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

TEST(WeightQuantizerTest, EveryFormatHasAtMostItsLevelsPerChannel) {
  const Shape shape = {4, 3, 3, 3};
  const std::vector<float> weight = RandomWeight(108, 1);
  for (int bits = 1; bits <= 8; ++bits) {
    const QuantizedWeight q = QuantizeWeight(weight, shape, 0, NumberFormat::Integer(bits), {});
    ASSERT_EQ(q.grids.size(), 4U);
    for (std::size_t c = 0; c < 4; ++c) {
      const std::set<float> levels(q.values.begin() + static_cast<std::ptrdiff_t>(27 * c),
                                   q.values.begin() + static_cast<std::ptrdiff_t>(27 * (c + 1)));
      EXPECT_LE(levels.size(), std::size_t{1} << bits) << bits;
    }
  }
}

TEST(WeightQuantizerTest, MoreBitsNeverHurtMinMaxGrids) {
  const std::vector<float> weight = RandomWeight(512, 2);
  double last = 1e30;
  for (int bits = 2; bits <= 12; ++bits) {
    const double error =
        QuantizeWeight(weight, {8, 64}, 0, NumberFormat::Integer(bits), {}).squared_error;
    EXPECT_LT(error, last);
    last = error;
  }
}

TEST(WeightQuantizerTest, TheChannelAxisDecidesWhoSharesAScale) {
  // Column 0 is small, column 1 large: per column it survives 4 bits, per row it does not.
  const std::vector<float> weight = {0.01F, 5.0F, -0.02F, 4.0F, 0.015F, -6.0F};
  const QuantizedWeight by_column = QuantizeWeight(weight, {3, 2}, 1, NumberFormat::Integer(4), {});
  const QuantizedWeight by_row = QuantizeWeight(weight, {3, 2}, 0, NumberFormat::Integer(4), {});
  EXPECT_EQ(by_column.grids.size(), 2U);
  EXPECT_EQ(by_row.grids.size(), 3U);
  EXPECT_NE(by_column.values[0], 0.0F);
  EXPECT_EQ(by_row.values[0], 0.0F);
  EXPECT_NEAR(by_column.values[2], -0.02F, 1e-6F);
}

TEST(WeightQuantizerTest, GroupsFollowEachOtherWithinAChannel) {
  WeightQuantizerSpec spec;
  spec.granularity = Granularity::kPerGroup;
  spec.group_size = 4;
  const std::vector<float> weight = RandomWeight(2 * 10, 3);
  const QuantizedWeight q = QuantizeWeight(weight, {2, 10}, 0, NumberFormat::Integer(4), spec);
  EXPECT_EQ(q.group_count, 3);  // 4 + 4 + 2
  ASSERT_EQ(q.grids.size(), 6U);
  for (std::size_t c = 0; c < 2; ++c) {
    for (std::size_t i = 0; i < 10; ++i) {
      const float steps = q.values[10 * c + i] / q.grids[3 * c + i / 4].scale;
      EXPECT_NEAR(steps, std::nearbyint(steps), 1e-4F);
    }
  }
}

TEST(WeightQuantizerTest, OneBitAndTernaryAreTheirFormulas) {
  const std::vector<float> weight = {1.0F, -3.0F, 0.5F, -0.1F};
  WeightQuantizerSpec spec;
  spec.granularity = Granularity::kPerTensor;
  const QuantizedWeight binary = QuantizeWeight(weight, {4}, 0, NumberFormat::Integer(1), spec);
  EXPECT_FLOAT_EQ(binary.values[0], 1.15F);
  EXPECT_FLOAT_EQ(binary.values[1], -1.15F);
  // Threshold 0.7 · 1.15 = 0.805 keeps 1 and −3, whose mean magnitude is 2.
  const QuantizedWeight ternary = QuantizeWeight(weight, {4}, 0, NumberFormat::Ternary(), spec);
  EXPECT_EQ(ternary.values, (std::vector<float>{2.0F, -2.0F, 0.0F, 0.0F}));
  EXPECT_NEAR(ternary.squared_error, 1 + 1 + 0.25 + 0.01, 1e-6);
}

TEST(WeightQuantizerTest, RefusesToSkip) {
  const std::vector<float> weight = {1.0F};
  EXPECT_THROW(QuantizeWeight(weight, {1}, 0, NumberFormat::Skip(), {}), Error);
}

TEST(WeightQuantizerTest, Float32IsUntouched) {
  const std::vector<float> weight = RandomWeight(10, 4);
  const QuantizedWeight q = QuantizeWeight(weight, {10}, 0, NumberFormat::Float32(), {});
  EXPECT_EQ(q.values, weight);
  EXPECT_EQ(q.squared_error, 0.0);
  EXPECT_TRUE(q.grids.empty());
}

TEST(WeightOnGridsTest, ItsOwnGridsGiveTheSameWeight) {
  const Shape shape = {6, 4, 3, 3};
  const std::vector<float> weight = RandomWeight(216, 3);
  for (const Granularity granularity :
       {Granularity::kPerTensor, Granularity::kPerChannel, Granularity::kPerGroup}) {
    for (const bool symmetric : {true, false}) {
      WeightQuantizerSpec spec;
      spec.granularity = granularity;
      spec.group_size = 12;
      spec.symmetric = spec.narrow = symmetric;
      const QuantizedWeight made = QuantizeWeight(weight, shape, 0, NumberFormat::Integer(3), spec);
      const QuantizedWeight again = QuantizeWeightOnGrids(weight, shape, 0, made.grids, 12);
      EXPECT_EQ(again.values, made.values);
      EXPECT_EQ(again.group_count, made.group_count);
      EXPECT_EQ(again.squared_error, made.squared_error);
      // What lies on a grid stays where it is.
      EXPECT_EQ(QuantizeWeightOnGrids(made.values, shape, 0, made.grids, 12).values, made.values);
    }
  }
}

}  // namespace
}  // namespace bitsearch
