// Each thing that a file cannot hold is refused with the layer, what and a remedy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/support/error.h"
#include "tests/experiments/formats/format_samples.h"

namespace bitsearch {
namespace {

using testing::HasSubstr;

/// The embedded network in W8A8 with stored, symmetric grids, which every format but some hold.
class FormatRefusalTest : public testing::Test {
 protected:
  FormatRefusalTest() {
    std::mt19937 random(1);
    SampleRange range{.weights = {NumberFormat::Integer(8)},
                      .activations = {NumberFormat::Integer(8)},
                      .symmetric_activations = true};
    config_ = RandomConfig(EmbeddedNetwork(), range, random);
  }

  /// The text of the errors; empty if the file is written.
  std::string Refusal(const std::string& format) {
    try {
      Exported(format, config_, EmbeddedNetwork());
    } catch (const ErrorList& list) {
      for (const Error& error : list.errors()) {
        EXPECT_EQ(error.id(), ErrorId::kExportRefused) << error.what();
      }
      return list.what();
    }
    return "";
  }
  ConfigLayer& layer(const std::string& name) {
    for (ConfigLayer& layer : config_.layers) {
      if (layer.name == name) return layer;
    }
    throw std::logic_error(name);
  }
  void WeightsOnly() {
    for (ConfigLayer& layer : config_.layers) {
      layer.choice.activation = NumberFormat::Float32();
      layer.quantizers.activation.reset();
    }
  }

  ConfigDocument config_;
};

TEST_F(FormatRefusalTest, TernaryOneBitAndSkippedBlocks) {
  for (const char* format : {"aimet", "aimet2", "modelopt", "torchao", "hawq", "nncf", "ort"}) {
    layer("fc").choice.weight = NumberFormat::Ternary();
    EXPECT_THAT(Refusal(format), HasSubstr(std::string("config.json: error: fc: ") + format +
                                           " cannot hold ternary weights (allowed: "));
    layer("fc").choice.weight = NumberFormat::Integer(1);
    EXPECT_THAT(Refusal(format),
                HasSubstr("fc: " + std::string(format) + " cannot hold weights of 1 bits"));
    layer("fc").choice.weight = NumberFormat::Skip();
    EXPECT_THAT(Refusal(format), HasSubstr("a block that is left out"));
  }
  for (const char* format : {"csv", "json"}) EXPECT_EQ(Refusal(format), "");
}

TEST_F(FormatRefusalTest, EveryLayerIsNamed) {
  layer("fc").choice.weight = NumberFormat::Ternary();
  layer("conv1").choice.weight = NumberFormat::Bfloat16();
  const std::string text = Refusal("aimet");
  EXPECT_THAT(text, HasSubstr("conv1: aimet cannot hold bf16 weights"));
  EXPECT_THAT(text, HasSubstr("fc: aimet cannot hold ternary weights"));
}

TEST_F(FormatRefusalTest, ActivationsInWeightOnlyConfigurations) {
  EXPECT_THAT(Refusal("torchao"), HasSubstr("conv1: torchao cannot hold activations of a "
                                            "convolution, only those of a Linear"));
  WeightsOnly();
  EXPECT_EQ(Refusal("torchao"), "");
  layer("fc").choice.activation = NumberFormat::Integer(8);
  EXPECT_EQ(Refusal("torchao"), "");
  layer("fc").choice.activation = NumberFormat::Integer(4);
  EXPECT_THAT(Refusal("torchao"), HasSubstr("activations of 4 bits (allowed: 8, fp32)"));
}

TEST_F(FormatRefusalTest, FloatWhereAToolHasIntegersOnly) {
  layer("conv1").choice.activation = NumberFormat::Float32();
  EXPECT_THAT(Refusal("hawq"), HasSubstr("conv1: hawq cannot hold fp32 activations"));
  EXPECT_THAT(Refusal("ort"), HasSubstr("conv1: ort cannot hold integer weights beside float"));
  EXPECT_THAT(Refusal("nncf"), HasSubstr("beside others of fp32"));
}

TEST_F(FormatRefusalTest, AsymmetricGrids) {
  layer("conv1").quantizers.activation = TensorQuantizer{"per_tensor", false, -1, 2, {0.01F}, {85}};
  EXPECT_THAT(Refusal("modelopt"), HasSubstr("conv1: modelopt cannot hold asymmetric activations "
                                             "(zero point 85)"));
  layer("conv1").quantizers.activation = TensorQuantizer{"per_tensor", false, 0, 2, {0.01F}, {0}};
  EXPECT_EQ(Refusal("modelopt"), "");
  layer("fc").quantizers.weight->symmetric = false;
  EXPECT_THAT(Refusal("modelopt"), HasSubstr("fc: modelopt cannot hold asymmetric weights"));
  EXPECT_THAT(Refusal("hawq"), HasSubstr("fc: hawq cannot hold asymmetric weights"));
  EXPECT_THAT(Refusal("nncf"), HasSubstr("symmetric beside asymmetric weights"));
}

TEST_F(FormatRefusalTest, GroupsOfWeights) {
  WeightQuantizerSpec spec;
  spec.granularity = Granularity::kPerGroup;
  config_.weights = spec;
  for (ConfigLayer& layer : config_.layers) layer.quantizers.weight.reset();
  for (const char* format : {"aimet", "aimet2", "modelopt", "hawq", "ort"}) {
    EXPECT_THAT(Refusal(format), HasSubstr("conv1: " + std::string(format) + " cannot hold"));
    EXPECT_THAT(Refusal(format), HasSubstr("groups of weights"));
  }
  WeightsOnly();
  for (const char* format : {"torchao", "nncf"}) {
    EXPECT_THAT(Refusal(format), HasSubstr("not scaled per output channel"));
  }
}

TEST_F(FormatRefusalTest, ActivationsWithoutRanges) {
  layer("fc").quantizers.activation.reset();
  EXPECT_THAT(Refusal("aimet"), HasSubstr("fc: aimet cannot hold activations without a scale"));
  EXPECT_EQ(Refusal("modelopt"), "");
}

TEST_F(FormatRefusalTest, BitsThatOnnxRuntimeHasNoTypeFor) {
  layer("fc").choice.activation = NumberFormat::Integer(5);
  EXPECT_THAT(Refusal("ort"), HasSubstr("activations of 5 bits (allowed: 8, 16, fp32)"));
  layer("fc").choice.activation = NumberFormat::Integer(8);
  // Three bits lie in QInt4 with their own scale; a scale that clips would not clip there.
  layer("fc").choice.weight = NumberFormat::Integer(3);
  layer("fc").quantizers.weight.reset();
  EXPECT_EQ(Refusal("ort"), "");
  const LayerGraph& graph = EmbeddedNetwork();
  float largest = 0.0F;
  for (const float w : graph.tensor(*graph.layers().back().weight).constant->ToFloats()) {
    largest = std::max(largest, std::abs(w));
  }
  layer("fc").quantizers.weight = TensorQuantizer{"per_tensor", true, 0, 0, {largest / 4.0F}, {0}};
  EXPECT_THAT(Refusal("ort"), HasSubstr("fc: ort cannot hold weights whose range clips them"));
}

// Two layers of the embedded network read one tensor; a tool with names of tensors cannot tell them
// apart, one with names of modules can.
TEST_F(FormatRefusalTest, TwoChoicesForOneTensor) {
  layer("layer2.0.shortcut").choice.activation = NumberFormat::Integer(4);
  for (const char* format : {"aimet", "aimet2", "hawq", "ort"}) {
    EXPECT_THAT(Refusal(format), HasSubstr("layer2.0.shortcut: " + std::string(format) +
                                           " cannot hold two choices for 'layer1.2.relu2_out'"));
  }
  EXPECT_EQ(Refusal("modelopt"), "");
}

// A quantizer on a tensor reaches those who read a reshaped copy of it, so that a float input there
// is no float input.
TEST_F(FormatRefusalTest, FloatBehindAQuantizedTensor) {
  LayerGraph graph = EmbeddedNetwork();
  const Layer first = graph.layers().front();
  // A second classifier that reads what the first convolution reads, flattened.
  const TensorIndex flat = graph.AddTensor({.name = "flat"});
  graph.AddNode({"flatten2", "Flatten", "", {first.input}, {flat}, {}});
  const Shape shape = {784, 2};
  const std::vector<float> ones(784 * 2, 1.0F);
  const TensorIndex weight = graph.AddConstant("fc2.weight", TensorValue::FromFloats(shape, ones));
  const TensorIndex out = graph.AddTensor({.name = "out2"});
  graph.AddNode({"fc2", "MatMul", "", {flat, weight}, {out}, {}});
  graph.AddOutput(out);
  graph.FindLayers();
  config_.layers.push_back({"fc2", "MatMul", {NumberFormat::Integer(8), {}}, {}});
  for (const char* format : {"aimet", "aimet2"}) {
    try {
      Exported(format, config_, graph);
      FAIL() << format;
    } catch (const ErrorList& list) {
      EXPECT_THAT(list.what(), HasSubstr("fc2: " + std::string(format) +
                                         " cannot hold two choices for 'input'"));
    }
  }
  EXPECT_NO_THROW(Exported("modelopt", config_, graph));
}

TEST_F(FormatRefusalTest, WeightsWithoutAPyTorchName) {
  LayerGraph graph = EmbeddedNetwork();
  // As torch.onnx.export names what it has folded.
  const Layer& first = graph.layers().front();
  const TensorIndex renamed =
      graph.AddConstant("onnx::Conv_300", *graph.tensor(*first.weight).constant);
  graph.SetNodeInput(first.node, first.weight_slot, renamed);
  for (const char* format : {"modelopt", "hawq", "nncf"}) {
    try {
      Exported(format, config_, graph);
      FAIL() << format;
    } catch (const ErrorList& list) {
      EXPECT_THAT(list.what(), HasSubstr("its weight is 'onnx::Conv_300', which names no PyTorch"));
    }
  }
  EXPECT_NO_THROW(Exported("aimet", config_, graph));
}

TEST_F(FormatRefusalTest, NotesSayWhatIsLeftOut) {
  const auto notes = [&](const std::string& format) {
    std::string text;
    for (const std::string& note :
         ExportConfig(ConfigFormatNamed(format), {config_, &EmbeddedNetwork(), "c"}).notes) {
      text += note + "\n";
    }
    return text;
  };
  EXPECT_EQ(notes("json"), "");
  EXPECT_THAT(notes("csv"), HasSubstr("bits only"));
  EXPECT_THAT(notes("modelopt"), HasSubstr("bits only"));
  EXPECT_THAT(notes("aimet"), HasSubstr("residual additions"));
  EXPECT_THAT(notes("nncf"), HasSubstr("--module-class"));
  config_.calibration = {"bias_correction"};
  config_.placement = Placement::kRuntime;
  EXPECT_THAT(notes("aimet"), HasSubstr("corrected biases"));
  EXPECT_THAT(notes("aimet"), HasSubstr("placement runtime"));
  config_.placement = Placement::kWeightsOnly;
  EXPECT_THAT(notes("torchao"), HasSubstr("leaves activations in float"));
}

TEST(ExportRequestTest, NeedsTheModelAndItsLayers) {
  std::mt19937 random(1);
  ConfigDocument config = RandomConfig(EmbeddedNetwork(), HoldableRange("csv"), random);
  EXPECT_NO_THROW(ExportConfig(ConfigFormatNamed("csv"), {config, nullptr, "c.json"}));
  try {
    ExportConfig(ConfigFormatNamed("torchao"), {config, nullptr, "c.json"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("add --model MODEL.onnx"));
  }
  config.layers.pop_back();
  EXPECT_THROW(Exported("aimet", config, EmbeddedNetwork()), Error);
  try {
    ConfigFormatNamed("tochao");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean \"torchao\"?"));
  }
}

}  // namespace
}  // namespace bitsearch
