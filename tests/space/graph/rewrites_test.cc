// Folding keeps the function computed (checked by a plain convolution) and the ids.
#include "space/graph/rewrites.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "space/graph/onnx_reader.h"
#include "space/support/error.h"
#include "tests/space/graph/graph_testing.h"

namespace bitsearch {
namespace {

using namespace testing_graph;

std::vector<float> RandomFloats(std::size_t count, std::mt19937& random, float low, float high) {
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random);
  return values;
}

struct NormCase {
  std::string op;
  std::int64_t group;
  bool bias;
  bool transposed_b;
};

void PrintTo(const NormCase& value, std::ostream* stream) {
  *stream << value.op << " group " << value.group << (value.bias ? " bias" : "")
          << (value.transposed_b ? " transB" : "");
}

class FoldsNorm : public testing::TestWithParam<NormCase> {};

/// Output channel of a product by definition: which weights multiply a one-hot input.
/// Kernel 1×1 and one pixel, so that Conv and ConvTranspose are matrix products per group.
std::vector<double> Product(const LayerGraph& graph, const Layer& layer, std::int64_t group,
                            const std::vector<float>& input, std::int64_t channels) {
  const TensorValue& weight = *graph.tensor(*layer.weight).constant;
  const std::span<const float> w = weight.Floats();
  const auto c_in = static_cast<std::int64_t>(input.size());
  std::vector<double> output(static_cast<std::size_t>(channels), 0.0);
  const bool transposed = graph.node(layer.node).attributes.Int("transB", 0) != 0;
  for (std::int64_t m = 0; m < channels; ++m) {
    for (std::int64_t c = 0; c < c_in; ++c) {
      double factor = 0.0;
      if (layer.op == "Conv") {
        const std::int64_t per_group = c_in / group;
        if (c / per_group != m / (channels / group)) continue;
        factor = w[static_cast<std::size_t>(m * per_group + c % per_group)];
      } else if (layer.op == "ConvTranspose") {
        const std::int64_t per_group = channels / group;
        if (c / (c_in / group) != m / per_group) continue;
        factor = w[static_cast<std::size_t>(c * per_group + m % per_group)];
      } else {
        factor = w[static_cast<std::size_t>(transposed ? m * c_in + c : c * channels + m)];
      }
      output[static_cast<std::size_t>(m)] += factor * input[static_cast<std::size_t>(c)];
    }
    if (layer.bias) {
      output[static_cast<std::size_t>(m)] +=
          graph.tensor(*layer.bias).constant->Floats()[static_cast<std::size_t>(m)];
    }
  }
  return output;
}

TEST_P(FoldsNorm, AndKeepsTheFunction) {
  const NormCase& c = GetParam();
  constexpr std::int64_t kIn = 4;
  constexpr std::int64_t kOut = 6;
  std::mt19937 random(3);
  const bool is_conv = c.op != "Gemm";
  onnx::ModelProto model = EmptyModel(13, is_conv ? Shape{-1, kIn, 1, 1} : Shape{-1, kIn});
  Shape shape = {kOut, kIn / c.group, 1, 1};
  if (c.op == "ConvTranspose") shape = {kIn, kOut / c.group, 1, 1};
  if (!is_conv) shape = c.transposed_b ? Shape{kOut, kIn} : Shape{kIn, kOut};
  const auto count = static_cast<std::size_t>(ElementCount(shape));
  AddFloats(model, "fc.weight", shape, RandomFloats(count, random, -1.0F, 1.0F));
  AddFloats(model, "fc.b", {kOut}, RandomFloats(kOut, random, -1.0F, 1.0F));
  const char* names[] = {"gamma", "beta", "mean", "var"};
  for (const char* name : names) {
    AddFloats(model, name, {kOut}, RandomFloats(kOut, random, 0.1F, 2.0F));
  }
  std::vector<std::string> inputs = {"x", "fc.weight"};
  if (c.bias) inputs.push_back("fc.b");
  onnx::NodeProto* node = AddNode(model, c.op, inputs, {"y"}, "layer");
  if (is_conv) SetInt(node, "group", c.group);
  if (c.transposed_b) SetInt(node, "transB", 1);
  AddNode(model, "BatchNormalization", {"y", "gamma", "beta", "mean", "var"}, {"z"}, "norm");
  AddOutput(model, "z");

  const LayerGraph before = Read(model);
  BatchNormMap statistics;
  const LayerGraph after = FoldBatchNorm(before, &statistics);
  ASSERT_EQ(after.nodes().size(), 1U);
  ASSERT_EQ(after.layers().size(), 1U);
  EXPECT_EQ(after.layers()[0].id, "layer");
  EXPECT_EQ(after.tensor(after.outputs()[0]).name, "z");
  EXPECT_EQ(after.layers()[0].bias_count, kOut);
  ASSERT_TRUE(statistics.contains("layer"));
  EXPECT_EQ(statistics["layer"].gamma,
            before.tensor(*before.FindTensor("gamma")).constant->ToFloats());
  EXPECT_EQ(before.nodes().size(), 2U) << "the original must not change";

  const std::vector<float> input = RandomFloats(kIn, random, -1.0F, 1.0F);
  const std::vector<double> y = Product(before, before.layers()[0], c.group, input, kOut);
  const std::vector<double> z = Product(after, after.layers()[0], c.group, input, kOut);
  const BatchNormStatistics& bn = statistics["layer"];
  for (std::size_t m = 0; m < kOut; ++m) {
    const double expected =
        (y[m] - bn.mean[m]) / std::sqrt(double{bn.variance[m]} + bn.epsilon) * bn.gamma[m] +
        bn.beta[m];
    EXPECT_NEAR(z[m], expected, 1e-5) << "channel " << m;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, FoldsNorm,
    testing::Values(NormCase{"Conv", 1, false, false}, NormCase{"Conv", 1, true, false},
                    NormCase{"Conv", 2, true, false}, NormCase{"ConvTranspose", 1, true, false},
                    NormCase{"ConvTranspose", 2, false, false},
                    NormCase{"ConvTranspose", 2, true, false}, NormCase{"Gemm", 1, true, false},
                    NormCase{"Gemm", 1, false, true}));

onnx::ModelProto ConvNormModel() {
  onnx::ModelProto model = EmptyModel(13, {-1, 2, 4, 4});
  AddFloats(model, "w", {2, 2, 1, 1}, Ramp(4));
  for (const char* name : {"gamma", "beta", "mean", "var"}) {
    AddFloats(model, name, {2}, {1.5F, 2.0F});
  }
  AddNode(model, "Conv", {"x", "w"}, {"y"}, "conv");
  AddNode(model, "BatchNormalization", {"y", "gamma", "beta", "mean", "var"}, {"z"}, "norm");
  AddOutput(model, "z");
  return model;
}

TEST(FoldBatchNorm, LeavesANormWhoseInputIsReadElsewhere) {
  onnx::ModelProto model = ConvNormModel();
  AddOutput(model, "y");
  EXPECT_EQ(FoldBatchNorm(Read(model)).nodes().size(), 2U);
}

TEST(FoldBatchNorm, SharedWeightsGetTheirOwnCopies) {
  onnx::ModelProto model = ConvNormModel();
  AddNode(model, "Conv", {"z", "w"}, {"q"}, "second");
  AddOutput(model, "q");
  const LayerGraph before = Read(model);
  const LayerGraph after = FoldBatchNorm(before);
  ASSERT_EQ(after.layers().size(), 2U);
  const Layer& second = after.layers()[1];
  EXPECT_EQ(after.tensor(*second.weight).constant->ToFloats(), Ramp(4))
      << "a layer without a normalisation must keep its weights";
  EXPECT_NE(after.tensor(*after.layers()[0].weight).constant->ToFloats(), Ramp(4));
}

TEST(FoldBatchNorm, RefusesANegativeVariance) {
  onnx::ModelProto model = ConvNormModel();
  const std::vector<float> bad = {1.0F, -0.5F};
  model.mutable_graph()->mutable_initializer(4)->set_raw_data(bad.data(), 8);
  const LayerGraph graph = Read(model);
  try {
    FoldBatchNorm(graph);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kModelNotFinite);
    EXPECT_EQ(error.key(), "norm");
  }
}

TEST(FoldBatchNorm, NeverChangesAnId) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const LayerGraph before = RandomGraph(seed);
    const LayerGraph after = FoldBatchNorm(before);
    ASSERT_EQ(before.layers().size(), after.layers().size());
    for (std::size_t l = 0; l < before.layers().size(); ++l) {
      EXPECT_EQ(before.layers()[l].id, after.layers()[l].id);
      EXPECT_EQ(before.layers()[l].macs, after.layers()[l].macs);
    }
    EXPECT_EQ(before.tensor(before.outputs()[0]).name, after.tensor(after.outputs()[0]).name);
  }
}

TEST(FoldBatchNorm, EmptiesTheResNet) {
  const std::filesystem::path path = SharedModel("resnet20/resnet20_cifar10_bn.onnx");
  BITSEARCH_SKIP_WITHOUT(path);
  BatchNormMap statistics;
  const LayerGraph folded = FoldBatchNorm(ReadOnnx(path), &statistics);
  EXPECT_EQ(statistics.size(), 19U);
  for (const Node& node : folded.nodes()) EXPECT_NE(node.op, "BatchNormalization");
  // The exporter's own folding is the reference.
  const std::filesystem::path reference =
      SharedModel("resnet20/resnet20_cifar10_bnfold_clean.onnx");
  BITSEARCH_SKIP_WITHOUT(reference);
  const LayerGraph expected = ReadOnnx(reference);
  for (std::size_t l = 0; l < expected.layers().size(); ++l) {
    const auto compare = [&](TensorIndex ours, TensorIndex theirs) {
      const std::vector<float> a = folded.tensor(ours).constant->ToFloats();
      const std::vector<float> b = expected.tensor(theirs).constant->ToFloats();
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i) {
        ASSERT_NEAR(a[i], b[i], 1e-5F * (1.0F + std::abs(b[i]))) << "layer " << l;
      }
    };
    compare(*folded.layers()[l].weight, *expected.layers()[l].weight);
    compare(*folded.layers()[l].bias, *expected.layers()[l].bias);
  }
}

TEST(RemoveIdentities, KeepsOutputNamesAndInputs) {
  onnx::ModelProto model = EmptyModel(13, {-1, 2});
  AddNode(model, "Identity", {"x"}, {"a"}, "");
  AddNode(model, "Relu", {"a"}, {"b"}, "");
  AddNode(model, "Dropout", {"b"}, {"c"}, "");
  AddNode(model, "Identity", {"c"}, {"d"}, "");
  AddOutput(model, "d");
  const LayerGraph graph = RemoveIdentities(Read(model));
  ASSERT_EQ(graph.nodes().size(), 1U);
  EXPECT_EQ(graph.nodes()[0].op, "Relu");
  EXPECT_EQ(graph.tensor(*graph.nodes()[0].inputs[0]).name, "x");
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).name, "d");
  // An identity from input to output is all there is: it must stay.
  onnx::ModelProto plain = EmptyModel(13, {-1, 2});
  AddNode(plain, "Identity", {"x"}, {"a"}, "");
  AddOutput(plain, "a");
  EXPECT_EQ(RemoveIdentities(Read(plain)).nodes().size(), 1U);
}

}  // namespace
}  // namespace bitsearch
