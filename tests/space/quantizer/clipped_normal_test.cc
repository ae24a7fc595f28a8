#include "space/quantizer/clipped_normal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "space/support/random.h"

namespace bitsearch {
namespace {

TEST(ClippedNormalTest, AgreesWithMonteCarlo) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double cases[][4] = {{0.0, 1.0, 0.0, infinity},      {-2.0, 0.7, 0.0, infinity},
                             {1.5, 1.0, 0.0, 6.0},           {5.5, 2.0, 0.0, 6.0},
                             {0.3, 0.5, -1.0, 1.0},          {3.0, 1.0, -infinity, 2.0},
                             {0.2, 1.0, -infinity, infinity}};
  for (const auto& [mean, deviation, low, high] : cases) {
    RandomStream random(7, "clipped_normal");
    double sum = 0.0;
    double squares = 0.0;
    constexpr int kSamples = 1000000;
    for (int i = 0; i < kSamples; ++i) {
      const double clipped = std::clamp(mean + deviation * random.Normal(), low, high);
      sum += clipped;
      squares += clipped * clipped;
    }
    EXPECT_NEAR(ClippedNormalSquare(mean, deviation, low, high), squares / kSamples,
                0.005 * (1.0 + squares / kSamples));
    EXPECT_NEAR(ClippedNormalMean(mean, deviation, low, high), sum / kSamples, 0.005);
  }
}

TEST(ClippedNormalTest, LimitsAreExact) {
  EXPECT_NEAR(RectifiedNormalMean(0.0, 1.0), 0.3989422804, 1e-9);
  EXPECT_NEAR(RectifiedNormalMean(30.0, 1.0), 30.0, 1e-12);
  EXPECT_NEAR(RectifiedNormalMean(-30.0, 1.0), 0.0, 1e-12);
  EXPECT_EQ(ClippedNormalMean(9.0, 0.0, 0.0, 6.0), 6.0);
}

}  // namespace
}  // namespace bitsearch
