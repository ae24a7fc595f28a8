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

TEST(BuiltinTest, PerceptronsAreMatrixProductsWithBiases) {
  const LayerGraph graph = BuildBuiltin("mlp24x2", {1, 4, 6, 5}, 3);
  ASSERT_EQ(graph.layers().size(), 3U);
  for (const Layer& layer : graph.layers()) {
    EXPECT_EQ(layer.op, "MatMul");
    const NodeIndex reader = graph.Consumers(layer.output).front();
    EXPECT_EQ(graph.node(reader).op, "Add");
  }
  EXPECT_EQ(graph.layers()[0].parameter_count, 24 * 24);
  EXPECT_EQ(graph.layers()[2].parameter_count, 24 * 5);
  EXPECT_EQ(graph.tensor(graph.outputs().front()).shape, (Shape{-1, 5}));
  EXPECT_EQ(graph.tensor(graph.outputs().front()).name, "logits");
}

TEST(BuiltinTest, NamesAreCheckedWithoutBuilding) {
  for (const char* name : {"resnet8", "resnet20", "mlp1024x3", "mlp9999x9"}) {
    EXPECT_NO_THROW(RequireBuiltin(name)) << name;
  }
  for (const char* name : {"", "resnet", "resnet9", "resnet2", "mlp", "mlp0x1", "mlp8x0", "mlp8x10",
                           "mlp99999x1", "vgg16"}) {
    EXPECT_THROW(RequireBuiltin(name), Error) << name;
  }
}

}  // namespace
}  // namespace bitsearch
