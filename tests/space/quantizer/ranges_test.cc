#include "space/quantizer/ranges.h"

#include <gtest/gtest.h>

#include "space/support/random.h"

namespace bitsearch {
namespace {

TEST(RangesTest, PercentileInterpolatesAsNumPyDoes) {
  // numpy.percentile([1, 2, 3, 4, 10], [10, 90]) = [1.4, 7.6]
  std::vector<float> values = {3, 1, 10, 2, 4};
  const Range range = PercentileRange(values, 90.0);
  EXPECT_NEAR(range.low, 1.4F, 1e-6F);
  EXPECT_NEAR(range.high, 7.6F, 1e-5F);
  values = {5};
  EXPECT_EQ(PercentileRange(values, 99.9).high, 5.0F);
}

TEST(RangesTest, MinMaxOfNothingIsZero) {
  EXPECT_EQ(MinMaxRange({}).low, 0.0F);
  const std::vector<float> values = {-2, 7, 1};
  EXPECT_EQ(MinMaxRange(values).low, -2.0F);
  EXPECT_EQ(MinMaxRange(values).high, 7.0F);
}

TEST(RangesTest, MseClipsAnOutlierAndIsNeverWorseThanMinMax) {
  RandomStream random(1, "ranges_test");
  std::vector<float> values(2000);
  for (float& value : values) value = static_cast<float>(random.Normal());
  values[7] = 30.0F;
  const Range range = MseRange(values, 4, true, true);
  EXPECT_LT(range.high, 20.0F);
  for (const bool symmetric : {true, false}) {
    const Range best = MseRange(values, 3, symmetric, true);
    const Range full = MinMaxRange(values);
    const auto error = [&](Range r) {
      return SquaredError(values, symmetric ? SymmetricGrid(r, 3, true) : AsymmetricGrid(r, 3));
    };
    EXPECT_LE(error(best), error(full));
  }
}

}  // namespace
}  // namespace bitsearch
