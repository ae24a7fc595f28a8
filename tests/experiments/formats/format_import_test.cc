// Files as other tools write them: fragments of their own examples and what their loaders make of
// them; and files with faults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "space/support/error.h"
#include "tests/experiments/formats/format_samples.h"

namespace bitsearch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string BitsOf(const ConfigDocument& document, const std::string& layer) {
  for (const ConfigLayer& each : document.layers) {
    if (each.name == layer) return each.choice.ToString();
  }
  return "absent";
}

class FormatImportTest : public testing::Test {
 protected:
  ConfigDocument Read(const std::string& text, const std::string& format) {
    ImportedConfig imported = Imported(text, EmbeddedNetwork());
    EXPECT_EQ(imported.format, format);
    notes_ = imported.notes;
    return std::move(imported.document);
  }
  std::string Fault(const std::string& text, ErrorId id = ErrorId::kConfigLayers) {
    try {
      Imported(text, EmbeddedNetwork());
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), id) << error.what();
      EXPECT_FALSE(error.hint().empty()) << error.what();
      return error.what();
    }
    return "";
  }
  std::vector<std::string> notes_;
};

TEST_F(FormatImportTest, AimetWithTensorsOfNoLayer) {
  // The network's output, a bias, LPBQ weights: what aimet_onnx exports beside weights and inputs.
  const ConfigDocument config = Read(R"({"version": "1.0.0",
    "producer": {"package": "aimet-onnx", "version": "2.9.0"},
    "activation_encodings": [
      {"name": "input", "enc_type": "PER_TENSOR", "dtype": "INT", "bw": 8, "is_sym": false,
       "scale": [0.05], "offset": [-17]},
      {"name": "logits", "enc_type": "PER_TENSOR", "dtype": "INT", "bw": 8, "is_sym": false,
       "scale": [0.1], "offset": [-100]},
      {"name": "avgpool_out", "enc_type": "PER_TENSOR", "dtype": "INT", "bw": 16, "is_sym": true,
       "scale": [0.001], "offset": [0]}],
    "param_encodings": [
      {"name": "conv1.weight", "enc_type": "PER_TENSOR", "dtype": "INT", "bw": 4, "is_sym": true,
       "scale": [0.02], "offset": [-8]},
      {"name": "fc.weight", "enc_type": "LPBQ", "dtype": "INT", "bw": 8, "compressed_bw": 4,
       "is_sym": true, "scale": [0.02], "offset": [-128], "block_size": 32,
       "per_block_int_scale": [1]},
      {"name": "fc.bias", "enc_type": "PER_TENSOR", "dtype": "INT", "bw": 32, "is_sym": true,
       "scale": [0.02], "offset": [-2147483648]}],
    "quantizer_args": {}, "excluded_layers": []})",
                                     "aimet");
  EXPECT_EQ(BitsOf(config, "conv1"), "W4A8");
  EXPECT_EQ(BitsOf(config, "layer1.0.conv1"), "Wfp32Afp32");
  EXPECT_EQ(config.layers[0].quantizers.activation->zero_point, std::vector<std::int32_t>{17});
  EXPECT_NEAR(config.layers[0].quantizers.activation->low, -0.85, 1e-6);
  // The pooled tensor reaches fc through a Flatten; is_sym with offset 0 is an unsigned grid.
  EXPECT_EQ(BitsOf(config, "fc"), "W4A16");
  EXPECT_FALSE(config.layers.back().quantizers.activation->symmetric);
  EXPECT_FALSE(config.layers.back().quantizers.weight.has_value());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("2 encodings"), HasSubstr("1 blocked"),
                                  HasSubstr("scales of 1 weights are not those of min-max")));
  EXPECT_EQ(config.placement, Placement::kLayerInputs);
}

TEST_F(FormatImportTest, ModelOptLaterEntriesWin) {
  const ConfigDocument config = Read(R"({"quant_cfg": [
      {"quantizer_name": "*", "enable": false},
      {"quantizer_name": "*weight_quantizer", "cfg": {"num_bits": 8, "axis": 0}},
      {"quantizer_name": "*input_quantizer", "cfg": {"num_bits": 8, "axis": null}},
      {"quantizer_name": "*", "parent_class": "nn.BatchNorm2d", "enable": false},
      {"quantizer_name": "*", "parent_class": "nn.Linear", "enable": false},
      {"quantizer_name": "layer1.?.conv2.weight_quantizer", "cfg": {"num_bits": 4, "axis": 0}},
      {"quantizer_name": "layer1.1.conv2.weight_quantizer", "enable": false},
      {"quantizer_name": "layer1.1.conv2.weight_quantizer", "enable": true}],
    "algorithm": "max"})",
                                     "modelopt");
  EXPECT_EQ(BitsOf(config, "conv1"), "W8A8");
  EXPECT_EQ(BitsOf(config, "layer1.0.conv2"), "W4A8");
  EXPECT_EQ(BitsOf(config, "layer1.1.conv2"), "W4A8");  // On again, with what it had.
  EXPECT_EQ(BitsOf(config, "fc"), "Wfp32Afp32");
  EXPECT_THAT(Fault(R"({"quant_cfg": [{"quantizer_name": "*", "cfg": {"num_bits": [4, 3]}}]})"),
              HasSubstr("quant_cfg[0].cfg.num_bits: got a floating-point format"));
  EXPECT_THAT(Fault(R"({"quant_cfg": [{"quantizer_name": "conv2.weight_quantizer",
                                       "enable": false}]})"),
              HasSubstr("did you mean 'conv1'?"));
  EXPECT_THAT(Fault(R"({"quant_cfg": [{"quantizer_name": "*"}]})"),
              HasSubstr("neither cfg nor enable"));
}

TEST_F(FormatImportTest, TorchaoPrecedence) {
  const ConfigDocument config = Read(R"({"_type": "ModuleFqnToConfig", "_version": 1, "_data": {
      "module_fqn_to_config": {
        "_default": {"_type": "Int8WeightOnlyConfig", "_version": 1, "_data": {}},
        "re:layer1\\..*": {"_type": "IntxWeightOnlyConfig", "_version": 1,
          "_data": {"weight_dtype": {"_type": "torch.dtype", "_data": "int3"}}},
        "re:layer1\\.0\\..*": {"_type": "IntxWeightOnlyConfig", "_version": 1,
          "_data": {"weight_dtype": {"_type": "torch.dtype", "_data": "int5"}}},
        "layer1.0.conv2": {"_type": "Int4WeightOnlyConfig", "_version": 1,
                           "_data": {"group_size": 32}},
        "layer1.1.conv2": null,
        "fc": {"_type": "Int8DynamicActivationIntxWeightConfig", "_version": 1,
          "_data": {"weight_dtype": {"_type": "torch.dtype", "_data": "int4"}}}}}})",
                                     "torchao");
  EXPECT_EQ(BitsOf(config, "conv1"), "W8Afp32");
  EXPECT_EQ(BitsOf(config, "layer1.0.conv1"), "W3Afp32");  // The first pattern that matches.
  EXPECT_EQ(BitsOf(config, "layer1.0.conv2"), "W4Afp32");
  EXPECT_EQ(BitsOf(config, "layer1.1.conv2"), "Wfp32Afp32");
  EXPECT_EQ(BitsOf(config, "fc"), "W4A8");
  EXPECT_THAT(Fault(R"({"_type": "FqnToConfig", "_data": {"fqn_to_config": {
                      "fcc": null}}})"),
              HasSubstr("the network has no module 'fcc' — did you mean 'fc'?"));
  EXPECT_THAT(Fault(R"({"_type": "FqnToConfig", "_data": {"fqn_to_config": {
                      "fc": {"_type": "Float8WeightOnlyConfig", "_data": {}}}}})"),
              HasSubstr("got 'Float8WeightOnlyConfig' (allowed: IntxWeightOnlyConfig"));
}

TEST_F(FormatImportTest, HawqWithHooksAndResidualSums) {
  std::string text = "{\"quant_act_int32\": 16, \"layer1.0.quant_act\": [4, \"hook\"]";
  for (const Layer& layer : EmbeddedNetwork().layers()) {
    std::string name = layer.id;
    const std::size_t base = name.rfind('.') + 1;
    name.replace(base, name.compare(base, 4, "conv") == 0 ? 4 : 0,
                 name.compare(base, 4, "conv") == 0 ? "quant_convbn" : "quant_");
    text += ", \"" + name + "\": " + (layer.id == "fc" ? "2" : "8");
  }
  const ConfigDocument config = Read(text + "}", "hawq");
  EXPECT_EQ(BitsOf(config, "layer1.0.conv1"), "W8A4");
  EXPECT_EQ(BitsOf(config, "fc"), "W2Afp32");
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("residual sums")));
  EXPECT_THAT(Fault(text + ", \"layer9.quant_act\": 4}"),
              HasSubstr("no module 'layer9.quant_act'"));
  EXPECT_THAT(Fault("{\"quant_convbn1\": 8}"), HasSubstr("layer 'layer1.0.conv1' has no bits"));
}

// HAWQ-V3's own names (data/hawq/resnet18): a network whose modules are already its Quant modules.
TEST_F(FormatImportTest, HawqNamesOfItsOwnNetworks) {
  LayerGraph graph = EmbeddedNetwork();
  const Layer first = graph.layers().front();
  const auto rename = [&](const std::string& name) {
    graph.SetNodeInput(first.node, first.weight_slot,
                       graph.AddConstant(name, *graph.tensor(*first.weight).constant));
  };
  rename("stage1.unit1.quant_convbn2.weight");
  std::mt19937 random(1);
  const ConfigDocument config = RandomConfig(graph, HoldableRange("hawq"), random);
  const std::string text = Exported("hawq", config, graph);
  EXPECT_THAT(text, HasSubstr("\"stage1.unit1.quant_convbn2\":"));
  EXPECT_THAT(text, HasSubstr("\"stage1.unit1.quant_act1\":"));
}

TEST_F(FormatImportTest, NncfWithCommentsAndClasses) {
  // After NNCF's resnet50_imagenet_mixed_int_manual.json.
  const ConfigDocument config = Read(R"({
    "model": "resnet20", "input_info": {"sample_size": [1, 1, 28, 28]},
    "compression": [{"algorithm": "filter_pruning"}, {
      "algorithm": "quantization",
      "weights": {"mode": "asymmetric", "bits": 4},
      "activations": {"mode": "asymmetric", "bits": 6},
      "initializer": {"precision": {"bitwidth_per_scope": [
        // | num_bits | % weights | see https://github.com/openvinotoolkit/nncf
        [8, "ResNet/NNCFConv2d[conv1]/conv2d_0|WEIGHT"],
        [2, "ResNet/Sequential[layer1]/BasicBlock[0]/NNCFConv2d[conv2]/conv2d_0|WEIGHT"],
        [8, "ResNet/ReLU[relu]/relu__0|OUTPUT"]
      ]}}}]})",
                                     "nncf");
  EXPECT_EQ(BitsOf(config, "conv1"), "W8A6");
  EXPECT_EQ(BitsOf(config, "layer1.0.conv2"), "W2A6");
  EXPECT_EQ(BitsOf(config, "fc"), "W4A6");
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("1 activation quantizers")));
}

TEST_F(FormatImportTest, NncfTakesGivenClasses) {
  std::mt19937 random(2);
  const ConfigDocument config = RandomConfig(EmbeddedNetwork(), HoldableRange("nncf"), random);
  const ExportedFile file =
      ExportConfig(ConfigFormatNamed("nncf"),
                   {config,
                    &EmbeddedNetwork(),
                    "c",
                    {{".", "ResNet"}, {"layer?.?", "BasicBlock"}, {"*", "Sequential"}}});
  EXPECT_THAT(file.content,
              HasSubstr("\"ResNet/Sequential[layer1]/BasicBlock[0]/NNCFConv2d[conv2]/conv2d_0"));
  EXPECT_THAT(file.content, HasSubstr("\"ResNet/NNCFLinear[fc]/linear_0"));
  for (const std::string& note : file.notes) EXPECT_THAT(note, testing::Not(HasSubstr("assumed")));
}

TEST_F(FormatImportTest, OnnxRuntimeOverridesAndDefaults) {
  const ConfigDocument config = Read(R"({"nodes_to_exclude": ["fc"],
    "weight_type": "QuantType.QInt8", "activation_type": "QUInt16",
    "extra_options": {"TensorQuantOverrides": {
      "conv1.weight": [{"quant_type": "QInt4", "axis": 0, "symmetric": true}],
      "input": [{"quant_type": "QInt8", "scale": 0.1, "zero_point": -3}]}}})",
                                     "ort");
  EXPECT_EQ(BitsOf(config, "conv1"), "W4A8");
  EXPECT_EQ(BitsOf(config, "layer1.0.conv1"), "W8A16");
  EXPECT_EQ(BitsOf(config, "fc"), "Wfp32Afp32");
  // int8 with a zero point is the unsigned grid 128 further.
  EXPECT_EQ(config.layers[0].quantizers.activation->zero_point, std::vector<std::int32_t>{125});
  EXPECT_THAT(Fault(R"({"nodes_to_exclude": ["fcc"]})"), HasSubstr("did you mean 'fc'?"));
  EXPECT_THAT(Fault(R"({"extra_options": {"TensorQuantOverrides": {"conv1.wieght": []}}})"),
              HasSubstr("did you mean 'conv1.weight'?"));
}

TEST_F(FormatImportTest, CsvSaysWhereItIsWrong) {
  const ConfigDocument config =
      Read("# placement: runtime\nlayer,weight_bits,activation_bits\nconv1,ternary,8\n", "csv");
  EXPECT_EQ(BitsOf(config, "conv1"), "WternaryA8");
  EXPECT_EQ(config.placement, Placement::kRuntime);
  EXPECT_THAT(Fault("layer,weight_bits,activation_bits\nconv1,77,8\n", ErrorId::kCsvBits),
              HasSubstr(":2:7: error: weight_bits: got '77'"));
  EXPECT_THAT(Fault("layer,weight_bits,activation_bits\na,7,8\na,7,8\n", ErrorId::kCsvDuplicateRow),
              HasSubstr(":3:1:"));
  EXPECT_NE(Fault("layer,weight_bit,activation_bits\na,7,8\n", ErrorId::kCsvUnknownColumn), "");
}

TEST_F(FormatImportTest, FaultsHavePlaceAndRemedy) {
  EXPECT_THAT(Fault("{\"version\": \"1.0.0\",\n \"param_encodings\": [\n {\"name\": \"fc.wight\"}"
                    "], \"activation_encodings\": []}"),
              HasSubstr(":3:11: error: param_encodings[0].name: the network has no tensor "
                        "'fc.wight' — did you mean 'fc.weight'?"));
  EXPECT_THAT(Fault("{\"version\": \"0.6.1\", \"param_encodings\": {}, "
                    "\"activation_encodings\": {}}"),
              HasSubstr("version: got encodings of version 0.6.1"));
  EXPECT_THAT(Fault("{\"version\": \"2.0.0\", \"encodings\": [{\"name\": \"fc.weight\", "
                    "\"output_dtype\": \"int99\", \"y_scale\": 1}]}"),
              HasSubstr("encodings[0].output_dtype: got 'int99'"));
  EXPECT_THAT(Fault("{\"version\": \"2.0.0\", \"encodings\": [{\"name\": \"fc.weight\", "
                    "\"output_dtype\": \"int8\", \"y_scale\": -1}]}"),
              HasSubstr("y_scale: got a scale that is not above 0"));
  EXPECT_THAT(Fault("{\"quant_cfg\": [", ErrorId::kJsonSyntax), HasSubstr("ends too early"));
  EXPECT_THAT(Fault("{\"what\": \"ever\"}", ErrorId::kFormatVersion), HasSubstr("torchao"));
  EXPECT_THAT(Fault("[]", ErrorId::kFormatVersion), HasSubstr("no known format"));
  EXPECT_THAT(Fault("hello", ErrorId::kJsonSyntax), HasSubstr("this is not JSON"));
}

// One value replaced or the text cut short: an Error or a configuration, never anything else.
TEST_F(FormatImportTest, DamagedFilesAreErrors) {
  using Json = nlohmann::ordered_json;
  constexpr int kDamages = 40;
  std::mt19937 random(17);
  const std::vector<Json> strange = {
      nullptr,  "", -1, 1e300, 0.5, true, Json::array(), Json::object(), Json::array({nullptr}),
      "nothing"};
  int errors = 0;
  for (const char* format :
       {"aimet", "aimet2", "modelopt", "torchao", "hawq", "nncf", "ort", "json"}) {
    const std::string text = Exported(
        format, RandomConfig(EmbeddedNetwork(), HoldableRange(format), random), EmbeddedNetwork());
    const Json flat = Json::parse(text).flatten();
    for (int i = 0; i < kDamages; ++i) {
      std::string damaged;
      if (i % 4 == 0) {
        damaged = text.substr(0, random() % text.size());
      } else {
        Json file = Json::parse(text);
        auto at = flat.begin();
        std::advance(at, random() % flat.size());
        Json::json_pointer pointer(at.key());
        for (std::size_t up = random() % 3; up > 0 && !pointer.empty(); --up) {
          pointer = pointer.parent_pointer();
        }
        file[pointer] = strange[random() % strange.size()];
        damaged = file.dump(1);
      }
      try {
        Imported(damaged, EmbeddedNetwork());
      } catch (const Error& error) {
        ++errors;
        EXPECT_FALSE(error.hint().empty()) << error.what();
      }
    }
  }
  EXPECT_GT(errors, kDamages);
}

}  // namespace
}  // namespace bitsearch
