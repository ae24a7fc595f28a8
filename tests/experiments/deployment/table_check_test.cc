// Mixed configurations are what they say, and a table is held against the runtime.
#include "experiments/deployment/table_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "space/graph/rewrites.h"
#include "space/graph/shape_inference.h"
#include "space/graph/ties.h"
#include "space/network/builtin.h"
#include "space/support/error.h"
#include "tests/experiments/deployment/runtime_testing.h"

namespace bitsearch {
namespace {

const BitChoice kFloat = {NumberFormat::Float32(), NumberFormat::Float32()};
const BitChoice kEight = {NumberFormat::Integer(8), NumberFormat::Integer(8)};

LayerGraph Net() {
  LayerGraph graph = FoldBatchNorm(BuildResNet(8, {3, 8, 8, 10}, 1));
  InferShapes(graph);
  return graph;
}

LatencyTable TableOf(const LayerGraph& graph) {
  LatencyTable table;
  for (const Layer& layer : graph.layers()) {
    table.Add(layer.id, kFloat, {40'000, 100, 10});
    table.Add(layer.id, kEight, {20'000, 100, 10});
  }
  const std::string& from = graph.layers()[0].id;
  const std::string& to = graph.layers()[1].id;
  table.AddTransition({from, to, kFloat.activation, kEight.activation}, {5'000, 100, 10});
  table.AddTransition({from, to, kEight.activation, kFloat.activation}, {4'000, 100, 10});
  return table;
}

TEST(MixedConfigs, AreDistinctMixedTiedAndTheSameAgain) {
  const LayerGraph graph = Net();
  const auto configs = MixedConfigs(graph, {kFloat, kEight}, 20, 7);
  ASSERT_EQ(configs.size(), 20U);
  std::set<std::string> seen;
  const auto floats = [&](const NamedConfig& entry) {
    return std::count(entry.config.choices.begin(), entry.config.choices.end(), kFloat);
  };
  for (const NamedConfig& entry : configs) {
    EXPECT_TRUE(seen.insert(entry.config.Canonical()).second) << entry.name;
    EXPECT_GT(floats(entry), 0) << entry.name;
    EXPECT_LT(floats(entry), static_cast<std::ptrdiff_t>(graph.layers().size())) << entry.name;
    for (const TieGroup& tie : InferTies(graph, {true, false})) {
      for (const LayerIndex layer : tie.layers) {
        EXPECT_EQ(entry.config.choices[layer.value],
                  entry.config.choices[tie.layers.front().value]);
      }
    }
  }
  std::ptrdiff_t first = 0;
  std::ptrdiff_t last = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    first += floats(configs[i]);
    last += floats(configs[19 - i]);
  }
  EXPECT_LT(first, last);
  const auto again = MixedConfigs(graph, {kFloat, kEight}, 20, 7);
  for (std::size_t i = 0; i < again.size(); ++i) EXPECT_EQ(again[i].config, configs[i].config);
}

TEST(MixedConfigs, AreFewerWhereANetworkHasNoMore) {
  const LayerGraph graph = Net();
  // Less the two uniform ones, and what ties leave out.
  const std::size_t most = (std::size_t{1} << graph.layers().size()) - 2;
  const std::size_t found = MixedConfigs(graph, {kFloat, kEight}, 2 * most, 1).size();
  EXPECT_LE(found, most);
  EXPECT_GT(found, std::size_t{20});
}

TEST(CommonChoices, NeedTwo) {
  const LayerGraph graph = Net();
  EXPECT_THAT(CommonChoices(TableOf(graph), LayerKeysOf(graph)),
              testing::ElementsAre(kFloat, kEight));
  LatencyTable table;
  table.source_name = "one.csv";
  for (const Layer& layer : graph.layers()) table.Add(layer.id, kFloat, {40'000, 100, 10});
  try {
    CommonChoices(table, LayerKeysOf(graph));
    FAIL() << "nothing to mix";
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kLatencyMissing);
    EXPECT_THAT(error.what(), testing::HasSubstr("one.csv"));
  }
}

TEST(CheckTable, ComparesRoundByRound) {
  TableCheckLine first, other;
  // What the machine did in a round hits both; the difference is 10 in every round but one.
  first.round_us = {100, 120, 300, 90, 110, 140, 100};
  other.round_us = {110, 130, 310, 100, 120, 150, 150};
  EXPECT_EQ(other.median_beyond_us(first), 10.0);
  EXPECT_EQ(other.beyond(first).low, 10.0);
  EXPECT_EQ(other.beyond(first).high, 50.0);  // of seven, the extremes hold the median with 98 %
  TableCheck check;
  first.name = "a";
  other.name = "b";
  check.lines = {first, other};
  EXPECT_THAT(TableCheckText(check), testing::HasSubstr("+10.0 us, +10.0 to +50.0: slower"));
  // Five rounds hold the median with 93.75 % only: no verdict.
  for (TableCheckLine& line : check.lines) line.round_us.resize(5);
  EXPECT_THAT(TableCheckText(check), testing::Not(testing::HasSubstr("slower")));
  EXPECT_THAT(TableCheckText(check), testing::HasSubstr("need 6 rounds, these are 5"));
}

TEST(CheckTable, HoldsSumsAgainstTimes) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  const LayerGraph graph = Net();
  const LatencyTable table = TableOf(graph);
  const auto configs = MixedConfigs(graph, {kFloat, kEight}, 6, 2);
  TableCheckOptions options;
  options.runtime = TestRuntime();
  options.rounds = 2;
  options.repetitions = 3;
  const TableCheck check = CheckTable(table, graph, configs, options, {});
  ASSERT_EQ(check.lines.size(), 6U);
  for (const TableCheckLine& line : check.lines) {
    EXPECT_EQ(line.round_us.size(), 2U);
    EXPECT_GT(line.measured_us(), 0.0);
    EXPECT_EQ(line.predicted.total_ns(),
              PredictLatency(table, LayerKeysOf(graph), line.config).total_ns());
    EXPECT_LE(line.predicted_without_edges_us(), line.predicted_us());
  }
  ASSERT_EQ(check.fitted.size(), 5U);
  EXPECT_EQ(check.fitted.back().name, "constant");
  const auto json = nlohmann::json::parse(TableCheckJson(check));
  EXPECT_EQ(json.at("configurations").size(), 6U);
  EXPECT_EQ(json.at("predictors").size(), 7U);
  EXPECT_EQ(json.at("configurations")[0].at("predicted_us"), check.lines[0].predicted_us());
  EXPECT_EQ(json.at("configurations")[0].at("beyond_first_us"), 0.0);
  EXPECT_THAT(TableCheckText(check), testing::HasSubstr("onnxruntime-node"));
}

}  // namespace
}  // namespace bitsearch
