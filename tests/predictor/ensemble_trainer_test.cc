// Training without LibTorch: a known truth is found, the error that is claimed is made on unseen
// rows, the result is a function of rows and seed.
#include "predictor/training/ensemble_trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "predictor/predictor_file.h"
#include "space/candidates/published_spaces.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "tests/predictor/small_models.h"

namespace bitsearch {
namespace {

/// Ten layers of different sensitivity; losses add up, then saturate at chance.
class EnsembleTrainerTest : public testing::Test {
 protected:
  static constexpr std::size_t kLayers = 10;

  TrainingRows Rows(std::size_t count, std::uint64_t seed, double noise) const {
    TrainingRows rows;
    rows.genomes = RandomGenomes(space_, count, seed);
    RandomStream random(seed, "noise");
    for (std::size_t r = 0; r < count; ++r) {
      double loss = 0.0;
      for (std::size_t l = 0; l < kLayers; ++l) {
        const double sensitivity = 0.2 + 0.15 * static_cast<double>(l);
        const std::uint8_t* genes = rows.genomes.data() + r * space_.size() + 2 * l;
        loss += sensitivity * std::pow(0.3, genes[0]) + 0.5 * sensitivity * std::pow(0.5, genes[1]);
      }
      rows.top1_percent.push_back(10.0 + 82.0 * std::exp(-0.03 * loss * loss) +
                                  noise * random.Normal());
    }
    return rows;
  }

  const CandidateSpace space_ = [] {
    std::vector<std::string> layers;
    std::vector<std::vector<NumberFormat>> weight, activation;
    for (std::size_t l = 0; l < kLayers; ++l) {
      layers.push_back("layer" + std::to_string(l));
      weight.push_back(
          {NumberFormat::Integer(2), NumberFormat::Integer(4), NumberFormat::Integer(8)});
      activation.push_back({NumberFormat::Integer(4), NumberFormat::Integer(8)});
    }
    return CandidateSpace::BitsOnly("ten", layers, weight, activation);
  }();
  const EnsembleOptions options_{.members = 4, .width = 32, .epochs = 120};
};

TEST_F(EnsembleTrainerTest, FindsAKnownTruthAndKnowsItsError) {
  const TrainingRows rows = Rows(400, 1, 0.2);
  const TrainedEnsemble trained = TrainEnsemble(Encoding::OneHot(space_), rows, options_, {});
  EXPECT_EQ(trained.model.members.size(), 4U);
  EXPECT_GT(trained.cross_validated.pairwise_accuracy, 0.93);
  EXPECT_GT(trained.cross_validated.kendall_tau, 0.86);
  const TrainingRows fresh = Rows(500, 2, 0.2);
  std::vector<CandidateScore> scores(500);
  Predictor(trained.model).Predict({fresh.genomes.data(), 500, space_.size()}, scores);
  std::vector<double> predicted;
  int covered = 0;
  for (std::size_t r = 0; r < 500; ++r) {
    predicted.push_back(scores[r].top1_percent);
    covered +=
        std::abs(predicted[r] - fresh.top1_percent[r]) <= 2.0 * scores[r].standard_deviation_percent
            ? 1
            : 0;
  }
  const FitQuality quality = QualityOf(predicted, fresh.top1_percent);
  EXPECT_GT(quality.pairwise_accuracy, 0.93);
  // The claim is about single networks on unseen rows; the ensemble may only be better.
  EXPECT_LT(quality.rmse_percent, 1.1 * trained.cross_validated.rmse_percent);
  EXPECT_GT(covered, 440);
}

TEST_F(EnsembleTrainerTest, IsAFunctionOfRowsAndSeed) {
  const TrainingRows rows = Rows(60, 3, 0.5);
  EnsembleOptions options = options_;
  options.epochs = 10;
  const auto bytes = [&](std::uint64_t seed) {
    RunContext context;
    context.root_seed = seed;
    return SerializePredictor(
        TrainEnsemble(Encoding::OneHot(space_), rows, options, context).model);
  };
  EXPECT_EQ(bytes(5), bytes(5));
  EXPECT_NE(bytes(5), bytes(6));
}

TEST_F(EnsembleTrainerTest, ValuesThatNeverOccurredAreOutsideTheRange) {
  TrainingRows rows = Rows(100, 4, 0.5);
  for (std::size_t r = 0; r < 100; ++r) {
    std::uint8_t& value = rows.genomes[r * space_.size() + 6];
    if (value == 2) value = 1;
  }
  EnsembleOptions options = options_;
  options.epochs = 2;
  const Predictor predictor(TrainEnsemble(Encoding::OneHot(space_), rows, options, {}).model);
  std::vector<std::uint8_t> genome(space_.size(), 1);
  EXPECT_FALSE(predictor.OutsideTrainingRange(genome));
  genome[6] = 2;
  EXPECT_TRUE(predictor.OutsideTrainingRange(genome));
}

TEST_F(EnsembleTrainerTest, RefusesWhatCannotBeTrainedOn) {
  TrainingRows rows = Rows(15, 5, 0.5);
  EXPECT_THROW(TrainEnsemble(Encoding::OneHot(space_), rows, options_, {}), Error);
  rows = Rows(50, 5, 0.5);
  rows.top1_percent[7] = std::nan("");
  EXPECT_THROW(TrainEnsemble(Encoding::OneHot(space_), rows, options_, {}), Error);
  rows.top1_percent[7] = 101.0;
  EXPECT_THROW(TrainEnsemble(Encoding::OneHot(space_), rows, options_, {}), Error);
  RunContext stopped;
  stopped.stop.RequestStop();
  EXPECT_THROW(TrainEnsemble(Encoding::OneHot(space_), Rows(50, 5, 0.5), options_, stopped), Error);
}

TEST(RealDataTest, RanksNetworksOfUnseenArchitectures) {
  // 500 quantization-aware trainings of NAS-Bench-201 cells (architecture and bits), tested on
  // architectures that are not among them. Measured: .728. PyTorch's 400-wide network reaches .755
  // on its own split, and transfer from float networks more: this trainer is the small one.
  const std::filesystem::path folder = std::filesystem::path(BITSEARCH_SHARED_DATA) / "nas201";
  if (!std::filesystem::exists(folder / "fp32.json")) GTEST_SKIP() << "no data at " << folder;
  std::map<int, std::vector<int>> operations;
  const auto architectures = nlohmann::json::parse(ReadTextFile(folder / "fp32.json"));
  for (const auto& row : architectures.at("rows")) {
    operations[row.at(0).get<int>()] = row.at(1).get<std::vector<int>>();
  }
  const CandidateSpace space = MakeNas201Space();
  struct Row {
    int architecture;
    std::vector<std::uint8_t> genome;
    double top1_percent;
  };
  std::vector<Row> rows;
  const auto measured = nlohmann::json::parse(ReadTextFile(folder / "quantized_50_epochs.json"));
  for (const auto& row : measured.at("rows")) {
    Row read{row.at(0).get<int>(), {}, row.at(3).get<double>()};
    for (const int operation : operations.at(read.architecture)) {
      read.genome.push_back(static_cast<std::uint8_t>(operation));
    }
    for (const auto& stage : row.at(1)) {
      for (const int bits : stage) {
        read.genome.push_back(static_cast<std::uint8_t>(bits == 8 ? 2 : bits == 4 ? 1 : 0));
      }
    }
    rows.push_back(std::move(read));
  }
  RandomStream random(0, "nas201_split");
  for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.Below(i)]);
  std::set<int> held_out;
  for (const auto& [architecture, list] : operations) {
    if (random.Below(5) == 0) held_out.insert(architecture);
  }
  TrainingRows train, test;
  for (const Row& row : rows) {
    const bool tested = held_out.contains(row.architecture);
    if (!tested && train.top1_percent.size() == 500) continue;
    TrainingRows& into = tested ? test : train;
    into.genomes.insert(into.genomes.end(), row.genome.begin(), row.genome.end());
    into.top1_percent.push_back(row.top1_percent);
  }
  const Predictor predictor(TrainEnsemble(Encoding::OneHot(space), train, {}, {}).model);
  std::vector<CandidateScore> scores(test.top1_percent.size());
  predictor.Predict({test.genomes.data(), scores.size(), space.size()}, scores);
  std::vector<double> predicted;
  for (const CandidateScore& score : scores) predicted.push_back(score.top1_percent);
  const FitQuality quality = QualityOf(predicted, test.top1_percent);
  RecordProperty("pairwise_accuracy", std::to_string(quality.pairwise_accuracy));
  RecordProperty("kendall_tau", std::to_string(quality.kendall_tau));
  EXPECT_GT(quality.pairwise_accuracy, 0.71);
}

TEST(FitQualityTest, EqualsItsDefinition) {
  const std::vector<double> predicted = {1.0, 2.0, 3.0, 4.0};
  const std::vector<double> measured = {1.0, 3.0, 2.0, 2.0};
  const FitQuality quality = QualityOf(predicted, measured);
  EXPECT_DOUBLE_EQ(quality.rmse_percent, std::sqrt((0.0 + 1.0 + 1.0 + 4.0) / 4.0));
  // Pairs of unequal accuracy: 12 13 14 right, 23 24 wrong.
  EXPECT_DOUBLE_EQ(quality.pairwise_accuracy, 0.6);
}

}  // namespace
}  // namespace bitsearch
