// Size, bit operations, compression, edges and peak memory against hand counts and brute force.
#include "space/hardware/costs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "space/hardware/layer_edges.h"
#include "space/hardware/memory_cuts.h"
#include "space/support/error.h"
#include "space/support/random.h"
#include "tests/space/hardware/tiny_graph.h"

namespace bitsearch {
namespace {

const NumberFormat kFloat = NumberFormat::Float32();

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

TEST(Costs, SizeCountsWeightsScalesZeroPointsAndBiases) {
  const LayerGraph graph = TinyResidualGraph();
  const Layer& a = graph.layers()[1];  // 8 × 4 × 3 × 3 weights, 8 biases.
  ASSERT_EQ(a.id, "a");
  EXPECT_EQ(SizeBits(a, Bits(4, 8)), 288 * 4 + 8 * 32 + 8 * 32);
  EXPECT_EQ(SizeBits(a, Bits(4, 8), {Granularity::kPerTensor}), 288 * 4 + 32 + 8 * 32);
  EXPECT_EQ(SizeBits(a, Bits(4, 8), {Granularity::kPerTensor, 0, true}), 288 * 4 + 32 + 4 + 8 * 32);
  // 36 weights a channel in blocks of 16: three blocks, the last shorter.
  EXPECT_EQ(SizeBits(a, Bits(4, 8), {Granularity::kPerGroup, 16}), 288 * 4 + 8 * 3 * 32 + 8 * 32);
  EXPECT_EQ(SizeBits(a, {kFloat, kFloat}), 288 * 32 + 8 * 32) << "floats have no scale";
  EXPECT_EQ(SizeBits(a, {NumberFormat::Ternary(), kFloat}), 288 * 2 + 8 * 32 + 8 * 32);
  EXPECT_EQ(SizeBits(a, {NumberFormat::Skip(), NumberFormat::Skip()}), 0);
  EXPECT_THROW(SizeBits(a, Bits(4, 8), {Granularity::kPerGroup, 0}), Error);
}

TEST(Costs, BitOperationsAreMacsTimesBits) {
  const LayerGraph graph = TinyResidualGraph();
  const Layer& b = graph.layers()[2];
  ASSERT_EQ(b.macs, 8 * 4 * 4 * 8 * 9);
  EXPECT_EQ(Bops(b, Bits(3, 5)), b.macs * 15);
  EXPECT_EQ(Bops(b, {NumberFormat::Integer(4), kFloat}), b.macs * 4 * 32);
  EXPECT_EQ(Bops(b, {NumberFormat::Float16(), NumberFormat::Float16()}), b.macs * 256);
}

TEST(Costs, TotalsAreSumsOfChoices) {
  const LayerGraph graph = TinyResidualGraph();
  RandomStream random(5, "costs-test");
  const std::vector<BitChoice> candidates = {Bits(2, 4), Bits(4, 4), Bits(8, 8), {kFloat, kFloat}};
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(), candidates);
  const auto sizes = SizeBitsOfChoices(graph, choices);
  const auto bops = BopsOfChoices(graph, choices);
  for (int round = 0; round < 50; ++round) {
    BitConfig config;
    std::int64_t size = 0, operations = 0;
    for (std::size_t l = 0; l < choices.size(); ++l) {
      const std::size_t c = random.Below(candidates.size());
      config.choices.push_back(candidates[c]);
      size += sizes[l][c];
      operations += bops[l][c];
    }
    EXPECT_EQ(TotalSizeBits(graph, config), size);
    EXPECT_EQ(TotalBops(graph, config), operations);
  }
  EXPECT_THROW(TotalSizeBits(graph, BitConfig{}), Error);
}

TEST(Costs, CompressionLeavesOutScalesAndBiases) {
  const LayerGraph graph = TinyResidualGraph();
  const auto uniform = [&](BitChoice c) { return BitConfig::Uniform(graph.layers().size(), c); };
  EXPECT_DOUBLE_EQ(WeightCompression(graph, uniform(Bits(4, 8))), 8.0);
  EXPECT_DOUBLE_EQ(WeightCompression(graph, uniform({kFloat, kFloat})), 1.0);
  EXPECT_DOUBLE_EQ(MeanWeightBits(graph, uniform(Bits(3, 8))), 3.0);
}

TEST(Costs, ASharedWeightIsStoredOnce) {
  GraphBuilder build;
  const TensorIndex input = build.Input("input", {1, 4});
  const TensorIndex weight = build.Weight("w", {4, 4});
  TensorIndex x = build.Op("first", "MatMul", {input, weight}, {1, 4});
  x = build.Op("second", "MatMul", {x, weight}, {1, 4});
  build.graph.AddOutput(x);
  build.graph.FindLayers();
  const BitConfig config = BitConfig::Uniform(2, Bits(4, 8));
  EXPECT_EQ(TotalSizeBits(build.graph, config), 16 * 4 + 4 * 32);
  EXPECT_DOUBLE_EQ(WeightCompression(build.graph, config), 8.0);
  EXPECT_EQ(TotalBops(build.graph, config), 2 * 16 * 32);
}

TEST(LayerEdges, FollowOperatorsBetweenLayers) {
  const LayerGraph graph = TinyResidualGraph();
  std::map<std::pair<std::string, std::string>, std::pair<std::int64_t, bool>> edges;
  for (const LayerEdge& edge : LayerEdges(graph)) {
    edges[{graph.layer(edge.producer).id, graph.layer(edge.consumer).id}] = {edge.elements,
                                                                             edge.pays};
  }
  const std::map<std::pair<std::string, std::string>, std::pair<std::int64_t, bool>> expected = {
      {{"stem", "a"}, {256, true}},
      {{"stem", "down"}, {256, false}},  // Reads the same tensor as a.
      {{"a", "b"}, {128, true}},
      {{"b", "fc"}, {128, false}},  // Meets down's output in the add.
      {{"down", "fc"}, {128, true}}};
  EXPECT_EQ(edges, expected);
  EXPECT_EQ(ReadsGraphInput(graph), (std::vector<bool>{true, false, false, false, false}));
  EXPECT_EQ(FeedsGraphOutput(graph), (std::vector<bool>{false, false, false, false, true}));
}

TEST(LayerEdges, OneEdgePaysForEachTensorHoweverManySkipsReachIt) {
  // A stem and four blocks with identity skips: the stem reaches every block.
  GraphBuilder build;
  TensorIndex x = build.Conv("stem", build.Input("input", {1, 4, 8, 8}), 4, 4, 8, 3, 1);
  for (int block = 0; block < 4; ++block) {
    const std::string id = "block" + std::to_string(block);
    const TensorIndex y = build.Conv(id, x, 4, 4, 8, 3, 1);
    x = build.Op(id + "_add", "Add", {x, y}, {1, 4, 8, 8});
  }
  build.graph.AddOutput(x);
  build.graph.FindLayers();
  int paying = 0;
  for (const LayerEdge& edge : LayerEdges(build.graph)) {
    paying += edge.pays;
    EXPECT_EQ(edge.pays, edge.producer.value + 1 == edge.consumer.value);
  }
  EXPECT_EQ(paying, 4);
}

TEST(MemoryCuts, KeepTheBlockInputAliveAcrossABlock) {
  const LayerGraph graph = TinyResidualGraph();
  const std::vector<MemoryCut> cuts = MemoryCuts(graph);
  std::map<std::string, std::map<std::string, std::int64_t>> found;
  for (const MemoryCut& cut : cuts) {
    for (const auto& term : cut.terms) found[cut.name][graph.layer(term.layer).id] = term.elements;
  }
  EXPECT_EQ(found["stem"], (std::map<std::string, std::int64_t>{{"stem", 192}, {"a", 256}}));
  EXPECT_EQ(found["b"], (std::map<std::string, std::int64_t>{{"a", 256}, {"b", 128}, {"fc", 128}}));
  // b's output waits for the skip convolution, which makes as much again.
  EXPECT_EQ(found["down"], (std::map<std::string, std::int64_t>{{"a", 256}, {"fc", 256}}));
  EXPECT_FALSE(found.contains("a")) << "never more than the cut at b";
  EXPECT_EQ(PeakActivationBits(cuts, BitConfig::Uniform(5, Bits(8, 8))), 512 * 8);
  BitConfig mixed = BitConfig::Uniform(5, Bits(8, 4));
  mixed.choices[0].activation = NumberFormat::Integer(16);
  EXPECT_EQ(PeakActivationBits(cuts, mixed), 192 * 16 + 256 * 4);
}

TEST(MemoryCuts, TextHasOneRowForEachTerm) {
  const LayerGraph graph = TinyResidualGraph();
  const std::string text = CutsCsvText(graph, MemoryCuts(graph));
  EXPECT_NE(text.find("cut,layer,elements\nstem,stem,192\nstem,a,256\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("# fixed_bits fc: 320"), std::string::npos) << text;
}

}  // namespace
}  // namespace bitsearch
