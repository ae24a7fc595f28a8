// The torch-free part of the supernet: blocks, groups, diagnostics, decoding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "search/supernet/architecture_space.h"
#include "search/supernet/decode.h"
#include "search/supernet/distribution_diagnostics.h"
#include "search/supernet/residual_blocks.h"
#include "space/hardware/costs.h"
#include "space/network/builtin.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using ::testing::ElementsAre;

const BitChoice kSkip{NumberFormat::Skip(), NumberFormat::Skip()};

std::vector<BitChoice> Product(const std::vector<int>& weights,
                               const std::vector<int>& activations) {
  std::vector<BitChoice> choices;
  for (const int w : weights) {
    for (const int a : activations) {
      choices.push_back({w == 32 ? NumberFormat::Float32() : NumberFormat::Integer(w),
                         a == 32 ? NumberFormat::Float32() : NumberFormat::Integer(a)});
    }
  }
  return choices;
}

TEST(ResidualBlocksTest, FindsTheBlocksOfAResNet) {
  const LayerGraph graph = BuildResNet(20, {}, 1);
  const auto blocks = FindResidualBlocks(graph);
  ASSERT_EQ(blocks.size(), 9U);
  EXPECT_EQ(blocks[0].name, "layer1.0");
  EXPECT_EQ(blocks[0].layers.size(), 2U);
  EXPECT_TRUE(blocks[0].skippable);
  // The first block of a later stage has a projection.
  EXPECT_EQ(blocks[3].name, "layer2.0");
  EXPECT_EQ(blocks[3].shortcut_layers.size(), 1U);
  EXPECT_FALSE(blocks[3].skippable);
  EXPECT_TRUE(blocks[8].skippable);
}

TEST(ResidualBlocksTest, LeavingABranchOutRemovesItsLayersOnly) {
  const LayerGraph graph = BuildResNet(20, {}, 1);
  const auto blocks = FindResidualBlocks(graph);
  const LayerGraph shorter = WithoutBranches(graph, {blocks[1], blocks[8]});
  EXPECT_EQ(shorter.layers().size(), graph.layers().size() - 4);
  EXPECT_FALSE(shorter.FindLayer("layer1.1.conv1").has_value());
  EXPECT_TRUE(shorter.FindLayer("layer1.2.conv1").has_value());
  EXPECT_EQ(shorter.outputs().size(), 1U);
  EXPECT_THROW(WithoutBranches(graph, {blocks[3]}), Error);
}

TEST(ArchitectureSpaceTest, LayersHaveGroupsOfTheirOwn) {
  const LayerGraph graph = BuildResNet(8, {}, 1);
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(),
                                                    Product({2, 4, 8}, {4, 8}));
  const auto space = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kLayer);
  EXPECT_EQ(space.group_count(), 2 * graph.layers().size());
  EXPECT_EQ(space.widest(), 3U);
  std::vector<std::size_t> picks(space.group_count(), 1);
  const BitConfig config = space.ConfigOf(picks);
  EXPECT_EQ(config.choices[0].ToString(), "W4A8");
  EXPECT_EQ(space.PicksOf(config), picks);
}

TEST(ArchitectureSpaceTest, TiesAndBlocksShareAChoice) {
  const LayerGraph graph = BuildResNet(14, {}, 1);
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(), Product({2, 4}, {4, 8}));
  const TieGroup tie{"t", TieKind::kActivation, {LayerIndex(1), LayerIndex(3)}};
  const auto space = BuildArchitectureSpace(graph, choices, {tie}, ChoiceScope::kLayer);
  EXPECT_EQ(space.layers[1].activation, space.layers[3].activation);
  EXPECT_NE(space.layers[1].weight, space.layers[3].weight);
  const auto by_block = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kBlock);
  EXPECT_EQ(by_block.layers[1].weight, by_block.layers[2].weight);
  EXPECT_EQ(by_block.layers[1].activation, by_block.layers[2].activation);
  EXPECT_NE(by_block.layers[1].weight, by_block.layers[3].weight);
}

TEST(ArchitectureSpaceTest, EqualBitsMakeOneGroup) {
  const LayerGraph graph = BuildResNet(8, {}, 1);
  const std::vector<BitChoice> equal = {{NumberFormat::Integer(4), NumberFormat::Integer(4)},
                                        {NumberFormat::Integer(8), NumberFormat::Integer(8)}};
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(), equal);
  const auto space = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kLayer);
  EXPECT_EQ(space.group_count(), graph.layers().size());
  EXPECT_EQ(space.groups[0].kind, ChoiceGroup::Kind::kBoth);
  std::vector<BitChoice> ragged = Product({2, 4, 8}, {4, 8});
  ragged.pop_back();
  EXPECT_THROW(BuildArchitectureSpace(
                   graph, std::vector<std::vector<BitChoice>>(graph.layers().size(), ragged), {},
                   ChoiceScope::kLayer),
               Error);
}

TEST(ArchitectureSpaceTest, SkippingNeedsAWholeSkippableBlock) {
  const LayerGraph graph = BuildResNet(20, {}, 1);
  std::vector<BitChoice> with_skip = Product({2, 4}, {32});
  with_skip.insert(with_skip.begin(), kSkip);
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(), with_skip);
  const auto by_layer = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kLayer);
  EXPECT_TRUE(by_layer.skippable_blocks.empty());
  EXPECT_EQ(by_layer.dropped_skips.size(), graph.layers().size());
  const auto by_block = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kBlock);
  EXPECT_EQ(by_block.skippable_blocks.size(), 7U);
  const std::size_t group = by_block.skippable_blocks[0].group;
  ASSERT_TRUE(by_block.groups[group].skip.has_value());
  std::vector<std::size_t> picks(by_block.group_count(), 0);
  picks[group] = *by_block.groups[group].skip;
  const BitConfig config = by_block.ConfigOf(picks);
  for (const LayerIndex layer : by_block.skippable_blocks[0].block.layers) {
    EXPECT_EQ(config.choices[layer.value], kSkip);
  }
}

TEST(DiagnosticsTest, FiguresOfADistribution) {
  const auto flat = FiguresOf(std::vector<double>{0.25, 0.25, 0.25, 0.25});
  EXPECT_NEAR(flat.relative_entropy, 1.0, 1e-12);
  EXPECT_EQ(flat.margin, 0.0);
  const auto sure = FiguresOf(std::vector<double>{0.1, 0.7, 0.2});
  EXPECT_EQ(sure.argmax, 1U);
  EXPECT_NEAR(sure.margin, 0.5, 1e-12);
  EXPECT_EQ(FiguresOf(std::vector<double>{1.0}).margin, 1.0);
}

TEST(DiagnosticsTest, WarnsOfCollapseAndOfFlatness) {
  const LayerGraph graph = BuildResNet(8, {}, 1);
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(),
                                                    Product({2, 4, 8}, {32}));
  const auto space = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kLayer);
  const auto warn = [&](std::vector<double> weights) {
    std::vector<std::vector<double>> p;
    for (const ChoiceGroup& group : space.groups) {
      p.push_back(group.candidates.size() > 1 ? weights : std::vector<double>{1.0});
    }
    return DistributionWarnings(space, FiguresOf(p));
  };
  EXPECT_THAT(warn({0.9, 0.05, 0.05}), ElementsAre(::testing::HasSubstr("cheapest")));
  EXPECT_THAT(warn({0.05, 0.05, 0.9}), ElementsAre(::testing::HasSubstr("dearest")));
  EXPECT_THAT(warn({0.33, 0.34, 0.33}), ElementsAre(::testing::HasSubstr("flat")));
  EXPECT_TRUE(warn({0.1, 0.8, 0.1}).empty());
}

// Random distributions under a size budget, small enough for brute force.
class DecodeTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    RandomStream random(7, "decode", static_cast<std::uint64_t>(GetParam()));
    graph_ = BuildResNet(8, {}, 1);
    choices_.assign(graph_.layers().size(), Product({2, 4, 8}, {32}));
    space_ = BuildArchitectureSpace(graph_, choices_, {}, ChoiceScope::kLayer);
    problem_.loss.assign(choices_.size(), std::vector<double>(3, 0.0));
    Resource size;
    size.name = "size_bits";
    size.cost = SizeBitsOfChoices(graph_, choices_);
    size.limit = TotalSizeBits(graph_, BitConfig::Uniform(choices_.size(), choices_[0][0])) * 3 / 2;
    problem_.resources.push_back(size);
    for (const ChoiceGroup& group : space_.groups) {
      std::vector<double> p;
      double sum = 0.0;
      for (std::size_t k = 0; k < group.candidates.size(); ++k) {
        p.push_back(std::exp(2.0 * random.Normal()));
        sum += p.back();
      }
      for (double& value : p) value /= sum;
      probabilities_.push_back(p);
    }
  }
  LayerGraph graph_;
  std::vector<std::vector<BitChoice>> choices_;
  ArchitectureSpace space_;
  AssignmentProblem problem_;
  std::vector<std::vector<double>> probabilities_;
};

TEST_P(DecodeTest, ExactIsTheMostProbableWithinTheBudget) {
  const DecodeResult decoded =
      DecodeDistributions(space_, probabilities_, choices_, problem_, {}, RunContext{});
  ASSERT_FALSE(decoded.configs.empty());
  EXPECT_EQ(decoded.configs[0].origin, "exact");
  // Brute force over all groups with a choice.
  double best = -1e300;
  std::vector<std::size_t> picks(space_.group_count(), 0);
  while (true) {
    const BitConfig config = space_.ConfigOf(picks);
    if (TotalSizeBits(graph_, config) <= *problem_.resources[0].limit) {
      double log_p = 0.0;
      for (std::size_t g = 0; g < picks.size(); ++g) log_p += std::log(probabilities_[g][picks[g]]);
      best = std::max(best, log_p);
    }
    std::size_t g = 0;
    while (g < picks.size() && ++picks[g] == space_.groups[g].candidates.size()) picks[g++] = 0;
    if (g == picks.size()) break;
  }
  EXPECT_NEAR(decoded.configs[0].log_probability, best, 1e-9);
  for (const DecodedConfig& one : decoded.configs) {
    EXPECT_LE(one.resources[0], *problem_.resources[0].limit) << one.origin;
    EXPECT_EQ(one.resources[0], TotalSizeBits(graph_, one.config));
    EXPECT_LE(one.log_probability, best + 1e-9);
  }
}

TEST_P(DecodeTest, RepairEndsWithinTheBudget) {
  std::vector<std::size_t> picks;
  for (const ChoiceGroup& group : space_.groups) picks.push_back(group.candidates.size() - 1);
  ASSERT_TRUE(RepairPicks(space_, probabilities_, choices_, problem_, picks));
  EXPECT_LE(TotalSizeBits(graph_, space_.ConfigOf(picks)), *problem_.resources[0].limit);
  AssignmentProblem impossible = problem_;
  impossible.resources[0].limit = 1;
  EXPECT_FALSE(RepairPicks(space_, probabilities_, choices_, impossible, picks));
}

INSTANTIATE_TEST_SUITE_P(Seeds, DecodeTest, ::testing::Range(0, 5));

TEST(DecodeGroupsTest, SkippedBlocksAreDecodedWhole) {
  const LayerGraph graph = BuildResNet(14, {}, 1);
  std::vector<BitChoice> with_skip = Product({2, 4}, {32});
  with_skip.insert(with_skip.begin(), kSkip);
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(), with_skip);
  const auto space = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kBlock);
  AssignmentProblem problem;
  problem.loss.assign(choices.size(), std::vector<double>(3, 0.0));
  Resource size;
  size.name = "size_bits";
  size.cost = SizeBitsOfChoices(graph, choices);
  problem.resources.push_back(size);
  std::vector<std::vector<double>> probabilities;
  for (const ChoiceGroup& group : space.groups) {
    std::vector<double> p(group.candidates.size(),
                          0.1 / std::max<double>(1.0, group.candidates.size() - 1.0));
    (group.skip ? p[*group.skip] : p.back()) = 0.9;
    probabilities.push_back(p);
  }
  const DecodeResult decoded =
      DecodeDistributions(space, probabilities, choices, problem, {}, RunContext{});
  ASSERT_FALSE(decoded.configs.empty());
  EXPECT_EQ(decoded.configs[0].config, decoded.argmax);
  for (const auto& [block, group] : space.skippable_blocks) {
    for (const LayerIndex layer : block.layers) {
      EXPECT_EQ(decoded.configs[0].config.choices[layer.value], kSkip);
    }
  }
  EXPECT_NE(decoded.configs[0].config.choices[0], kSkip);
}

}  // namespace
}  // namespace bitsearch
