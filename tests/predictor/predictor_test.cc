// Inference against a plain re-computation, independence of batches and threads, and what inputs
// reach the score.
#include "predictor/predictor.h"

#include <gtest/gtest.h>

#include "predictor/perceptron_kernels.h"
#include "space/candidates/published_spaces.h"
#include "space/support/error.h"
#include "tests/predictor/small_models.h"

namespace bitsearch {
namespace {

/// The definition, in double precision.
double Reference(const PredictorModel& model, const Perceptron& network, const GenomeView& row) {
  const auto dense = [&](FeatureGroup group) {
    const std::vector<float> values = model.encoding.Dense(row, group);
    return Eigen::VectorXd(
        Eigen::Map<const Eigen::VectorXf>(values.data(), static_cast<Eigen::Index>(values.size()))
            .cast<double>());
  };
  const auto apply = [](const DenseLayer& layer, const Eigen::VectorXd& x) {
    return Eigen::VectorXd(layer.weights.cast<double>() * x + layer.bias.cast<double>());
  };
  Eigen::VectorXd x = apply(network.architecture, dense(FeatureGroup::kArchitecture)).cwiseMax(0.0);
  x += apply(network.bits, dense(FeatureGroup::kBits));
  for (const DenseLayer& layer : network.hidden) x = apply(layer, x).cwiseMax(0.0);
  return model.output_offset_percent + model.output_scale_percent * apply(network.output, x)[0];
}

TEST(PredictorTest, ScoresEqualTheDefinition) {
  for (const Eigen::Index width : {1, 16, 37, 400}) {
    const PredictorModel model = SmallModel(1, width);
    const Predictor predictor(model);
    const std::vector<std::uint8_t> genomes = RandomGenomes(predictor.space(), 101, 3);
    const GenomeView view{genomes.data(), 101, predictor.space().size()};
    std::vector<CandidateScore> scores(101);
    predictor.Predict(view, scores);
    for (std::size_t r = 0; r < 101; ++r) {
      const double expected = Reference(model, model.members[0], view.Slice(r, 1));
      EXPECT_NEAR(scores[r].top1_percent, expected, 1e-4 * (1.0 + std::abs(expected))) << r;
    }
  }
}

TEST(PredictorTest, RowsDoNotDependOnTheirBatchNorOnThreads) {
  const PredictorModel model = SmallModel(3, 400);
  const Predictor one(model);
  const Predictor two(model, {.threads = 2});
  constexpr std::size_t kRows = 500;
  const std::vector<std::uint8_t> genomes = RandomGenomes(one.space(), kRows, 5);
  const GenomeView view{genomes.data(), kRows, one.space().size()};
  std::vector<CandidateScore> all(kRows), threaded(kRows), single(1);
  one.Predict(view, all);
  two.Predict(view, threaded);
  for (std::size_t r = 0; r < kRows; ++r) {
    one.Predict(view.Slice(r, 1), single);
    EXPECT_EQ(single[0].top1_percent, all[r].top1_percent);
    EXPECT_EQ(threaded[r].top1_percent, all[r].top1_percent);
    EXPECT_EQ(threaded[r].standard_deviation_percent, all[r].standard_deviation_percent);
  }
  for (std::size_t rows = 2; rows < 14; ++rows) {
    std::vector<CandidateScore> part(rows);
    one.Predict(view.Slice(100, rows), part);
    for (std::size_t r = 0; r < rows; ++r) {
      EXPECT_EQ(part[r].top1_percent, all[100 + r].top1_percent);
    }
  }
}

TEST(PredictorTest, EveryActiveGeneAndNoInactiveOneChangesTheScore) {
  for (const CandidateSpace& space : {SmallSpace(), MakeApqSpace(), MakeNas201Space()}) {
    const Predictor predictor(SmallModel(1, 37, space));
    std::vector<std::uint8_t> genome = RandomGenomes(space, 1, 11);
    std::vector<std::uint8_t> active(space.size());
    space.Activity(genome, active);
    const auto score = [&](const std::vector<std::uint8_t>& of) {
      CandidateScore result;
      predictor.Predict({of.data(), 1, of.size()}, {&result, 1});
      return result.top1_percent;
    };
    const double before = score(genome);
    for (std::size_t g = 0; g < genome.size(); ++g) {
      if (space.cardinality(g) < 2) continue;
      std::vector<std::uint8_t> changed = genome;
      changed[g] = static_cast<std::uint8_t>((genome[g] + 1) % space.cardinality(g));
      if (active[g] != 0) {
        EXPECT_NE(score(changed), before) << space.genes()[g].name;
      } else {
        EXPECT_EQ(score(changed), before) << space.genes()[g].name;
      }
    }
  }
}

TEST(PredictorTest, TheApqNetworkHasItsPublishedSize) {
  const Encoding encoding = Encoding::Apq(MakeApqSpace());
  EXPECT_EQ(encoding.features(FeatureGroup::kArchitecture).size(), 520U);
  EXPECT_EQ(encoding.features(FeatureGroup::kBits).size(), 252U);
  RandomStream random(1, "apq");
  const Perceptron network{RandomLayer(400, 520, random),
                           RandomLayer(400, 252, random),
                           {RandomLayer(400, 400, random), RandomLayer(400, 400, random)},
                           RandomLayer(1, 400, random)};
  network.Validate(encoding);
  EXPECT_EQ(network.ParameterCount(), 630'801);
}

TEST(PredictorTest, UnseenValuesAreOutsideTheTrainingRange) {
  const Predictor predictor(SmallModel());
  EXPECT_FALSE(predictor.OutsideTrainingRange(std::vector<std::uint8_t>{1, 1, 1, 0, 1}));
  EXPECT_TRUE(predictor.OutsideTrainingRange(std::vector<std::uint8_t>{1, 1, 2, 0, 1}));
  // An unseen value of a gene that does not matter is no reason.
  EXPECT_FALSE(predictor.OutsideTrainingRange(std::vector<std::uint8_t>{0, 1, 2, 0, 2}));
}

TEST(PredictorTest, ModelsThatDoNotFitAreRefused) {
  PredictorModel model = SmallModel();
  model.members[1].hidden[0].weights.conservativeResize(3, Eigen::NoChange);
  EXPECT_THROW(Predictor{model}, Error);
  model = SmallModel();
  model.members[0].output.bias[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(Predictor{model}, Error);
}

TEST(PredictorTest, InstructionSetsAgree) {
  const PerceptronKernels& best = KernelsForThisMachine();
  const PerceptronKernels& base = BaselineKernels();
  RandomStream random(1, "kernels");
  constexpr std::size_t kInputs = 53, kPanels = 7, kRows = 11;
  std::vector<float> weights(kInputs * kPanels * kPanelWidth), bias(kPanels * kPanelWidth);
  std::vector<float> in(kInputs * kRows), out[2];
  for (auto* values : {&weights, &bias, &in}) {
    for (float& value : *values) value = static_cast<float>(random.Normal());
  }
  for (auto& values : out) values.resize(kRows * kPanels * kPanelWidth);
  for (std::size_t rows = 1; rows <= kRows; ++rows) {
    best.dense(weights.data(), bias.data(), kPanels, kInputs, in.data(), kInputs, rows, 0.0F,
               out[0].data());
    base.dense(weights.data(), bias.data(), kPanels, kInputs, in.data(), kInputs, rows, 0.0F,
               out[1].data());
    for (std::size_t i = 0; i < rows * kPanels * kPanelWidth; ++i) {
      ASSERT_NEAR(out[0][i], out[1][i], 1e-4) << rows;
    }
  }
}

}  // namespace
}  // namespace bitsearch
