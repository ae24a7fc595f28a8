#include "predictor/training/gaussian_process.h"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <cmath>

#include "predictor/training/source_model.h"
#include "predictor/training/transfer_predictor.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

struct Sample {
  FeatureGroups features;
  MatrixXd targets;
};

// Targets depend on the first group; the second is noise.
Sample MakeSample(Index rows, std::uint64_t seed, double noise) {
  RandomStream random(seed, "process_test");
  Sample sample{{MatrixXd(rows, 1), MatrixXd(rows, 4)}, MatrixXd(rows, 1)};
  for (Index r = 0; r < rows; ++r) {
    const double x = 4.0 * random.Uniform() - 2.0;
    sample.features[0](r, 0) = x;
    for (Index c = 0; c < 4; ++c) sample.features[1](r, c) = random.Normal();
    sample.targets(r, 0) = 1.4 * std::sin(2.0 * x) + noise * random.Normal();
  }
  return sample;
}

TEST(GaussianProcessTest, FindsTheGroupThatMatters) {
  const Sample train = MakeSample(80, 1, 0.1);
  const Sample test = MakeSample(200, 2, 0.0);
  const GaussianProcess process(train.features, train.targets, {});
  const auto prediction = process.Predict(test.features, true);
  EXPECT_LT((prediction.mean - test.targets).norm() / std::sqrt(200.0), 0.25);
  EXPECT_LT(process.noise_variance(), 0.1);
  // Far away nothing is known.
  FeatureGroups far = {MatrixXd::Constant(1, 1, 100.0), MatrixXd::Zero(1, 4)};
  EXPECT_GT(process.Predict(far, true).variance[0], 4.0 * prediction.variance.mean());
}

TEST(GaussianProcessTest, LeaveOneOutIsWhatLeavingOneOutGives) {
  // No steps: the kernel does not depend on the targets, and hardly on one row's absence.
  const Sample sample = MakeSample(40, 3, 0.2);
  const GaussianProcess all(sample.features, sample.targets, {.steps = 0, .fitted_rows = 10});
  for (const Index left_out : {Index{15}, Index{39}}) {
    Sample rest{{MatrixXd(39, 1), MatrixXd(39, 4)}, MatrixXd(39, 1)};
    for (Index r = 0; r < 39; ++r) {
      const Index from = r < left_out ? r : r + 1;
      for (std::size_t g = 0; g < 2; ++g) {
        rest.features[g].row(r) = sample.features[g].row(from);
      }
      rest.targets.row(r) = sample.targets.row(from);
    }
    const GaussianProcess others(rest.features, rest.targets, {.steps = 0, .fitted_rows = 10});
    const FeatureGroups one = {sample.features[0].row(left_out), sample.features[1].row(left_out)};
    EXPECT_NEAR(others.Predict(one, false).mean(0, 0), all.leave_one_out()(left_out, 0), 1e-9);
  }
}

TEST(UniformRanksTest, TiesShareTheirMean) {
  const VectorXd ranks = UniformRanks(VectorXd{{5.0, 1.0, 5.0, 9.0}});
  EXPECT_DOUBLE_EQ(ranks[0], ranks[2]);
  EXPECT_NEAR(ranks[0], 0.0, 1e-12);
  EXPECT_NEAR(ranks[1], -std::sqrt(12.0) * 0.375, 1e-12);
  EXPECT_NEAR(ranks[3], std::sqrt(12.0) * 0.375, 1e-12);
}

TEST(MonotoneMapTest, PoolsViolatorsAndStaysIncreasing) {
  const MonotoneMap map(VectorXd{{0.0, 1.0, 2.0, 3.0}}, VectorXd{{10.0, 30.0, 20.0, 40.0}});
  EXPECT_DOUBLE_EQ(map(0.0), 10.0);
  EXPECT_DOUBLE_EQ(map(1.5), 25.0);  // The pooled block.
  EXPECT_DOUBLE_EQ(map(0.75), 17.5);
  EXPECT_DOUBLE_EQ(map(3.0), 40.0);
  double before = map(-2.0);
  for (double x = -1.9; x < 5.0; x += 0.1) {
    EXPECT_GT(map(x), before);
    before = map(x);
  }
}

}  // namespace
}  // namespace bitsearch
