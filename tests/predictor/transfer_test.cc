#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "predictor/training/transfer_curve.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

// Four blocks of three widths (0: left out), each with weight bits while it is there.
CandidateSpace SmallCells() {
  std::vector<Gene> genes;
  for (int b = 0; b < 4; ++b) {
    const std::string name = "block" + std::to_string(b);
    genes.push_back({name + ".width", GeneKind::kArchitecture, {"0", "8", "16"}});
  }
  for (int b = 0; b < 4; ++b) {
    const std::string name = "block" + std::to_string(b);
    genes.push_back({name + ".weight_bits",
                     GeneKind::kWeightBits,
                     {"2", "4", "8"},
                     static_cast<GeneIndex>(b),
                     0b110,
                     name});
  }
  return CandidateSpace("small-cells", std::move(genes));
}

// Float accuracy is a function of the widths; quantized accuracy of that and of the bits.
TransferProblem SmallProblem() {
  TransferProblem problem;
  const CandidateSpace space = SmallCells();
  problem.encoding = Encoding::OneHot(space);
  RandomStream random(11, "small_problem");
  std::vector<double> float_accuracy;
  for (int architecture = 0; architecture < 81; ++architecture) {
    std::vector<std::uint8_t> genome(8, 0);
    double accuracy = 60.0;
    for (int b = 0, rest = architecture; b < 4; ++b, rest /= 3) {
      genome[static_cast<std::size_t>(b)] = static_cast<std::uint8_t>(rest % 3);
      accuracy += (b + 1) * std::sqrt(rest % 3) * 1.5;
    }
    problem.source.genomes.insert(problem.source.genomes.end(), genome.begin(), genome.end());
    problem.source_groups.push_back(architecture);
    float_accuracy.push_back(accuracy);
    for (int sample = 0; sample < 4; ++sample) {
      double loss = 0.0;
      for (std::size_t b = 0; b < 4; ++b) {
        genome[4 + b] = genome[b] == 0 ? 0 : static_cast<std::uint8_t>(random.Below(3));
        if (genome[b] != 0) loss += std::pow(3.0 - genome[4 + b], 2) * (b == 0 ? 1.0 : 0.4);
      }
      problem.target.genomes.insert(problem.target.genomes.end(), genome.begin(), genome.end());
      problem.target.top1_percent.push_back(accuracy - loss + 0.1 * random.Normal());
      problem.target_groups.push_back(architecture);
      if (sample > 0) {
        problem.pairs.emplace_back(problem.target_groups.size() - 2,
                                   problem.target_groups.size() - 1);
      }
    }
  }
  problem.source.accuracies = Eigen::Map<const Eigen::VectorXd>(float_accuracy.data(), 81);
  return problem;
}

TransferCurveOptions SmallOptions() {
  TransferCurveOptions options;
  options.samples = {30, 100};
  options.splits = 2;
  for (PerceptronTraining* training :
       {&options.source.training, &options.pretraining, &options.scratch}) {
    training->width = 24;
    training->steps = 150;
    training->batch_rows = 32;
  }
  options.source.embedding = 4;
  return options;
}

double MeanPairwise(const TransferCurve& curve, TransferMethod method, std::size_t samples) {
  double sum = 0.0;
  int count = 0;
  for (const CurvePoint& point : curve.points) {
    if (point.method != method || point.samples != samples) continue;
    sum += point.quality.pairwise_accuracy;
    ++count;
  }
  return sum / count;
}

TEST(TransferTest, TransferBeatsScratchOnFewSamples) {
  const TransferCurve curve = MeasureTransferCurve(SmallProblem(), SmallOptions(), {});
  EXPECT_EQ(curve.points.size(), 2U * 2U * 5U);  // No reference was given.
  EXPECT_GT(MeanPairwise(curve, TransferMethod::kTransferred, 30),
            MeanPairwise(curve, TransferMethod::kScratch, 30));
  EXPECT_GT(MeanPairwise(curve, TransferMethod::kProcess, 30), 0.85);
  EXPECT_GT(MeanPairwise(curve, TransferMethod::kProcess, 100), 0.92);
  const auto json = nlohmann::json::parse(TransferCurveJson(curve, ""));
  EXPECT_EQ(json.at("format"), "bitsearch/transfer-curve/1");
  EXPECT_EQ(json.at("points").size(), curve.points.size());
  EXPECT_EQ(curve.comparisons.size(), 2U * 4U);
}

TEST(TransferTest, CheapAccuraciesOfTestedArchitecturesAreNeverRead) {
  TransferProblem problem = SmallProblem();
  TransferCurveOptions options = SmallOptions();
  options.splits = 1;
  options.samples = {50};
  const std::string clean = TransferCurveJson(MeasureTransferCurve(problem, options, {}), "");
  const auto poison_all_but = [&](const std::set<int>& kept) {
    TransferProblem poisoned = problem;
    for (Eigen::Index r = 0; r < 81; ++r) {
      if (!kept.contains(static_cast<int>(r))) {
        poisoned.source.accuracies(r, 0) = std::numeric_limits<double>::quiet_NaN();
      }
    }
    return poisoned;
  };
  // The tested architectures are those whose poisoning is survived: a NaN that is read throws.
  std::set<int> kept;
  for (int architecture = 0; architecture < 81; ++architecture) {
    std::set<int> others;
    for (int other = 0; other < 81; ++other) {
      if (other != architecture) others.insert(other);
    }
    options.methods = {TransferMethod::kProcess};
    options.source.training.steps = 1;
    try {
      MeasureTransferCurve(poison_all_but(others), options, {});
    } catch (const Error&) {
      kept.insert(architecture);
    }
  }
  EXPECT_EQ(kept.size(), 81U - 16U);  // A fifth is tested.
  options = SmallOptions();
  options.splits = 1;
  options.samples = {50};
  EXPECT_EQ(TransferCurveJson(MeasureTransferCurve(poison_all_but(kept), options, {}), ""), clean);
}

TEST(TransferTest, EveryActiveBitChangesTheScoreAndNoOther) {
  const TransferProblem problem = SmallProblem();
  const auto source = std::make_shared<SourceModel>(problem.encoding, problem.source,
                                                    SmallOptions().source, RunContext{});
  TransferPredictor predictor(problem.encoding, source, problem.target, {});
  std::vector<std::uint8_t> genome = {1, 0, 2, 1, 1, 0, 1, 1};
  const auto score = [&](const std::vector<std::uint8_t>& of) {
    CandidateScore result;
    predictor.Evaluate({of.data(), 1, of.size()}, {&result, 1});
    return result.top1_percent;
  };
  const double before = score(genome);
  for (std::size_t b = 0; b < 4; ++b) {
    for (const std::uint8_t value : {0, 2}) {
      std::vector<std::uint8_t> changed = genome;
      changed[4 + b] = value;
      if (genome[b] == 0) {
        EXPECT_EQ(score(changed), before);
      } else {
        EXPECT_NE(score(changed), before) << b;
      }
    }
  }
}

TEST(TransferTest, DeviationsAreOfTheRightSize) {
  const TransferProblem problem = SmallProblem();
  TrainingRows train, test;
  for (std::size_t r = 0; r < problem.target.top1_percent.size(); ++r) {
    TrainingRows& into = r % 3 == 0 ? test : train;
    into.genomes.insert(into.genomes.end(),
                        problem.target.genomes.begin() + static_cast<long>(8 * r),
                        problem.target.genomes.begin() + static_cast<long>(8 * r + 8));
    into.top1_percent.push_back(problem.target.top1_percent[r]);
  }
  TransferPredictor predictor(problem.encoding, nullptr, train, {});
  const std::size_t count = test.top1_percent.size();
  std::vector<CandidateScore> scores(count);
  predictor.Evaluate({test.genomes.data(), count, 8}, scores);
  double chi = 0.0;
  for (std::size_t r = 0; r < count; ++r) {
    chi += std::pow((scores[r].top1_percent - test.top1_percent[r]) /
                        scores[r].standard_deviation_percent,
                    2) /
           static_cast<double>(count);
  }
  EXPECT_GT(chi, 0.4);
  EXPECT_LT(chi, 2.5);
}

TEST(TransferTest, EnsembleProfitsFromCheapRows) {
  // Cheap: the same configurations with noise of 2 points; expensive: 24 of them without.
  const TransferProblem problem = SmallProblem();
  RandomStream random(3, "cheap_rows");
  TrainingRows cheap = problem.target, few, rest;
  for (std::size_t r = 0; r < cheap.top1_percent.size(); ++r) {
    cheap.top1_percent[r] += 2.0 * random.Normal() - 5.0;
    TrainingRows& into = r % 14 == 0 ? few : rest;
    const auto* genome = problem.target.genomes.data() + 8 * r;
    into.genomes.insert(into.genomes.end(), genome, genome + 8);
    into.top1_percent.push_back(problem.target.top1_percent[r]);
  }
  const auto pairwise = [&](const TrainingRows* source) {
    EnsembleOptions options{.members = 3, .width = 24, .epochs = 60, .batch_rows = 16};
    options.ranking_share = 0.3;
    options.source = source;
    const Predictor predictor(TrainEnsemble(problem.encoding, few, options, {}).model);
    std::vector<CandidateScore> scores(rest.top1_percent.size());
    predictor.Predict({rest.genomes.data(), scores.size(), 8}, scores);
    std::vector<double> predicted;
    for (const CandidateScore& score : scores) predicted.push_back(score.top1_percent);
    return QualityOf(predicted, rest.top1_percent).pairwise_accuracy;
  };
  const double transferred = pairwise(&cheap);
  EXPECT_GT(transferred, pairwise(nullptr) + 0.02);
  EXPECT_GT(transferred, 0.85);
}

TEST(TransferTest, RefusesTooLittle) {
  TransferProblem problem = SmallProblem();
  TransferCurveOptions options = SmallOptions();
  options.samples = {5000};
  EXPECT_THROW(MeasureTransferCurve(problem, options, {}), Error);
  EXPECT_THROW(TransferPredictor(problem.encoding, nullptr, {}, {}), Error);
  EXPECT_THROW(SourceModel(problem.encoding, {}, {}, {}), Error);
}

}  // namespace
}  // namespace bitsearch
