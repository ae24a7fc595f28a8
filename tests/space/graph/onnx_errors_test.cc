// Every way a model file can be wrong ends in the right error, naming place and remedy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "space/graph/onnx_reader.h"
#include "space/graph/onnx_writer.h"
#include "space/support/error.h"
#include "tests/space/graph/graph_testing.h"

namespace bitsearch {
namespace {

using namespace testing_graph;
using testing::HasSubstr;

Error ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorId::kUsage, "no error was thrown");
}

Error ReadError(const onnx::ModelProto& model) {
  return ErrorOf([&] { Read(model); });
}

onnx::ModelProto SmallModel() {
  onnx::ModelProto model = EmptyModel(13, {-1, 3, 8, 8});
  AddFloats(model, "w", {4, 3, 3, 3}, Ramp(108));
  AddNode(model, "Conv", {"x", "w"}, {"y"}, "conv1");
  AddNode(model, "Relu", {"y"}, {"z"}, "relu1");
  AddOutput(model, "z");
  return model;
}

void ExpectFileNamed(const Error& error) {
  EXPECT_THAT(std::string(error.what()), HasSubstr("model.onnx"));
  EXPECT_FALSE(error.hint().empty()) << error.what();
}

TEST(OnnxErrors, TheSmallModelIsSound) { EXPECT_EQ(Read(SmallModel()).layers().size(), 1U); }

TEST(OnnxErrors, UnknownOperatorNamesNodeOperatorAndOpset) {
  onnx::ModelProto model = SmallModel();
  model.mutable_graph()->mutable_node(1)->set_op_type("FancyRelu");
  Error error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kOperatorUnsupported);
  EXPECT_THAT(std::string(error.what()), HasSubstr("relu1"));
  EXPECT_THAT(std::string(error.what()), HasSubstr("FancyRelu"));
  EXPECT_THAT(std::string(error.what()), HasSubstr("opset 13"));
  ExpectFileNamed(error);
  model = SmallModel();
  model.mutable_graph()->mutable_node(1)->set_domain("com.vendor");
  error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kOperatorUnsupported);
  EXPECT_THAT(std::string(error.what()), HasSubstr("com.vendor.Relu"));
}

TEST(OnnxErrors, OperatorOutsideItsOpsets) {
  onnx::ModelProto model = SmallModel();
  model.mutable_graph()->mutable_node(1)->set_op_type("Gelu");
  EXPECT_EQ(ReadError(model).id(), ErrorId::kOperatorUnsupported);
}

TEST(OnnxErrors, WrongNumberOfInputs) {
  onnx::ModelProto model = SmallModel();
  model.mutable_graph()->mutable_node(1)->add_input("y");
  const Error error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kOperatorUnsupported);
  EXPECT_THAT(std::string(error.what()), HasSubstr("2 inputs"));
}

TEST(OnnxErrors, OpsetAbsentOrOutOfRange) {
  onnx::ModelProto model = SmallModel();
  model.clear_opset_import();
  EXPECT_EQ(ReadError(model).id(), ErrorId::kModelOpset);
  model = SmallModel();
  model.mutable_opset_import(0)->set_version(8);
  EXPECT_EQ(ReadError(model).id(), ErrorId::kModelOpset);
  model.mutable_opset_import(0)->set_version(1000);
  const Error error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kModelOpset);
  ExpectFileNamed(error);
}

TEST(OnnxErrors, Cycle) {
  onnx::ModelProto model = SmallModel();
  AddNode(model, "Add", {"z", "b"}, {"a"}, "left");
  AddNode(model, "Relu", {"a"}, {"b"}, "right");
  AddOutput(model, "a");
  const Error error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kModelGraph);
  EXPECT_THAT(std::string(error.what()), HasSubstr("cycle"));
  ExpectFileNamed(error);
}

TEST(OnnxErrors, NodesInAnyOrderAreFine) {
  onnx::ModelProto model = SmallModel();
  model.mutable_graph()->mutable_node()->SwapElements(0, 1);
  EXPECT_EQ(Read(model).nodes()[0].id, "conv1");
}

TEST(OnnxErrors, MissingInputAndOutput) {
  onnx::ModelProto model = SmallModel();
  model.mutable_graph()->mutable_node(1)->set_input(0, "nowhere");
  Error error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kModelMissingInput);
  EXPECT_THAT(std::string(error.what()), HasSubstr("nowhere"));
  EXPECT_THAT(std::string(error.what()), HasSubstr("relu1"));
  ExpectFileNamed(error);
  model = SmallModel();
  AddOutput(model, "nobody");
  EXPECT_EQ(ReadError(model).id(), ErrorId::kModelMissingInput);
  model = SmallModel();
  model.mutable_graph()->clear_output();
  EXPECT_EQ(ReadError(model).id(), ErrorId::kModelGraph);
}

TEST(OnnxErrors, TwoProducers) {
  onnx::ModelProto model = SmallModel();
  AddNode(model, "Relu", {"x"}, {"z"}, "relu2");
  EXPECT_EQ(ReadError(model).id(), ErrorId::kModelGraph);
  model = SmallModel();
  AddFloats(model, "w", {1}, {1.0F});
  EXPECT_EQ(ReadError(model).id(), ErrorId::kModelGraph);
}

TEST(OnnxErrors, InitializerOfTheWrongSize) {
  for (const int bytes : {0, 4, 428, 436}) {
    onnx::ModelProto model = SmallModel();
    model.mutable_graph()->mutable_initializer(0)->set_raw_data(
        std::string(static_cast<std::size_t>(bytes), 'x'));
    const Error error = ReadError(model);
    EXPECT_EQ(error.id(), ErrorId::kModelTensor) << bytes;
    EXPECT_EQ(error.key(), "w");
    ExpectFileNamed(error);
  }
}

TEST(OnnxErrors, AClaimOfGigabytesAllocatesNothing) {
  // 2 GB claimed by the shape, and shapes whose product overflows 64 bits.
  for (const std::vector<std::int64_t>& dims :
       std::vector<std::vector<std::int64_t>>{{1 << 29},
                                              {std::int64_t{1} << 62, std::int64_t{1} << 62},
                                              {std::int64_t{1} << 32, std::int64_t{1} << 32},
                                              {-5, 3},
                                              {std::numeric_limits<std::int64_t>::max()}}) {
    onnx::ModelProto model = SmallModel();
    onnx::TensorProto* tensor = model.mutable_graph()->mutable_initializer(0);
    tensor->clear_dims();
    for (const std::int64_t extent : dims) tensor->add_dims(extent);
    EXPECT_EQ(ReadError(model).id(), ErrorId::kModelTensor);
    tensor->clear_raw_data();
    EXPECT_EQ(ReadError(model).id(), ErrorId::kModelTensor);
  }
  // Large results of small constants stay at run time.
  onnx::ModelProto model = EmptyModel(13, {-1});
  AddInts(model, "shape", {3}, {1 << 20, 1 << 20, 1 << 20});
  AddNode(model, "ConstantOfShape", {"shape"}, {"zeros"}, "zeros");
  AddOutput(model, "zeros");
  EXPECT_EQ(Read(model).nodes().size(), 1U);
  // A field that claims 2 GB in a file of some bytes.
  const std::string claim = {0x08,       0x08,       0x3A, char(0xFF), char(0xFF),
                             char(0xFF), char(0xFF), 0x07, 0x0A,       0x01};
  EXPECT_EQ(ErrorOf([&] { ReadString(claim); }).id(), ErrorId::kModelParse);
}

TEST(OnnxErrors, UnsupportedElementType) {
  onnx::ModelProto model = SmallModel();
  model.mutable_graph()->mutable_initializer(0)->set_data_type(17);  // float8
  const Error error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kModelTensor);
  ExpectFileNamed(error);
}

TEST(OnnxErrors, NotANumberInAWeight) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    onnx::ModelProto model = SmallModel();
    std::vector<float> values = Ramp(108);
    values[17] = bad;
    model.mutable_graph()->mutable_initializer(0)->set_raw_data(values.data(), 432);
    const Error error = ReadError(model);
    EXPECT_EQ(error.id(), ErrorId::kModelNotFinite);
    EXPECT_EQ(error.key(), "conv1");
    EXPECT_THAT(std::string(error.what()), HasSubstr("element 17"));
    ExpectFileNamed(error);
  }
}

TEST(OnnxErrors, ShapeMismatchNamesNodeAndShapes) {
  onnx::ModelProto model = EmptyModel(13, {-1, 5, 8, 8});
  AddFloats(model, "w", {4, 3, 3, 3}, Ramp(108));
  AddNode(model, "Conv", {"x", "w"}, {"y"}, "conv1");
  AddOutput(model, "y");
  const Error error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kModelShape);
  EXPECT_EQ(error.key(), "conv1");
  EXPECT_THAT(std::string(error.what()), HasSubstr("5 channels"));
  ExpectFileNamed(error);
}

TEST(OnnxErrors, AttributeOfTheWrongType) {
  onnx::ModelProto model = SmallModel();
  SetFloat(model.mutable_graph()->mutable_node(0), "group", 1.0F);
  const Error error = ReadError(model);
  EXPECT_EQ(error.id(), ErrorId::kModelAttribute);
  EXPECT_EQ(error.key(), "conv1");
  ExpectFileNamed(error);
}

TEST(OnnxErrors, TruncatedAtAnyOffset) {
  const std::string bytes = SmallModel().SerializeAsString();
  const LayerGraph whole = ReadString(bytes);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    try {
      // What parses all the same (an optional field cut off at its border) must be the same graph.
      EXPECT_TRUE(SameGraph(whole, ReadString(bytes.substr(0, length)))) << length;
    } catch (const Error& error) {
      EXPECT_EQ(ClassOf(error.id()), ErrorClass::kData) << length << ": " << error.what();
      EXPECT_THAT(std::string(error.what()), HasSubstr("model.onnx"));
    }
  }
}

TEST(OnnxErrors, ByteFlipsNeverEscapeAsAnythingButAnError) {
  const std::string bytes = SerializeOnnx(RandomGraph(5));
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    for (const char flip : {char(0x01), char(0x80), char(0xFF)}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      try {
        ReadString(damaged);
      } catch (const Error& error) {
        EXPECT_EQ(ClassOf(error.id()), ErrorClass::kData) << i << ": " << error.what();
      }
    }
  }
}

TEST(OnnxErrors, TruncatedRealModel) {
  const std::filesystem::path path = SharedModel("resnet20/resnet20_cifar10_bn.onnx");
  BITSEARCH_SKIP_WITHOUT(path);
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  for (std::size_t length = 0; length < bytes.size(); length += bytes.size() / 97) {
    const Error error = ErrorOf([&] { ReadString(bytes.substr(0, length)); });
    EXPECT_EQ(error.id(), ErrorId::kModelParse) << length << ": " << error.what();
  }
}

TEST(OnnxErrors, NotAModelAtAll) {
  for (const std::string text : {"", "hello", "{\"json\": true}", "\x89PNG\r\n"}) {
    EXPECT_EQ(ErrorOf([&] { ReadString(text); }).id(), ErrorId::kModelParse) << text;
  }
  EXPECT_EQ(ErrorOf([] { ReadOnnx("no/such/model.onnx"); }).id(), ErrorId::kFileNotFound);
}

// --- external data
// --------------------------------------------------------------------------------

class ExternalData : public testing::Test {
 protected:
  ExternalData() : folder_(std::filesystem::path(testing::TempDir()) / "bitsearch_external") {
    std::filesystem::create_directories(folder_);
    model_ = SmallModel();
    values_ = Ramp(108);
    std::ofstream(folder_ / "weights.bin", std::ios::binary)
        << std::string(16, 'p') << std::string(reinterpret_cast<const char*>(values_.data()), 432);
    tensor_ = model_.mutable_graph()->mutable_initializer(0);
    tensor_->clear_raw_data();
    tensor_->set_data_location(onnx::TensorProto::EXTERNAL);
    Set("location", "weights.bin");
    Set("offset", "16");
    Set("length", "432");
  }
  ~ExternalData() override { std::filesystem::remove_all(folder_); }

  void Set(const std::string& key, const std::string& value) {
    for (onnx::StringStringEntryProto& entry : *tensor_->mutable_external_data()) {
      if (entry.key() == key) return entry.set_value(value);
    }
    onnx::StringStringEntryProto* entry = tensor_->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  LayerGraph ReadModel() const {
    return ReadString(model_.SerializeAsString(), folder_ / "model.onnx");
  }

  std::filesystem::path folder_;
  onnx::ModelProto model_;
  onnx::TensorProto* tensor_ = nullptr;
  std::vector<float> values_;
};

TEST_F(ExternalData, IsReadBesideTheModel) {
  const LayerGraph graph = ReadModel();
  EXPECT_EQ(graph.tensor(*graph.layers()[0].weight).constant->ToFloats(), values_);
  // Written back, the file stands alone.
  EXPECT_TRUE(SameGraph(graph, ReadString(SerializeOnnx(graph), "elsewhere/model.onnx")));
}

TEST_F(ExternalData, Missing) {
  Set("location", "gone.bin");
  const Error error = ErrorOf([&] { ReadModel(); });
  EXPECT_EQ(error.id(), ErrorId::kModelExternalData);
  EXPECT_THAT(std::string(error.what()), HasSubstr("gone.bin"));
  ExpectFileNamed(error);
}

TEST_F(ExternalData, TooShortOrAbsurd) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"offset", "17"},
                                                        {"offset", "9223372036854775807"},
                                                        {"offset", "-1"},
                                                        {"offset", "99999999999999999999"},
                                                        {"offset", "sixteen"},
                                                        {"length", "431"},
                                                        {"length", "2147483648"}}) {
    const onnx::TensorProto saved = *tensor_;
    Set(key, value);
    EXPECT_EQ(ErrorOf([&] { ReadModel(); }).id(), ErrorId::kModelExternalData) << key << value;
    *tensor_ = saved;
  }
}

TEST_F(ExternalData, OutsideTheFolderIsRefused) {
  for (const std::string location : {"/etc/passwd", "../weights.bin", "a/../../b", ""}) {
    Set("location", location);
    EXPECT_EQ(ErrorOf([&] { ReadModel(); }).id(), ErrorId::kModelExternalData) << location;
  }
}

}  // namespace
}  // namespace bitsearch
