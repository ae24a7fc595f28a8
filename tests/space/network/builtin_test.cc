#include "space/network/builtin.h"

#include <gtest/gtest.h>

#include "space/support/error.h"

namespace bitsearch {
namespace {

TEST(BuiltinTest, ResNet20HasTheKnownCounts) {
  const LayerGraph graph = BuildResNet(20, {3, 32, 32, 10}, 1);
  // 19 convolutions of the main path, 2 projections, 1 linear layer.
  ASSERT_EQ(graph.layers().size(), 22U);
  std::int64_t parameters = 0;
  std::int64_t macs = 0;
  for (const Layer& layer : graph.layers()) {
    parameters += layer.parameter_count;
    macs += layer.macs;
  }
  EXPECT_EQ(parameters, 268336 + 16 * 32 + 32 * 64);
  EXPECT_EQ(macs, 40551040 + 16 * 32 * 256 + 32 * 64 * 64);
  EXPECT_EQ(graph.layers().front().id, "conv1");
  EXPECT_EQ(graph.layers().back().id, "fc");
}

TEST(BuiltinTest, SameSeedSameWeights) {
  const LayerGraph a = BuildResNet(8, {1, 8, 8, 10}, 7);
  const LayerGraph b = BuildResNet(8, {1, 8, 8, 10}, 7);
  const LayerGraph c = BuildResNet(8, {1, 8, 8, 10}, 8);
  const auto first = [](const LayerGraph& graph) {
    return graph.tensor(*graph.layers()[0].weight).constant->ToFloats();
  };
  EXPECT_EQ(first(a), first(b));
  EXPECT_NE(first(a), first(c));
}

TEST(BuiltinTest, RefusesOtherDepths) {
  EXPECT_THROW(BuildResNet(18, {}, 1), Error);
  EXPECT_THROW(BuildResNet(2, {}, 1), Error);
}

}  // namespace
}  // namespace bitsearch
