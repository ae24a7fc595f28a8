// Ask and tell: limits are kept, answers narrow and correct the prediction, the state survives
// restarts and crashes, and the Bayesian layer equals its definition.
#include <gtest/gtest.h>
#include <unistd.h>

#include <Eigen/Dense>
#include <filesystem>
#include <fstream>

#include "predictor/online/ask_strategy.h"
#include "predictor/online/bayesian_layer.h"
#include "space/support/files.h"
#include "tests/predictor/service_fixture.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;

TEST(BayesianLayerTest, EqualsTheGaussianConditional) {
  // The same posterior in the space of observations: k*ᵀ(K + noise²I)⁻¹y.
  constexpr Eigen::Index kFeatures = 9, kRows = 23;
  RandomStream random(1, "bayes");
  Eigen::MatrixXd phi(kFeatures, kRows);
  for (double& value : phi.reshaped()) value = random.Normal();
  Eigen::VectorXd y(kRows);
  for (double& value : y) value = random.Normal();
  BayesianLayer layer(kFeatures, 0.7, 0.3);
  for (Eigen::Index n = 0; n < kRows; ++n) {
    layer.Observe(phi.col(n), y[n]);
    const Eigen::MatrixXd seen = phi.leftCols(n + 1);
    const double prior = layer.prior_deviation() * layer.prior_deviation();
    const double noise = layer.noise_deviation() * layer.noise_deviation();
    Eigen::MatrixXd k = prior * seen.transpose() * seen;
    k.diagonal().array() += noise;
    const Eigen::LLT<Eigen::MatrixXd> factor(k);
    const Eigen::VectorXd x = phi.col((n + 5) % kRows) * 1.3;
    const Eigen::VectorXd kx = prior * seen.transpose() * x;
    const Correction correction = layer.Predict(x);
    EXPECT_NEAR(correction.mean, kx.dot(factor.solve(y.head(n + 1))), 1e-9);
    EXPECT_NEAR(correction.variance, prior * x.squaredNorm() - kx.dot(factor.solve(kx)), 1e-9);
    EXPECT_NEAR(correction.prior_variance, prior * x.squaredNorm(), 1e-12);
  }
}

TEST(BayesianLayerTest, DeviationsAreThoseOfTheLargestEvidence) {
  constexpr Eigen::Index kFeatures = 6, kRows = 64;
  RandomStream random(2, "bayes");
  Eigen::VectorXd weights(kFeatures);
  for (double& value : weights) value = 2.0 * random.Normal();
  BayesianLayer layer(kFeatures, 1.0, 1.0);
  for (Eigen::Index n = 0; n < kRows; ++n) {
    Eigen::VectorXd phi(kFeatures);
    for (double& value : phi) value = random.Normal();
    layer.Observe(phi, weights.dot(phi) + 0.1 * random.Normal());
  }
  EXPECT_NEAR(layer.noise_deviation(), 0.1, 0.04);
  EXPECT_NEAR(layer.prior_deviation(), 2.0, 1.0);
}

class AskTellTest : public ServiceTest {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) /
            ("asks_" + std::to_string(::getpid()) + ".jsonl");
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  ServiceOptions Options() const { return {.seed = 3, .state = path_}; }
  static Json Ask(PredictionService& service, double latency, int count = 1) {
    return Json::parse(
        service.Ask(Json({{"limits", {{"latency_us", latency}}}, {"count", count}}).dump()).body);
  }

  std::filesystem::path path_;
};

TEST_F(AskTellTest, AsksKeepTheLimitsAndNeverRepeat) {
  PredictionService service(predictor_, {.seed = 3});
  const FactoredCost& latency = predictor_.model().costs[0];
  // The least latency of all, layer by layer (the table's terms share no genes).
  std::int64_t least = latency.fixed_grid_units(), most = least;
  for (const CostTerm& term : latency.terms()) {
    least += *std::min_element(term.values.begin(), term.values.end());
    std::int64_t top = 0;
    for (const std::int64_t value : term.values) {
      if (value < FactoredCost::kForbidden) top = std::max(top, value);
    }
    most += top;
  }
  std::set<std::vector<int>> seen;
  for (const double share : {0.0001, 0.01, 0.1, 0.5, 1.0}) {
    const double limit = latency.FromGrid(
        least + static_cast<std::int64_t>(share * static_cast<double>(most - least)));
    const Json reply = Ask(service, limit, 3);
    ASSERT_TRUE(reply.contains("asks")) << reply;
    for (const Json& ask : reply.at("asks")) {
      EXPECT_LE(ask.at("prediction").at("costs").at("latency_us").get<double>(), limit);
      EXPECT_TRUE(seen.insert(ask.at("indices").get<std::vector<int>>()).second);
      EXPECT_EQ(ask.at("values").size(), 40U);
    }
  }
  EXPECT_EQ(Ask(service, latency.FromGrid(least - 1)).at("error").at("code"), "budget-infeasible");
  EXPECT_EQ(
      Json::parse(service.Ask("{\"limits\": {\"latency_ms\": 1}}").body).at("error").at("hint"),
      "did you mean \"latency_us\"?");
  for (const char* bad :
       {"{\"limits\": {\"latency_us\": -1}}", "{\"limits\": 3}", "{\"count\": 0}",
        "{\"count\": 1000}", "{\"limit\": {}}", "[]", "{\"limits\":{\"x\":\"y\"}}"}) {
    EXPECT_TRUE(service.Ask(bad).error.has_value()) << bad;
  }
}

TEST_F(AskTellTest, UntoldPredictionsAreThoseOfTheFile) {
  const OnlinePredictor online(predictor_);
  const std::vector<std::uint8_t> rows = RandomGenomes(predictor_.space(), 50, 9);
  const GenomeView view{rows.data(), 50, 40};
  std::vector<CandidateScore> a(50), b(50);
  predictor_.Predict(view, a);
  online.Predict(view, b);
  for (std::size_t r = 0; r < 50; ++r) {
    EXPECT_EQ(a[r].top1_percent, b[r].top1_percent);
    EXPECT_EQ(a[r].standard_deviation_percent, b[r].standard_deviation_percent);
  }
}

TEST_F(AskTellTest, MeasurementsCorrectThePredictionAndNarrowIt) {
  // The truth differs from the predictor by a shift and by a share of its own variation.
  OnlinePredictor online(predictor_);
  const auto truth = [&](const CandidateScore& base) {
    return 80.0 - 3.0 + 0.5 * (base.top1_percent - 80.0);
  };
  constexpr std::size_t kTold = 60, kHeldOut = 200;
  const std::vector<std::uint8_t> rows = RandomGenomes(predictor_.space(), kTold + kHeldOut, 11);
  const GenomeView all{rows.data(), kTold + kHeldOut, 40};
  std::vector<CandidateScore> base(all.rows), after(all.rows);
  predictor_.Predict(all, base);
  RandomStream noise(1, "noise");
  for (std::size_t r = 0; r < kTold; ++r) {
    online.Tell(all.row(r), truth(base[r]) + 0.1 * noise.Normal());
  }
  EXPECT_EQ(online.told(), kTold);
  online.Predict(all, after);
  double before_error = 0.0, after_error = 0.0, told_deviation = 0.0, held_deviation = 0.0;
  int covered = 0;
  for (std::size_t r = 0; r < all.rows; ++r) {
    if (r < kTold) {
      told_deviation += after[r].standard_deviation_percent / kTold;
      continue;
    }
    const double error = after[r].top1_percent - truth(base[r]);
    before_error += std::pow(base[r].top1_percent - truth(base[r]), 2) / kHeldOut;
    after_error += error * error / kHeldOut;
    held_deviation += after[r].standard_deviation_percent / kHeldOut;
    covered += std::abs(error) <= 2.0 * after[r].standard_deviation_percent ? 1 : 0;
  }
  EXPECT_LT(std::sqrt(after_error), 0.25 * std::sqrt(before_error));
  EXPECT_LT(told_deviation, held_deviation);
  EXPECT_GT(covered, static_cast<int>(0.85 * kHeldOut));
}

TEST_F(AskTellTest, TheStateSurvivesARestartBitForBit) {
  std::string asked, told, predicted;
  const std::string row = Json({{"indices", Rows(1)[0]}}).dump();
  {
    PredictionService service(predictor_, Options());
    for (int i = 0; i < 6; ++i) {
      const Json ask = Ask(service, 60.0).at("asks").at(0);
      EXPECT_EQ(ask.at("ask_id"), i);
      told = service.Tell(Json({{"ask_id", i}, {"top1_percent", 70.0 + i}}).dump()).body;
      EXPECT_EQ(Json::parse(told).at("told"), i + 1) << told;
      EXPECT_NE(Json::parse(told).at("before"), Json::parse(told).at("after"));
    }
    Ask(service, 60.0);  // Asked, never told.
    predicted = service.Predict(row).body;
    asked = Ask(service, 60.0).dump();
  }
  // The last line above is removed, as if the process had died inside it.
  const std::string text = ReadTextFile(path_);
  const std::size_t last = text.rfind('\n', text.size() - 2) + 1;
  for (const std::size_t keep : {last, last + 1, text.size() - 1}) {
    WriteFileAtomically(path_, text.substr(0, keep));
    PredictionService service(predictor_, Options());
    EXPECT_EQ(service.Predict(row).body, predicted);
    EXPECT_EQ(service.asked(), 7U);
    EXPECT_EQ(Ask(service, 60.0).dump(), asked);
  }
  EXPECT_EQ(ReadTextFile(path_), text);
  const Json model = Json::parse(PredictionService(predictor_, Options()).Model());
  EXPECT_EQ(model.at("told"), 6);
  EXPECT_EQ(model.at("asked"), 8);
}

TEST_F(AskTellTest, StatesThatDoNotFitAreRefused) {
  const auto refused = [&](ErrorId id) {
    try {
      PredictionService service(predictor_, Options());
      ADD_FAILURE() << Slug(id);
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), id) << error.what();
      EXPECT_FALSE(error.location().file.empty());
    }
  };
  {
    PredictionService service(predictor_, Options());
    refused(ErrorId::kRunLocked);
    service.Tell(Json({{"indices", Rows(1)[0]}, {"top1_percent", 50}}).dump());
  }
  const std::string good = ReadTextFile(path_);
  WriteFileAtomically(path_, good + "nonsense\n");
  refused(ErrorId::kRunDamaged);
  WriteFileAtomically(path_, good + "{\"indices\": [99]}\n");
  refused(ErrorId::kRunDamaged);
  WriteFileAtomically(path_, "{\"format\": \"bitsearch/tells/9\"}\n");
  refused(ErrorId::kRunDamaged);
  WriteFileAtomically(path_, "{\"format\": 3}\n");
  refused(ErrorId::kRunDamaged);
  const Predictor other(SmallModel());
  { PredictionService service(other, {.state = path_.string() + ".other"}); }
  std::filesystem::rename(path_.string() + ".other", path_);
  refused(ErrorId::kPredictorData);
}

TEST_F(AskTellTest, TellsAreCheckedBeforeTheyCount) {
  PredictionService service(predictor_, Options());
  const std::vector<int> row = Rows(1)[0];
  for (const Json& bad :
       {Json({{"indices", row}}), Json({{"indices", row}, {"top1_percent", "91"}}),
        Json({{"indices", row}, {"top1_percent", 101}}), Json({{"top1_percent", 50}}),
        Json({{"indices", row}, {"top1_percent", -1}}), Json({{"ask_id", 0}, {"top1_percent", 50}}),
        Json::array()}) {
    EXPECT_TRUE(service.Tell(bad.dump()).error.has_value()) << bad;
  }
  EXPECT_EQ(service.online().told(), 0U);
  const Json ask = Ask(service, 60.0).at("asks").at(0);
  EXPECT_TRUE(service.Tell(Json({{"ask_id", 0}, {"indices", row}, {"top1_percent", 50}}).dump())
                  .error.has_value());
  EXPECT_FALSE(
      service
          .Tell(Json({{"ask_id", 0}, {"indices", ask.at("indices")}, {"top1_percent", 50}}).dump())
          .error.has_value());
  EXPECT_EQ(service.online().told(), 1U);
}

}  // namespace
}  // namespace bitsearch
