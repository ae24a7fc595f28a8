// The options of `bitsearch solve`, each on tables small enough to be right by inspection; exit
// codes and what is said about slips.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/experiments/solve/solve_runner.h"

namespace bitsearch {
namespace {

using testing::HasSubstr;

/// Three layers at 4 or 8 bits. Losses at 8 bits are 0.1; at 4 bits 1, 2, 4. Latency 1.5 and 2.5 µs
/// each, size 10 and 20.
class SolveCommand : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = TestFolder();
    std::string sensitivity = "layer,weight_bits,activation_bits,loss_increase,standard_error\n";
    std::string latency = "layer,weight_bits,activation_bits,latency_us\n";
    std::string cost = "layer,weight_bits,activation_bits,size_bytes\n";
    const char* const loss[] = {"1", "2", "4"};
    for (int l = 0; l < 3; ++l) {
      const std::string name = "conv" + std::to_string(l + 1);
      sensitivity += name + ",4,4," + loss[l] + ",0.6\n" + name + ",8,8,0.1,0.6\n";
      latency += name + ",4,4,1.5\n" + name + ",8,8,2.5\n";
      cost += name + ",4,4,10\n" + name + ",8,8,20\n";
    }
    arguments_ = {"--sensitivity", WriteInput(folder_, "sensitivity.csv", sensitivity),
                  "--latency",     WriteInput(folder_, "latency.csv", latency),
                  "--cost",        WriteInput(folder_, "cost.csv", cost)};
  }

  SolveOutcome Run(const std::vector<std::string>& more) const {
    std::vector<std::string> all = arguments_;
    all.insert(all.end(), more.begin(), more.end());
    return RunSolve(all);
  }

  nlohmann::json Json(std::vector<std::string> more, int exit_code = 0) const {
    more.push_back("--json");
    const SolveOutcome outcome = Run(more);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.error;
    return outcome.Json();
  }

  /// Weight bits by layer: "848".
  static std::string BitsOf(const nlohmann::json& solution) {
    std::string bits;
    for (const auto& layer : solution["layers"]) bits += layer["weight_bits"].dump();
    return bits;
  }

  std::string folder_;
  std::vector<std::string> arguments_;
};

TEST_F(SolveCommand, ReportsEverythingAboutAnOptimum) {
  const nlohmann::json solution = Json({"--limit", "latency_us=6.5", "--limit", "size_bytes=50"});
  EXPECT_EQ(solution["format"], "bitsearch/solution/1");
  EXPECT_EQ(solution["status"], "optimal");
  EXPECT_EQ(BitsOf(solution), "488");
  EXPECT_DOUBLE_EQ(solution["objective"], 1.2);
  EXPECT_DOUBLE_EQ(solution["lower_bound"], 1.2);
  EXPECT_EQ(solution["gap"], 0.0);
  EXPECT_EQ(solution["resources"]["latency_us"], 6.5);
  EXPECT_EQ(solution["resources"]["size_bytes"], 50);
  EXPECT_TRUE(solution["conflicts"].empty());
  ASSERT_EQ(solution["shadow_prices"].size(), 2u);
  ASSERT_EQ(solution["runner_ups"].size(), 3u);
  EXPECT_EQ(solution["runner_ups"][0]["name"], "conv1");
  EXPECT_DOUBLE_EQ(solution["runner_ups"][0]["loss_increase"], 1.0);
  EXPECT_TRUE(solution["runner_ups"][0]["exact"]);
}

TEST_F(SolveCommand, LogsPricesAndRunnerUps) {
  const SolveOutcome outcome = Run({"--limit", "latency_us=6.5", "--json"});
  EXPECT_THAT(outcome.log, testing::Contains(HasSubstr("shadow price of latency_us")));
  EXPECT_THAT(outcome.log, testing::Contains(HasSubstr("runner-up at conv1: W8A8 costs 1")));
}

TEST_F(SolveCommand, LimitsAreInclusiveAndExact) {
  EXPECT_EQ(BitsOf(Json({"--limit", "latency_us=6.5"})), "488");
  EXPECT_EQ(BitsOf(Json({"--limit", "latency_us=6.4999999"})), "448");
  EXPECT_EQ(BitsOf(Json({"--limit", "latency_us=65e-1"})), "488");
}

TEST_F(SolveCommand, NamesConflictingLimitsAndTheLeastThatWouldDo) {
  const nlohmann::json solution = Json({"--limit", "latency_us=4"}, 4);
  EXPECT_EQ(solution["status"], "infeasible");
  EXPECT_TRUE(solution["objective"].is_null());
  ASSERT_EQ(solution["conflicts"].size(), 1u);
  EXPECT_EQ(solution["conflicts"][0]["limit"], "latency_us");
  EXPECT_EQ(solution["conflicts"][0]["least_feasible"], 4.5);
  EXPECT_EQ(solution["conflicts"][0]["least_alone"], 4.5);
  EXPECT_EQ(solution["conflicts"][0]["proved"], true);
  EXPECT_EQ(solution["feasible_limits"], nlohmann::json::parse(R"({"latency_us": 4.5})"));
  const SolveOutcome text = Run({"--limit", "latency_us=4"});
  EXPECT_EQ(text.exit_code, 4);
  EXPECT_THAT(text.out, HasSubstr("least feasible 4.5"));
}

TEST_F(SolveCommand, NamesEveryConflictingLimitWhicheverWayItIsAsked) {
  // Each limit fails by itself: raising one of them is not enough.
  const std::vector<std::string> limits = {"--limit", "latency_us=4", "--limit", "size_bytes=29"};
  for (const std::vector<std::string>& how :
       std::vector<std::vector<std::string>>{{},
                                             {"--frontier", "latency_us"},
                                             {"--solver", "shortest_path"},
                                             {"--solver", "greedy"},
                                             {"--solver", "evolution"}}) {
    std::vector<std::string> more = limits;
    more.insert(more.end(), how.begin(), how.end());
    const nlohmann::json answer = Json(more, 4);
    EXPECT_EQ(answer["status"], "infeasible");
    ASSERT_EQ(answer["conflicts"].size(), 2u) << answer;
    for (std::size_t i = 0; i < 2; ++i) {
      const nlohmann::json& conflict = answer["conflicts"][i];
      EXPECT_TRUE(conflict["least_feasible"].is_null());
      EXPECT_EQ(conflict["set"], i + 1);
    }
    EXPECT_EQ(answer["conflicts"][0]["least_alone"], 4.5);
    EXPECT_EQ(answer["conflicts"][1]["least_alone"], 30);
    EXPECT_EQ(answer["feasible_limits"],
              nlohmann::json::parse(R"({"latency_us": 4.5, "size_bytes": 30})"));
  }
  std::vector<std::string> frontier = limits;
  frontier.insert(frontier.end(), {"--frontier", "latency_us"});
  EXPECT_THAT(Run(frontier).out, HasSubstr("least without the other limits 4.5"));
}

TEST_F(SolveCommand, AGapOfZeroMeansOptimalEvenWithoutTime) {
  for (const char* limit : {"latency_us=7.5", "latency_us=6.5", "latency_us=5", "latency_us=4.5"}) {
    const nlohmann::json solution = Json({"--limit", limit, "--time-limit", "0"});
    EXPECT_EQ(solution["gap"] == 0.0, solution["status"] == "optimal") << solution;
  }
}

TEST_F(SolveCommand, PinsFixLayers) {
  EXPECT_EQ(BitsOf(Json({"--pin", "conv1=8,8", "--limit", "latency_us=6.5"})), "848");
  EXPECT_EQ(BitsOf(Json({"--pin", "conv[12]=4,4", "--pin", "conv3=4,4"})), "444");
  EXPECT_THAT(Run({"--pin", "cnv1=8,8"}).error, HasSubstr("conv1"));
  EXPECT_THAT(Run({"--pin", "conv1=3,8"}).error, HasSubstr("W4A4"));
  EXPECT_EQ(Run({"--pin", "conv1"}).exit_code, 2);
}

TEST_F(SolveCommand, TiesJoinLayers) {
  const std::string both = WriteInput(folder_, "ties.csv", "group,layer\na,conv1\na,conv3\n");
  EXPECT_EQ(BitsOf(Json({"--ties", both, "--limit", "latency_us=6.5"})), "848");
  EXPECT_EQ(BitsOf(Json({"--ties", both, "--limit", "latency_us=5.5"})), "484");
  const nlohmann::json clash =
      Json({"--ties", both, "--pin", "conv1=4,4", "--pin", "conv3=8,8"}, 4);
  EXPECT_THAT(std::string(clash["message"]), HasSubstr("'a'"));
  const std::string slip = WriteInput(folder_, "slip.csv", "group,layer\na,conv1\na,cov3\n");
  const SolveOutcome outcome = Run({"--ties", slip});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.error, HasSubstr("slip.csv:3:3"));
  EXPECT_THAT(outcome.error, HasSubstr("did you mean 'conv3'"));
}

TEST_F(SolveCommand, PairTermsChangeTheChoice) {
  // Together at 4 bits, conv2 and conv3 nearly cancel.
  const std::string pairs =
      WriteInput(folder_, "pairs.csv",
                 "layer_a,weight_bits_a,activation_bits_a,layer_b,weight_bits_b,activation_bits_b,"
                 "loss_increase\nconv3,4,4,conv2,4,4,-5.8\n");
  for (const char* solver : {"auto", "label_setting", "shortest_path", "branch_and_bound"}) {
    const nlohmann::json solution =
        Json({"--pairs", pairs, "--limit", "latency_us=5.5", "--solver", solver});
    EXPECT_EQ(BitsOf(solution), "844") << solver;
    EXPECT_NEAR(solution["objective"], 0.3, 1e-12);
  }
}

TEST_F(SolveCommand, CutsLimitThePeak) {
  // conv1 and conv2 are live together: 100·a1 + 50·a2 bits.
  const std::string cuts =
      WriteInput(folder_, "cuts.csv", "cut,layer,elements\nx,conv1,100\nx,conv2,50\ny,conv3,90\n");
  const nlohmann::json free = Json({"--cuts", cuts});
  EXPECT_EQ(free["resources"]["peak_memory_bits"], 1200);
  const nlohmann::json limited = Json({"--cuts", cuts, "--limit", "peak_memory_bits=1000"});
  EXPECT_EQ(BitsOf(limited), "488");
  EXPECT_EQ(limited["resources"]["peak_memory_bits"], 800);
  const nlohmann::json frontier =
      Json({"--cuts", cuts, "--frontier", "peak_memory_bits", "--all-points"});
  for (const auto& point : frontier["points"]) {
    const double value = point["resources"]["peak_memory_bits"];
    const nlohmann::json best =
        Json({"--cuts", cuts, "--limit", "peak_memory_bits=" + std::to_string(value)});
    EXPECT_DOUBLE_EQ(best["objective"], double(point["objective"]));
  }
}

TEST_F(SolveCommand, FrontiersHoldEveryTradeOff) {
  const nlohmann::json one = Json({"--frontier", "latency_us", "--all-points"});
  EXPECT_EQ(one["format"], "bitsearch/frontier/1");
  EXPECT_TRUE(one["exact"]);
  EXPECT_EQ(one["layers"], nlohmann::json({"conv1", "conv2", "conv3"}));
  EXPECT_EQ(one["choices"][0], nlohmann::json::parse("[[4, 4], [8, 8]]"));
  ASSERT_EQ(one["points"].size(), 4u);
  const double objectives[] = {7.0, 3.1, 1.2, 0.3};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(one["points"][i]["resources"]["latency_us"], 4.5 + double(i));
    EXPECT_NEAR(one["points"][i]["objective"], objectives[i], 1e-12);
  }
  EXPECT_EQ(one["points"][1]["choice"], nlohmann::json({0, 0, 1}));
  const nlohmann::json two = Json({"--frontier", "size_bytes,latency_us"});
  EXPECT_EQ(two["points"].size(), 4u);
  EXPECT_EQ(two["points"][0]["resources"]["size_bytes"], 30);
}

TEST_F(SolveCommand, NoiseAndMaxPointsLeavePointsOutAndSaySo) {
  // Neighbours differ in one layer: a standard error of 0.6·√2 = 0.85.
  const nlohmann::json told = Json({"--frontier", "latency_us"});
  EXPECT_TRUE(told["noise_aware"]);
  EXPECT_EQ(told["computed_points"], 4);
  EXPECT_EQ(told["points"].size(), 4u);  // 0.9 is more than 0.85.
  const nlohmann::json thinned = Json({"--frontier", "latency_us", "--max-points", "2"});
  EXPECT_TRUE(thinned["thinned"]);
  ASSERT_EQ(thinned["points"].size(), 2u);
  EXPECT_DOUBLE_EQ(thinned["points"][0]["resources"]["latency_us"], 4.5);
  EXPECT_DOUBLE_EQ(thinned["points"][1]["resources"]["latency_us"], 7.5);
}

TEST_F(SolveCommand, SaysWhatIsWrongWithTheCommand) {
  EXPECT_THAT(Run({"--limit", "latency=6"}).error, HasSubstr("did you mean 'latency_us'"));
  EXPECT_THAT(Run({"--limit", "latency_us"}).error, HasSubstr("NAME=VALUE"));
  EXPECT_THAT(Run({"--limit", "latency_us=1", "--limit", "latency_us=2"}).error,
              HasSubstr("limited twice"));
  EXPECT_THAT(Run({"--limit", "latency_us=fast"}).error, HasSubstr("'fast'"));
  EXPECT_THAT(Run({"--solver", "label_seting"}).error, HasSubstr("label_setting"));
  EXPECT_THAT(Run({"--frontier", "latency_us,latency_us"}).error, HasSubstr("twice"));
  EXPECT_THAT(Run({"--frontier", "energy"}).error, HasSubstr("known: latency_us, size_bytes"));
  for (const std::vector<std::string>& slip :
       std::vector<std::vector<std::string>>{{"--limit", "latency=6"},
                                             {"--gap", "-1"},
                                             {"--max-points", "0"},
                                             {"--time-limit", "soon"},
                                             {"--solver", "cplex"},
                                             {"--limits", "latency_us=6"}}) {
    const SolveOutcome outcome = Run(slip);
    EXPECT_EQ(outcome.exit_code, 2) << slip[0];
    EXPECT_TRUE(outcome.out.empty());
  }
}

TEST_F(SolveCommand, SaysWhatIsWrongWithTheFiles) {
  const std::string short_latency = WriteInput(
      folder_, "short.csv", "layer,weight_bits,activation_bits,latency_us\nconv1,4,4,1\n");
  SolveOutcome outcome = RunSolve({arguments_[0], arguments_[1], "--latency", short_latency});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.error, HasSubstr("no row for layer 'conv1' at 8 weight and 8 activation"));
  outcome = RunSolve({arguments_[0], arguments_[1], "--latency", folder_ + "/absent.csv"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.error, HasSubstr("absent.csv"));
  const std::string transitions = WriteInput(
      folder_, "t.csv", "producer,consumer,from_bits,to_bits,latency_us\nconv1,conv2,4,8,1\n");
  outcome = Run({"--transitions", transitions});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.error, HasSubstr("from 8 to 4 bits"));
}

TEST_F(SolveCommand, EndsWithAnAnswerWhenTimeIsUp) {
  const SolveOutcome outcome = Run({"--limit", "latency_us=6.5", "--time-limit", "0", "--json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  const nlohmann::json solution = outcome.Json();
  EXPECT_LE(double(solution["lower_bound"]), 1.2 + 1e-12);
  EXPECT_GE(double(solution["objective"]), 1.2 - 1e-12);
}

// docs/requantization.md: six layers, of which every other one bears 4 bits.
class Requantization : public testing::Test {
 protected:
  static std::vector<std::string> Files(bool with_transitions) {
    const std::filesystem::path folder =
        std::filesystem::path(BITSEARCH_SOURCE_DIR) / "docs" / "examples" / "requantization";
    std::vector<std::string> files = {"--sensitivity", (folder / "sensitivity.csv").string(),
                                      "--latency", (folder / "latency.csv").string(), "--json"};
    if (with_transitions) {
      files.insert(files.end(), {"--transitions", (folder / "transitions.csv").string()});
    }
    return files;
  }

  static nlohmann::json Solved(std::vector<std::string> arguments,
                               const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    const SolveOutcome outcome = RunSolve(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
    return outcome.Json();
  }
};

TEST_F(Requantization, IgnoringItsCostGivesASlowerNetworkThanUniformInt8) {
  const std::vector<std::string> limit = {"--limit", "latency_us=500"};
  const double uniform = Solved(Files(true), {"--pin", "*=8,8"})["resources"]["latency_us"];
  EXPECT_EQ(uniform, 600.0);
  const nlohmann::json ignoring = Solved(Files(false), limit);
  std::vector<std::string> as_pins;
  for (const auto& layer : ignoring["layers"]) {
    as_pins.insert(as_pins.end(),
                   {"--pin", std::string(layer["name"]) + "=" + layer["weight_bits"].dump() + "," +
                                 layer["activation_bits"].dump()});
  }
  // Within the limit on paper, slower than 8 bits everywhere in truth.
  EXPECT_LE(double(ignoring["resources"]["latency_us"]), 500.0);
  EXPECT_GT(double(Solved(Files(true), as_pins)["resources"]["latency_us"]), uniform);
  for (const char* solver : {"auto", "shortest_path", "branch_and_bound"}) {
    std::vector<std::string> more = limit;
    more.insert(more.end(), {"--solver", solver});
    const nlohmann::json regarding = Solved(Files(true), more);
    EXPECT_EQ(regarding["status"], "optimal");
    EXPECT_EQ(double(regarding["resources"]["latency_us"]), 495.0);
    EXPECT_NEAR(double(regarding["objective"]), 0.35622, 1e-12);
  }
}

}  // namespace
}  // namespace bitsearch
