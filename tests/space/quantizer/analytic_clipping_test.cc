#include "space/quantizer/analytic_clipping.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "space/support/random.h"

namespace bitsearch {
namespace {

TEST(AnalyticClippingTest, TheSixteenPublishedConstants) {
  const double laplace[] = {1.863, 2.831, 3.897, 5.029, 6.205, 7.413, 8.646, 9.897};
  const double normal[] = {1.240, 1.711, 2.152, 2.559, 2.936, 3.287, 3.615, 3.924};
  for (int bits = 1; bits <= 8; ++bits) {
    EXPECT_NEAR(OptimalClipping(TensorShapeFamily::kLaplace, bits), laplace[bits - 1], 6e-4);
    EXPECT_NEAR(OptimalClipping(TensorShapeFamily::kNormal, bits), normal[bits - 1], 6e-4);
  }
}

std::vector<float> Sample(TensorShapeFamily family, std::size_t count) {
  RandomStream random(4, "clipping");
  std::vector<float> values(count);
  for (float& value : values) {
    if (family == TensorShapeFamily::kNormal) {
      value = static_cast<float>(2.0 * random.Normal());
    } else {
      value = static_cast<float>(-0.5 * std::log(1.0 - random.Uniform()) * random.Sign());
    }
  }
  return values;
}

TEST(AnalyticClippingTest, TheErrorFormulaIsWhatQuantizingASampleCosts) {
  for (const auto family : {TensorShapeFamily::kLaplace, TensorShapeFamily::kNormal}) {
    const std::vector<float> values = Sample(family, 400000);
    const TensorFit fit = FitTensor(values);
    EXPECT_EQ(fit.family, family);
    for (const int bits : {5, 6, 8}) {
      const double alpha = OptimalClipping(family, bits) * fit.spread;
      // The formula is for 2^bits cells with their middles as levels.
      const double step = 2 * alpha / std::exp2(bits);
      double error = 0;
      for (const float value : values) {
        const double clipped = std::clamp(static_cast<double>(value), -alpha, alpha);
        const double cell = std::min(std::floor((clipped + alpha) / step), std::exp2(bits) - 1);
        const double level = -alpha + (cell + 0.5) * step;
        error += (value - level) * (value - level);
      }
      error /= static_cast<double>(values.size());
      const double expected = ClippingError(family, fit.spread, alpha, bits);
      EXPECT_NEAR(error, expected, 0.12 * expected) << bits;
    }
  }
}

TEST(AnalyticClippingTest, NonNegativeTensorsUseTheNextRow) {
  std::vector<float> values = Sample(TensorShapeFamily::kNormal, 100000);
  for (float& value : values) value = std::abs(value);
  const Range range = AnalyticRange(values, 4, true);
  EXPECT_EQ(range.low, 0.0F);
  EXPECT_NEAR(range.high, 2.936 * 2.0, 0.05);
}

TEST(AnalyticClippingTest, ChannelBitsMeetTheMeanAndFollowTheRanges) {
  RandomStream random(5, "channels");
  for (int round = 0; round < 100; ++round) {
    std::vector<double> alpha(8 + random.Below(60));
    for (double& value : alpha) value = std::exp(random.Normal());
    const int mean_bits = 2 + static_cast<int>(random.Below(5));
    const std::vector<int> bits = AllocateChannelBits(alpha, mean_bits);
    const double mean =
        std::accumulate(bits.begin(), bits.end(), 0.0) / static_cast<double>(bits.size());
    EXPECT_LE(mean, mean_bits);
    EXPECT_GT(mean, mean_bits - 0.25);
    for (std::size_t a = 0; a < alpha.size(); ++a) {
      for (std::size_t b = 0; b < alpha.size(); ++b) {
        if (alpha[a] <= alpha[b]) {
          EXPECT_LE(bits[a], bits[b]);
        }
      }
    }
  }
  EXPECT_EQ(AllocateChannelBits(std::vector<double>(4, 0.0), 4), std::vector<int>(4, 4));
}

TEST(AnalyticClippingTest, CorrectionRestoresMeanAndSpreadOfEveryChannel) {
  const std::vector<float> original = Sample(TensorShapeFamily::kNormal, 64);
  std::vector<float> quantized = original;
  for (float& value : quantized) value = std::round(value / 3.0F) * 3.0F + 0.2F;
  const double ratio = SpreadRatio(original, quantized);
  EXPECT_NE(ratio, 1.0);
  for (float& value : quantized) value *= static_cast<float>(ratio);
  EXPECT_NEAR(FitTensor(original, TensorShapeFamily::kNormal).spread,
              FitTensor(quantized, TensorShapeFamily::kNormal).spread, 1e-5);
  EXPECT_EQ(SpreadRatio(original, std::vector<float>(64, 1.0F)), 1.0);
}

}  // namespace
}  // namespace bitsearch
