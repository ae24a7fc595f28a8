// A whole run on a tiny network with a synthetic backend: results, resume after a kill at every
// item, infeasible budgets. Needs no LibTorch.
#include "experiments/search_run.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/baselines.h"
#include "experiments/config_file.h"
#include "experiments/report/run_report.h"
#include "experiments/result_rows.h"
#include "experiments/result_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/graph/onnx_writer.h"
#include "space/network/builtin.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "tests/experiments/fake_run.h"
#include "tests/experiments/run_artifacts.h"
#include "tests/space/network/npy_text.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kYaml = R"(
seed: 3
model: {file: net.onnx}
data:
  source: cifar10:images.bin
  calibration: {samples: 10}
  search: {first: 10, samples: 20}
  report: {first: 30, samples: 30}
space:
  weight_bits: [2, 3, 4, 8]
  pins: {conv1: {weight: 8}}
budgets:
  - {name: half, size_bytes: 0.5 x int8}
  - {name: three, mean_weight_bits: 3}
baselines:
  lines: [fp32, uniform, two_level, first_last_8, random, greedy, parameters, blind, reversed]
  random_count: 5
)";

class SearchRunTest : public FakeRunTest {
 protected:
  SearchRunTest() : FakeRunTest(kYaml, 60) {}
};

TEST_F(SearchRunTest, WritesEveryArtifact) {
  Run("run");
  const auto artifacts = RunArtifacts(folder_ / "run");
  for (const char* name : {"layers.csv",
                           "costs.csv",
                           "sensitivity.csv",
                           "solution_1.json",
                           "solution_2.json",
                           "frontier_size_bits.json",
                           "frontier_parameter_bits.json",
                           "evaluations.json",
                           "results.json",
                           "results.csv",
                           "results.txt",
                           "config_1.json",
                           "config_2.json",
                           "explanation_1.json",
                           "explanation_2.json",
                           "stability_1.json",
                           "stability_2.json",
                           "network.json",
                           "report.html",
                           "report.md"}) {
    EXPECT_TRUE(artifacts.contains(name)) << name;
    EXPECT_FALSE(artifacts.at(name).empty()) << name;
  }
  // One row per line (ours and additive too), two for random, for each of two budgets; and fp32.
  const auto rows = ParseResultsJson(artifacts.at("results.json"), "results.json");
  EXPECT_EQ(rows.size(), 1U + 2U * 11U);
  for (const ResultRow& row : rows) {
    EXPECT_TRUE(row.top1_percent.has_value()) << row.line << " " << row.note;
    if (row.budget == "three" && row.mean_weight_bits.has_value()) {
      EXPECT_LE(*row.mean_weight_bits, 3.0) << row.line;
    }
  }
  EXPECT_EQ(ResultsJson(rows), artifacts.at("results.json"));
  EXPECT_THAT(artifacts.at("report.html"), ::testing::HasSubstr("bitsearch/explanation/1"));
  // bitsearch report writes the same page from the same files.
  WriteFileAtomically(folder_ / "run" / "resolved.yaml", ExperimentText(Read()));
  WriteRunReport(folder_ / "run");
  const auto again = RunArtifacts(folder_ / "run");
  EXPECT_EQ(again.at("report.html"), artifacts.at("report.html"));
  EXPECT_EQ(again.at("report.md"), artifacts.at("report.md"));
}

TEST_F(SearchRunTest, ResultsDoNotDependOnFolderOrThreads) {
  Run("a");
  Run("b", {}, 4);
  EXPECT_EQ(RunArtifacts(folder_ / "a"), RunArtifacts(folder_ / "b"));
}

TEST_F(SearchRunTest, AKillAtAnyUnitOfWorkChangesNothing) {
  Run("whole");
  const auto expected = RunArtifacts(folder_ / "whole");
  for (int kill_at = 0; kill_at < 60; kill_at += 3) {
    const std::string out = "killed_" + std::to_string(kill_at);
    fuse_.left = kill_at;
    bool killed = false;
    try {
      Run(out);
    } catch (const Killed&) {
      killed = true;
    }
    fuse_.left = -1;
    if (killed) {
      Run(out);
    }
    EXPECT_EQ(RunArtifacts(folder_ / out), expected) << "killed at unit " << kill_at;
    fs::remove_all(folder_ / out);
  }
}

TEST_F(SearchRunTest, AResumeComputesNothingTwice) {
  Run("run");
  fuse_.left = 0;
  EXPECT_TRUE(Run("run").computed.empty());
  // Another budget: sensitivities stay, so only new configurations cost anything.
  fuse_.left = -1;
  const auto summary = Run("run", {"budgets=[{bops: 0.9 x w8afp32}]"});
  EXPECT_THAT(summary.skipped, ::testing::ElementsAre("costs", "sensitivity"));
}

TEST_F(SearchRunTest, InfeasibleBudgetsAreSaidBeforeAnything) {
  try {
    PrepareSearch(Read({"budgets=[{size_bytes: 10}, {mean_weight_bits: 1}]"}), RunContext{});
    FAIL();
  } catch (const ErrorList& list) {
    ASSERT_EQ(list.errors().size(), 2U);
    EXPECT_EQ(list.errors()[0].id(), ErrorId::kBudgetInfeasible);
    EXPECT_THAT(list.errors()[0].message(), ::testing::HasSubstr("least possible"));
  }
}

TEST_F(SearchRunTest, UnmatchedPinsAndMissingFilesAreErrors) {
  const auto id_of = [&](const std::string& override_text) {
    try {
      PrepareSearch(Read({override_text}), RunContext{});
    } catch (const Error& error) {
      return error.id();
    } catch (const ErrorList& list) {
      return list.errors().front().id();
    }
    return ErrorId::kInternal;
  };
  EXPECT_EQ(id_of("space.pins.conv7={weight: 8}"), ErrorId::kPinUnmatched);
  EXPECT_EQ(id_of("model.file=none.onnx"), ErrorId::kFileNotFound);
  EXPECT_EQ(id_of("search.solver=simplex"), ErrorId::kSolverUnknown);
}

TEST_F(SearchRunTest, NoFaultHidesAnother) {
  WriteFileAtomically(folder_ / "losses.csv",
                      "layer,weight_bits,activation_bits,loss_increase\nconv1,8,fp32,nan\n");
  try {
    PrepareSearch(Read({"sensitivity.file=" + (folder_ / "losses.csv").string(),
                        "data.report.samples=400", "data.search=cifar10:absent.bin",
                        "search.solver=simplex", "budgets=[{mean_weight_bits: 1}]"}),
                  RunContext{});
    FAIL();
  } catch (const ErrorList& list) {
    std::set<ErrorId> ids;
    for (const Error& error : list.errors()) ids.insert(error.id());
    EXPECT_THAT(ids, ::testing::UnorderedElementsAre(
                         ErrorId::kCsvNumber, ErrorId::kDataCount, ErrorId::kFileNotFound,
                         ErrorId::kSolverUnknown, ErrorId::kBudgetInfeasible))
        << list.what();
  }
}

TEST_F(SearchRunTest, TheConfigurationSaysHowItWasChosen) {
  const auto config_of = [&](const std::string& out, const std::vector<std::string>& overrides) {
    Run(out, overrides);
    return nlohmann::json::parse(ReadTextFile(folder_ / out / "config_1.json"));
  };
  const nlohmann::json measured = config_of("measured", {});
  EXPECT_EQ(measured.at("chosen_by"), "measured");
  EXPECT_GE(measured.at("predicted_loss_nats"), measured.at("lower_bound_nats"));
  const nlohmann::json predicted = config_of("predicted", {"search.measured_candidates=0"});
  EXPECT_EQ(predicted.at("chosen_by"), "predicted");
  EXPECT_EQ(predicted.at("gap"), 0.0);
  EXPECT_EQ(predicted.at("lower_bound_nats"), measured.at("lower_bound_nats"));
}

TEST_F(SearchRunTest, StabilityIsTheSameInEveryFile) {
  Run("run", {"search.measured_candidates=0", "sensitivity.redraws=40"});
  const auto artifacts = RunArtifacts(folder_ / "run");
  const auto parsed = [&](const std::string& name) {
    return nlohmann::json::parse(artifacts.at(name));
  };
  const nlohmann::json config = parsed("config_1.json");
  const nlohmann::json stability = config.at("stability");
  EXPECT_EQ(stability.at("redraws"), 40);
  const nlohmann::json row = parsed("results.json").at("rows").at(1);
  ASSERT_EQ(row.at("line"), "ours");
  EXPECT_EQ(row.at("stability"), stability);
  EXPECT_EQ(ReadConfigJson(folder_ / "run" / "config_1.json").stability->layers.size(),
            config.at("layers").size());
  // The page shows votes; they are those of the same optima.
  const nlohmann::json explanation = parsed("explanation_1.json");
  EXPECT_EQ(explanation.at("redraws"), 40);
  double least = 1.0;
  for (std::size_t l = 0; l < config.at("layers").size(); ++l) {
    const nlohmann::json& layer = config.at("layers")[l];
    double kept = 0.0;
    double total = 0.0;
    for (const nlohmann::json& vote : explanation.at("votes")[l]) {
      total += vote[2].get<double>();
      if (vote[0] == layer.at("weight_bits") && vote[1] == layer.at("activation_bits")) {
        kept = vote[2].get<double>();
      }
    }
    EXPECT_EQ(total, 40.0);
    EXPECT_DOUBLE_EQ(stability.at("layers")[l].get<double>(), kept / 40.0);
    least = std::min(least, kept / 40.0);
  }
  // Losses differ by less than their errors here, so something moves; no layer moves less often
  // than all of them together.
  EXPECT_LT(least, 1.0);
  EXPECT_LE(stability.at("configuration").get<double>(), least);
  EXPECT_THAT(artifacts.at("results.txt"), ::testing::HasSubstr("of 40 redraws"));

  Run("without", {"sensitivity.redraws=0"});
  const auto without = RunArtifacts(folder_ / "without");
  EXPECT_FALSE(nlohmann::json::parse(without.at("config_1.json")).contains("stability"));
  EXPECT_THAT(without.at("results.txt"), ::testing::Not(::testing::HasSubstr("redraws")));
}

TEST_F(SearchRunTest, PairTermsReachTheSolver) {
  Run("alone", {"search.measured_candidates=0"});
  Run("run", {"search.measured_candidates=0", "sensitivity.pairs=neighbours"});
  const auto artifacts = RunArtifacts(folder_ / "run");
  EXPECT_FALSE(RunArtifacts(folder_ / "alone").contains("pairs.csv"));
  const SensitivityReport losses =
      ParseSensitivityCsv(artifacts.at("sensitivity.csv"), "sensitivity.csv");
  const auto pairs = ReadPairsCsv((folder_ / "run" / "pairs.csv").string());
  EXPECT_EQ(pairs.size(), 4U + (losses.layers.size() - 2) * 16U);  // The first layer is pinned.
  const ConfigDocument config = ReadConfigJson(folder_ / "run" / "config_1.json");
  std::map<std::string, BitChoice> chosen;
  for (const ConfigLayer& layer : config.layers) chosen[layer.name] = layer.choice;
  double sum = 0.0;
  for (const LayerSensitivity& layer : losses.layers) {
    for (const ChoiceSensitivity& row : layer.choices) {
      if (row.choice == chosen.at(layer.layer)) sum += row.loss_increase;
    }
  }
  const double alone = sum;
  for (const PairSensitivity& pair : pairs) {
    if (chosen.at(pair.layer_a) == pair.choice_a && chosen.at(pair.layer_b) == pair.choice_b) {
      sum += pair.loss_increase;
    }
  }
  EXPECT_NE(sum, alone);
  EXPECT_NEAR(*config.predicted_loss_nats, sum, 1e-12);
  const auto solution = nlohmann::json::parse(artifacts.at("solution_1.json"));
  EXPECT_NEAR(solution.at("objective").get<double>(), sum, 1e-12);
  EXPECT_EQ(solution.at("status"), "optimal");
  EXPECT_NE(artifacts.at("solution_1.json"), RunArtifacts(folder_ / "alone").at("solution_1.json"));
  // Between all layers, the frontier goes by the layers' own losses.
  Run("all", {"search.measured_candidates=0", "sensitivity.pairs=1000"});
  EXPECT_TRUE(RunArtifacts(folder_ / "all").contains("frontier_size_bits.json"));
}

TEST(LinesJsonTest, ASearchWithoutABoundIsReadBack) {
  BudgetLines lines;
  lines.lower_bound = -std::numeric_limits<double>::infinity();
  lines.gap = std::numeric_limits<double>::infinity();
  const std::vector<BudgetLines> again = ParseLinesJson(LinesJson({lines}));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].lower_bound, lines.lower_bound);
  EXPECT_EQ(again[0].gap, lines.gap);
}

TEST_F(SearchRunTest, StartingConfigurationsAreRowsAndCandidates) {
  Run("long");
  const fs::path best = folder_ / "long" / "config_1.json";
  const fs::path wide = folder_ / "wide.csv";
  std::string csv = "layer,weight_bits,activation_bits\n";
  for (const ConfigLayer& layer : ReadConfigJson(best.string()).layers) {
    csv += layer.name + ",6,fp32\n";
  }
  WriteFileAtomically(wide, csv);
  const std::string start = "search.start=[" + best.string() + ", " + wide.string() + "]";
  Run("short", {"search.measured_candidates=2", start});
  const auto rows_of = [&](const std::string& run) {
    const std::string text = ReadTextFile(folder_ / run / "results.json");
    std::map<std::string, ResultRow> rows;
    for (const ResultRow& row : ParseResultsJson(text, run)) {
      if (row.budget == "half") rows[row.line] = row;
    }
    return rows;
  };
  const auto rows = rows_of("short");
  // Two candidates: the additive optimum and the start, which 40 measured ones had found.
  EXPECT_EQ(rows.at("ours").predicted_loss_nats, rows_of("long").at("ours").predicted_loss_nats);
  EXPECT_EQ(rows.at("start long/config_1.json").costs, rows.at("ours").costs);
  EXPECT_TRUE(
      rows.at("start " + folder_.filename().string() + "/wide.csv").top1_percent.has_value());
  EXPECT_THAT(rows.at("start " + folder_.filename().string() + "/wide.csv").note,
              ::testing::HasSubstr("outside the search space"));

  // A changed file is another start; a moved one is not.
  fuse_.left = 0;
  EXPECT_TRUE(Run("short", {"search.measured_candidates=2", start}).computed.empty());
  fuse_.left = -1;
  csv.replace(csv.find(",6,"), 3, ",4,");
  WriteFileAtomically(wide, csv);
  EXPECT_THAT(Run("short", {"search.measured_candidates=2", start}).skipped,
              ::testing::ElementsAre("costs", "sensitivity", "stability", "explanation"));
  EXPECT_THROW(Run("none", {"search.start=[absent.csv]"}), ErrorList);
}

TEST_F(SearchRunTest, OursIsNeverWorseThanABaselineInPredictedLoss) {
  Run("run", {"search.measured_candidates=0"});
  const auto rows =
      ParseResultsJson(ReadTextFile(folder_ / "run" / "results.json"), "results.json");
  double ours = 0.0;
  for (const ResultRow& row : rows) {
    if (row.line == "ours") ours = *row.predicted_loss_nats;
    if (!row.budget.empty() && row.predicted_loss_nats.has_value()) {
      EXPECT_GE(*row.predicted_loss_nats, ours - 1e-12) << row.line;
    }
  }
}

TEST_F(SearchRunTest, OursIsTheBestOfWhatWasMeasuredOnTheSearchRecords) {
  Run("run");
  const auto rows =
      ParseResultsJson(ReadTextFile(folder_ / "run" / "results.json"), "results.json");
  // The fake network's KL does not depend on the records, so what is best on the search records is
  // best in the report too, among the lines that were candidates.
  const std::set<std::string> candidates = {"additive", "uniform",      "two_level",
                                            "greedy",   "first_last_8", "blind"};
  double ours = 0.0;
  int compared = 0;
  for (const ResultRow& row : rows) {
    if (row.line == "ours") ours = *row.kl_nats;
    if (!candidates.contains(row.line)) continue;
    EXPECT_GE(*row.kl_nats, ours) << row.line;
    ++compared;
  }
  EXPECT_EQ(compared, 2 * 6);
  const std::string csv = ReadTextFile(folder_ / "run" / "candidates.csv");
  // Fewer than asked for where the beliefs have nothing new to propose.
  const auto measured = std::count(csv.begin(), csv.end(), '\n') - 1;
  EXPECT_GT(measured, 2 * 6);
  EXPECT_LE(measured, 2 * 40);
}

TEST_F(SearchRunTest, AGoalGivesTheCheapestConfigurationWithinTheDrop) {
  const auto goal_of = [&](const std::string& drop) {
    const std::string out = "goal" + drop;
    Run(out, {"goal={minimise: size_bytes, subject_to: {accuracy_drop: " + drop + "}}"});
    const auto config = nlohmann::json::parse(ReadTextFile(folder_ / out / "config_goal.json"));
    EXPECT_EQ(config.at("chosen_by"), "goal");
    EXPECT_TRUE(fs::exists(folder_ / out / "results.json"));  // budgets are answered as well
    return nlohmann::json::parse(ReadTextFile(folder_ / out / "goal.json"));
  };
  const nlohmann::json strict = goal_of("40");
  const nlohmann::json lax = goal_of("90");
  const auto size = [](const nlohmann::json& goal) {
    return std::stod(goal.at("costs").at("size_bytes").get<std::string>());
  };
  EXPECT_LT(size(lax), size(strict));
  for (const nlohmann::json* json : {&strict, &lax}) {
    const nlohmann::json& goal = *json;
    EXPECT_EQ(goal.at("status"), "met");
    EXPECT_LE(goal.at("confirmation").at("upper_bound_percent").get<double>(),
              goal.at("accuracy_drop_percent").get<double>());
    // Far fewer than a walk along the frontier would measure.
    EXPECT_LT(goal.at("evaluations").get<int>(), goal.at("frontier_points").get<int>() / 4);
  }
  // Twenty records cannot show that a drop is at most nothing.
  try {
    Run("none", {"goal={minimise: size_bytes, subject_to: {accuracy_drop: 0}}"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kBudgetInfeasible);
    EXPECT_EQ(error.key(), "goal.subject_to.accuracy_drop");
  }
}

TEST_F(SearchRunTest, WithoutLabelsOutputErrorsAreSearchedAndCompared) {
  WriteFileAtomically(folder_ / "x.npy",
                      Npy("|u1", "60, 3, 32, 32", std::vector<std::uint8_t>(60 * 3 * 32 * 32, 7)));
  const std::string source = "data.source=npy:" + (folder_ / "x.npy").string();
  const std::string goal = "goal={minimise: size_bytes, subject_to: {output_error: 20}}";
  Run("run", {source, goal});
  const auto artifacts = RunArtifacts(folder_ / "run");
  const std::vector<ResultRow> rows =
      ParseResultsJson(artifacts.at("results.json"), "results.json");
  EXPECT_EQ(ResultsJson(rows), artifacts.at("results.json"));
  double ours = 0.0;
  for (const ResultRow& row : rows) {
    EXPECT_FALSE(row.top1_percent.has_value()) << row.line;
    EXPECT_FALSE(row.kl_nats.has_value()) << row.line;
    ASSERT_TRUE(row.output_error_percent.has_value()) << row.line;
    if (row.line == "ours") ours = *row.output_error_percent;
    if (row.line == "reversed") {
      // Every record is farther away: the sign test is as sure as it can be.
      EXPECT_GT(*row.output_error_percent, ours);
      EXPECT_DOUBLE_EQ(row.p_value.value(), std::pow(0.5, 29));
    }
  }
  EXPECT_THAT(artifacts.at("results.txt"), ::testing::HasSubstr("output error %"));
  EXPECT_THAT(artifacts.at("results.txt"), ::testing::Not(::testing::HasSubstr("top-1")));
  EXPECT_THAT(artifacts.at("candidates.csv"),
              ::testing::StartsWith("budget,configuration,predicted_loss_nats,"
                                    "measured_output_error_percent\n"));
  EXPECT_THAT(artifacts.at("report.md"), ::testing::HasSubstr("output error"));
  EXPECT_THAT(artifacts.at("report.html"), ::testing::HasSubstr(R"("goal":{"name":"goal")"));
  const auto config = nlohmann::json::parse(artifacts.at("config_1.json"));
  EXPECT_TRUE(config.at("measured").contains("output_error_percent"));
  EXPECT_FALSE(config.at("measured").contains("top1_percent"));

  const auto answer = nlohmann::json::parse(artifacts.at("goal.json"));
  EXPECT_EQ(answer.at("status"), "met");
  EXPECT_LE(answer.at("confirmation").at("upper_bound_percent").get<double>(), 20.0);
  const auto size = [](const nlohmann::json& of) {
    return std::stod(of.at("costs").at("size_bytes").get<std::string>());
  };
  EXPECT_EQ(answer.at("fallback").at("status"), "met");
  EXPECT_LE(size(answer), size(answer.at("fallback")));
  const auto fallback = nlohmann::json::parse(artifacts.at("config_goal_fallback.json"));
  EXPECT_EQ(fallback.at("chosen_by"), "fallback");

  // Labels decide what can be limited.
  const std::string drop = "goal={minimise: size_bytes, subject_to: {accuracy_drop: 1}}";
  EXPECT_THROW(Run("a", {source, drop}), ErrorList);
  EXPECT_THROW(Run("b", {goal}), ErrorList);
  EXPECT_THROW(Run("c", {"data.search=npy:" + (folder_ / "x.npy").string()}), ErrorList);
  EXPECT_THROW(Run("d", {source, "sensitivity.method=hessian"}), ErrorList);
}

TEST_F(SearchRunTest, OffersOnlyWhatTheDeviceRuns) {
  WriteFileAtomically(folder_ / "npu.yaml",
                      "device: npu\nruns:\n  - {weight_bits: [4, 8], activation_bits: [fp32]}\n");
  Run("run", {"costs.capabilities=" + (folder_ / "npu.yaml").string(),
              "budgets=[{size_bytes: 0.8 x int8}]", "baselines.random_count=2"});
  const auto artifacts = RunArtifacts(folder_ / "run");
  EXPECT_THAT(artifacts.at("costs.csv"), ::testing::HasSubstr(",4,fp32,"));
  EXPECT_THAT(artifacts.at("costs.csv"), ::testing::Not(::testing::HasSubstr(",3,fp32,")));
  // What it would run as takes an unknown time: not offered either.
  WriteFileAtomically(folder_ / "npu.yaml", "device: npu\nfallback: fp32\nruns: []\n");
  EXPECT_THROW(Run("none", {"costs.capabilities=" + (folder_ / "npu.yaml").string()}), ErrorList);
}

TEST_F(SearchRunTest, AGoalNeedsNoBudgets) {
  WriteFileAtomically(
      folder_ / "x.yaml",
      std::string(kYaml).replace(
          std::string(kYaml).find("budgets:"),
          std::string(kYaml).find("baselines:") - std::string(kYaml).find("budgets:"),
          "goal: {minimise: bops, subject_to: {accuracy_drop: 80}}\n"));
  const auto summary = Run("run");
  EXPECT_THAT(summary.computed,
              ::testing::ElementsAre("costs", "sensitivity", "goal", "explanation", "report"));
  EXPECT_TRUE(Run("run").computed.empty());
}

TEST(RemarksTest, NameABaselineThatIsAsGoodAndCheaper) {
  const auto row = [](const std::string& line, const std::string& cost, double top1,
                      std::optional<double> p_value) {
    ResultRow made;
    made.budget = "b";
    made.line = line;
    made.costs = {{"size_bytes", cost}, {"latency_us", "7.5"}};
    made.top1_percent = top1;
    made.p_value = p_value;
    return made;
  };
  const ResultRow ours = row("ours", "100", 90.0, std::nullopt);
  using ::testing::ElementsAre;
  using ::testing::HasSubstr;
  using ::testing::IsEmpty;
  EXPECT_THAT(
      Remarks({ours, row("uniform", "94", 89.9, 0.4)}),
      ElementsAre(testing::AllOf(HasSubstr("uniform () costs no more"),
                                 HasSubstr("not distinguishable"), HasSubstr("prefer it"))));
  // Few labels do not show what the divergence shows.
  ResultRow far = row("uniform", "94", 89.9, 0.4);
  far.kl_nats = 0.04;
  ResultRow close = ours;
  close.kl_nats = 0.01;
  EXPECT_THAT(Remarks({close, far}),
              ElementsAre(testing::AllOf(HasSubstr("further from the float network"),
                                         testing::Not(HasSubstr("prefer it")))));
  // One advice for a budget: the most accurate.
  EXPECT_THAT(Remarks({ours, row("uniform", "94", 89.9, 0.4), row("greedy", "94", 90.2, 0.4)}),
              ElementsAre(HasSubstr("greedy")));
  EXPECT_THAT(Remarks({ours, row("blind", "90.5", 91.0, 0.001)}), ElementsAre(HasSubstr("better")));
  EXPECT_THAT(Remarks({ours, row("uniform", "90", 89.0, 0.001)}), IsEmpty());  // worse
  EXPECT_THAT(Remarks({ours, row("uniform", "101", 90.0, 0.9)}), IsEmpty());   // dearer
  EXPECT_THAT(Remarks({ours, row("uniform", "99", 90.0, 0.9)}), IsEmpty());    // hardly cheaper
  EXPECT_THAT(Remarks({ours, row("random", "", 90.0, std::nullopt)}), IsEmpty());
}

TEST(EvaluationJsonTest, KeepsEveryBit) {
  for (const std::size_t samples : {0U, 1U, 3U, 4U, 5U, 64U, 1001U}) {
    Evaluation evaluation;
    evaluation.samples = static_cast<std::int64_t>(samples);
    RandomStream random(samples, "bits");
    for (std::size_t i = 0; i < samples; ++i) {
      evaluation.correct_per_sample.push_back(random.Sign() > 0);
    }
    evaluation.loss_nats = 0.1 + 0.2;
    evaluation.kl_nats = std::nan("");
    const Evaluation again = ParseEvaluationJson(EvaluationJson(evaluation));
    EXPECT_EQ(again.correct_per_sample, evaluation.correct_per_sample);
    EXPECT_EQ(again.loss_nats, evaluation.loss_nats);
    EXPECT_TRUE(std::isnan(again.kl_nats));
  }
}

TEST(ParseCanonicalTest, ReadsWhatBitConfigWrites) {
  const BitConfig config{{{NumberFormat::Integer(4), NumberFormat::Float32()},
                          {NumberFormat::Ternary(), NumberFormat::Integer(8)}}};
  EXPECT_EQ(ParseCanonical(config.Canonical()), config);
  EXPECT_FALSE(ParseCanonical("4/8,").has_value());
  EXPECT_FALSE(ParseCanonical("4").has_value());
}

TEST_F(SearchRunTest, PredictorPutsTheBestOfWhatItProposedInFrontAndResumes) {
  const std::vector<std::string> overrides = {
      "search.method=predictor", "search.cheap_evaluations=40",     "search.cheap_samples=10",
      "search.held_out=8",       "search.expensive_evaluations=12", "search.evaluations=150",
      "search.evaluate_best=3"};
  Run("whole", overrides);
  const auto whole = RunArtifacts(folder_ / "whole");
  std::map<std::string, double> ours, additive;
  for (const ResultRow& row : ParseResultsJson(whole.at("results.json"), "results.json")) {
    if (row.line == "ours") ours[row.budget] = row.kl_nats.value();
    if (row.line == "additive") additive[row.budget] = row.kl_nats.value();
  }
  ASSERT_EQ(ours.size(), 2U);
  for (const auto& [budget, kl] : ours) EXPECT_LE(kl, additive.at(budget)) << budget;
  const auto curve = nlohmann::json::parse(whole.at("transfer_curve.json"));
  EXPECT_EQ(curve.at("unit"), "nats");
  std::map<std::string, double> pairwise;
  for (const auto& point : curve.at("points")) {
    if (point.at("samples") == 12)
      pairwise[point.at("method")] += point.at("pairwise_accuracy").get<double>() / 5;
  }
  // The cheap score is the expensive one here.
  EXPECT_DOUBLE_EQ(pairwise.at("cheap score"), 1.0);
  EXPECT_GT(pairwise.at("process on transferred features"), 0.6);
  EXPECT_THAT(whole.at("candidates.csv"), ::testing::HasSubstr("measured_kl_nats"));
  EXPECT_THAT(whole.at("report.html"), ::testing::HasSubstr("bitsearch/transfer-curve/1"));

  fuse_.left = 60;  // Among the cheap evaluations.
  EXPECT_THROW(Run("killed", overrides), Killed);
  fuse_.left = -1;
  Run("killed", overrides);
  EXPECT_EQ(RunArtifacts(folder_ / "killed"), whole);
}

}  // namespace
}  // namespace bitsearch
