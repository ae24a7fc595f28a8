// `bitsearch solve` on published tables: HAWQ-V3's ResNet-18 (nine selections, three frontiers) and
// HAQ's MobileNetV2 latencies. Skips where the shared data is absent.
#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/benchmarks/solver_benchmark/instances.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "search/solver.h"
#include "space/support/files.h"
#include "tests/experiments/solve/solve_runner.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

const fs::path kHawq = fs::path(BITSEARCH_SHARED_DATA) / "hawq" / "resnet18";
const fs::path kHaq = fs::path(BITSEARCH_SHARED_DATA) / "apq" / "haq_mobilenetv2_lut.json";

nlohmann::json ReadJson(const fs::path& path) { return nlohmann::json::parse(ReadTextFile(path)); }

std::vector<std::string> HawqFiles() {
  return {"--sensitivity", (kHawq / "sensitivity.csv").string(),
          "--latency",     (kHawq / "latency.csv").string(),
          "--cost",        (kHawq / "cost.csv").string(),
          "--ties",        (kHawq / "ties.csv").string(),
          "--json"};
}

class Hawq : public testing::TestWithParam<const char*> {};

TEST_P(Hawq, AllNineSelectionsAreReproduced) {
  if (!fs::exists(kHawq)) GTEST_SKIP() << kHawq << " is absent";
  const nlohmann::json expected = ReadJson(kHawq / "expected.json");
  ASSERT_EQ(expected["cases"].size(), 9u);
  for (const nlohmann::json& one : expected["cases"]) {
    const std::string resource = one["resource"];
    std::vector<std::string> arguments = HawqFiles();
    arguments.insert(arguments.end(), {"--limit", resource + "=" + std::string(one["limit"]),
                                       "--solver", GetParam()});
    const SolveOutcome outcome = RunSolve(arguments);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
    const nlohmann::json solution = outcome.Json();
    EXPECT_EQ(solution["status"], "optimal");
    EXPECT_NEAR(double(solution["objective"]), double(one["optimal_objective"]), 1e-6);
    EXPECT_LE(double(solution["lower_bound"]), double(one["optimal_objective"]) + 1e-12);
    EXPECT_NEAR(double(solution["resources"][resource]),
                std::stod(std::string(one["optimal_cost"])), 1e-6);
    std::string bits;
    for (const nlohmann::json& layer : solution["layers"]) {
      bits += std::to_string(int(layer["weight_bits"]));
    }
    EXPECT_EQ(bits, one["optimal_bits"]);
  }
}

INSTANTIATE_TEST_SUITE_P(Solvers, Hawq,
                         testing::Values("auto", "label_setting", "shortest_path",
                                         "branch_and_bound"));

TEST(HawqFrontiers, HaveThePublishedSizes) {
  if (!fs::exists(kHawq)) GTEST_SKIP() << kHawq << " is absent";
  const nlohmann::json expected = ReadJson(kHawq / "expected.json");
  for (const auto& [resource, facts] : expected["frontiers"].items()) {
    std::vector<std::string> arguments = HawqFiles();
    arguments.insert(arguments.end(), {"--frontier", resource});
    const SolveOutcome outcome = RunSolve(arguments);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
    const nlohmann::json frontier = outcome.Json();
    EXPECT_TRUE(bool(frontier["exact"]));
    EXPECT_EQ(frontier["points"].size(), std::size_t(facts["points"])) << resource;
  }
}

TEST(Haq, OptimumUnderSixTenthsIsProvedAndHeuristicsAreNotBetter) {
  if (!fs::exists(kHaq)) GTEST_SKIP() << kHaq << " is absent";
  for (std::uint64_t seed : {1, 2, 3}) {
    const AssignmentProblem problem = HaqProblem(kHaq.string(), seed);
    ASSERT_EQ(problem.layer_count(), 53u);
    const Solution best = MakeSolver("auto")->Solve(problem, {}, {});
    ASSERT_EQ(best.status, SolveStatus::kOptimal);
    EXPECT_EQ(MakeSolver("shortest_path")->Solve(problem, {}, {}).objective, best.objective);
    for (const char* name : {"greedy", "evolution"}) {
      const Solution found = MakeSolver(name)->Solve(problem, {.evaluations = 20'000}, {});
      ASSERT_TRUE(problem.Assess(found.choice).feasible());
      EXPECT_GE(found.objective, best.objective);
      RecordProperty(fmt::format("{}_gap_seed_{}", name, seed),
                     fmt::format("{:.4f}", found.objective / best.objective - 1.0));
    }
  }
}

}  // namespace
}  // namespace bitsearch
