// The fused mixture of roundings against one rounding at a time, written out plainly.
#include "space/quantizer/rounding_mixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

std::vector<float> Normals(std::size_t count, std::uint64_t seed) {
  RandomStream random(seed, "test");
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

double Explicit(const Rounding& r, double x) {
  const double steps = std::clamp(x * r.inverse_scale + r.offset, static_cast<double>(r.lowest),
                                  static_cast<double>(r.highest));
  return (std::nearbyint(steps) - r.offset) * r.scale;
}

// Sizes around the kernel's block and lane counts; activation-like and weight-like roundings.
class RoundingMixtureTest : public ::testing::TestWithParam<std::tuple<std::size_t, bool>> {
 protected:
  std::vector<Rounding> Roundings() const {
    std::vector<Rounding> roundings;
    for (const int bits : {1, 2, 3, 4, 6, 8}) {
      const NumberFormat format = NumberFormat::Integer(bits);
      const bool weight = std::get<1>(GetParam());
      const RoundingLevels levels = weight ? RoundingLevels::ForWeight(format, bits % 2 == 0)
                                           : RoundingLevels::ForActivation(format, bits / 3);
      // All activations of one clip (2.0), so that ranges coincide; every weight has its own.
      roundings.push_back(MakeRounding(levels, weight
                                                   ? 0.3F / static_cast<float>(bits)
                                                   : 2.0F / static_cast<float>((1 << bits) - 1)));
    }
    return roundings;
  }
  std::vector<float> weights_ = {0.1F, 0.3F, 0.0F, 0.25F, 0.15F, 0.05F};
};

TEST_P(RoundingMixtureTest, ForwardIsTheWeightedSum) {
  const auto roundings = Roundings();
  const std::vector<float> x = Normals(std::get<0>(GetParam()), 1);
  std::vector<float> out(x.size());
  MixRoundings(x, out, roundings, weights_, 0.15F);
  for (std::size_t i = 0; i < x.size(); ++i) {
    double expected = 0.15 * x[i];
    for (std::size_t k = 0; k < roundings.size(); ++k) {
      expected += weights_[k] * Explicit(roundings[k], x[i]);
    }
    // A value half-way between two levels may fall to either in single precision.
    ASSERT_NEAR(out[i], expected, 1e-5) << i << " x=" << x[i];
  }
  std::vector<float> in_place = x;
  MixRoundings(in_place, in_place, roundings, weights_, 0.15F);
  EXPECT_EQ(in_place, out);
}

TEST_P(RoundingMixtureTest, BackwardSumsAndGradient) {
  const auto roundings = Roundings();
  const std::vector<float> x = Normals(std::get<0>(GetParam()), 2);
  const std::vector<float> g = Normals(std::get<0>(GetParam()), 3);
  std::vector<float> grad_in(x.size());
  std::vector<RoundingSums> sums(roundings.size());
  const double identity = MixRoundingsBackward(x, g, grad_in, roundings, weights_, 0.15F, {}, sums);
  std::vector<RoundingSums> expected(roundings.size());
  double expected_identity = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected_identity += static_cast<double>(g[i]) * x[i];
    double pass = 0.15F;
    for (std::size_t k = 0; k < roundings.size(); ++k) {
      const bool inside = x[i] >= roundings[k].pass_low && x[i] <= roundings[k].pass_high;
      pass += inside ? weights_[k] : 0.0F;
      expected[k].output += g[i] * Explicit(roundings[k], x[i]) / roundings[k].scale;
      expected[k].inside += inside ? static_cast<double>(g[i]) * x[i] : 0.0;
    }
    ASSERT_NEAR(grad_in[i], g[i] * pass, 1e-5 * (1.0 + std::fabs(g[i])));
  }
  const double tolerance = 1e-3 * std::sqrt(static_cast<double>(x.size()) + 1.0);
  EXPECT_NEAR(identity, expected_identity, tolerance);
  for (std::size_t k = 0; k < roundings.size(); ++k) {
    EXPECT_NEAR(sums[k].output * roundings[k].scale, expected[k].output * roundings[k].scale,
                tolerance);
    EXPECT_NEAR(sums[k].inside, expected[k].inside, tolerance);
  }
}

TEST_P(RoundingMixtureTest, OnlyWantedSumsAreComputed) {
  const auto roundings = Roundings();
  const std::vector<float> x = Normals(std::get<0>(GetParam()), 4);
  std::vector<float> grad_in(x.size());
  std::vector<float> all_grad_in(x.size());
  std::vector<RoundingSums> sums(roundings.size());
  std::vector<RoundingSums> all(roundings.size());
  MixRoundingsBackward(x, x, all_grad_in, roundings, weights_, 0.0F, {}, all);
  WantedSums wanted{{false, true, false, false, true, false}, false};
  EXPECT_EQ(MixRoundingsBackward(x, x, grad_in, roundings, weights_, 0.0F, wanted, sums), 0.0);
  EXPECT_EQ(grad_in, all_grad_in);
  for (std::size_t k = 0; k < sums.size(); ++k) {
    EXPECT_EQ(sums[k].output, wanted.roundings[k] ? all[k].output : 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, RoundingMixtureTest,
                         ::testing::Combine(::testing::Values(0, 1, 15, 16, 17, 1023, 1024, 1025,
                                                              5000),
                                            ::testing::Bool()));

TEST(RoundingLevelsTest, LevelsOfFormats) {
  const auto four = RoundingLevels::ForWeight(NumberFormat::Integer(4), true);
  EXPECT_EQ(four.lowest, -7.0F);
  EXPECT_EQ(four.highest, 7.0F);
  EXPECT_EQ(RoundingLevels::ForWeight(NumberFormat::Integer(2), false).lowest, -2.0F);
  EXPECT_EQ(RoundingLevels::ForWeight(NumberFormat::Ternary(), true).lowest, -1.0F);
  EXPECT_EQ(RoundingLevels::ForWeight(NumberFormat::Float32(), true).kind,
            RoundingLevels::Kind::kIdentity);
  EXPECT_EQ(RoundingLevels::ForWeight(NumberFormat::Skip(), true).kind,
            RoundingLevels::Kind::kZero);
  const auto activation = RoundingLevels::ForActivation(NumberFormat::Integer(8), 12);
  EXPECT_EQ(activation.lowest, -12.0F);
  EXPECT_EQ(activation.highest, 243.0F);
  EXPECT_THROW(RoundingLevels::ForActivation(NumberFormat::Ternary(), 0), Error);
}

TEST(RoundingLevelsTest, OneBitIsPlusOrMinusTheScale) {
  const Rounding sign =
      MakeRounding(RoundingLevels::ForWeight(NumberFormat::Integer(1), true), 0.5F);
  const std::vector<float> x = {-3.0F, -0.1F, 0.1F, 3.0F};
  std::vector<float> out(4);
  MixRoundings(x, out, std::vector{sign}, std::vector{1.0F}, 0.0F);
  EXPECT_EQ(out, (std::vector<float>{-0.5F, -0.5F, 0.5F, 0.5F}));
}

}  // namespace
}  // namespace bitsearch
