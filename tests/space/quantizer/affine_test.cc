#include "space/quantizer/affine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "space/support/random.h"

namespace bitsearch {
namespace {

std::vector<float> RandomValues(std::size_t count, std::uint64_t seed, float low, float high) {
  RandomStream random(seed, "affine_test");
  std::vector<float> values(count);
  for (float& value : values) value = low + (high - low) * static_cast<float>(random.Uniform());
  return values;
}

struct Case {
  int bits;
  bool symmetric;
  bool narrow;
  float low;
  float high;
};

class AffineConformance : public testing::TestWithParam<Case> {
 protected:
  AffineGrid Grid() const {
    const Case& c = GetParam();
    return c.symmetric ? SymmetricGrid({c.low, c.high}, c.bits, c.narrow)
                       : AsymmetricGrid({c.low, c.high}, c.bits);
  }
};

TEST_P(AffineConformance, IdempotentMonotoneZeroExactAndCloseInsideTheRange) {
  const AffineGrid grid = Grid();
  // Wider than the range, so that clipping is exercised; an odd count exercises the loop's tail.
  std::vector<float> values =
      RandomValues(1237, static_cast<std::uint64_t>(GetParam().bits), 1.5F * GetParam().low - 0.1F,
                   1.5F * GetParam().high + 0.1F);
  values.push_back(0.0F);
  std::sort(values.begin(), values.end());
  std::vector<float> once(values.size());
  FakeQuantize(values, once, grid);
  std::vector<float> twice(values.size());
  FakeQuantize(once, twice, grid);
  EXPECT_EQ(once, twice);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) {
      EXPECT_LE(once[i - 1], once[i]);
    }
    if (values[i] == 0.0F) {
      EXPECT_EQ(once[i], 0.0F);
    }
    if (values[i] >= grid.lowest() && values[i] <= grid.highest()) {
      EXPECT_LE(std::fabs(once[i] - values[i]), 0.5F * grid.scale * 1.0001F);
    } else {
      EXPECT_EQ(once[i], values[i] < 0 ? grid.lowest() : grid.highest());
    }
  }
  // Not more levels than the bits allow, and the integers agree with the values.
  std::vector<std::int32_t> integers(values.size());
  QuantizeToIntegers(values, integers, grid);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_GE(integers[i], grid.qmin);
    EXPECT_LE(integers[i], grid.qmax);
    EXPECT_FLOAT_EQ(static_cast<float>(integers[i] - grid.zero_point) * grid.scale, once[i]);
  }
  EXPECT_LE(grid.qmax - grid.qmin + 1, 1 << GetParam().bits);
}

TEST_P(AffineConformance, SquaredErrorEqualsTheSumOverElements) {
  const AffineGrid grid = Grid();
  const std::vector<float> values = RandomValues(4099, 9, GetParam().low * 1.2F, GetParam().high);
  std::vector<float> quantized(values.size());
  FakeQuantize(values, quantized, grid);
  double expected = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double difference = static_cast<double>(values[i]) - quantized[i];
    expected += difference * difference;
  }
  EXPECT_NEAR(SquaredError(values, grid), expected, 1e-5 * expected + 1e-9);
}

INSTANTIATE_TEST_SUITE_P(
    Grids, AffineConformance,
    testing::Values(Case{8, true, true, -1.3F, 0.9F}, Case{8, true, false, -1.3F, 0.9F},
                    Case{4, true, true, -0.01F, 0.02F}, Case{2, true, true, -3.0F, 3.0F},
                    Case{16, true, true, -1.0F, 1.0F}, Case{8, false, false, -0.7F, 2.1F},
                    Case{8, false, false, 0.0F, 6.0F}, Case{3, false, false, -5.0F, -1.0F},
                    Case{1, false, false, 0.0F, 1.0F}, Case{4, false, false, 0.5F, 1.0F}));

TEST(AffineTest, AsymmetricRangesAlwaysHoldZero) {
  const AffineGrid grid = AsymmetricGrid({2.0F, 4.0F}, 8);
  EXPECT_EQ(grid.zero_point, 0);
  EXPECT_NEAR(grid.highest(), 4.0F, 1e-6F);
}

TEST(AffineTest, ConstantZeroTensorsStayZero) {
  for (const AffineGrid& grid : {SymmetricGrid({0, 0}, 4, true), AsymmetricGrid({0, 0}, 4)}) {
    std::vector<float> values(5, 0.0F);
    FakeQuantize(values, values, grid);
    EXPECT_EQ(values, std::vector<float>(5, 0.0F));
    EXPECT_TRUE(std::isfinite(1.0F / grid.scale));
  }
}

TEST(AffineTest, RoundsHalfToEven) {
  const AffineGrid grid{1.0F, 0, -7, 7};
  std::vector<float> values = {0.5F, 1.5F, 2.5F, -0.5F, -1.5F};
  FakeQuantize(values, values, grid);
  EXPECT_EQ(values, (std::vector<float>{0.0F, 2.0F, 2.0F, 0.0F, -2.0F}));
}

TEST(AffineTest, FloatFormatsRoundToNearestEven) {
  std::vector<float> values = {1.0F, 1.0F + 1.0F / 2048.0F, 65520.0F, 1.00390625F};
  std::vector<float> out(values.size());
  RoundToFloatFormat(values, out, NumberFormat::Float16());
  EXPECT_EQ(out[1], 1.0F);
  EXPECT_TRUE(std::isinf(out[2]));
  RoundToFloatFormat(values, out, NumberFormat::Bfloat16());
  EXPECT_EQ(out[3], 1.0F);
  RoundToFloatFormat(values, out, NumberFormat::Float32());
  EXPECT_EQ(out, values);
}

}  // namespace
}  // namespace bitsearch
