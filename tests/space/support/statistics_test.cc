#include "space/support/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "space/support/random.h"

namespace bitsearch {
namespace {

// The definition: concordant minus discordant pairs over the geometric mean of untied pairs.
double SlowKendall(const std::vector<double>& a, const std::vector<double>& b) {
  double score = 0;
  double untied_a = 0;
  double untied_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double da = a[i] - a[j];
      const double db = b[i] - b[j];
      score += (da * db > 0) - (da * db < 0);
      untied_a += da != 0;
      untied_b += db != 0;
    }
  }
  return score / std::sqrt(untied_a * untied_b);
}

TEST(StatisticsTest, KendallEqualsTheDefinition) {
  RandomStream random(1, "kendall");
  for (int round = 0; round < 200; ++round) {
    std::vector<double> a;
    std::vector<double> b;
    const auto count = 2 + random.Below(30);
    for (std::uint64_t i = 0; i < count; ++i) {
      a.push_back(static_cast<double>(random.Below(8)));
      b.push_back(static_cast<double>(random.Below(8)) + 0.5 * a.back());
    }
    const double expected = SlowKendall(a, b);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(KendallTau(a, b)));
    } else {
      EXPECT_NEAR(KendallTau(a, b), expected, 1e-12);
    }
  }
}

TEST(StatisticsTest, McNemarEqualsTheBinomialSum) {
  // R: binom.test(3, 15)$p.value = 0.03515625; (0, 8): 2/256; (5, 5): 1.
  EXPECT_NEAR(McNemarExactPValue(3, 12), 0.03515625, 1e-12);
  EXPECT_NEAR(McNemarExactPValue(8, 0), 2.0 / 256, 1e-12);
  EXPECT_EQ(McNemarExactPValue(5, 5), 1.0);
  EXPECT_EQ(McNemarExactPValue(0, 0), 1.0);
  EXPECT_EQ(McNemarExactPValue(std::vector<bool>{true, false}, std::vector<bool>{true, true}), 1.0);
}

TEST(StatisticsTest, StudentQuantiles) {
  EXPECT_NEAR(StudentQuantile(0.975, 10), 2.228139, 1e-6);
  EXPECT_NEAR(StudentQuantile(0.5, 3), 0.0, 1e-12);
}

}  // namespace
}  // namespace bitsearch
