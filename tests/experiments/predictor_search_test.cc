// The search over bits on a score, against brute force; the keys of `search: {method: predictor}`.
#include "experiments/predictor_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "experiments/experiment.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

// Five layers of four choices; the last two share theirs; size is limited.
NamedProblem SmallProblem() {
  NamedProblem named;
  constexpr int kBits[] = {2, 3, 4, 8};
  Resource size{.name = "size_bits", .cost = {}, .cuts = {}, .fixed = 0, .limit = 260};
  for (int l = 0; l < 5; ++l) {
    named.layers.push_back("l" + std::to_string(l));
    named.choices.emplace_back();
    size.cost.emplace_back();
    for (const int bits : kBits) {
      named.choices.back().push_back({NumberFormat::Integer(bits), NumberFormat::Integer(8)});
      size.cost.back().push_back(bits * (10 + 2 * l));
    }
    named.problem.loss.emplace_back(4, 0.0);
  }
  named.problem.resources = {size};
  named.problem.ties = {{"t", {LayerIndex(3), LayerIndex(4)}, {{0, 1, 2, 3}, {0, 1, 2, 3}}}};
  named.decimals = {0};
  return named;
}

double ScoreOf(const std::vector<ChoiceIndex>& choice) {
  double score = 0.0;
  for (std::size_t l = 0; l < choice.size(); ++l) {
    score -=
        std::pow(3.0 - static_cast<double>(choice[l].value), 2) / (1.0 + static_cast<double>(l));
    // Neighbours that differ disturb each other: no additive score says so.
    if (l > 0 && choice[l] != choice[l - 1]) score -= 0.7;
  }
  return score;
}

TEST(PredictorSearchTest, FindsTheBestWithinLimitsAndTies) {
  const NamedProblem named = SmallProblem();
  double best = -1e9;
  for (std::size_t i = 0; i < 1024; ++i) {
    std::vector<ChoiceIndex> choice;
    for (std::size_t l = 0, rest = i; l < 5; ++l, rest /= 4) choice.emplace_back(rest % 4);
    if (named.problem.Assess(choice).feasible()) best = std::max(best, ScoreOf(choice));
  }
  std::set<std::vector<ChoiceIndex>> seen;
  const auto score = [&](const std::vector<std::vector<ChoiceIndex>>& choices) {
    std::vector<double> scores;
    for (const auto& choice : choices) {
      EXPECT_TRUE(named.problem.Assess(choice).feasible());
      EXPECT_TRUE(seen.insert(choice).second) << "scored twice";
      scores.push_back(ScoreOf(choice));
    }
    return scores;
  };
  const std::vector<ChoiceIndex> start(5, ChoiceIndex(0)), too_large(5, ChoiceIndex(3));
  const auto found = SearchByScore(named, {too_large, start, start}, score, 200, "test", {});
  ASSERT_FALSE(found.empty());
  EXPECT_LE(found.size(), 200U);
  EXPECT_EQ(found.size(), seen.size());
  EXPECT_DOUBLE_EQ(found.front().score, best);
  EXPECT_GE(found.front().score, found.back().score);
  seen.clear();
  const auto again = SearchByScore(named, {too_large, start, start}, score, 200, "test", {});
  ASSERT_EQ(again.size(), found.size());
  EXPECT_EQ(again.back().choice, found.back().choice);
}

TEST(PredictorSearchTest, NoStartWithinTheLimitsFindsNothing) {
  const auto none = [](const auto& choices) { return std::vector<double>(choices.size(), 0.0); };
  EXPECT_TRUE(SearchByScore(SmallProblem(), {std::vector<ChoiceIndex>(5, ChoiceIndex(3))}, none, 50,
                            "x", {})
                  .empty());
}

TEST(PredictorSearchTest, KeysAreReadAndWrittenBack) {
  const std::string text =
      "model: {file: net.onnx}\ndata: {search: {source: 'npy:x.npy,y.npy'}, report: {source: "
      "'npy:r.npy,s.npy'}, calibration: 'npy:c.npy'}\n"
      "budgets: [{size_bytes: 0.5 x int8}]\n"
      "search: {method: predictor, cheap_evaluations: 300, cheap_samples: 64, "
      "expensive_evaluations: 20, held_out: 0, evaluations: 500, evaluate_best: 3}\n";
  const Experiment read = ParseExperiment(text, "/e.yaml", {}, ExperimentUse::kRun);
  ASSERT_TRUE(read.predictor.has_value());
  EXPECT_EQ(*read.predictor, (PredictorSection{300, 64, 20, 0, 500, 3}));
  const Experiment again =
      ParseExperiment(ExperimentText(read), "/again.yaml", {}, ExperimentUse::kRun);
  EXPECT_EQ(again.predictor, read.predictor);
  EXPECT_EQ(ExperimentText(again), ExperimentText(read));
  // Keys of another method are errors, not ignored.
  for (const char* override : {"search.measured_candidates=4", "search.cheap_samples=0"}) {
    EXPECT_ANY_THROW(ParseExperiment(text, "/e.yaml", {override}, ExperimentUse::kRun)) << override;
  }
  EXPECT_ANY_THROW(ParseExperiment(text, "/e.yaml", {"search.method=exact"}, ExperimentUse::kRun));
}

}  // namespace
}  // namespace bitsearch
