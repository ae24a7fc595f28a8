#include "space/quantizer/codebook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "space/support/random.h"

namespace bitsearch {
namespace {

double CostOf(const std::vector<float>& sorted, std::size_t begin, std::size_t end) {
  double mean = 0;
  for (std::size_t i = begin; i < end; ++i) mean += sorted[i];
  mean /= static_cast<double>(end - begin);
  double cost = 0;
  for (std::size_t i = begin; i < end; ++i) cost += (sorted[i] - mean) * (sorted[i] - mean);
  return cost;
}

// All ways to cut the sorted values into at most `levels` intervals.
double BruteForce(const std::vector<float>& sorted, std::size_t begin, int levels) {
  if (begin == sorted.size()) return 0;
  if (levels == 0) return std::numeric_limits<double>::infinity();
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t end = begin + 1; end <= sorted.size(); ++end) {
    best = std::min(best, CostOf(sorted, begin, end) + BruteForce(sorted, end, levels - 1));
  }
  return best;
}

TEST(CodebookTest, EqualsBruteForceOnSmallTensors) {
  RandomStream random(1, "codebook");
  for (int round = 0; round < 300; ++round) {
    std::vector<float> values(1 + random.Below(11));
    const bool coarse = round % 3 == 0;
    for (float& value : values) {
      value = coarse ? static_cast<float>(random.Below(4)) : static_cast<float>(random.Normal());
    }
    const int levels = 1 + static_cast<int>(random.Below(5));
    const Codebook codebook = OptimalCodebook(values, levels);
    std::vector<float> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_NEAR(codebook.squared_error, BruteForce(sorted, 0, levels), 1e-5);
    // The assignment realises the error that is claimed, and is the nearest centroid.
    double realised = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double mine = std::abs(values[i] - codebook.centroids[static_cast<std::size_t>(codebook.index[i])]);
      realised += mine * mine;
      for (const double centroid : codebook.centroids) {
        EXPECT_LE(mine, std::abs(values[i] - centroid) + 1e-6);
      }
    }
    EXPECT_NEAR(realised, codebook.squared_error, 1e-5);
  }
}

TEST(CodebookTest, HandlesDegenerateTensors) {
  EXPECT_TRUE(OptimalCodebook({}, 4).centroids.empty());
  const std::vector<float> same(9, 2.5F);
  const Codebook one = OptimalCodebook(same, 4);
  EXPECT_EQ(one.centroids, std::vector<double>{2.5});
  EXPECT_EQ(one.squared_error, 0.0);
}

TEST(CodebookTest, SizeCountsIndicesAndCentroids) {
  EXPECT_EQ(CodebookSizeBits(1000, 4), 4000 + 32 * 16);
}

}  // namespace
}  // namespace bitsearch
