#include "experiments/config_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "space/network/builtin.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

class ConfigFileTest : public testing::Test {
 protected:
  ConfigFileTest() {
    path_ = fs::path(testing::TempDir()) /
            (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".json");
  }
  ~ConfigFileTest() override { fs::remove(path_); }

  void Write(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }

  ErrorId ReadError() {
    try {
      ReadConfigJson(path_);
    } catch (const Error& error) {
      message_ = error.what();
      return error.id();
    }
    return ErrorId::kInternal;
  }

  static ConfigDocument Sample(const LayerGraph& graph) {
    ConfigDocument document;
    document.model = "tiny.onnx";
    document.model_sha256 = std::string(64, 'a');
    document.placement = Placement::kLayerInputs;
    document.calibration = {"bias_correction"};
    document.costs = {{"size_bytes", "1234.5"}, {"latency_us", "900"}};
    document.seed = 7;
    int bits = 1;
    for (const Layer& layer : graph.layers()) {
      ConfigLayer entry{
          layer.id, layer.op, {NumberFormat::Integer(bits), NumberFormat::Integer(8)}, {}};
      entry.quantizers.weight = TensorQuantizer{"per_channel", true, 0, 0, {0.1F, 0.25F}, {0, 0}};
      entry.quantizers.activation = TensorQuantizer{"per_tensor", false, -0.5, 2.0, {0.01F}, {51}};
      entry.quantizers.correction.bias.assign(static_cast<std::size_t>(layer.output_channels),
                                              0.1F * static_cast<float>(bits));
      document.layers.push_back(entry);
      bits = bits % 8 + 1;
    }
    document.layers[1].choice.weight = NumberFormat::Ternary();
    document.layers[2].choice = {};
    document.layers[2].quantizers = {};
    std::swap(document.layers[3].quantizers.correction.bias,
              document.layers[3].quantizers.correction.output_shift);
    document.weights = WeightQuantizerSpec{
        Granularity::kPerGroup, 24, false, false, {RangeMethod::kPercentile, 99.5}};
    return document;
  }

  fs::path path_;
  std::string message_;
};

TEST_F(ConfigFileTest, WritingAndReadingGivesTheSameConfiguration) {
  const LayerGraph graph = BuildResNet(8, {1, 8, 8, 10}, 1);
  const ConfigDocument before = Sample(graph);
  Write(ConfigJson(before));
  const ConfigDocument after = ReadConfigJson(path_);
  EXPECT_EQ(after.model, before.model);
  EXPECT_EQ(after.placement, before.placement);
  EXPECT_EQ(after.calibration, before.calibration);
  EXPECT_EQ(after.seed, 7U);
  EXPECT_EQ(after.costs, before.costs);
  EXPECT_EQ(ConfigJson(after), ConfigJson(before));
  const BitConfig config = ConfigForGraph(after, graph, path_);
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    EXPECT_EQ(config.choices[l], before.layers[l].choice) << l;
  }
  const StoredCalibration stored = StoredCalibrationOf(after, graph, path_);
  ASSERT_EQ(stored.grids.size(), graph.layers().size());
  EXPECT_FALSE(stored.grids[2].has_value());
  EXPECT_EQ(stored.grids[0]->zero_point, 51);
  EXPECT_EQ(stored.grids[0]->qmax, 255);
  ASSERT_EQ(stored.corrections.size(), graph.layers().size());
  EXPECT_EQ(stored.corrections[0].bias, before.layers[0].quantizers.correction.bias);
  EXPECT_EQ(stored.corrections[3].output_shift,
            before.layers[3].quantizers.correction.output_shift);
  EXPECT_TRUE(stored.corrections[2].bias.empty());
  ASSERT_TRUE(after.weights.has_value());
  EXPECT_EQ(after.weights->granularity, Granularity::kPerGroup);
  EXPECT_EQ(after.weights->group_size, 24);
  EXPECT_FALSE(after.weights->symmetric);
  EXPECT_EQ(after.weights->range.method, RangeMethod::kPercentile);
  EXPECT_EQ(after.weights->range.percentile, 99.5);
}

TEST_F(ConfigFileTest, ChosenIntegersAreKeptWithTheirGrids) {
  const LayerGraph graph = BuildResNet(8, {1, 8, 8, 10}, 1);
  ConfigDocument before = Sample(graph);
  before.weights = WeightQuantizerSpec{};
  ConfigLayer& layer = before.layers[3];
  layer.choice.weight = NumberFormat::Integer(3);
  const Layer& described = graph.layers()[3];
  TensorQuantizer& quantizer = *layer.quantizers.weight;
  quantizer.scale.assign(static_cast<std::size_t>(described.output_channels), 0.125F);
  quantizer.zero_point.assign(quantizer.scale.size(), 0);
  for (std::int64_t i = 0; i < described.parameter_count; ++i) {
    quantizer.codes.push_back(static_cast<std::int32_t>(i % 7) - 3);
  }
  Write(ConfigJson(before));
  const ConfigDocument after = ReadConfigJson(path_);
  EXPECT_EQ(after.layers[3].quantizers.weight->codes, quantizer.codes);
  EXPECT_TRUE(after.layers[0].quantizers.weight->codes.empty());
  const StoredCalibration stored = StoredCalibrationOf(after, graph, path_);
  EXPECT_EQ(stored.weight_codes.at(3), quantizer.codes);
  EXPECT_EQ(stored.weight_grids.at(3).size(), quantizer.scale.size());
  EXPECT_TRUE(stored.weight_grids.at(0).empty());

  quantizer.codes.pop_back();
  EXPECT_THROW(StoredCalibrationOf(before, graph, path_), Error);
  std::string text = ConfigJson(after);
  const std::string packed = "\"packed\": \"";
  text[text.find(packed) + packed.size()] = '*';
  Write(text);
  EXPECT_EQ(ReadError(), ErrorId::kConfigLayers);
  EXPECT_NE(message_.find("layers[3].weight_quantizer.codes"), std::string::npos) << message_;
}

TEST_F(ConfigFileTest, TensorsOfARuntimeAreKeptAndCheckedAgainstTheNetwork) {
  const LayerGraph graph = BuildResNet(8, {1, 8, 8, 10}, 1);
  ConfigDocument before = Sample(graph);
  before.placement = Placement::kRuntime;
  const std::string input = graph.tensor(graph.layers()[0].input).name;
  const std::string inner = graph.tensor(graph.layers()[1].output).name;
  before.tensors = {{input, NumberFormat::Integer(8), {0.01F, 51, 0, 255}},
                    {inner, NumberFormat::Integer(4), {0.1F / 3.0F, -3, -8, 7}}};
  Write(ConfigJson(before));
  ConfigDocument after = ReadConfigJson(path_);
  const StoredCalibration stored = StoredCalibrationOf(after, graph, path_);
  ASSERT_EQ(stored.tensors.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(stored.tensors[i].tensor, before.tensors[i].tensor);
    EXPECT_EQ(stored.tensors[i].format, before.tensors[i].format);
    EXPECT_EQ(stored.tensors[i].grid, before.tensors[i].grid);
  }
  const auto refusal = [&] {
    try {
      StoredCalibrationOf(after, graph, path_);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  after.tensors[0].grid.zero_point = 50;
  EXPECT_NE(refusal().find("another than that of the layer that reads it"), std::string::npos);
  after.tensors[0].tensor = "nowhere";
  EXPECT_NE(refusal().find("no tensor 'nowhere'"), std::string::npos);
}

TEST_F(ConfigFileTest, EveryDefectOfATensorNamesItsPlace) {
  const auto message = [&](const std::string& placement, const std::string& tensors) {
    Write(R"({"format": "bitsearch/config/1", "placement": ")" + placement +
          R"(", "layers": [], "tensors": )" + tensors + "}");
    EXPECT_EQ(ReadError(), ErrorId::kConfigLayers) << tensors;
    return message_;
  };
  const std::string rest = R"(, "symmetric": false, "scale": 0.5, "zero_point": 3})";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{}", "tensors: must be a list"},
      {"[7]", "tensors[0]: must be an object"},
      {R"([{"bits": 8)" + rest + "]", "tensors[0].name: is missing"},
      {R"([{"name": "a", "bits": 8)" + rest + R"(, {"name": "a", "bits": 8)" + rest + "]",
       "tensors[1].name: 'a' stands twice"},
      {R"([{"name": "a")" + rest + "]", "tensors[0].bits: is missing"},
      {R"([{"name": "a", "bits": "fp16")" + rest + "]", "must be an integer from 1 to 16"},
      {R"([{"name": "a", "bits": 8, "symmetric": 1, "scale": 1, "zero_point": 0}])", "tensors[0]"},
      {R"([{"name": "a", "bits": 8, "symmetric": true, "scale": -1, "zero_point": 0}])",
       "tensors[0].scale: must be a positive number"},
      {R"([{"name": "a", "bits": 2, "symmetric": false, "scale": 1, "zero_point": 4}])",
       "is none of the codes 0 to 3"}};
  for (const auto& [tensors, expected] : cases) {
    EXPECT_NE(message("runtime", tensors).find(expected), std::string::npos) << message_;
  }
  EXPECT_NE(message("layer_inputs", "[]").find("only placements runtime and integer"),
            std::string::npos);
}

TEST_F(ConfigFileTest, EveryDefectNamesItsPlace) {
  Write("{\"format\": \"bitsearch/config/1\",\n  oops");
  EXPECT_EQ(ReadError(), ErrorId::kJsonSyntax);
  EXPECT_NE(message_.find(":2:"), std::string::npos) << message_;
  Write(R"({"format": "bitsearch/config/9", "layers": []})");
  EXPECT_EQ(ReadError(), ErrorId::kFormatVersion);
  EXPECT_NE(message_.find("newer"), std::string::npos);
  Write("[1, 2]");
  EXPECT_EQ(ReadError(), ErrorId::kFormatVersion);
  const auto with_layers = [&](const std::string& layers) {
    Write(R"({"format": "bitsearch/config/1", "layers": )" + layers + "}");
    return ReadError();
  };
  Write(R"({"format": "bitsearch/config/1", "seed": "x", "layers": []})");
  EXPECT_EQ(ReadError(), ErrorId::kConfigLayers);
  Write(R"({"format": "bitsearch/config/1", "costs": {"size_bytes": "x"}, "layers": []})");
  EXPECT_EQ(ReadError(), ErrorId::kConfigLayers);
  EXPECT_EQ(with_layers("3"), ErrorId::kConfigLayers);
  EXPECT_EQ(with_layers("[3]"), ErrorId::kConfigLayers);
  EXPECT_EQ(with_layers(R"([{"name": "a", "activation_bits": 8}])"), ErrorId::kConfigLayers);
  EXPECT_EQ(with_layers(R"([{"name": "a", "weight_bits": -3, "activation_bits": 8}])"),
            ErrorId::kConfigLayers);
  EXPECT_NE(message_.find("layers[0].weight_bits"), std::string::npos) << message_;
  EXPECT_EQ(with_layers(R"([{"name": "a", "weight_bits": 3, "activation_bits": 8},
                            {"name": "a", "weight_bits": 3, "activation_bits": 8}])"),
            ErrorId::kConfigLayers);
  EXPECT_EQ(with_layers(R"([{"name": "a", "weight_bits": 3, "activation_bits": 8,
                             "activation_quantizer": {"granularity": "per_tensor"}}])"),
            ErrorId::kConfigLayers);
  EXPECT_EQ(with_layers(R"([{"name": "a", "weight_bits": 3, "activation_bits": 8,
                             "bias": [1.5, "x"]}])"),
            ErrorId::kConfigLayers);
  EXPECT_NE(message_.find("layers[0].bias"), std::string::npos) << message_;
  for (const char* weights :
       {R"({"range": "mode"})", R"({"narrow": 3})", "7", R"({"group_size": 0})"}) {
    Write(R"({"format": "bitsearch/config/1", "layers": [], "quantizer": {"weights": )" +
          std::string(weights) + "}}");
    EXPECT_EQ(ReadError(), ErrorId::kConfigLayers) << weights;
    EXPECT_NE(message_.find("quantizer.weights"), std::string::npos) << message_;
  }
}

TEST_F(ConfigFileTest, LayersMustBeExactlyThoseOfTheNetwork) {
  const LayerGraph graph = BuildResNet(8, {1, 8, 8, 10}, 1);
  ConfigDocument document = Sample(graph);
  document.layers.pop_back();
  EXPECT_THROW(ConfigForGraph(document, graph, "c.json"), Error);
  document = Sample(graph);
  document.layers[0].quantizers.correction.bias.pop_back();
  EXPECT_THROW(StoredCalibrationOf(document, graph, "c.json"), Error);
  document = Sample(graph);
  document.layers[0].name = "conv2";
  try {
    ConfigForGraph(document, graph, "c.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'conv1'"), std::string::npos)
        << error.what();
  }
}

TEST_F(ConfigFileTest, LearnedScalesTakeThePlaceOfThoseThatFollowFromTheWeights) {
  const LayerGraph graph = BuildResNet(8, {1, 8, 8, 10}, 1);
  ConfigDocument document;
  for (const Layer& layer : graph.layers()) {
    ConfigLayer entry{layer.id, layer.op, {NumberFormat::Integer(4), {}}, {}};
    const auto channels = static_cast<std::size_t>(layer.output_channels);
    entry.quantizers.weight = TensorQuantizer{"per_channel",
                                              true,
                                              0,
                                              0,
                                              std::vector<float>(channels, 0.5F),
                                              std::vector<std::int32_t>(channels, 0)};
    document.layers.push_back(entry);
  }
  // Mirrored by a negative factor of batch normalisation.
  document.layers[0].quantizers.weight->zero_point[1] = -1;
  document.weights = WeightQuantizerSpec{};
  document.weights->narrow = false;
  Write(ConfigJson(document));
  EXPECT_TRUE(StoredCalibrationOf(ReadConfigJson(path_), graph, path_).weight_grids.empty());

  document.learned_scales = true;
  Write(ConfigJson(document));
  const ConfigDocument read = ReadConfigJson(path_);
  EXPECT_EQ(ConfigJson(read), ConfigJson(document));
  const auto grids = StoredCalibrationOf(read, graph, path_).weight_grids;
  ASSERT_EQ(grids.size(), graph.layers().size());
  EXPECT_EQ(grids[0][0], (AffineGrid{0.5F, 0, -8, 7}));
  EXPECT_EQ(grids[0][1], (AffineGrid{0.5F, -1, -8, 7}));

  document.layers[1].quantizers.weight->scale.resize(3);
  document.layers[1].quantizers.weight->zero_point.resize(3);
  try {
    StoredCalibrationOf(document, graph, path_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kConfigLayers);
  }
}

}  // namespace
}  // namespace bitsearch
