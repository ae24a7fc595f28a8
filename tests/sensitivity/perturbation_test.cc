#include "sensitivity/perturbation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "sensitivity/measure.h"
#include "space/support/error.h"
#include "tests/sensitivity/small_networks.h"

namespace bitsearch {
namespace {

constexpr NumberFormat kFloat = NumberFormat::Float32();

NumberFormat Bits(int bits) { return NumberFormat::Integer(bits); }

class PerturbationTest : public testing::TestWithParam<std::tuple<Placement, bool>> {
 protected:
  PerturbationTest() {
    spec_.placement = std::get<0>(GetParam());
    if (!std::get<1>(GetParam())) spec_.calibration.clear();
    network_.emplace(SmallResidualNetwork(1), &calibration_, spec_, "cpu", RunContext{});
    choices_.assign(network_->graph().layers().size(), {{Bits(8), Bits(8)},
                                                        {Bits(3), Bits(4)},
                                                        {Bits(3), kFloat},
                                                        {kFloat, Bits(4)},
                                                        {kFloat, kFloat},
                                                        {Bits(2), Bits(8)}});
  }
  std::vector<PerturbationRow> Measure(const PerturbationOptions& options, int threads = 1) {
    RunContext context;
    context.threads = threads;
    return MeasurePerturbations(*network_, data_, choices_, options, context);
  }

  QuantizationSpec spec_;
  Dataset calibration_ = RandomImages(40, 2, 6, 6, 5, 7);
  Dataset data_ = RandomImages(50, 2, 6, 6, 5, 8);
  std::optional<CalibratedNetwork> network_;
  std::vector<std::vector<BitChoice>> choices_;
};

// The whole network quantized by the evaluator with one layer changed is the brute force.
TEST_P(PerturbationTest, EqualsTheEvaluatorOnOneLayerConfigurations) {
  PerturbationOptions options;
  options.batch_size = 16;
  const auto rows = Measure(options);
  PtqEvaluator evaluator(*network_, data_, RunContext{});
  const double float_loss = evaluator.FloatEvaluation().loss_nats;
  ASSERT_EQ(rows.size(), choices_.size() * choices_[0].size());
  for (const PerturbationRow& row : rows) {
    BitConfig config = BitConfig::Uniform(choices_.size(), {kFloat, kFloat});
    config.choices[row.layer.value] = row.choice;
    const Evaluation measured = evaluator.Evaluate(std::span(&config, 1))[0];
    EXPECT_NEAR(row.kl_nats.value, measured.kl_nats, 2e-6) << row.choice.ToString();
    EXPECT_NEAR(row.loss_increase_nats.value, measured.loss_nats - float_loss, 2e-6);
  }
}

TEST_P(PerturbationTest, IsBitwiseIndependentOfThreadsAndOfKeptPrefixes) {
  PerturbationOptions options;
  options.batch_size = 8;
  options.keep_samples = true;
  const auto one = Measure(options);
  const auto three = Measure(options, 3);
  options.most_prefix_bytes = 0;
  const auto recomputed = Measure(options, 2);
  for (std::size_t r = 0; r < one.size(); ++r) {
    for (const auto* other : {&three[r], &recomputed[r]}) {
      EXPECT_EQ(one[r].kl_nats.value, other->kl_nats.value);
      EXPECT_EQ(one[r].kl_nats.standard_error, other->kl_nats.standard_error);
      EXPECT_EQ(one[r].loss_increase_nats.value, other->loss_increase_nats.value);
      EXPECT_EQ(one[r].output_mse.value, other->output_mse.value);
      EXPECT_EQ(one[r].kl_per_sample, other->kl_per_sample);
    }
  }
}

TEST_P(PerturbationTest, GivesMeanAndStandardErrorOfTheSamples) {
  PerturbationOptions options;
  options.keep_samples = true;
  for (const PerturbationRow& row : Measure(options)) {
    ASSERT_EQ(row.kl_per_sample.size(), 50U);
    double mean = 0.0;
    double squares = 0.0;
    for (const float kl : row.kl_per_sample) mean += kl / 50.0;
    for (const float kl : row.kl_per_sample) squares += (kl - mean) * (kl - mean);
    EXPECT_NEAR(row.kl_nats.value, mean, 1e-6);
    EXPECT_NEAR(row.kl_nats.standard_error, std::sqrt(squares / 49.0 / 50.0), 1e-6);
    if (row.choice == BitChoice{kFloat, kFloat}) {
      EXPECT_EQ(row.kl_nats.value, 0.0);
    }
  }
}

TEST_P(PerturbationTest, GoesOnFromAJournal) {
  PerturbationOptions options;
  const auto whole = Measure(options);
  std::vector<PerturbationRow> journal;
  options.record = [&](const PerturbationRow& row) {
    journal.push_back(row);
    if (journal.size() == 7) throw Error(ErrorId::kInterrupted, "test");
  };
  EXPECT_THROW(Measure(options), Error);
  ASSERT_EQ(journal.size(), 7U);
  options.known = [&](LayerIndex layer, const BitChoice& choice) -> std::optional<PerturbationRow> {
    for (const PerturbationRow& row : journal) {
      if (row.layer == layer && row.choice == choice) return row;
    }
    return std::nullopt;
  };
  std::size_t measured = 0;
  const std::size_t known = journal.size();
  const std::vector<PerturbationRow> kept = journal;
  options.record = [&](const PerturbationRow&) { ++measured; };
  const auto resumed = Measure(options);
  const bool weights_only = spec_.placement == Placement::kWeightsOnly;
  EXPECT_EQ(measured + known, choices_.size() * (weights_only ? 3 : 5));
  for (std::size_t r = 0; r < whole.size(); ++r) {
    EXPECT_EQ(whole[r].layer, resumed[r].layer);
    EXPECT_EQ(whole[r].choice, resumed[r].choice);
    EXPECT_EQ(whole[r].kl_nats.value, resumed[r].kl_nats.value);
  }
}

// Against the evaluator on configurations of two quantized layers; and pair terms are what is left.
TEST_P(PerturbationTest, PairsEqualTheEvaluatorOnTwoLayerConfigurations) {
  const std::vector<LayerPair> pairs = {{LayerIndex(0), LayerIndex(1)},
                                        {LayerIndex(0), LayerIndex(3)},
                                        {LayerIndex(2), LayerIndex(3)}};
  PairPerturbationOptions options;
  options.batch_size = 16;
  std::vector<PairRow> journal;
  options.record = [&](const PairRow& row) { journal.push_back(row); };
  const auto rows =
      MeasurePairPerturbations(*network_, data_, choices_, pairs, options, RunContext{});
  const std::size_t each = spec_.placement == Placement::kWeightsOnly ? 3 : 5;
  ASSERT_EQ(rows.size(), pairs.size() * each * each);
  EXPECT_EQ(journal.size(), rows.size());
  PtqEvaluator evaluator(*network_, data_, RunContext{});
  const double float_loss = evaluator.FloatEvaluation().loss_nats;
  const auto evaluate = [&](LayerIndex a, const BitChoice& first, LayerIndex b,
                            const BitChoice& second) {
    BitConfig config = BitConfig::Uniform(choices_.size(), {kFloat, kFloat});
    config.choices[a.value] = first;
    config.choices[b.value] = second;
    return evaluator.Evaluate(std::span(&config, 1))[0];
  };
  for (const PairRow& row : rows) {
    const Evaluation both = evaluate(row.layers.first, row.first, row.layers.second, row.second);
    EXPECT_NEAR(row.kl_nats.value, both.kl_nats, 2e-6) << row.first.ToString();
    EXPECT_NEAR(row.loss_increase_nats.value, both.loss_nats - float_loss, 2e-6);
  }
  // A journal that knows everything leaves nothing to measure.
  options.known = [&](const LayerPair& layers, const BitChoice& a,
                      const BitChoice& b) -> std::optional<PairRow> {
    for (const PairRow& row : journal) {
      if (row.layers == layers && row.first == a && row.second == b) return row;
    }
    return std::nullopt;
  };
  options.record = [](const PairRow&) { FAIL() << "measured twice"; };
  RunContext threads;
  threads.threads = 3;
  const auto again = MeasurePairPerturbations(*network_, data_, choices_, pairs, options, threads);
  ASSERT_EQ(again.size(), rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    EXPECT_EQ(again[r].kl_nats.value, rows[r].kl_nats.value);
  }

  SensitivityPlan plan;
  plan.method = "kl";
  plan.choices = choices_;
  plan.pairs = {PairRequest::Kind::kNeighbours, 0};
  const SensitivityReport report =
      MeasureSensitivity(*network_, data_, plan, RunContext{}).report;
  EXPECT_FALSE(report.pairs.empty());
  const BitChoice float_choice{kFloat, kFloat};
  for (const PairSensitivity& pair : report.pairs) {
    const LayerIndex a(*report.FindLayer(pair.layer_a));
    const LayerIndex b(*report.FindLayer(pair.layer_b));
    EXPECT_EQ(b.value, a.value + 1);
    const double left = evaluate(a, pair.choice_a, b, pair.choice_b).kl_nats -
                        evaluate(a, pair.choice_a, b, float_choice).kl_nats -
                        evaluate(a, float_choice, b, pair.choice_b).kl_nats;
    EXPECT_NEAR(pair.loss_increase, left, 6e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Placements, PerturbationTest,
                         testing::Combine(testing::Values(Placement::kWeightsOnly,
                                                          Placement::kLayerInputs),
                                          testing::Bool()));

TEST(PerturbationArguments, RefusesWhatDoesNotFit) {
  QuantizationSpec spec;
  spec.placement = Placement::kWeightsOnly;
  spec.calibration.clear();
  const CalibratedNetwork network(SmallResidualNetwork(1), nullptr, spec, "cpu", RunContext{});
  const Dataset data = RandomImages(4, 2, 6, 6, 5, 8);
  std::vector<std::vector<BitChoice>> choices(3);
  EXPECT_THROW(MeasurePerturbations(network, data, choices, {}, RunContext{}), Error);
  choices.resize(4);
  EXPECT_TRUE(MeasurePerturbations(network, data, choices, {}, RunContext{}).empty());
  EXPECT_THROW(MeasurePerturbations(network, data.Slice(0, 0), choices, {}, RunContext{}), Error);
}

TEST(SeparateParts, SplitsJointChoices) {
  const std::vector<BitChoice> joint = {
      {Bits(4), Bits(8)}, {Bits(3), Bits(8)}, {Bits(4), kFloat}, {kFloat, kFloat}};
  const std::vector<BitChoice> parts = SeparateParts(joint);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(std::count(parts.begin(), parts.end(), BitChoice{Bits(3), kFloat}), 1);
  EXPECT_EQ(std::count(parts.begin(), parts.end(), BitChoice{Bits(4), kFloat}), 1);
  EXPECT_EQ(std::count(parts.begin(), parts.end(), BitChoice{kFloat, Bits(8)}), 1);
}

}  // namespace
}  // namespace bitsearch
