// The page holds the run's own numbers, whatever the layers are called and however many there are.
#include "experiments/report/report.h"

#include <cmath>
#include <fstream>
#include <string>

#include "experiments/report/report_facts.h"
#include "experiments/result_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "tests/experiments/report/synthetic_run.h"

namespace bitsearch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

/// The page's block of data, as a browser reads it.
Json DataOf(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const std::size_t start = page.find(open) + open.size();
  return Json::parse(page.substr(start, page.find("</script>", start) - start));
}

Json PageDataOf(const std::map<std::string, std::string>& files, const std::string& title = "run") {
  return DataOf(ReportHtml({ReadReportData(SourceOf(files, title))})).at("runs").at(0);
}

TEST(ReportTest, ThePageHoldsTheArtifactsAsTheyAre) {
  auto files = SyntheticArtifacts({});
  AddEveryStage({}, &files);
  const Json shown = PageDataOf(files).at("files");
  for (const auto& [name, text] : files) {
    SCOPED_TRACE(name);
    if (name == "transitions.csv") continue;  // below
    ASSERT_TRUE(shown.contains(name));
    if (name.ends_with(".csv")) {
      EXPECT_EQ(shown.at(name).get<std::string>(), text);
      continue;
    }
    Json expected = Json::parse(text);
    if (name.starts_with("config_")) {
      for (Json& layer : expected.at("layers")) layer.erase("weight_quantizer");
    }
    EXPECT_EQ(shown.at(name), expected);
  }
}

TEST(ReportTest, TransitionsThatCostNothingAreLeftOut) {
  auto files = SyntheticArtifacts({});
  files["transitions.csv"] += "conv1,block.conv,4,4,0\n";
  EXPECT_EQ(PageDataOf(files).at("files").at("transitions.csv").get<std::string>(),
            SyntheticArtifacts({}).at("transitions.csv"));
}

TEST(ReportTest, AfterTrainingTheTunedAccuracyIsTheHeadline) {
  auto files = SyntheticArtifacts({});
  std::vector<ResultRow> rows = ParseResultsJson(files.at("results.json"), "results.json");
  for (ResultRow& row : rows) {
    if (row.line == "ours") row.top1_percent = 92.25;
    if (row.line == "uniform") row.p_value = 0.5;
  }
  files["tuned_results.json"] = ResultsJson(rows);
  const Json facts = PageDataOf(files).at("facts").at("budgets").at(0);
  EXPECT_EQ(facts.at("top1").at("percent"), 92.25);
  EXPECT_EQ(facts.at("top1_before_training_percent"), 91.5);
  EXPECT_EQ(facts.at("lines").at("not distinguishable"), Json::array({"uniform"}));
  EXPECT_THAT(ReportMarkdown(ReadReportData(SourceOf(files, "tuned"))),
              testing::HasSubstr("after training at these bits (before: 91.50 %)"));
  const Json untrained = PageDataOf(SyntheticArtifacts({})).at("facts").at("budgets").at(0);
  EXPECT_FALSE(untrained.contains("top1_before_training_percent"));
}

TEST(ReportTest, FactsFollowFromTheArtifacts) {
  const Json facts = PageDataOf(SyntheticArtifacts({})).at("facts").at("budgets").at(0);
  // Layer l loses (l + 1)·1e-3·4^−4.
  EXPECT_EQ(facts.at("limiting_layers").at(0).at("name"), "fc");
  EXPECT_DOUBLE_EQ(facts.at("limiting_layers").at(0).at("loss_nats"), 3e-3 / 256);
  EXPECT_DOUBLE_EQ(facts.at("limiting_layers").at(0).at("share"), 0.5);
  EXPECT_NEAR(facts.at("predicted").at("standard_error").get<double>(),
              1e-4 / 256 * std::sqrt(14.0), 1e-18);
  EXPECT_EQ(facts.at("stability").at("steady_layers"), 3);
  EXPECT_EQ(facts.at("lines").at("worse"), Json::array({"uniform"}));
  EXPECT_EQ(facts.at("top1").at("percent"), 91.5);
  const Json& purchase = facts.at("more_budget").at(0);
  EXPECT_EQ(purchase.at("one_unit").at("unit"), "ms");
  EXPECT_TRUE(purchase.at("one_unit").at("beyond"));  // a millisecond more allows anything
}

TEST(ReportTest, WilsonsIntervalIsAsPublished) {
  // Newcombe (1998), table I: 81 of 263, method 3.
  const auto [low, high] = WilsonPercent(81, 263);
  EXPECT_NEAR(low, 25.53, 0.005);
  EXPECT_NEAR(high, 36.62, 0.005);
  EXPECT_DOUBLE_EQ(WilsonPercent(0, 20).first, 0.0);
}

TEST(ReportTest, AtMostFiveHundredPointsAndAlwaysThoseAtTheBudget) {
  SyntheticRun run;
  run.points = 5000;
  run.layers.clear();
  for (int l = 0; l < 40; ++l) run.layers.push_back("layer" + std::to_string(l));
  run.limit = 199.9;
  const auto files = SyntheticArtifacts(run);
  const Json all = Json::parse(files.at("frontier_latency_us.json")).at("points");
  const Json frontier = PageDataOf(files).at("files").at("frontier_latency_us.json");
  const Json& kept = frontier.at("points");
  EXPECT_LE(kept.size(), kMostFrontierPoints);
  EXPECT_GT(kept.size(), 60U);
  EXPECT_EQ(frontier.at("points_in_file"), 5000);
  EXPECT_EQ(kept.front(), all.front());
  EXPECT_EQ(kept.back(), all.back());
  const std::size_t at = LastPointWithin(all, "latency_us", run.limit);
  ASSERT_LT(at + 1, all.size());
  for (const std::size_t wanted : {at, at + 1}) {
    EXPECT_NE(std::find(kept.begin(), kept.end(), all[wanted]), kept.end()) << wanted;
  }
  // Every point that is shown is one of the file's.
  std::size_t found = 0;
  for (const Json& point : kept) {
    while (found < all.size() && all[found] != point) ++found;
    ASSERT_LT(found, all.size());
  }
}

TEST(ReportTest, AThousandLayersFitOnAPageOfThreeMegabytes) {
  SyntheticRun run;
  run.points = 2000;
  run.layers.clear();
  for (int l = 0; l < 1000; ++l) run.layers.push_back("features.block" + std::to_string(l));
  const std::string page = ReportHtml({ReadReportData(SourceOf(SyntheticArtifacts(run), "deep"))});
  EXPECT_LT(page.size(), 3'000'000U);
  EXPECT_GE(
      DataOf(page).at("runs")[0].at("files").at("frontier_latency_us.json").at("points").size(),
      100U);
}

TEST(ReportTest, NamesCannotLeaveTheDataNorTheMarkdown) {
  SyntheticRun run;
  run.layers = {"</script><script>alert(1)</script>", "a\"b,c d", "<!--<img src=x onerror=x>|*_`"};
  const auto files = SyntheticArtifacts(run);
  const std::string title = "<b>&title</b>";
  const ReportData data = ReadReportData(SourceOf(files, title));
  const std::string page = ReportHtml({data});
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(page, Not(HasSubstr("<!--<img")));
  EXPECT_THAT(page, HasSubstr("<title>&lt;b&gt;&amp;title&lt;/b&gt;</title>"));
  const Json layers = DataOf(page).at("runs")[0].at("files").at("config_1.json").at("layers");
  for (std::size_t l = 0; l < run.layers.size(); ++l)
    EXPECT_EQ(layers[l].at("name"), run.layers[l]);
  const std::string markdown = ReportMarkdown(data);
  EXPECT_THAT(markdown, Not(HasSubstr("<img")));
  EXPECT_THAT(markdown, HasSubstr("&lt;img src=x onerror=x&gt;\\|\\*\\_\\`"));
}

TEST(ReportTest, TextThatIsNotUtf8IsReplaced) {
  auto files = SyntheticArtifacts({});
  files["candidates.csv"] += "\xff\xfe";
  EXPECT_NO_THROW(PageDataOf(files));
}

TEST(ReportTest, AnUnfinishedRunHasAPageToo) {
  auto files = SyntheticArtifacts({});
  for (const char* name : {"results.json", "config_1.json", "refined.json", "explanation_1.json"}) {
    files.erase(name);
  }
  LiveState live;
  live.running = true;
  live.reload_seconds = 3;
  live.stages["sensitivity"] = {{"items", 12}, {"finished", false}, {"seconds", 1.5}};
  const std::string page = ReportHtml({ReadReportData(SourceOf(files, "run"))}, live);
  EXPECT_THAT(page, HasSubstr("<meta http-equiv=\"refresh\" content=\"3\">"));
  EXPECT_EQ(DataOf(page).at("live").at("stages").at("sensitivity").at("items"), 12);
  EXPECT_THAT(ReportHtml({ReadReportData(SourceOf(files, "run"))}), Not(HasSubstr("refresh")));
}

TEST(ReportTest, TwoRunsAreTestedAgainstEachOtherOnTheSameRecordsOnly) {
  const auto files = SyntheticArtifacts({});
  ReportData a = ReadReportData(SourceOf(files, "a"));
  ReportData b = a;
  a.correct["fast"] = std::vector<bool>(20, true);
  b.correct["fast"] = std::vector<bool>(20, true);
  for (std::size_t i = 0; i < 6; ++i) b.correct["fast"][i] = false;
  const auto p_value = [&] {
    return DataOf(ReportHtml({a, b})).at("comparison").at("budgets").at(0).at("p_value");
  };
  EXPECT_TRUE(p_value().is_null());
  a.records = b.records = "records";
  EXPECT_DOUBLE_EQ(p_value().get<double>(), 2.0 / 64.0);
  b.records = "others";
  EXPECT_TRUE(p_value().is_null());
}

TEST(ReportTest, TheMarkdownSummaryIsAsReviewed) {
  SyntheticRun run;
  run.limit = 15.0;
  const auto files = SyntheticArtifacts(run);
  const std::string markdown = ReportMarkdown(ReadReportData(SourceOf(files, "three_layers")));
  const std::string golden =
      ReadTextFile(BITSEARCH_SOURCE_DIR "/tests/experiments/report/summary.golden.md");
  EXPECT_EQ(markdown, golden) << "if this is meant, put it into summary.golden.md:\n" << markdown;
}

TEST(ReportTest, ADamagedArtifactIsSaidWithItsPlace) {
  const auto message_with = [&](const std::string& config, const std::string& frontier) {
    std::map<std::string, std::string> files = {{"results.json", ResultsJson({})},
                                                {"config_1.json", config},
                                                {"frontier_bops.json", frontier}};
    try {
      ReadReportData(SourceOf(files, "page"));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string frontier = R"({"format": "bitsearch/frontier/1", "exact": true, "points": []})";
  const std::string config = R"({"format": "bitsearch/config/1", "layers": []})";
  EXPECT_THAT(message_with(R"({"format": "bitsearch/config/1"})", frontier),
              HasSubstr("config_1.json:1:1: error: the field \"layers\" is missing"));
  EXPECT_THAT(message_with(config, R"({"format": "bitsearch/frontier/1",
 "points": [{"objective": 1, "resources": 3}]})"),
              HasSubstr("frontier_bops.json:2:43: error: points[0].resources"));
  EXPECT_THAT(message_with("{}", frontier), HasSubstr("resume the run"));
}

}  // namespace
}  // namespace bitsearch
