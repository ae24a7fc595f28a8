// Files of other tools against schemas of what those tools read (AIMET's exporter and loader,
// ModelOpt's QuantizerCfgEntry, torchao.core.config, NNCF's config schema, ONNX Runtime's
// tensor_quant_overrides.py), and what the numbers in them mean.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "tests/experiments/formats/format_samples.h"
#include "tests/experiments/formats/json_schema.h"

namespace bitsearch {
namespace {

using nlohmann::json;

const std::map<std::string, std::string>& Schemas() {
  static const std::map<std::string, std::string> schemas = {
      {"aimet", R"({"type": "object", "additionalProperties": false,
        "required": ["version", "activation_encodings", "param_encodings", "quantizer_args",
                     "excluded_layers"],
        "properties": {
          "version": {"enum": ["1.0.0"]},
          "activation_encodings": {"type": "array", "items": ENTRY},
          "param_encodings": {"type": "array", "items": ENTRY},
          "quantizer_args": {"type": "object", "additionalProperties": false,
            "required": ["activation_bitwidth", "param_bitwidth", "dtype", "is_symmetric",
                         "per_channel_quantization", "quant_scheme"],
            "properties": {
              "activation_bitwidth": {"type": "integer", "minimum": 1, "maximum": 32},
              "param_bitwidth": {"type": "integer", "minimum": 1, "maximum": 32},
              "dtype": {"enum": ["int", "float"]},
              "is_symmetric": {"type": "boolean"},
              "per_channel_quantization": {"type": "boolean"},
              "quant_scheme": {"type": "string"}}},
          "excluded_layers": {"type": "array", "items": {"type": "string"}}}})"},
      {"aimet2", R"({"type": "object", "additionalProperties": false,
        "required": ["version", "encodings"],
        "properties": {
          "version": {"enum": ["2.0.0"]},
          "encodings": {"type": "array", "items": {"type": "object", "additionalProperties": false,
            "required": ["name", "output_dtype", "y_scale"],
            "properties": {
              "name": {"type": "string"},
              "output_dtype": {"type": "string", "pattern": "^u?int(2|3|4|5|6|7|8|9|1[0-6])$"},
              "y_scale": {"anyOf": [{"type": "number"},
                                    {"type": "array", "minItems": 1, "items": {"type": "number"}}]},
              "y_zero_point": {"anyOf": [{"type": "integer"},
                                    {"type": "array", "minItems": 1, "items": {"type": "integer"}}]},
              "axis": {"type": "integer"},
              "block_size": {"type": "integer"}}}}}})"},
      {"modelopt", R"({"type": "object", "additionalProperties": false,
        "required": ["quant_cfg", "algorithm"],
        "properties": {
          "algorithm": {"enum": ["max"]},
          "quant_cfg": {"type": "array", "minItems": 1, "items": {"type": "object",
            "additionalProperties": false, "required": ["quantizer_name", "enable"],
            "properties": {
              "quantizer_name": {"type": "string",
                                 "pattern": "^(\\*|.*\\.(weight|input)_quantizer)$"},
              "enable": {"type": "boolean"},
              "cfg": {"type": "object", "additionalProperties": false,
                "required": ["num_bits", "axis"],
                "properties": {
                  "num_bits": {"type": "integer", "minimum": 1},
                  "axis": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                  "unsigned": {"type": "boolean"}}}}}}}})"},
      {"torchao", R"({"type": "object", "additionalProperties": false,
        "required": ["_type", "_version", "_data"],
        "properties": {
          "_type": {"enum": ["FqnToConfig"]}, "_version": {"enum": [1]},
          "_data": {"type": "object", "additionalProperties": false, "required": ["fqn_to_config"],
            "properties": {"fqn_to_config": {"type": "object", "additionalProperties": {"anyOf": [
              {"type": "null"},
              {"type": "object", "additionalProperties": false,
               "required": ["_type", "_version", "_data"],
               "properties": {
                 "_type": {"enum": ["IntxWeightOnlyConfig"]}, "_version": {"enum": [1]},
                 "_data": {"type": "object", "additionalProperties": false,
                   "required": ["weight_dtype", "granularity", "mapping_type", "version"],
                   "properties": {"weight_dtype": DTYPE, "granularity": AXIS,
                                  "mapping_type": MAPPING, "version": {"enum": [2]}}}}},
              {"type": "object", "additionalProperties": false,
               "required": ["_type", "_version", "_data"],
               "properties": {
                 "_type": {"enum": ["Int8DynamicActivationIntxWeightConfig"]},
                 "_version": {"enum": [1]},
                 "_data": {"type": "object", "additionalProperties": false,
                   "required": ["weight_dtype", "weight_granularity", "weight_mapping_type",
                                "version"],
                   "properties": {"weight_dtype": DTYPE, "weight_granularity": AXIS,
                                  "weight_mapping_type": MAPPING, "version": {"enum": [2]}}}}}
              ]}}}}}})"},
      {"hawq", R"({"type": "object", "additionalProperties":
                   {"type": "integer", "minimum": 2, "maximum": 16}})"},
      {"nncf", R"({"type": "object", "additionalProperties": false, "required": ["compression"],
        "properties": {
          "input_info": {"type": "array", "items": {"type": "object",
            "properties": {"sample_size": {"type": "array", "items": {"type": "integer"}}}}},
          "target_device": {"enum": ["TRIAL"]},
          "compression": {"type": "object", "additionalProperties": false,
            "required": ["algorithm", "initializer"],
            "properties": {
              "algorithm": {"enum": ["quantization"]},
              "weights": GROUP, "activations": GROUP,
              "initializer": {"type": "object", "required": ["precision"],
                "properties": {"precision": {"type": "object", "additionalProperties": false,
                  "required": ["type", "bitwidth_per_scope"],
                  "properties": {
                    "type": {"enum": ["manual"]},
                    "bitwidth_per_scope": {"type": "array",
                      "items": {"type": "array", "minItems": 2}}}}}}}}}})"},
      {"ort", R"({"type": "object", "additionalProperties": false,
        "required": ["quant_format", "nodes_to_exclude", "extra_options"],
        "properties": {
          "quant_format": {"enum": ["QDQ"]},
          "activation_type": {"enum": ["QUInt8"]}, "weight_type": {"enum": ["QInt8"]},
          "per_channel": {"type": "boolean"},
          "nodes_to_exclude": {"type": "array", "items": {"type": "string"}},
          "true_bits": {"type": "object", "additionalProperties": {"type": "integer"}},
          "extra_options": {"type": "object", "additionalProperties": false,
            "required": ["TensorQuantOverrides"],
            "properties": {"TensorQuantOverrides": {"type": "object", "additionalProperties":
              {"type": "array", "minItems": 1, "items": {"type": "object",
                "additionalProperties": false, "required": ["quant_type"],
                "properties": {
                  "quant_type": {"enum": ["QInt4", "QUInt4", "QInt8", "QUInt8", "QInt16",
                                          "QUInt16"]},
                  "axis": {"type": "integer"}, "scale": {"type": "number"},
                  "zero_point": {"type": "integer"}}}}}}}}})"}};
  return schemas;
}

/// The parts that a schema names in capitals.
json SchemaOf(const std::string& format) {
  static const std::map<std::string, std::string> kParts = {
      {"ENTRY", R"({"anyOf": [
        {"type": "object", "additionalProperties": false,
         "required": ["name", "enc_type", "dtype", "bw", "is_sym", "scale", "offset"],
         "properties": {
           "name": {"type": "string"}, "enc_type": {"enum": ["PER_TENSOR", "PER_CHANNEL"]},
           "dtype": {"enum": ["INT"]}, "bw": {"type": "integer", "minimum": 2, "maximum": 32},
           "is_sym": {"type": "boolean"},
           "scale": {"type": "array", "minItems": 1, "items": {"type": "number"}},
           "offset": {"type": "array", "minItems": 1, "items": {"type": "integer", "maximum": 0}}}},
        {"type": "object", "additionalProperties": false,
         "required": ["name", "enc_type", "dtype", "bw"],
         "properties": {
           "name": {"type": "string"}, "enc_type": {"enum": ["PER_TENSOR"]},
           "dtype": {"enum": ["FLOAT"]}, "bw": {"enum": [16]}}}]})"},
      {"DTYPE", R"({"type": "object", "additionalProperties": false,
        "required": ["_type", "_data"],
        "properties": {"_type": {"enum": ["torch.dtype"]},
                       "_data": {"type": "string", "pattern": "^int[1-8]$"}}})"},
      {"AXIS", R"({"type": "object", "additionalProperties": false,
        "required": ["_type", "_version", "_data"],
        "properties": {"_type": {"enum": ["PerAxis"]}, "_version": {"enum": [1]},
                       "_data": {"enum": [{"axis": 0}]}}})"},
      {"MAPPING", R"({"type": "object", "additionalProperties": false,
        "required": ["_type", "_data"],
        "properties": {"_type": {"enum": ["MappingType"]},
                       "_data": {"enum": ["SYMMETRIC", "ASYMMETRIC"]}}})"},
      {"GROUP", R"({"type": "object", "additionalProperties": false,
        "properties": {"mode": {"enum": ["symmetric", "asymmetric"]},
                       "bits": {"type": "integer"}, "per_channel": {"type": "boolean"},
                       "ignored_scopes": {"type": "array", "items": {"type": "string"}}}})"}};
  std::string text = Schemas().at(format);
  for (const auto& [name, part] : kParts) {
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += part.size()) {
      text.replace(at, name.size(), part);
    }
  }
  return json::parse(text);
}

class FormatSchemaTest : public testing::TestWithParam<std::string> {};

TEST_P(FormatSchemaTest, FilesValidate) {
  const json schema = SchemaOf(GetParam());
  std::mt19937 random(11);
  for (const LayerGraph* graph : Networks()) {
    for (int i = 0; i < 20; ++i) {
      SampleRange range = HoldableRange(GetParam());
      range.symmetric_activations = !range.from_zero && random() % 2 == 0;
      const json file =
          json::parse(Exported(GetParam(), RandomConfig(*graph, range, random), *graph));
      ASSERT_EQ(SchemaFault(file, schema), "");
    }
  }
}

// The validator is not satisfied with anything.
TEST_P(FormatSchemaTest, DamagedFilesDoNot) {
  const json schema = SchemaOf(GetParam());
  std::mt19937 random(12);
  SampleRange range = HoldableRange(GetParam());
  const json file = json::parse(
      Exported(GetParam(), RandomConfig(EmbeddedNetwork(), range, random), EmbeddedNetwork()));
  EXPECT_NE(SchemaFault(json::array(), schema), "");
  json damaged = file;
  damaged["surplus"] = "x";
  EXPECT_NE(SchemaFault(damaged, schema), "");
}

INSTANTIATE_TEST_SUITE_P(Formats, FormatSchemaTest,
                         testing::Values("aimet", "aimet2", "modelopt", "torchao", "hawq", "nncf",
                                         "ort"),
                         [](const auto& test) { return test.param; });

// The values that AIMET's numbers mean are those of our grid: x = (q + offset)·scale for unsigned
// q (1.0.0), x = (q − zero_point)·scale for q of the type (2.0.0).
TEST(AimetMeaningTest, GridsAreOurs) {
  std::mt19937 random(9);
  const LayerGraph& graph = EmbeddedNetwork();
  for (const bool symmetric : {true, false}) {
    SampleRange range = HoldableRange("aimet2");
    range.symmetric_activations = symmetric;
    const ConfigDocument config = RandomConfig(graph, range, random);
    std::map<std::string, json> first;
    const json one = json::parse(Exported("aimet", config, graph));
    for (const json& entry : one["activation_encodings"]) first[entry["name"]] = entry;
    std::map<std::string, json> second;
    const json two = json::parse(Exported("aimet2", config, graph));
    for (const json& entry : two["encodings"]) {
      second[entry["name"]] = entry;
    }
    for (const ConfigLayer& layer : config.layers) {
      if (!layer.quantizers.activation) continue;
      const std::string& name = graph.tensor(graph.layer(*graph.FindLayer(layer.name)).input).name;
      const TensorQuantizer& quantizer = *layer.quantizers.activation;
      const int bits = layer.choice.activation.bits();
      const double scale = first.at(name)["scale"][0];
      const int offset = first.at(name)["offset"][0];
      EXPECT_LE(offset, 0);
      EXPECT_FLOAT_EQ(static_cast<float>(scale * offset), static_cast<float>(quantizer.low));
      EXPECT_FLOAT_EQ(static_cast<float>(scale * (offset + (1 << bits) - 1)),
                      static_cast<float>(quantizer.high));
      const json& entry = second.at(name);
      const int zero_point = entry.value("y_zero_point", 0);
      const int lowest = symmetric ? -(1 << (bits - 1)) : 0;
      EXPECT_FLOAT_EQ(static_cast<float>(entry["y_scale"].get<double>() * (lowest - zero_point)),
                      static_cast<float>(quantizer.low));
    }
  }
}

// The values that aimet_onnx's own test of to_qnn_encoding_dict expects for int8 and uint8.
TEST(AimetMeaningTest, AgreesWithAimetsOwnTest) {
  const LayerGraph& graph = EmbeddedNetwork();
  for (const bool is_signed : {true, false}) {
    ConfigDocument config;
    config.placement = Placement::kLayerInputs;
    for (const Layer& layer : graph.layers()) config.layers.push_back({layer.id, layer.op, {}, {}});
    config.layers[0].choice.activation = NumberFormat::Integer(8);
    config.layers[0].quantizers.activation =
        TensorQuantizer{"per_tensor", is_signed, 0, 0, {0.1F}, {0}};
    const json one = json::parse(Exported("aimet", config, graph))["activation_encodings"];
    ASSERT_EQ(one.size(), 1U);
    EXPECT_EQ(one[0]["offset"], json::array({is_signed ? -128 : 0}));
    EXPECT_EQ(one[0]["is_sym"], is_signed);
    EXPECT_EQ(one[0]["enc_type"], "PER_TENSOR");
    const json two = json::parse(Exported("aimet2", config, graph))["encodings"];
    ASSERT_EQ(two.size(), 1U);
    EXPECT_EQ(two[0]["output_dtype"], is_signed ? "int8" : "uint8");
    EXPECT_FALSE(two[0].contains("y_zero_point"));
    EXPECT_FLOAT_EQ(two[0]["y_scale"], 0.1F);
  }
}

// Under placement runtime the file has the grids of tensors that are no layer's input.
TEST(AimetMeaningTest, TensorsOfARuntimeAreWritten) {
  const LayerGraph& graph = EmbeddedNetwork();
  ConfigDocument config;
  config.placement = Placement::kRuntime;
  for (const Layer& layer : graph.layers()) config.layers.push_back({layer.id, layer.op, {}, {}});
  const std::string name = graph.tensor(graph.layers()[1].output).name;
  config.tensors = {{name, NumberFormat::Integer(8), {0.5F, -28, -128, 127}}};
  const ExportedFile file = ExportConfig(ConfigFormatNamed("aimet"), {config, &graph, "c"});
  EXPECT_TRUE(file.notes.empty());
  const json entries = json::parse(file.content)["activation_encodings"];
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0]["name"], name);
  EXPECT_EQ(entries[0]["offset"], json::array({-100}));  // −128 − (−28)
  EXPECT_EQ(entries[0]["is_sym"], false);
}

// What quantize_static asks of overrides: initializers by name with one entry per channel, other
// tensors one entry; scale never without zero point.
TEST(OnnxRuntimeMeaningTest, OverridesFitTheModel) {
  std::mt19937 random(8);
  const LayerGraph& graph = EmbeddedNetwork();
  const ConfigDocument config = RandomConfig(graph, HoldableRange("ort"), random);
  const json file = json::parse(Exported("ort", config, graph));
  std::set<std::string> excluded;
  for (const json& node : file["nodes_to_exclude"]) {
    EXPECT_TRUE(graph.FindNode(node)) << node;
    excluded.insert(node);
  }
  const json& overrides = file["extra_options"]["TensorQuantOverrides"];
  for (const Layer& layer : graph.layers()) {
    const std::string& weight = graph.tensor(*layer.weight).name;
    EXPECT_EQ(overrides.contains(weight), !excluded.contains(layer.id)) << weight;
    if (excluded.contains(layer.id)) continue;
    const json& channels = overrides[weight];
    EXPECT_EQ(channels.size(), static_cast<std::size_t>(layer.output_channels));
    for (const json& channel : channels) {
      EXPECT_EQ(channel.contains("scale"), channel.contains("zero_point"));
      EXPECT_EQ(channel["axis"], layer.output_channel_axis);
    }
    EXPECT_EQ(overrides[graph.tensor(layer.input).name].size(), 1U);
  }
}

}  // namespace
}  // namespace bitsearch
