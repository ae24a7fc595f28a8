// What an exported network holds: codes, scales, names, opset; and what is refused. Runs nothing.
#include "experiments/deployment/onnx_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "space/graph/onnx_reader.h"
#include "space/graph/onnx_writer.h"
#include "space/graph/rewrites.h"
#include "space/network/builtin.h"
#include "space/quantizer/tensor_plan.h"
#include "space/quantizer/weight_quantizer.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using testing::HasSubstr;

const LayerGraph& Embedded() {
  static const LayerGraph graph = FoldBatchNorm(ReadOnnx(
      std::filesystem::path(BITSEARCH_SOURCE_DIR) / "experiments/fashion_mnist_resnet20.onnx"));
  return graph;
}

TensorQuantizer PerTensor(const AffineGrid& grid) {
  return {"per_tensor",   grid.qmin < 0, grid.lowest(),
          grid.highest(), {grid.scale},  {grid.zero_point}};
}

/// Random formats with stored input grids of random ranges; weights follow from the network.
ConfigDocument RandomDocument(const LayerGraph& graph, std::uint32_t seed, Placement placement) {
  std::mt19937 random(seed);
  const auto pick = [&](std::initializer_list<NumberFormat> formats) {
    return formats.begin()[random() % formats.size()];
  };
  ConfigDocument document;
  document.placement = placement;
  for (const Layer& layer : graph.layers()) {
    ConfigLayer entry{layer.id, layer.op, {}, {}};
    entry.choice.weight =
        pick({NumberFormat::Integer(1), NumberFormat::Integer(2), NumberFormat::Integer(3),
              NumberFormat::Integer(4), NumberFormat::Integer(6), NumberFormat::Integer(8),
              NumberFormat::Integer(12), NumberFormat::Ternary(), NumberFormat::Float16(),
              NumberFormat::Float32()});
    entry.choice.activation =
        pick({NumberFormat::Integer(3), NumberFormat::Integer(8), NumberFormat::Integer(11),
              NumberFormat::Bfloat16(), NumberFormat::Float32()});
    if (entry.choice.activation.is_integer()) {
      const float high = 0.5F + static_cast<float>(random() % 100) / 25.0F;
      const bool crosses_zero = random() % 2 == 0;
      entry.quantizers.activation = PerTensor(AsymmetricGrid(
          {crosses_zero ? -high / 3.0F : 0.0F, high}, entry.choice.activation.bits()));
    }
    document.layers.push_back(std::move(entry));
  }
  return document;
}

const TensorValue* Constant(const LayerGraph& graph, const std::string& name) {
  const auto tensor = graph.FindTensor(name);
  return tensor && graph.tensor(*tensor).constant ? &*graph.tensor(*tensor).constant : nullptr;
}

/// scale·(code − zero point), scales per output channel or for the whole tensor, channel axis 0.
std::vector<float> Dequantized(const LayerGraph& graph, const std::string& weight) {
  const TensorValue* codes = Constant(graph, weight + "_quantized");
  const std::vector<float> scales = Constant(graph, weight + "_scale")->ToFloats();
  const std::vector<std::int64_t> zeros = Constant(graph, weight + "_zero_point")->ToInt64s();
  const std::vector<std::int64_t> values = codes->ToInt64s();
  const std::size_t run = values.size() / scales.size();
  std::vector<float> result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    result.push_back(scales[i / run] * static_cast<float>(values[i] - zeros[i / run]));
  }
  return result;
}

TEST(OnnxExport, HoldsExactlyTheSimulatedWeightsInBothContainers) {
  const LayerGraph& graph = Embedded();
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    const ConfigDocument document = RandomDocument(graph, seed, Placement::kLayerInputs);
    for (const Container container : {Container::kStorage, Container::kCompute}) {
      const OnnxExport made =
          BuildQuantizedOnnx(graph, document, {.container = container}, "config.json");
      // Reading it back checks names, order, types and shapes of the whole file.
      const std::string bytes = SerializeOnnx(made.graph);
      const LayerGraph read = ReadOnnxBytes(std::as_bytes(std::span(bytes)), "exported.onnx");
      for (std::size_t l = 0; l < graph.layers().size(); ++l) {
        const Layer& layer = graph.layers()[l];
        const NumberFormat format = document.layers[l].choice.weight;
        const Tensor& weight = graph.tensor(*layer.weight);
        if (format.is_float()) continue;
        const QuantizedWeight expected =
            QuantizeWeight(weight.constant->Floats(), weight.constant->shape(),
                           layer.output_channel_axis, format, WeightQuantizerSpec{});
        EXPECT_EQ(Dequantized(read, weight.name), expected.values) << layer.id;
        const int held = BitsOf(Constant(read, weight.name + "_quantized")->type());
        const int bits = format.bits();
        const int least = container == Container::kStorage && bits <= 4 ? 4 : bits <= 8 ? 8 : 16;
        EXPECT_EQ(held, least) << layer.id << " " << format.ToString();
      }
      EXPECT_GE(read.opset, 13);
    }
  }
}

TEST(OnnxExport, QuantizesInputsWhereTheBitsSayAndNowhereElse) {
  const LayerGraph& graph = Embedded();
  const ConfigDocument document = RandomDocument(graph, 7, Placement::kLayerInputs);
  const LayerGraph made = BuildQuantizedOnnx(graph, document, {}, "config.json").graph;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    const NumberFormat format = document.layers[l].choice.activation;
    const Node& node = made.node(*made.FindNode(layer.id));
    const auto producer = made.producer(*node.inputs[0]);
    const std::string before = producer ? made.node(*producer).op : "input";
    if (format.is_integer()) {
      ASSERT_EQ(before, "DequantizeLinear") << layer.id;
      const Node& quantize = made.node(*made.producer(*made.node(*producer).inputs[0]));
      EXPECT_EQ(quantize.op, "QuantizeLinear");
      const AffineGrid grid = AffineGrid{document.layers[l].quantizers.activation->scale[0],
                                         document.layers[l].quantizers.activation->zero_point[0]};
      EXPECT_EQ(made.tensor(*quantize.inputs[1]).constant->Floats()[0], grid.scale);
      EXPECT_EQ(made.tensor(*quantize.inputs[2]).constant->ToInt64s()[0], grid.zero_point);
      // Codes of fewer bits than their type must be clipped, or the runtime uses the type's range.
      const auto clip = made.producer(*quantize.inputs[0]);
      const bool clipped = clip && made.node(*clip).op == "Clip";
      EXPECT_EQ(clipped, format.bits() != 8 && format.bits() != 16) << layer.id;
    } else if (format == NumberFormat::Bfloat16()) {
      EXPECT_EQ(before, "Cast") << layer.id;
    } else {
      EXPECT_NE(before, "DequantizeLinear") << layer.id;
    }
  }
}

/// The ranges that a calibration would have stored for placements by tensor.
void StoreTensorGrids(const LayerGraph& graph, ConfigDocument& document) {
  const BitConfig bits = ConfigForGraph(document, graph, "config.json");
  for (const PlannedTensor& planned : PlanTensors(graph, bits).tensors) {
    document.tensors.push_back({graph.tensor(planned.tensor).name, planned.format,
                                AsymmetricGrid({-1.0F, 3.0F}, planned.format.bits())});
  }
}

ConfigDocument Uniform(const LayerGraph& graph, int weight, int activation, Placement placement) {
  ConfigDocument document;
  document.placement = placement;
  for (const Layer& layer : graph.layers()) {
    ConfigLayer entry{layer.id, layer.op, {}, {}};
    entry.choice = {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
    entry.quantizers.activation = PerTensor(AsymmetricGrid({-1.0F, 3.0F}, activation));
    document.layers.push_back(std::move(entry));
  }
  if (QuantizesTensors(placement)) StoreTensorGrids(graph, document);
  return document;
}

TEST(OnnxExport, RuntimePlacementLeavesNoFloatBetweenIntegerOperators) {
  const LayerGraph& graph = Embedded();
  const ConfigDocument document = Uniform(graph, 8, 8, Placement::kRuntime);
  const LayerGraph made = BuildQuantizedOnnx(graph, document, {}, "config.json").graph;
  int adds = 0;
  for (const Node& node : made.nodes()) {
    if (node.op != "Add" && node.op != "Conv") continue;
    adds += node.op == "Add" ? 1 : 0;
    for (const auto& input : node.inputs) {
      const auto producer = made.producer(*input);
      ASSERT_TRUE(producer) << node.id;
      EXPECT_EQ(made.node(*producer).op, "DequantizeLinear") << node.id;
    }
  }
  EXPECT_EQ(adds, 9);  // one per residual block
  // INT32 biases with scale s_x·s_w, where the float bias was.
  const Layer& layer = graph.layers()[1];
  const std::string bias = graph.tensor(*layer.bias).name;
  const float input_scale = document.tensors.front().grid.scale;
  const std::vector<float> weight_scales =
      Constant(made, graph.tensor(*layer.weight).name + "_scale")->ToFloats();
  const std::vector<float> scales = Constant(made, bias + "_scale")->ToFloats();
  const std::vector<std::int64_t> codes = Constant(made, bias + "_quantized")->ToInt64s();
  const std::span<const float> own = graph.tensor(*layer.bias).constant->Floats();
  ASSERT_EQ(codes.size(), own.size());
  for (std::size_t c = 0; c < codes.size(); ++c) {
    EXPECT_EQ(scales[c], input_scale * weight_scales[c]);
    EXPECT_NEAR(scales[c] * static_cast<float>(codes[c]), own[c], 0.5F * scales[c] * 1.001F);
  }
}

TEST(OnnxExport, KeepsNamesOutputsAndForeignMetadata) {
  const LayerGraph& graph = Embedded();
  const LayerGraph made =
      BuildQuantizedOnnx(graph, Uniform(graph, 4, 8, Placement::kRuntime), {}, "config.json").graph;
  for (const Node& node : graph.nodes()) EXPECT_TRUE(made.FindNode(node.id)) << node.id;
  ASSERT_EQ(made.outputs().size(), graph.outputs().size());
  EXPECT_EQ(made.tensor(made.outputs()[0]).name, graph.tensor(graph.outputs()[0]).name);
  EXPECT_EQ(made.tensor(made.inputs()[0]).name, graph.tensor(graph.inputs()[0]).name);
  EXPECT_THAT(made.metadata.at("bitsearch"), HasSubstr("\"" + graph.layers()[0].id + "\":\"4/8\""));
}

TEST(OnnxExport, QonnxCarriesTheBitsThemselves) {
  const LayerGraph& graph = Embedded();
  const OnnxExport made = BuildQuantizedOnnx(graph, Uniform(graph, 3, 5, Placement::kLayerInputs),
                                             {.qonnx = true}, "config.json");
  int weights = 0;
  int inputs = 0;
  for (const Node& node : made.graph.nodes()) {
    EXPECT_NE(node.op, "QuantizeLinear");
    if (node.op != "Quant") continue;
    EXPECT_EQ(node.domain, "qonnx.custom_op.general");
    const float bits = made.graph.tensor(*node.inputs[3]).constant->Floats()[0];
    weights += bits == 3.0F && node.attributes.Int("signed", -1) == 1 ? 1 : 0;
    inputs += bits == 5.0F && node.attributes.Int("signed", -1) == 0 ? 1 : 0;
  }
  EXPECT_EQ(weights, static_cast<int>(graph.layers().size()));
  // Layers that read one tensor with one grid share its quantizer: three of the blocks have two.
  EXPECT_EQ(inputs, static_cast<int>(graph.layers().size()) - 2);
}

std::string Refusal(const ConfigDocument& document, const OnnxExportOptions& options) {
  try {
    BuildQuantizedOnnx(Embedded(), document, options, "config.json");
  } catch (const Error& error) {
    EXPECT_FALSE(error.hint().empty());
    return std::string(Slug(error.id())) + ": " + error.what();
  }
  return "nothing was refused";
}

TEST(OnnxExport, RefusesWhatNoRuntimeRuns) {
  ConfigDocument document = Uniform(Embedded(), 8, 8, Placement::kLayerInputs);
  document.weights.emplace();
  document.weights->granularity = Granularity::kPerGroup;
  EXPECT_THAT(Refusal(document, {}), HasSubstr("in blocks under quantized activations"));

  document = Uniform(Embedded(), 8, 8, Placement::kLayerInputs);
  document.layers[3].choice.weight = NumberFormat::Skip();
  EXPECT_THAT(Refusal(document, {}), HasSubstr(document.layers[3].name));

  document = Uniform(Embedded(), 8, 8, Placement::kLayerInputs);
  document.layers[2].quantizers.activation.reset();
  EXPECT_THAT(Refusal(document, {}), HasSubstr("--calibration"));

  document = Uniform(Embedded(), 8, 8, Placement::kRuntime);
  document.tensors.pop_back();
  EXPECT_THAT(Refusal(document, {}), HasSubstr("no range"));

  document = Uniform(Embedded(), 8, 8, Placement::kLayerInputs);
  document.layers[0].quantizers.weight = TensorQuantizer{"per_channel", true, 0, 0, {1.0F}, {0}};
  EXPECT_THAT(Refusal(document, {}), HasSubstr("scales"));
}

TEST(OnnxExport, ProductsOfFewBitWeightsKeepApartFromTheirBiases) {
  // MatMul and Add of a constant would become a Gemm, which has no kernel for such weights.
  LayerGraph graph = BuildPerceptron(16, 2, {1, 4, 4, 3}, 1);
  ConfigDocument document;
  document.placement = Placement::kWeightsOnly;
  for (const Layer& layer : graph.layers()) {
    const bool last = layer.id == "fc3";
    document.layers.push_back(
        {layer.id,
         layer.op,
         {last ? NumberFormat::Float32() : NumberFormat::Integer(4), NumberFormat::Float32()},
         {}});
  }
  const std::vector<float> bias = {0.5F, -0.25F, 0.0F, 1.0F};
  std::vector<float> wide(16);
  for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = bias[i % bias.size()];
  graph.SetConstant(*graph.FindTensor("fc1.bias"), TensorValue::FromFloats({16}, wide));
  OnnxExportOptions options;
  options.container = Container::kStorage;
  const LayerGraph out = BuildQuantizedOnnx(graph, document, options, "bits").graph;
  const Node& first = out.node(*out.FindNode("fc1.add"));
  EXPECT_EQ(first.op, "Sub");
  EXPECT_EQ(out.node(*out.producer(*first.inputs[0])).op, "MatMul");
  const std::span<const float> negated = out.tensor(*first.inputs[1]).constant->Floats();
  for (std::size_t i = 0; i < wide.size(); ++i) EXPECT_EQ(negated[i], -wide[i]);
  EXPECT_EQ(out.node(*out.FindNode("fc3.add")).op, "Add");  // stays float
}

}  // namespace
}  // namespace bitsearch
