// How deploy decides and recalibrates, on made-up measurements.
#include "experiments/deployment/deploy_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/deployment/deploy.h"
#include "space/hardware/network_latency.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr BitChoice kFloat{NumberFormat::Float32(), NumberFormat::Float32()};
constexpr BitChoice kInt8{NumberFormat::Integer(8), NumberFormat::Integer(8)};

DeployLine Line(const std::string& name, bool candidate, double loss, double predicted_us,
                double measured_us, std::int64_t correct) {
  DeployLine line;
  line.name = name;
  line.candidate = candidate;
  line.config = BitConfig::Uniform(2, name == "fp32" ? kFloat : kInt8);
  line.predicted_loss_nats = loss;
  line.predicted_us = predicted_us;
  line.round_us = {measured_us, measured_us * 1.1, measured_us * 0.9};
  line.samples = 100;
  line.correct = correct;
  return line;
}

Budget LatencyBudget(const std::string& limit) {
  return {"fast", {ParseBudgetLimit("latency_us", limit)}};
}

TEST(DeployDecision, TakesTheMostCorrectThatKeepsTheLimit) {
  const std::vector<DeployLine> lines = {
      Line("a", true, 0.1, 90, 120, 99),  // Predicted best, but too slow as measured.
      Line("b", true, 0.2, 80, 95, 97), Line("c", true, 0.3, 70, 90, 98),
      Line("d", true, 0.4, 60, 80, 98),  // As accurate as c, and faster.
      Line("fp32", false, 0.0, 200, 50, 100)};
  const DeployDecision decision = Decide(lines, 100.0);
  EXPECT_THAT(decision.ranking, ElementsAre(3, 2, 1, 0));
  EXPECT_EQ(decision.chosen, 3U);
  EXPECT_TRUE(decision.within_limit);
  EXPECT_EQ(decision.predicted_best, 0U);
  EXPECT_EQ(decision.predicted_best_rank, 4U);
  EXPECT_EQ(Decide(lines, std::nullopt).chosen, 0U);
  const DeployDecision none = Decide(lines, 10.0);
  EXPECT_FALSE(none.within_limit);
  EXPECT_EQ(none.chosen, 3U) << "the fastest";
  EXPECT_THROW(Decide({lines.back()}, std::nullopt), Error);
}

TEST(DeployDecision, TakesRelativeLimitsOfTheMeasuredBaseline) {
  const std::vector<DeployLine> lines = {Line("a", true, 0.1, 90, 120, 99),
                                         Line("fp32", false, 0.0, 200, 500, 100)};
  EXPECT_DOUBLE_EQ(*MeasuredLatencyLimit(LatencyBudget("0.4 x fp32"), lines), 200.0);
  EXPECT_DOUBLE_EQ(*MeasuredLatencyLimit(LatencyBudget("12.5"), lines), 12.5);
  EXPECT_FALSE(MeasuredLatencyLimit({"small", {ParseBudgetLimit("size_bytes", "9")}}, lines));
  EXPECT_THROW(MeasuredLatencyLimit(LatencyBudget("0.4 x w4a8"), lines), Error);
}

TEST(Recalibration, FindsTheLineThatPointsLieOn) {
  std::vector<DeployLine> lines;
  for (const double predicted : {100.0, 150.0, 300.0}) {
    lines.push_back(Line("a", true, 0.0, predicted, 20.0 + 1.5 * predicted, 1));
  }
  lines.push_back(Line("unknown to the table", false, 0.0, 0.0, 7.0, 1));
  lines.back().predicted_us.reset();
  const Recalibration fit = FitRecalibration(lines, 0);
  ASSERT_TRUE(fit.usable);
  EXPECT_EQ(fit.points, 3U);
  EXPECT_NEAR(fit.fit.slope, 1.5, 1e-9);
  EXPECT_NEAR(fit.fit.offset, 20.0, 1e-6);
  EXPECT_GT(fit.before.median_relative_error, 0.3);
  EXPECT_NEAR(fit.after.largest_relative_error, 0.0, 1e-9);

  LatencyTable table;
  table.Add("l0", kFloat, {1000, 10, 5});
  table.Add("l1", kFloat, {3000, std::nullopt, 0});
  table.Add("l0", kInt8, {500, 4, 5});
  table.Add("l1", kInt8, {700, 4, 5});
  table.AddTransition({"l0", "l1", kFloat.activation, kInt8.activation}, {200, 2, 5});
  table.AddTransition({"l0", "l1", kInt8.activation, kFloat.activation}, {100, 2, 5});
  table.set_fixed_ns(600);
  table.DeclareSignature("l0", "Conv 1x1");
  const LatencyTable better = Recalibrated(table, fit);
  for (const BitConfig& config :
       {BitConfig::Uniform(2, kFloat), BitConfig{{kFloat, kInt8}}, BitConfig{{kInt8, kFloat}}}) {
    const std::vector<LayerKey> keys = {{"l0", ""}, {"l1", ""}};
    const double old_ns = static_cast<double>(PredictLatency(table, keys, config).total_ns());
    EXPECT_NEAR(static_cast<double>(PredictLatency(better, keys, config).total_ns()),
                20'000.0 + 1.5 * old_ns, 3.0);
  }
  EXPECT_EQ(better.Find("l0", kFloat)->stddev_ns, 15);
  EXPECT_EQ(better.declared_signatures(), table.declared_signatures());
  EXPECT_THAT(better.Provenance("recalibrated"), HasSubstr("3 measured"));
}

TEST(Recalibration, RefusesWhatNoTableMends) {
  // A negative fixed time: the offset is left out.
  std::vector<DeployLine> lines = {Line("a", true, 0, 100, 50, 1), Line("b", true, 0, 200, 250, 1)};
  const Recalibration factor = FitRecalibration(lines, 10'000);
  EXPECT_TRUE(factor.usable);
  EXPECT_EQ(factor.fit.offset, 0.0);
  EXPECT_NEAR(factor.fit.slope, (100.0 * 50 + 200.0 * 250) / (100.0 * 100 + 200.0 * 200), 1e-9);
  EXPECT_NE(factor.note, "");
  // Slower is faster.
  lines[1].round_us = {20.0};
  EXPECT_FALSE(FitRecalibration(lines, 0).usable);
  // One prediction.
  lines.pop_back();
  EXPECT_FALSE(FitRecalibration(lines, 0).usable);
}

TEST(Deployment, SaysInWordsHowPredictionsFared) {
  Deployment deployment;
  deployment.runtime = "onnxruntime-node 1.30.0";
  deployment.budget = LatencyBudget("100");
  deployment.lines = {Line("frontier 1", true, 0.1, 90, 120, 99),
                      Line("frontier 2", true, 0.2, 80, 95, 97)};
  deployment.limit_us = 100.0;
  deployment.decision = Decide(deployment.lines, deployment.limit_us);
  EXPECT_THAT(DeploymentText(deployment),
              HasSubstr("the predicted best (frontier 1) is 2nd of 2 by measurement\n"
                        "chosen: frontier 2\n"));
  deployment.decision = Decide(deployment.lines, 1.0);
  deployment.limit_us = 1.0;
  EXPECT_THAT(DeploymentText(deployment), HasSubstr("NO CANDIDATE KEEPS THE LIMIT"));
  EXPECT_THAT(DeploymentJson(deployment), HasSubstr("\"format\": \"bitsearch/deployment/1\""));
}

}  // namespace
}  // namespace bitsearch
