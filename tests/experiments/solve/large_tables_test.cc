// `bitsearch solve` on tables of the size of large networks, written by the test: 52 layers, 25
// choices, two limits, ties. Where brute force cannot reach, two solvers that share no search and
// the frontier must agree with each other.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/random.h"
#include "tests/experiments/solve/solve_runner.h"

namespace bitsearch {
namespace {

struct Tables {
  std::vector<std::string> files;  ///< Arguments that name them.
  double latency_limit = 0.0;      ///< Half way between the least and the largest sum.
  double size_limit = 0.0;
};

/// Losses and costs as those of real layers: few distinct shapes, latency by the larger width.
Tables WriteTables(int layers, const std::vector<int>& bits, bool mixed, std::uint64_t seed) {
  RandomStream random(seed, "large tables");
  std::vector<std::pair<double, double>> shapes;
  for (int n = 0; n < 8; ++n) {
    const double parameters = std::floor(std::exp(10.0 + 1.5 * random.Normal()));
    shapes.emplace_back(parameters, parameters * std::exp(4.0 + random.Normal()));
  }
  std::string sensitivity = "layer,weight_bits,activation_bits,loss_increase\n";
  std::string latency = "layer,weight_bits,activation_bits,latency_us\n";
  std::string cost = "layer,weight_bits,activation_bits,size_bytes\n";
  Tables tables;
  for (int l = 0; l < layers; ++l) {
    const auto [parameters, macs] = shapes[random.Below(shapes.size())];
    const double trace = std::exp(1.5 * random.Normal());
    double least = 1e300;
    double largest = 0.0;
    for (int w : bits) {
      for (int a : bits) {
        if (!mixed && w != a) continue;
        const double loss = trace * std::sqrt(parameters) *
                            (std::pow(4.0, -w) * (0.5 + random.Uniform()) +
                             std::pow(4.0, -a) * (0.5 + random.Uniform()));
        const double time = macs * std::max(w, a) * (0.8 + 0.4 * random.Uniform()) * 1e-6;
        sensitivity += fmt::format("block.{}.conv,{},{},{}\n", l, w, a, loss);
        latency += fmt::format("block.{}.conv,{},{},{:.3f}\n", l, w, a, time);
        cost += fmt::format("block.{}.conv,{},{},{}\n", l, w, a, parameters * w / 8.0);
        least = std::min(least, time);
        largest = std::max(largest, time);
      }
    }
    tables.latency_limit += 0.5 * (least + largest);
    tables.size_limit += 0.5 * parameters * (bits.front() + bits.back()) / 8.0;
  }
  std::string ties = "group,layer,what\n";
  for (int k = 0; k < layers / 13; ++k) {
    ties += fmt::format("g{0},block.{1}.conv,activation\ng{0},block.{2}.conv,activation\n", k,
                        8 * k, 8 * k + 2);
  }
  const std::string folder = TestFolder();
  tables.files = {"--sensitivity", WriteInput(folder, "sensitivity.csv", sensitivity),
                  "--latency",     WriteInput(folder, "latency.csv", latency),
                  "--cost",        WriteInput(folder, "cost.csv", cost),
                  "--ties",        WriteInput(folder, "ties.csv", ties),
                  "--json"};
  return tables;
}

std::vector<std::string> With(const Tables& tables, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = tables.files;
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

nlohmann::json Solved(const std::vector<std::string>& arguments) {
  const SolveOutcome outcome = RunSolve(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  return outcome.Json();
}

TEST(LargeTables, EveryFrontierPointIsTheOptimumUnderItsCost) {
  const Tables tables = WriteTables(52, {2, 4, 6, 8}, false, 1);
  const nlohmann::json frontier = Solved(With(tables, {"--frontier", "latency_us"}));
  ASSERT_TRUE(bool(frontier["exact"]));
  const nlohmann::json& points = frontier["points"];
  ASSERT_GT(points.size(), 1000u);
  for (std::size_t i = 0; i + 1 < points.size(); i += points.size() / 12) {
    // Just below the next point's cost, this one is still the best.
    const double limit = double(points[i + 1]["resources"]["latency_us"]) - 0.001;
    const nlohmann::json solution =
        Solved(With(tables, {"--limit", fmt::format("latency_us={:.3f}", limit)}));
    EXPECT_EQ(solution["status"], "optimal");
    EXPECT_NEAR(double(solution["objective"]), double(points[i]["objective"]), 1e-10);
  }
}

std::vector<std::string> BothLimits(const Tables& tables) {
  return With(tables, {"--limit", fmt::format("latency_us={}", tables.latency_limit), "--limit",
                       fmt::format("size_bytes={}", tables.size_limit)});
}

TEST(LargeTables, TwoLimitsOver25ChoicesAreProved) {
  for (std::uint64_t seed : {1, 2, 3}) {
    const Tables tables = WriteTables(52, {2, 3, 4, 6, 8}, true, seed);
    const nlohmann::json solution = Solved(BothLimits(tables));
    EXPECT_EQ(solution["status"], "optimal");
    EXPECT_EQ(double(solution["gap"]), 0.0);
    EXPECT_LE(double(solution["resources"]["latency_us"]), tables.latency_limit);
    EXPECT_LE(double(solution["resources"]["size_bytes"]), tables.size_limit);
    EXPECT_EQ(solution["shadow_prices"].size(), 2u);
    EXPECT_EQ(solution["runner_ups"].size(), 52u);
  }
}

TEST(LargeTables, BothSolversAgreeOver25ChoicesAndTwoLimits) {
  for (std::uint64_t seed : {1, 2, 3}) {
    const Tables tables = WriteTables(14, {2, 3, 4, 6, 8}, true, seed);
    const nlohmann::json solution = Solved(BothLimits(tables));
    std::vector<std::string> arguments = BothLimits(tables);
    arguments.insert(arguments.end(), {"--solver", "shortest_path"});
    EXPECT_EQ(solution["status"], "optimal");
    EXPECT_DOUBLE_EQ(double(Solved(arguments)["objective"]), double(solution["objective"]));
  }
}

TEST(LargeTables, AnswersAreTheSameFromRunToRunAndOnTwoThreads) {
  const Tables tables = WriteTables(52, {2, 3, 4, 6, 8}, true, 5);
  const std::string limit = fmt::format("latency_us={}", tables.latency_limit);
  for (const char* solver : {"auto", "evolution", "annealing"}) {
    const auto arguments = With(tables, {"--limit", limit, "--solver", solver});
    const std::string once = RunSolve(arguments, 1).out;
    EXPECT_EQ(RunSolve(arguments, 1).out, once) << solver;
    EXPECT_EQ(RunSolve(arguments, 2).out, once) << solver;
  }
  const auto frontier = With(tables, {"--frontier", "size_bytes", "--max-points", "50"});
  const std::string once = RunSolve(frontier, 1).out;
  EXPECT_EQ(RunSolve(frontier, 2).out, once);
}

}  // namespace
}  // namespace bitsearch
