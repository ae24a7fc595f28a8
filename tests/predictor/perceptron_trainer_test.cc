#include "predictor/training/perceptron_trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "predictor/training/ensemble_trainer.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

TEST(MatrixProductTest, EqualsEigens) {
  RandomStream random(1, "product_test");
  MatrixProduct product;
  for (const auto& [m, k, n] : {std::array{1, 3, 1}, {7, 16, 16}, {50, 33, 45}, {5, 0, 4}}) {
    RowMatrixXf a(m, k), b(k, n);
    Eigen::RowVectorXf bias(n);
    for (float& value : a.reshaped()) value = static_cast<float>(random.Normal());
    for (float& value : b.reshaped()) value = static_cast<float>(random.Normal());
    for (float& value : bias) value = static_cast<float>(random.Normal());
    const RowMatrixXf expected = (a * b).rowwise() + bias;
    EXPECT_LT((product(a, b, bias) - expected).cwiseAbs().maxCoeff(), 1e-4);
    EXPECT_LT((product(a, b) - a * b).cwiseAbs().maxCoeff(), 1e-4);
  }
}

class PerceptronTrainerTest : public testing::Test {
 protected:
  // Two parts of random binary inputs; the target is a product of sums.
  PerceptronTrainerTest() : targets_(kRows) {
    RandomStream random(5, "trainer_test");
    rows_.architecture.resize(kRows, 6);
    rows_.bits.resize(kRows, 4);
    for (auto* part : {&rows_.architecture, &rows_.bits}) {
      for (float& value : part->reshaped()) value = random.Uniform() < 0.5 ? 0.0F : 1.0F;
    }
    for (Eigen::Index r = 0; r < kRows; ++r) {
      targets_[static_cast<std::size_t>(r)] =
          0.5F * (rows_.architecture.row(r).sum() - 3.0F) * (rows_.bits.row(r).sum() - 1.0F);
    }
  }
  std::vector<float> Outputs(const Perceptron& network) const {
    const RowMatrixXf a =
        (rows_.architecture * network.architecture.weights.transpose()).rowwise() +
        network.architecture.bias.transpose();
    RowMatrixXf h = a.cwiseMax(0.0F);
    if (network.bits.weights.rows() > 0) {
      h +=
          (rows_.bits * network.bits.weights.transpose()).rowwise() + network.bits.bias.transpose();
    }
    for (const DenseLayer& layer : network.hidden) {
      h = ((h * layer.weights.transpose()).rowwise() + layer.bias.transpose()).cwiseMax(0.0F);
    }
    const Eigen::VectorXf y = h * network.output.weights.transpose() +
                              Eigen::VectorXf::Constant(kRows, network.output.bias[0]);
    return {y.begin(), y.end()};
  }
  FitQuality Quality(const Perceptron& network) const {
    const std::vector<float> outputs = Outputs(network);
    return QualityOf(std::vector<double>(outputs.begin(), outputs.end()),
                     std::vector<double>(targets_.begin(), targets_.end()));
  }
  Perceptron Train(const PerceptronTraining& training, const Perceptron* start) const {
    return TrainPerceptron(rows_, targets_, training, start, RandomStream(1, "trainer"), {});
  }

  static constexpr Eigen::Index kRows = 200;
  FeatureRows rows_;
  std::vector<float> targets_;
  PerceptronTraining training_{.width = 32, .steps = 800};
};

TEST_F(PerceptronTrainerTest, LearnsAndRepeats) {
  const Perceptron network = Train(training_, nullptr);
  EXPECT_LT(Quality(network).rmse_percent, 0.2);
  EXPECT_EQ(Outputs(network), Outputs(Train(training_, nullptr)));
}

TEST_F(PerceptronTrainerTest, RankingLossAloneRanks) {
  training_.ranking_share = 1.0;
  EXPECT_GT(Quality(Train(training_, nullptr)).pairwise_accuracy, 0.95);
}

TEST_F(PerceptronTrainerTest, TransferBeginsWithTheSourcesPredictions) {
  FeatureRows without_bits{rows_.architecture, RowMatrixXf(kRows, 0)};
  const Perceptron source =
      TrainPerceptron(without_bits, targets_, training_, nullptr, RandomStream(1, "trainer"), {});
  ASSERT_EQ(source.bits.weights.rows(), 0);
  PerceptronTraining none = training_;
  none.steps = 0;
  const Perceptron started = Train(none, &source);
  EXPECT_EQ(started.bits.weights.cols(), 4);
  const std::vector<float> before = Outputs(source), after = Outputs(started);
  for (std::size_t r = 0; r < before.size(); ++r) EXPECT_FLOAT_EQ(before[r], after[r]);
  EXPECT_LT(Quality(Train(training_, &source)).rmse_percent, 0.25);
}

TEST_F(PerceptronTrainerTest, SaysThatItDiverged) {
  training_.learning_rate = 1e30;
  EXPECT_THROW(Train(training_, nullptr), Error);
}

}  // namespace
}  // namespace bitsearch
