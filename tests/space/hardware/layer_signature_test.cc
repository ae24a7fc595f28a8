// Signatures: what a layer's shape reads as, and that text and struct agree.
#include "space/hardware/layer_signature.h"

#include <gtest/gtest.h>

#include "space/support/error.h"
#include "space/support/random.h"
#include "tests/space/hardware/tiny_graph.h"

namespace bitsearch {
namespace {

TEST(LayerSignature, NamesTheLayersOfAResidualGraph) {
  const LayerGraph graph = TinyResidualGraph();
  ASSERT_EQ(graph.layers().size(), 5u);
  const std::vector<LayerSignature> signatures = SignaturesOf(graph);
  EXPECT_EQ(signatures[0].ToString(), "Conv:in3:out4:size8x8:kernel3x3:stride1x1:groups1");
  EXPECT_EQ(signatures[1].ToString(), "Conv:in4:out8:size8x8:kernel3x3:stride2x2:groups1");
  EXPECT_EQ(signatures[3].ToString(), "Conv:in4:out8:size8x8:kernel1x1:stride2x2:groups1");
  EXPECT_EQ(signatures[4].ToString(), "Gemm:in8:out10:rows1");
  for (std::size_t l = 0; l < signatures.size(); ++l) {
    EXPECT_EQ(signatures[l].Macs(), graph.layers()[l].macs) << graph.layers()[l].id;
    EXPECT_EQ(signatures[l].WeightElements(), graph.layers()[l].parameter_count);
  }
}

TEST(LayerSignature, UnknownExtentIsAnErrorThatNamesTheLayer) {
  LayerGraph graph = TinyResidualGraph();
  const TensorIndex input = graph.inputs().front();
  graph.SetSampleShape(input, std::nullopt);
  graph.SetShape(input, Shape{-1, 3, -1, -1}, DataType::kFloat32);
  try {
    SignaturesOf(graph);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kLayerShape);
    EXPECT_EQ(error.key(), "stem");
  }
}

TEST(LayerSignature, TextAndStructAgree) {
  RandomStream random(7, "signature-test");
  for (int round = 0; round < 500; ++round) {
    LayerSignature signature;
    signature.op = random.Below(3) == 0 ? "ConvTranspose" : "Conv";
    if (random.Below(4) == 0) signature.op = "MatMul";
    signature.in_channels = static_cast<std::int64_t>(random.Below(500)) + 1;
    signature.out_channels = static_cast<std::int64_t>(random.Below(500)) + 1;
    if (signature.is_convolution()) {
      const std::size_t rank = random.Below(3) + 1;
      for (std::size_t i = 0; i < rank; ++i) {
        signature.size.push_back(static_cast<std::int64_t>(random.Below(60)) + 8);
        signature.kernel.push_back(static_cast<std::int64_t>(random.Below(7)) + 1);
        signature.strides.push_back(static_cast<std::int64_t>(random.Below(3)) + 1);
        signature.dilations.push_back(static_cast<std::int64_t>(random.Below(2)) + 1);
      }
      for (std::size_t i = 0; i < 2 * rank; ++i) {
        signature.pads.push_back(static_cast<std::int64_t>(random.Below(4)));
      }
    } else {
      signature.rows = static_cast<std::int64_t>(random.Below(64)) + 1;
      signature.two_activations = random.Below(2) == 0;
    }
    const auto parsed = LayerSignature::Parse(signature.ToString());
    ASSERT_TRUE(parsed.has_value()) << signature.ToString();
    EXPECT_EQ(*parsed, signature) << signature.ToString();
  }
}

TEST(LayerSignature, OtherTextsAreNotSignatures) {
  for (const char* text :
       {"", "stem", "/layer1/conv1/Conv", "Conv:in3", "Conv:in3:out4:size8x8:kernel3:stride1x1",
        "Relu:in3:out4:rows1", "Conv:in3:out4:size8x8:kernel3x3:stride1x1:groups1:what3",
        "Gemm:in-3:out4:rows1", "Gemm:in3x:out4:rows1"}) {
    EXPECT_FALSE(LayerSignature::Parse(text).has_value()) << text;
  }
}

TEST(LayerSignature, AutoPadEqualsExplicitPads) {
  GraphBuilder build;
  const TensorIndex input = build.Input("input", {1, 3, 7, 7});
  const TensorIndex weight = build.Weight("w", {4, 3, 3, 3});
  Attributes attributes;
  attributes.Set("auto_pad", std::string("SAME_UPPER"));
  attributes.Set("strides", std::vector<std::int64_t>{2, 2});
  build.graph.AddOutput(build.Op("c", "Conv", {input, weight}, {1, 4, 4, 4}, attributes));
  build.graph.FindLayers();
  const LayerSignature signature = SignatureOf(build.graph, build.graph.layers().front());
  EXPECT_EQ(signature.pads, (std::vector<std::int64_t>{1, 1, 1, 1}));
  EXPECT_EQ(signature.OutputSize(), (std::vector<std::int64_t>{4, 4}));
}

}  // namespace
}  // namespace bitsearch
