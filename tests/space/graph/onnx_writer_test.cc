// Writing and reading back gives the same graph, for built-in, random and imported networks.
#include "space/graph/onnx_writer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "tests/space/graph/graph_testing.h"

namespace bitsearch {
namespace {

using namespace testing_graph;

TEST(OnnxWriter, RandomGraphsSurviveARoundTrip) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const LayerGraph graph = RandomGraph(seed);
    const std::string bytes = SerializeOnnx(graph);
    const LayerGraph again = ReadString(bytes);
    ASSERT_TRUE(SameGraph(graph, again)) << "seed " << seed;
    // From now on the source is patched; the bytes stay the same.
    EXPECT_EQ(SerializeOnnx(again), bytes) << "seed " << seed;
  }
}

TEST(OnnxWriter, FoldedRandomGraphsSurviveARoundTrip) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const LayerGraph read = ReadString(SerializeOnnx(RandomGraph(seed)));
    const LayerGraph folded = RemoveIdentities(FoldBatchNorm(read));
    ASSERT_TRUE(SameGraph(folded, ReadString(SerializeOnnx(folded)))) << "seed " << seed;
  }
}

class SharedModels : public testing::TestWithParam<std::string> {};

TEST_P(SharedModels, SurviveARoundTrip) {
  const std::filesystem::path path = SharedModel(GetParam());
  BITSEARCH_SKIP_WITHOUT(path);
  const LayerGraph graph = ReadOnnx(path);
  ASSERT_TRUE(SameGraph(graph, ReadString(SerializeOnnx(graph))));
  const LayerGraph folded = FoldBatchNorm(graph);
  ASSERT_TRUE(SameGraph(folded, ReadString(SerializeOnnx(folded))));
}

INSTANTIATE_TEST_SUITE_P(
    Shared, SharedModels,
    testing::Values("resnet20/resnet20_cifar10_bn.onnx", "resnet20/resnet20_cifar10_bn_clean.onnx",
                    "resnet20/resnet20_cifar10_bnfold.onnx",
                    "resnet56/resnet56_cifar10_bnfold_clean.onnx", "ocr/ch_PP-OCRv4_det_infer.onnx",
                    "ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx", "qdq_examples/resnet20_mixed.onnx"));

TEST(OnnxWriter, KeepsWhatTheGraphDoesNotDescribe) {
  onnx::ModelProto model = EmptyModel(13, {-1, 4});
  model.set_producer_name("somebody");
  onnx::StringStringEntryProto* entry = model.add_metadata_props();
  entry->set_key("license");
  entry->set_value("theirs");
  onnx::OperatorSetIdProto* import = model.add_opset_import();
  import->set_domain("their.domain");
  import->set_version(3);
  AddFloats(model, "w", {4, 2}, Ramp(8));
  AddNode(model, "MatMul", {"x", "w"}, {"y"}, "product")->set_doc_string("kept");
  AddOutput(model, "y");
  LayerGraph graph = Read(model);
  onnx::ModelProto written;
  ASSERT_TRUE(written.ParseFromString(SerializeOnnx(graph)));
  EXPECT_EQ(written.SerializeAsString(), model.SerializeAsString());

  // A changed constant, and only that, changes the file.
  const std::vector<float> halves(8, 0.5F);
  graph.SetConstant(*graph.FindTensor("w"), TensorValue::FromFloats({4, 2}, halves));
  ASSERT_TRUE(written.ParseFromString(SerializeOnnx(graph)));
  EXPECT_EQ(written.producer_name(), "somebody");
  EXPECT_EQ(written.graph().node(0).doc_string(), "kept");
  EXPECT_EQ(written.metadata_props(0).value(), "theirs");
  EXPECT_EQ(written.opset_import(1).domain(), "their.domain");
  const LayerGraph again = Read(written);
  EXPECT_EQ(again.tensor(*again.FindTensor("w")).constant->ToFloats(), halves);
}

TEST(OnnxWriter, HalfPrecisionModelsBecomeFloat32Throughout) {
  onnx::ModelProto model = EmptyModel(13, {-1, 2});
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::FLOAT16);
  onnx::TensorProto* w = model.mutable_graph()->add_initializer();
  w->set_name("w");
  w->set_data_type(onnx::TensorProto::FLOAT16);
  w->add_dims(2);
  w->add_dims(1);
  w->add_int32_data(0x3C00);  // 1.0
  w->add_int32_data(0xC100);  // −2.5
  AddNode(model, "MatMul", {"x", "w"}, {"y"}, "product");
  AddOutput(model, "y");
  const LayerGraph graph = Read(model);
  ASSERT_EQ(graph.layers().size(), 1U);
  EXPECT_EQ(graph.tensor(*graph.FindTensor("w")).constant->ToFloats(),
            (std::vector<float>{1.0F, -2.5F}));
  onnx::ModelProto written;
  ASSERT_TRUE(written.ParseFromString(SerializeOnnx(graph)));
  EXPECT_EQ(written.graph().initializer(0).data_type(), onnx::TensorProto::FLOAT);
  EXPECT_EQ(written.graph().input(0).type().tensor_type().elem_type(), onnx::TensorProto::FLOAT);
  EXPECT_TRUE(SameGraph(graph, Read(written)));
}

}  // namespace
}  // namespace bitsearch
