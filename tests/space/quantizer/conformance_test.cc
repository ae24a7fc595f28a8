// What every quantizer of weights keeps, whatever its range method, granularity and symmetry:
// idempotent, monotone, zero exact, and inside the range no further off than half a step. The
// gradients of the roundings are tested beside them (rounding_mixture_test.cc).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "space/quantizer/ranges.h"
#include "space/quantizer/weight_quantizer.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using Parameter = std::tuple<std::string, bool, int>;  // range method, symmetric, bits

class QuantizerConformanceTest : public testing::TestWithParam<Parameter> {
 protected:
  QuantizerConformanceTest() {
    for (const auto& [name, method] : RangeMethodNames()) {
      if (name == std::get<0>(GetParam())) spec_.range.method = method;
    }
    spec_.symmetric = std::get<1>(GetParam());
    spec_.narrow = spec_.symmetric;
    RandomStream random(3, "conformance");
    for (int i = 0; i < 400; ++i) {
      weight_.push_back(static_cast<float>(random.Normal() + (spec_.symmetric ? 0.0 : 0.3)));
    }
    std::sort(weight_.begin(), weight_.end());
    weight_[200] = 0.0F;
    std::sort(weight_.begin(), weight_.end());
  }

  QuantizedWeight Quantize(Granularity granularity) {
    spec_.granularity = granularity;
    spec_.group_size = 50;
    return QuantizeWeight(weight_, {4, 100}, 0, NumberFormat::Integer(std::get<2>(GetParam())),
                          spec_);
  }

  WeightQuantizerSpec spec_;
  std::vector<float> weight_;  ///< Ascending.
};

TEST_P(QuantizerConformanceTest, IdempotentAndOnItsGridsInEveryGranularity) {
  for (const auto& [name, granularity] : GranularityNames()) {
    const QuantizedWeight q = Quantize(granularity);
    EXPECT_EQ(QuantizeWeightOnGrids(q.values, {4, 100}, 0, q.grids, 50).values, q.values) << name;
    const auto codes = WeightCodes(q.values, {4, 100}, 0, q.grids, granularity, 50);
    const int levels = 1 << std::get<2>(GetParam());
    const auto [low, high] = std::minmax_element(codes.begin(), codes.end());
    EXPECT_LT(*high - *low, levels) << name;
  }
}

TEST_P(QuantizerConformanceTest, MonotoneZeroExactAndHalfAStepInsideTheRange) {
  const QuantizedWeight q = Quantize(Granularity::kPerTensor);
  const AffineGrid& grid = q.grids[0];
  EXPECT_TRUE(std::is_sorted(q.values.begin(), q.values.end()));
  for (std::size_t i = 0; i < weight_.size(); ++i) {
    EXPECT_TRUE(weight_[i] != 0.0F || q.values[i] == 0.0F);
    if (weight_[i] < grid.lowest() || weight_[i] > grid.highest()) {
      EXPECT_EQ(q.values[i], weight_[i] < 0.0F ? grid.lowest() : grid.highest());
    } else {
      EXPECT_LE(std::fabs(q.values[i] - weight_[i]), 0.5001F * grid.scale);
    }
  }
  // Some of the values lie inside, whatever is clipped.
  EXPECT_GT(grid.highest() - grid.lowest(), 0.5F);
}

INSTANTIATE_TEST_SUITE_P(All, QuantizerConformanceTest,
                         testing::Combine(testing::Values("min_max", "percentile", "mse", "aciq",
                                                          "kl"),
                                          testing::Bool(), testing::Values(2, 3, 4, 8)),
                         [](const testing::TestParamInfo<Parameter>& tested) {
                           return std::get<0>(tested.param) +
                                  (std::get<1>(tested.param) ? "_symmetric_" : "_asymmetric_") +
                                  std::to_string(std::get<2>(tested.param));
                         });

TEST(RangeMethodsTest, EntropyClipsOutliersAndKeepsEvenValues) {
  std::vector<float> values;
  for (int i = 0; i < 20'000; ++i) values.push_back(static_cast<float>(i % 1000) / 1000.0F);
  EXPECT_GT(KlRange(values, 4).high, 0.95F);  // even: nothing to clip
  EXPECT_EQ(KlRange(values, 4).low, 0.0F);
  values.push_back(20.0F);
  const Range clipped = KlRange(values, 4);
  EXPECT_LT(clipped.high, 2.0F);
  EXPECT_GT(clipped.high, 0.9F);
  EXPECT_EQ(KlRange(std::vector<float>(5, 0.0F), 4).high, 0.0F);
}

TEST(RangeMethodsTest, MovingAverageWeighsNewBatchesByATenth) {
  const std::vector<float> values = {-1.0F, 2.0F, 0.0F, 4.0F, -3.0F, 1.0F};
  const Range range = MovingAverageRange(values, 2);
  EXPECT_FLOAT_EQ(range.high, 0.9F * (0.9F * 2.0F + 0.1F * 4.0F) + 0.1F * 1.0F);
  EXPECT_FLOAT_EQ(range.low, 0.9F * (0.9F * -1.0F) + 0.1F * -3.0F);
}

}  // namespace
}  // namespace bitsearch
