// The inverse question on synthetic networks whose drops are known: the answer, the number of
// evaluations beside a linear walk's, the bound's coverage, and honest endings.
#include "search/goal/least_cost.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "search/frontier.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

/// A network of which each sample is lost once the loss of the configuration exceeds a threshold of
/// its own. Counts evaluations.
class SyntheticNetwork : public Evaluator {
 public:
  SyntheticNetwork(std::size_t samples, std::vector<double> sensitivity, std::uint64_t seed)
      : sensitivity_(std::move(sensitivity)) {
    RandomStream random(seed, "synthetic network");
    for (std::size_t i = 0; i < samples; ++i) {
      // 8 % are wrong in float already; the others bear losses up to their threshold.
      thresholds_.push_back(random.Uniform() < 0.08 ? -1.0 : 2.0 * random.Uniform());
    }
  }

  double LossOf(const BitConfig& config) const {
    double loss = 0.0;
    for (std::size_t l = 0; l < config.choices.size(); ++l) {
      loss += sensitivity_[l] * std::pow(4.0, -config.choices[l].weight.bits());
    }
    return loss;
  }

  Evaluation AtLoss(double loss) const {
    Evaluation evaluation;
    evaluation.samples = static_cast<std::int64_t>(thresholds_.size());
    for (double threshold : thresholds_) {
      const bool right = threshold >= 0.0 && loss <= threshold;
      evaluation.correct_per_sample.push_back(right);
      evaluation.correct += right ? 1 : 0;
    }
    return evaluation;
  }

  std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) override {
    std::vector<Evaluation> evaluations;
    for (const BitConfig& config : configs) {
      ++count;
      evaluations.push_back(AtLoss(LossOf(config)));
    }
    return evaluations;
  }

  int count = 0;

 private:
  std::vector<double> sensitivity_;
  std::vector<double> thresholds_;
};

BitChoice Weights(int bits) { return {NumberFormat::Integer(bits), NumberFormat::Integer(8)}; }

/// The exact frontier of a chain of layers, and both splits of its data.
struct Setting {
  explicit Setting(std::size_t layers, std::uint64_t seed = 1, std::size_t samples = 4000) {
    RandomStream random(seed, "setting");
    AssignmentProblem problem;
    problem.resources.push_back({.name = "size"});
    for (std::size_t l = 0; l < layers; ++l) {
      sensitivity.push_back(std::exp(random.Normal()) / static_cast<double>(layers));
      const double parameters = 1000.0 * std::exp(random.Normal());
      problem.loss.emplace_back();
      problem.resources[0].cost.emplace_back();
      for (int bits : {2, 3, 4, 5, 6, 8}) {
        problem.loss.back().push_back(sensitivity.back() * std::pow(4.0, -bits));
        problem.resources[0].cost.back().push_back(std::llround(parameters) * bits);
      }
    }
    frontier = ComputeFrontier(problem, {.resources = {ResourceIndex(0)}}, {});
    for (const FrontierPoint& point : frontier.points()) {
      candidates.cost.push_back(static_cast<double>(point.resources[0]));
      candidates.predicted_loss.push_back(point.objective);
    }
    candidates.config = [this](std::size_t index) {
      BitConfig config;
      for (ChoiceIndex choice : frontier.Choice(index)) {
        constexpr int kBits[] = {2, 3, 4, 5, 6, 8};
        config.choices.push_back(Weights(kBits[choice.value]));
      }
      return config;
    };
    search.emplace(samples, sensitivity, seed + 100);
    report.emplace(samples, sensitivity, seed + 200);
    search_float = search->AtLoss(0.0);
    report_float = report->AtLoss(0.0);
  }

  LeastCostResult Find(const LeastCostOptions& options, const RunContext& context = {}) {
    search->count = 0;
    report->count = 0;
    return FindLeastCost(candidates, options, {*search, search_float}, {*report, report_float},
                         context);
  }

  /// The cheapest candidate that passes on the search split, by measuring all.
  std::optional<std::size_t> ByMeasuringAll(const LeastCostOptions& options) {
    for (std::size_t i = 0; i < candidates.cost.size(); ++i) {
      const BitConfig config = candidates.config(i);
      const Evaluation evaluation = search->Evaluate({&config, 1}).front();
      if (EstimateDrop(search_float, evaluation, options.confidence).upper_bound_percent <=
          options.largest_drop_percent) {
        return i;
      }
    }
    return std::nullopt;
  }

  std::vector<double> sensitivity;
  Frontier frontier;
  GoalCandidates candidates;
  std::optional<SyntheticNetwork> search;
  std::optional<SyntheticNetwork> report;
  Evaluation search_float;
  Evaluation report_float;
};

TEST(LeastCost, FindsTheCheapestThatPassesWithFewEvaluations) {
  for (std::uint64_t seed : {1, 2, 3, 4}) {
    Setting setting(6, seed);
    ASSERT_GT(setting.candidates.cost.size(), 100u);
    LeastCostOptions options{.largest_drop_percent = 1.0, .cost_tolerance = 0.0};
    const LeastCostResult bisected = setting.Find(options);
    const int bisections = setting.search->count;
    ASSERT_TRUE(bisected.chosen);
    EXPECT_EQ(bisected.chosen, setting.ByMeasuringAll(options));
    EXPECT_EQ(setting.report->count, 1);
    EXPECT_LE(bisections, 16);
    options.order = WalkOrder::kLinear;
    options.max_evaluations = 100'000;
    const LeastCostResult linear = setting.Find(options);
    EXPECT_EQ(linear.chosen, bisected.chosen);
    EXPECT_GT(setting.search->count, 3 * bisections);
  }
}

TEST(LeastCost, ToleranceOfTheCostSavesEvaluations) {
  Setting setting(6);
  LeastCostOptions options{.largest_drop_percent = 1.0, .cost_tolerance = 0.0};
  const LeastCostResult exact = setting.Find(options);
  options.cost_tolerance = 0.05;
  const LeastCostResult coarse = setting.Find(options);
  EXPECT_LT(coarse.measured.size(), exact.measured.size());
  EXPECT_GE(setting.candidates.cost[*exact.chosen], 0.95 * setting.candidates.cost[*coarse.chosen]);
}

TEST(LeastCost, SaysWhenTheLimitCannotBeKept) {
  Setting setting(4);
  // Even no drop at all has a bound above 0.
  const LeastCostResult result = setting.Find({.largest_drop_percent = 0.0});
  EXPECT_EQ(result.status, LeastCostStatus::kUnreachable);
  EXPECT_FALSE(result.chosen);
  EXPECT_FALSE(result.confirmation);
  EXPECT_EQ(setting.report->count, 0);
  EXPECT_EQ(result.measured.size(), 1u);
}

TEST(LeastCost, TakesTheCheapestWhereEverythingPasses) {
  Setting setting(4);
  const LeastCostResult result = setting.Find({.largest_drop_percent = 99.0});
  EXPECT_EQ(result.status, LeastCostStatus::kMet);
  EXPECT_EQ(result.chosen, 0u);
  EXPECT_EQ(result.measured.size(), 2u);
}

TEST(LeastCost, KeepsTheBestSoFarWhenItsBudgetEnds) {
  Setting setting(6);
  const LeastCostResult result =
      setting.Find({.largest_drop_percent = 1.0, .cost_tolerance = 0.0, .max_evaluations = 3});
  EXPECT_EQ(result.status, LeastCostStatus::kOutOfBudget);
  EXPECT_EQ(result.measured.size(), 3u);
  ASSERT_TRUE(result.chosen);
  EXPECT_TRUE(result.confirmation);
  RunContext stopped;
  stopped.stop.RequestStop();
  EXPECT_EQ(setting.Find({.largest_drop_percent = 1.0}, stopped).status,
            LeastCostStatus::kOutOfBudget);
}

TEST(LeastCost, SaysWhenTheReportSplitDisagrees) {
  Setting setting(6);
  // A report split on which the network is more fragile.
  std::vector<double> fragile = setting.sensitivity;
  for (double& value : fragile) value *= 8.0;
  setting.report.emplace(4000, fragile, 7);
  setting.report_float = setting.report->AtLoss(0.0);
  const LeastCostResult result = setting.Find({.largest_drop_percent = 1.0});
  EXPECT_EQ(result.status, LeastCostStatus::kUnconfirmed);
  ASSERT_TRUE(result.confirmation);
  EXPECT_GT(result.confirmation->upper_bound_percent, 1.0);
}

TEST(LeastCost, RefusesCandidatesThatAreNoFrontier) {
  Setting setting(3);
  std::swap(setting.candidates.cost[0], setting.candidates.cost[1]);
  EXPECT_THROW(setting.Find({.largest_drop_percent = 1.0}), Error);
  setting.candidates.cost.clear();
  setting.candidates.predicted_loss.clear();
  EXPECT_THROW(setting.Find({.largest_drop_percent = 1.0}), Error);
}

// The one-sided bound must hold in about 95 of 100 repetitions, also for rare differences.
TEST(DropBound, CoversTheTrueDrop) {
  RandomStream random(3, "coverage");
  for (const auto& [lost, won] : {std::pair(0.02, 0.01), {0.004, 0.002}, {0.0005, 0.0}}) {
    int covered = 0;
    constexpr int kRepetitions = 1000;
    for (int n = 0; n < kRepetitions; ++n) {
      Evaluation before;
      Evaluation after;
      before.samples = after.samples = 1000;
      for (int i = 0; i < 1000; ++i) {
        const double draw = random.Uniform();
        before.correct_per_sample.push_back(draw < 0.9 || draw >= 0.9 + won);
        after.correct_per_sample.push_back(draw >= lost);
      }
      const DropEstimate estimate = EstimateDrop(before, after, 0.95);
      covered += estimate.upper_bound_percent >= 100.0 * (lost - won) ? 1 : 0;
    }
    EXPECT_GE(covered, 0.93 * kRepetitions) << lost;
  }
}

TEST(DropBound, OfOutputErrorsCoversTheTrueMean) {
  // Errors are skewed: exponential with mean 2.
  constexpr int kRepeats = 2000;
  RandomStream random(5, "output errors");
  int covered = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    Evaluation reference, quantized;
    reference.samples = quantized.samples = 64;
    for (int i = 0; i < 64; ++i) {
      reference.output_error_percent_per_sample.push_back(0.0F);
      quantized.output_error_percent_per_sample.push_back(
          static_cast<float>(-2.0 * std::log(1.0 - random.Uniform())));
    }
    const DropEstimate estimate = EstimateDrop(reference, quantized, 0.95);
    EXPECT_DOUBLE_EQ(estimate.drop_percent, quantized.output_error_percent());
    covered += estimate.upper_bound_percent >= 2.0 ? 1 : 0;
  }
  // A t bound of skewed data covers a little less than it says.
  EXPECT_GT(covered, 0.90 * kRepeats);
  EXPECT_LT(covered, 0.96 * kRepeats);
  // Errors are no answers: the two cannot be paired.
  Evaluation labelled, unlabelled;
  labelled.samples = unlabelled.samples = 1;
  labelled.correct_per_sample = {true};
  unlabelled.output_error_percent_per_sample = {1.0F};
  EXPECT_THROW(EstimateDrop(labelled, unlabelled, 0.95), Error);
}

TEST(DropBound, OfPredictionsUsesTheirDeviations) {
  Evaluation before;
  before.predicted_top1_percent = 92.0;
  Evaluation after;
  after.predicted_top1_percent = 91.0;
  after.standard_deviation_percent = 0.5;
  const DropEstimate estimate = EstimateDrop(before, after, 0.95);
  EXPECT_DOUBLE_EQ(estimate.drop_percent, 1.0);
  EXPECT_NEAR(estimate.upper_bound_percent, 1.0 + 1.6449 * 0.5, 1e-3);
  after.samples = 10;
  EXPECT_THROW(EstimateDrop(before, after, 0.95), Error);
}

}  // namespace
}  // namespace bitsearch
