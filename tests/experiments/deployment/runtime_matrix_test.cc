// Every weight format × granularity × operator × activation format × container either is refused at
// export with a reason, or gives a file that ONNX Runtime loads and computes as we do: one network
// per combination of the last three holds a layer for each of the first two.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "experiments/deployment/onnx_export.h"
#include "space/graph/onnx_writer.h"
#include "space/graph/shape_inference.h"
#include "space/quantizer/weight_quantizer.h"
#include "space/support/child_process.h"
#include "space/support/error.h"
#include "tests/experiments/deployment/runtime_testing.h"

namespace bitsearch {
namespace {

constexpr int kGroupSize = 16;

struct MatrixCase {
  Granularity granularity = Granularity::kPerChannel;
  bool symmetric = true;
  NumberFormat activation;
  Container container = Container::kCompute;
  bool two_bit_types = false;
};

void PrintTo(const MatrixCase& value, std::ostream* stream) {
  static constexpr const char* kNames[] = {"per tensor", "per channel", "per group"};
  *stream << kNames[static_cast<int>(value.granularity)] << (value.symmetric ? "" : " asymmetric")
          << ", activations " << value.activation.ToString() << ", " << NameOf(value.container)
          << (value.two_bit_types ? " with INT2" : "");
}

std::vector<NumberFormat> WeightFormats() {
  std::vector<NumberFormat> formats = {NumberFormat::Ternary()};
  for (const int bits : {1, 2, 3, 4, 5, 8, 12, 16}) formats.push_back(NumberFormat::Integer(bits));
  return formats;
}

struct Operator {
  std::string name;
  std::string op;
  Shape input;
  Shape weight;
  std::int64_t group = 1;
  std::int64_t trans_b = 0;
};

const std::vector<Operator>& Operators() {
  static const std::vector<Operator> operators = {
      {"conv", "Conv", {1, 6, 5, 5}, {8, 6, 3, 3}},
      {"pointwise", "Conv", {1, 32, 3, 3}, {4, 32, 1, 1}},
      {"depthwise", "Conv", {1, 6, 5, 5}, {6, 1, 3, 3}, 6},
      {"transposed", "ConvTranspose", {1, 6, 3, 3}, {6, 4, 2, 2}},
      {"gemm", "Gemm", {2, 32}, {5, 32}, 1, 1},
      {"gemm_plain", "Gemm", {2, 32}, {32, 5}},
      {"matmul", "MatMul", {2, 32}, {32, 5}},
  };
  return operators;
}

/// One layer per operator and weight format, side by side.
struct Matrix {
  LayerGraph graph;
  std::vector<NumberFormat> formats;  ///< By layer.
  std::vector<Operator> operators;
};

Matrix MakeMatrix() {
  Matrix matrix;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const Operator& each : Operators()) {
    for (const NumberFormat format : WeightFormats()) {
      const std::string id = each.name + "_" + format.ToString();
      std::vector<float> values(static_cast<std::size_t>(ElementCount(each.weight)));
      for (float& value : values) value = 0.2F * normal(random);
      const TensorIndex input = matrix.graph.AddInput("x_" + id, DataType::kFloat32, each.input);
      const TensorIndex weight =
          matrix.graph.AddConstant("w_" + id, TensorValue::FromFloats(each.weight, values));
      Tensor output;
      output.name = "y_" + id;
      const TensorIndex result = matrix.graph.AddTensor(output);
      Node node;
      node.id = id;
      node.op = each.op;
      node.inputs = {input, weight};
      node.outputs = {result};
      if (each.group != 1) node.attributes.Set("group", each.group);
      if (each.trans_b != 0) node.attributes.Set("transB", each.trans_b);
      matrix.graph.AddNode(std::move(node));
      matrix.graph.AddOutput(result);
      matrix.formats.push_back(format);
      matrix.operators.push_back(each);
    }
  }
  InferShapes(matrix.graph);
  matrix.graph.FindLayers();
  return matrix;
}

/// What FORMATS of ONNX Runtime 1.30 cannot run: see docs/deployment.md.
bool ExpectRefusal(const MatrixCase& given, const Operator& op, NumberFormat weight) {
  const bool integer_input = given.activation.is_integer();
  const bool narrow = given.container == Container::kStorage && weight.bits() <= 4;
  if (given.granularity == Granularity::kPerGroup) {
    // Depthwise kernels are smaller than a group: those are plain channels.
    if (op.name == "depthwise") return false;
    if (op.name == "transposed") return true;
    if (integer_input && !narrow) return true;
  }
  const bool two_bits = narrow && given.two_bit_types && weight.bits() <= 2;
  return two_bits && integer_input;
}

ConfigDocument DocumentFor(const Matrix& matrix, const MatrixCase& given,
                           const std::vector<bool>& left_out, const AffineGrid& grid) {
  ConfigDocument document;
  document.placement =
      given.activation.is_integer() ? Placement::kLayerInputs : Placement::kWeightsOnly;
  document.weights.emplace();
  document.weights->granularity = given.granularity;
  document.weights->group_size = kGroupSize;
  document.weights->symmetric = given.symmetric;
  for (std::size_t l = 0; l < matrix.formats.size(); ++l) {
    const Layer& layer = matrix.graph.layers()[l];
    ConfigLayer entry{layer.id, layer.op, {NumberFormat::Float32(), NumberFormat::Float32()}, {}};
    if (!left_out[l]) {
      entry.choice = {matrix.formats[l], given.activation};
      if (given.activation.is_integer()) {
        entry.quantizers.activation = TensorQuantizer{
            "per_tensor", false, grid.lowest(), grid.highest(), {grid.scale}, {grid.zero_point}};
      }
    }
    document.layers.push_back(std::move(entry));
  }
  return document;
}

std::vector<RuntimeInput> RandomInputs(const Matrix& matrix) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<RuntimeInput> inputs;
  for (const TensorIndex input : matrix.graph.inputs()) {
    const Tensor& tensor = matrix.graph.tensor(input);
    std::vector<float> values(static_cast<std::size_t>(ElementCount(*tensor.shape)));
    for (float& value : values) value = normal(random);
    inputs.push_back({tensor.name, *tensor.shape, std::move(values)});
  }
  return inputs;
}

class RuntimeMatrix : public testing::TestWithParam<MatrixCase> {};

TEST_P(RuntimeMatrix, RunsOrIsRefused) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  const MatrixCase& given = GetParam();
  const Matrix matrix = MakeMatrix();
  const OnnxExportOptions options{given.container, given.two_bit_types, false};
  const AffineGrid grid = given.activation.is_integer()
                              ? AsymmetricGrid({-2.0F, 3.0F}, given.activation.bits())
                              : AffineGrid{};
  std::vector<bool> refused(matrix.formats.size());
  for (std::size_t l = 0; l < refused.size(); ++l) {
    refused[l] = ExpectRefusal(given, matrix.operators[l], matrix.formats[l]);
    if (!refused[l]) continue;
    std::vector<bool> others(refused.size(), true);
    others[l] = false;
    try {
      BuildQuantizedOnnx(matrix.graph, DocumentFor(matrix, given, others, grid), options, "c.json");
      ADD_FAILURE() << matrix.graph.layers()[l].id << " is not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), ErrorId::kExportRefused) << error.what();
    }
  }
  const OnnxExport made = BuildQuantizedOnnx(
      matrix.graph, DocumentFor(matrix, given, refused, grid), options, "c.json");

  // Expected: the float network on our own quantized weights and inputs.
  LayerGraph expected_graph = matrix.graph;
  std::vector<RuntimeInput> inputs = RandomInputs(matrix);
  std::vector<RuntimeInput> quantized_inputs = inputs;
  WeightQuantizerSpec spec;
  spec.granularity = given.granularity;
  spec.group_size = kGroupSize;
  spec.symmetric = given.symmetric;
  for (std::size_t l = 0; l < refused.size(); ++l) {
    if (refused[l]) continue;
    const Layer& layer = matrix.graph.layers()[l];
    const TensorValue& weight = *matrix.graph.tensor(*layer.weight).constant;
    const QuantizedWeight quantized = QuantizeWeight(
        weight.Floats(), weight.shape(), layer.output_channel_axis, matrix.formats[l], spec);
    expected_graph.SetConstant(*layer.weight,
                               TensorValue::FromFloats(weight.shape(), quantized.values));
    if (given.activation.is_integer()) {
      FakeQuantize(inputs[l].values, quantized_inputs[l].values, grid);
    }
  }
  const ScratchFolder folder;
  RuntimeRequest request;
  request.model = folder.path() / "expected.onnx";
  request.inputs = quantized_inputs;
  request.level = OptimizationLevel::kDisabled;
  WriteOnnx(expected_graph, request.model);
  const RuntimeAnswer expected = RunInRuntime(TestRuntime(), request, RunContext{});

  request.model = folder.path() / "exported.onnx";
  request.inputs = inputs;
  WriteOnnx(made.graph, request.model);
  for (const bool fusion : {false, true}) {
    request.fusion = fusion;
    request.level = fusion ? OptimizationLevel::kAll : OptimizationLevel::kDisabled;
    const RuntimeAnswer answer = RunInRuntime(TestRuntime(), request, RunContext{});
    ASSERT_EQ(answer.outputs.size(), expected.outputs.size());
    for (std::size_t l = 0; l < answer.outputs.size(); ++l) {
      const std::vector<float>& theirs = answer.outputs[l].values;
      const std::vector<float>& ours = expected.outputs[l].values;
      ASSERT_EQ(theirs.size(), ours.size());
      if (fusion) continue;  // it loads and runs; its kernels may round otherwise
      for (std::size_t i = 0; i < ours.size(); ++i) {
        EXPECT_NEAR(theirs[i], ours[i], 2e-5F * (1.0F + std::fabs(ours[i])))
            << answer.outputs[l].name << " element " << i;
      }
    }
  }
}

std::vector<MatrixCase> Cases() {
  std::vector<MatrixCase> cases;
  for (const NumberFormat activation : {NumberFormat::Float32(), NumberFormat::Integer(4),
                                        NumberFormat::Integer(8), NumberFormat::Integer(16)}) {
    for (const Container container : {Container::kStorage, Container::kCompute}) {
      for (const Granularity granularity :
           {Granularity::kPerTensor, Granularity::kPerChannel, Granularity::kPerGroup}) {
        cases.push_back({granularity, true, activation, container, false});
      }
      cases.push_back({Granularity::kPerChannel, false, activation, container, false});
    }
    cases.push_back({Granularity::kPerChannel, true, activation, Container::kStorage, true});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Combinations, RuntimeMatrix, testing::ValuesIn(Cases()));

}  // namespace
}  // namespace bitsearch
