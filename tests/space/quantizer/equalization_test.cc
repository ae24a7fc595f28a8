#include "space/quantizer/equalization.h"

#include <gtest/gtest.h>

#include <cmath>

#include "space/network/builtin.h"
#include "space/network/network_torch.h"
#include "space/quantizer/layer_weights.h"

namespace bitsearch {
namespace {

// conv (groups) → BN-free relu → depthwise conv → relu6 → 1×1 conv, with biases.
class Chain {
 public:
  Chain() {
    TensorIndex x = graph.AddInput("x", DataType::kFloat32, {-1, 3, 6, 6});
    x = Conv("a", x, 3, 8, 3, 1);
    x = Op("relu_a", "Relu", x, 8);
    x = Conv("depthwise", x, 8, 8, 3, 8);
    Node clip{"relu6", "Clip", "", {x}, {}, {}};
    clip.attributes.Set("min", 0.0F);
    clip.attributes.Set("max", 6.0F);
    x = Append(std::move(clip), 8);
    x = Conv("b", x, 8, 4, 1, 1);
    graph.AddOutput(x);
    graph.opset = 9;
    graph.FindLayers();
  }

  LayerGraph graph;

 private:
  TensorIndex Append(Node node, std::int64_t channels) {
    const TensorIndex out = graph.AddTensor({node.id + "_out", DataType::kFloat32, Shape{-1, channels, 6, 6}, {}});
    node.outputs = {out};
    graph.AddNode(std::move(node));
    return out;
  }
  TensorIndex Op(const char* id, const char* op, TensorIndex in, std::int64_t channels) {
    return Append({id, op, "", {in}, {}, {}}, channels);
  }
  TensorIndex Conv(const std::string& id, TensorIndex in, std::int64_t from, std::int64_t to,
                   std::int64_t kernel, std::int64_t groups) {
    torch::manual_seed(static_cast<std::uint64_t>(id.size()));
    // Channels of very different size: what per-tensor quantization cannot stand.
    at::Tensor w = at::randn({to, from / groups, kernel, kernel}) *
                   at::logspace(-2, 1, to).view({to, 1, 1, 1});
    const TensorIndex weight = graph.AddConstant(id + ".weight", FromTorch(w));
    const TensorIndex bias = graph.AddConstant(id + ".bias", FromTorch(at::randn({to})));
    Node node{id, "Conv", "", {in, weight, bias}, {}, {}};
    node.attributes.Set("group", groups);
    node.attributes.Set("pads", std::vector<std::int64_t>(4, kernel / 2));
    return Append(std::move(node), to);
  }
};

double Spread(const LayerGraph& graph, std::size_t layer) {
  const std::vector<float> weight = graph.tensor(*graph.layers()[layer].weight).constant->ToFloats();
  std::map<std::int64_t, float> largest;
  ForEachWeight(graph, graph.layers()[layer], [&](std::size_t i, std::int64_t out, std::int64_t) {
    largest[out] = std::max(largest[out], std::fabs(weight[i]));
  });
  float low = 1e30F;
  float high = 0;
  for (const auto& [channel, value] : largest) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return high / low;
}

TEST(EqualizationTest, FindsPairsThroughDepthwiseLayersOnceReluSixIsReplaced) {
  const Chain chain;
  EXPECT_EQ(FindEqualizablePairs(chain.graph),
            (std::vector<EqualizablePair>{{LayerIndex(0), LayerIndex(1)}}));
  EXPECT_EQ(FindEqualizablePairs(ReplaceRelu6(chain.graph)),
            (std::vector<EqualizablePair>{{LayerIndex(0), LayerIndex(1)}, {LayerIndex(1), LayerIndex(2)}}));
}

TEST(EqualizationTest, LeavesTheFunctionAndLevelsTheChannels) {
  const at::NoGradGuard no_grad;
  const LayerGraph before = ReplaceRelu6(Chain().graph);
  const LayerGraph after = EqualizeLayers(before);
  const at::Tensor input = at::randn({4, 3, 6, 6});
  const at::Tensor expected = Network(before).Forward(input);
  const at::Tensor got = Network(after).Forward(input);
  EXPECT_LT((expected - got).abs().max().item<float>(), 1e-5F * expected.abs().max().item<float>());
  EXPECT_LT(Spread(after, 0), 0.2 * Spread(before, 0));
}

TEST(EqualizationTest, ResidualNetworksKeepTheirFunctionToo) {
  const at::NoGradGuard no_grad;
  LayerGraph graph = FoldBatchNorm(BuildResNet(8, {1, 8, 8, 10}, 1));
  // Only the pair inside each block: the skip path has two readers.
  EXPECT_EQ(FindEqualizablePairs(graph).size(), 3U);
  const at::Tensor input = at::randn({4, 1, 8, 8});
  const at::Tensor expected = Network(graph).Forward(input);
  const at::Tensor got = Network(EqualizeLayers(graph)).Forward(input);
  EXPECT_LT((expected - got).abs().max().item<float>(), 1e-5F * std::max(1.0F, expected.abs().max().item<float>()));
}

TEST(EqualizationTest, AbsorbingABiasIsExactWhereTheReluIsActive) {
  const at::NoGradGuard no_grad;
  LayerGraph graph = ReplaceRelu6(Chain().graph);
  // The second pair ends in a 1×1 convolution, so that no border is padded.
  BatchNormMap statistics;
  statistics["depthwise"] = {std::vector<float>(8, 0.1F), std::vector<float>(8, 50.0F), {}, {}};
  const LayerGraph after = AbsorbHighBiases(graph, statistics);
  EXPECT_NEAR(statistics["depthwise"].beta[0], 0.3F, 1e-4F);
  const auto bias = [](const LayerGraph& g, std::size_t l) {
    return g.tensor(*g.layers()[l].bias).constant->ToFloats();
  };
  for (std::size_t c = 0; c < 8; ++c) EXPECT_NEAR(bias(graph, 1)[c] - bias(after, 1)[c], 49.7F, 1e-3F);
  // Raise the depthwise bias so that everything stays positive: then nothing may change.
  LayerGraph raised = graph;
  std::vector<float> high = bias(graph, 1);
  for (float& value : high) value += 400.0F;
  raised.SetConstant(*raised.layers()[1].bias, TensorValue::FromFloats({8}, high));
  statistics["depthwise"].beta.assign(8, 50.0F);
  const LayerGraph absorbed = AbsorbHighBiases(raised, statistics);
  const at::Tensor input = at::randn({2, 3, 6, 6});
  const at::Tensor expected = Network(raised).Forward(input);
  EXPECT_LT((expected - Network(absorbed).Forward(input)).abs().max().item<float>(),
            1e-4F * expected.abs().max().item<float>());
}

}  // namespace
}  // namespace bitsearch
