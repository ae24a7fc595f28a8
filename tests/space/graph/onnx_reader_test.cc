// Reading real ONNX files: the published networks beside the project, where they are present.
#include "space/graph/onnx_reader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "tests/space/graph/graph_testing.h"

namespace bitsearch {
namespace {

using testing_graph::SharedModel;

std::int64_t TotalParameters(const LayerGraph& graph) {
  std::int64_t sum = 0;
  for (const Layer& layer : graph.layers()) sum += layer.parameter_count;
  return sum;
}

std::int64_t TotalMacs(const LayerGraph& graph) {
  std::int64_t sum = 0;
  for (const Layer& layer : graph.layers()) sum += layer.macs;
  return sum;
}

struct ResNetCase {
  std::string file;
  std::size_t layers;
  std::int64_t parameters;
  std::int64_t macs;
};

void PrintTo(const ResNetCase& value, std::ostream* stream) { *stream << value.file; }

class ResNetFiles : public testing::TestWithParam<ResNetCase> {};

TEST_P(ResNetFiles, HasTheKnownLayers) {
  const std::filesystem::path path = SharedModel(GetParam().file);
  BITSEARCH_SKIP_WITHOUT(path);
  const LayerGraph graph = ReadOnnx(path);
  EXPECT_EQ(graph.layers().size(), GetParam().layers);
  EXPECT_EQ(TotalParameters(graph), GetParam().parameters);
  EXPECT_EQ(TotalMacs(graph), GetParam().macs);
  ASSERT_EQ(graph.outputs().size(), 1U);
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).shape, (Shape{-1, 10}));
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).sample_shape, (Shape{1, 10}));
  for (const Node& node : graph.nodes()) {
    EXPECT_TRUE(node.op == "Conv" || node.op == "BatchNormalization" || node.op == "Relu" ||
                node.op == "Add" || node.op == "Pad" || node.op == "Slice" ||
                node.op == "GlobalAveragePool" || node.op == "Flatten" || node.op == "Gemm")
        << node.op << " should have been folded: " << node.id;
  }
}

// Parameters and MACs of the 3×3 convolutions and of the classifier, computed by hand from the
// architecture (He et al. 2016, section 4.2, option A shortcuts).
INSTANTIATE_TEST_SUITE_P(
    Shared, ResNetFiles,
    testing::Values(ResNetCase{"resnet20/resnet20_cifar10_bn.onnx", 20, 268336, 40551040},
                    ResNetCase{"resnet20/resnet20_cifar10_bn_clean.onnx", 20, 268336, 40551040},
                    ResNetCase{"resnet20/resnet20_cifar10_bnfold.onnx", 20, 268336, 40551040},
                    ResNetCase{"resnet20/resnet20_cifar10_bnfold_clean.onnx", 20, 268336, 40551040},
                    ResNetCase{"resnet56/resnet56_cifar10_bn.onnx", 56, 848944, 125485696},
                    ResNetCase{"resnet56/resnet56_cifar10_bn_clean.onnx", 56, 848944, 125485696},
                    ResNetCase{"resnet56/resnet56_cifar10_bnfold.onnx", 56, 848944, 125485696},
                    ResNetCase{"resnet56/resnet56_cifar10_bnfold_clean.onnx", 56, 848944,
                               125485696}));

TEST(OcrModels, DetectorWithOpenSizes) {
  const std::filesystem::path path = SharedModel("ocr/ch_PP-OCRv4_det_infer.onnx");
  BITSEARCH_SKIP_WITHOUT(path);
  const LayerGraph graph = ReadOnnx(path);
  EXPECT_EQ(graph.layers().size(), 64U);  // 62 convolutions, 2 transposed ones.
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).shape, (Shape{-1, 1, -1, -1}));
  EXPECT_EQ(graph.layers().front().macs, 0) << "MACs need the image's size";
}

TEST(OcrModels, DetectorWithGivenSize) {
  const std::filesystem::path path = SharedModel("ocr/ch_PP-OCRv4_det_infer.onnx");
  BITSEARCH_SKIP_WITHOUT(path);
  const LayerGraph graph = ReadOnnx(path, {.input_shapes = {{"x", {-1, 3, 160, 160}}}});
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).shape, (Shape{-1, 1, 160, 160}));
  for (const Layer& layer : graph.layers()) EXPECT_GT(layer.macs, 0) << layer.id;
}

TEST(OcrModels, Classifier) {
  const std::filesystem::path path = SharedModel("ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx");
  BITSEARCH_SKIP_WITHOUT(path);
  const LayerGraph graph = ReadOnnx(path, {.input_shapes = {{"x", {-1, 3, 48, 192}}}});
  EXPECT_EQ(graph.layers().size(), 54U);  // 53 convolutions and a MatMul.
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).shape, (Shape{-1, 2}));
  for (const Node& node : graph.nodes()) EXPECT_NE(node.op, "Shape") << node.id;
}

}  // namespace
}  // namespace bitsearch
