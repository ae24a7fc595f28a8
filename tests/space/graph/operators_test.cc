// The operator table: order, and for each operator the shapes it must give, opset by opset.
#include "space/graph/operators.h"

#include <gtest/gtest.h>

#include <set>
#include <variant>

#include "space/support/error.h"
#include "tests/space/graph/graph_testing.h"

namespace bitsearch {
namespace {

using Attribute = std::pair<std::string, AttributeValue>;
using Ints = std::vector<std::int64_t>;
using I = std::int64_t;

/// An input of a case: a run-time tensor of a shape, or constant numbers.
struct Input {
  Shape shape;
  std::optional<Ints> ints;
  std::optional<std::vector<float>> floats;
  bool absent = false;
};

Input T(Shape shape) { return {std::move(shape), {}, {}, false}; }
Input N(Ints values) { return {{I(values.size())}, values, {}, false}; }
Input S(I value) { return {{}, Ints{value}, {}, false}; }
Input F(std::vector<float> values) { return {{I(values.size())}, {}, values, false}; }
Input None() { return {{}, {}, {}, true}; }

struct Case {
  std::string op;
  I opset;
  std::vector<Input> inputs;
  std::vector<Attribute> attributes;
  std::vector<Shape> outputs;  ///< Empty: an Error(kModelShape) is expected.
};

void PrintTo(const Case& value, std::ostream* stream) {
  *stream << value.op << " opset " << value.opset;
  for (const Input& input : value.inputs) *stream << " " << ToString(input.shape);
}

TensorFact FactOf(const Input& input) {
  TensorFact fact;
  fact.type = DataType::kFloat32;
  fact.shape = input.shape;
  if (input.ints) fact.value = TensorValue::FromInt64s(input.shape, *input.ints);
  if (input.floats) fact.value = TensorValue::FromFloats(input.shape, *input.floats);
  if (fact.value) fact.type = fact.value->type();
  return fact;
}

class OperatorShapes : public testing::TestWithParam<Case> {};

TEST_P(OperatorShapes, AreAsOnnxDefinesThem) {
  const Case& c = GetParam();
  Node node;
  node.id = "node";
  node.op = c.op;
  std::vector<TensorFact> facts;
  for (const Input& input : c.inputs) facts.push_back(FactOf(input));
  std::vector<const TensorFact*> inputs;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    inputs.push_back(c.inputs[i].absent ? nullptr : &facts[i]);
    node.inputs.emplace_back(TensorIndex(i));
  }
  node.outputs.resize(std::max<std::size_t>(c.outputs.size(), 1));
  for (const auto& [name, value] : c.attributes) node.attributes.Set(name, value);
  const OperatorInfo& row = RequireOperator(node, c.opset);
  OperatorContext context(node, c.opset, inputs);
  if (c.outputs.empty()) {
    try {
      row.shape(context);
      FAIL() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), ErrorId::kModelShape) << error.what();
      EXPECT_EQ(error.key(), "node");
      EXPECT_NE(error.message().find(c.op), std::string::npos);
    }
    return;
  }
  row.shape(context);
  for (std::size_t i = 0; i < c.outputs.size(); ++i) {
    EXPECT_EQ(context.OutputDims(i), c.outputs[i]) << "output " << i;
  }
}

constexpr I kMax = std::numeric_limits<I>::max();

INSTANTIATE_TEST_SUITE_P(
    Convolution, OperatorShapes,
    testing::Values(
        Case{"Conv", 13, {T({2, 3, 32, 32}), T({8, 3, 3, 3})}, {}, {{2, 8, 30, 30}}},
        Case{"Conv",
             13,
             {T({2, 3, 32, 32}), T({8, 3, 3, 3}), T({8})},
             {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}},
             {{2, 8, 16, 16}}},
        Case{"Conv",
             13,
             {T({2, 6, 9, 9}), T({6, 1, 3, 3})},
             {{"group", I{6}}, {"dilations", Ints{2, 3}}},
             {{2, 6, 5, 3}}},
        Case{"Conv",
             13,
             {T({2, 3, 10}), T({4, 3, 3})},
             {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{3}}},
             {{2, 4, 4}}},
        Case{"Conv",
             13,
             {T({2, 3, 10}), T({4, 3, 3})},
             {{"auto_pad", std::string("VALID")}, {"pads", Ints{9, 9}}},
             {{2, 4, 8}}},
        Case{"Conv", 13, {T({2, 3, 10}), T({4, 2, 3})}, {}, {}},
        Case{"Conv", 13, {T({2, 4, 10}), T({5, 2, 3})}, {{"group", I{2}}}, {}},
        Case{"Conv", 13, {T({2, 3, 2}), T({4, 3, 3})}, {}, {}},
        Case{"Conv", 13, {T({2, 3, 10}), T({4, 3, 3}), T({5})}, {}, {}},
        Case{"Conv", 13, {T({2, 3, 10}), T({4, 3, 3})}, {{"strides", Ints{0}}}, {}},
        Case{"Conv", 13, {T({2, 3, 10}), T({4, 3, 3})}, {{"kernel_shape", Ints{5}}}, {}},
        Case{"Conv", 13, {T({2, 3, 10}), T({4, 3, 3})}, {{"auto_pad", std::string("SAME")}}, {}},
        Case{"ConvTranspose",
             13,
             {T({1, 4, 5, 5}), T({4, 6, 2, 2})},
             {{"strides", Ints{2, 2}}},
             {{1, 6, 10, 10}}},
        Case{"ConvTranspose",
             13,
             {T({1, 4, 5, 5}), T({4, 3, 3, 3})},
             {{"strides", Ints{2, 2}},
              {"pads", Ints{1, 1, 1, 1}},
              {"output_padding", Ints{1, 1}},
              {"group", I{2}}},
             {{1, 6, 10, 10}}},
        Case{"ConvTranspose",
             13,
             {T({1, 4, 5}), T({4, 3, 3})},
             {{"output_shape", Ints{11}}, {"strides", Ints{2}}},
             {{1, 3, 11}}},
        Case{"ConvTranspose", 13, {T({1, 4, 5}), T({5, 3, 3})}, {}, {}},
        Case{"MaxPool",
             13,
             {T({1, 2, 7, 7})},
             {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}},
             {{1, 2, 3, 3}, {1, 2, 3, 3}}},
        Case{"MaxPool",
             13,
             {T({1, 2, 8, 8})},
             {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", I{1}}},
             {{1, 2, 4, 4}}},
        // The last window would start in the end padding: left out.
        Case{"AveragePool",
             19,
             {T({1, 2, 4, 4})},
             {{"kernel_shape", Ints{1, 1}},
              {"strides", Ints{2, 2}},
              {"pads", Ints{0, 0, 1, 1}},
              {"ceil_mode", I{1}}},
             {{1, 2, 2, 2}}},
        Case{"AveragePool", 13, {T({1, 2, 4, 4})}, {}, {}},
        Case{"GlobalAveragePool", 13, {T({3, 2, 4, 5})}, {}, {{3, 2, 1, 1}}},
        Case{"GlobalMaxPool", 13, {T({3, 2, 4})}, {}, {{3, 2, 1}}},
        Case{"Resize", 10, {T({1, 2, 4, 4}), F({1, 1, 2, 1.5F})}, {}, {{1, 2, 8, 6}}},
        Case{"Resize", 11, {T({1, 2, 4, 4}), F({}), F({1, 1, 2, 2})}, {}, {{1, 2, 8, 8}}},
        Case{"Resize", 13, {T({1, 2, 4, 4}), None(), None(), N({1, 2, 7, 9})}, {}, {{1, 2, 7, 9}}},
        Case{"Resize",
             18,
             {T({1, 2, 4, 4}), None(), None(), N({7, 9})},
             {{"axes", Ints{2, 3}}},
             {{1, 2, 7, 9}}},
        Case{"Resize",
             18,
             {T({1, 2, 4, 8}), None(), None(), N({8, 8})},
             {{"axes", Ints{2, 3}}, {"keep_aspect_ratio_policy", std::string("not_larger")}},
             {{1, 2, 4, 8}}},
        Case{"Resize", 13, {T({1, 2, 4, 4})}, {}, {}},
        Case{"Resize", 13, {T({1, 2, 4, 4}), None(), F({1, 1, -2, 2})}, {}, {}},
        Case{"Upsample", 9, {T({1, 2, 4, 4}), F({1, 1, 2, 2})}, {}, {{1, 2, 8, 8}}}));

INSTANTIATE_TEST_SUITE_P(
    Products, OperatorShapes,
    testing::Values(
        Case{"Gemm", 13, {T({2, 3}), T({4, 3}), T({4})}, {{"transB", I{1}}}, {{2, 4}}},
        Case{"Gemm", 13, {T({3, 2}), T({3, 4})}, {{"transA", I{1}}}, {{2, 4}}},
        Case{"Gemm", 13, {T({2, 3}), T({4, 3})}, {}, {}},
        Case{"Gemm", 13, {T({2, 3, 1}), T({3, 4})}, {}, {}},
        Case{"Gemm", 13, {T({2, 3}), T({3, 4}), T({5})}, {}, {}},
        Case{"MatMul", 13, {T({2, 3}), T({3, 4})}, {}, {{2, 4}}},
        Case{"MatMul", 13, {T({5, 1, 2, 3}), T({7, 3, 4})}, {}, {{5, 7, 2, 4}}},
        Case{"MatMul", 13, {T({3}), T({7, 3, 4})}, {}, {{7, 4}}},
        Case{"MatMul", 13, {T({2, 3}), T({3})}, {}, {{2}}},
        Case{"MatMul", 13, {T({3}), T({3})}, {}, {Shape{}}},
        Case{"MatMul", 13, {T({2, 3}), T({4, 3})}, {}, {}},
        Case{"Einsum",
             13,
             {T({2, 3, 4}), T({2, 4, 5})},
             {{"equation", std::string("bij,bjk->bik")}},
             {{2, 3, 5}}},
        Case{"Einsum",
             13,
             {T({2, 8, 3, 4}), T({2, 8, 5, 4})},
             {{"equation", std::string("... i d, ... j d -> ... i j")}},
             {{2, 8, 3, 5}}},
        Case{"Einsum", 13, {T({3, 4})}, {{"equation", std::string("ba")}}, {{4, 3}}},
        Case{"Einsum", 13, {T({3, 3})}, {{"equation", std::string("ii->i")}}, {{3}}},
        Case{"Einsum", 13, {T({3, 4})}, {{"equation", std::string("ij->ik")}}, {}},
        Case{"Einsum", 13, {T({3, 4})}, {{"equation", std::string("ijk->i")}}, {}},
        Case{"Einsum", 13, {T({3, 4}), T({5, 2})}, {{"equation", std::string("ij,jk->ik")}}, {}}));

INSTANTIATE_TEST_SUITE_P(
    Layout, OperatorShapes,
    testing::Values(
        Case{"Reshape", 13, {T({2, 3, 4}), N({0, -1})}, {}, {{2, 12}}},
        Case{"Reshape", 14, {T({0, 3}), N({3, 0})}, {{"allowzero", I{1}}}, {{3, 0}}},
        Case{"Reshape", 13, {T({2, 3, 4}), N({-1, -1})}, {}, {}},
        Case{"Reshape", 13, {T({2, 3, 4}), N({5, -1})}, {}, {}},
        Case{"Reshape", 13, {T({2, 3}), N({1, 1, 0})}, {}, {}},
        Case{"Reshape", 13, {T({2, 3}), N({7})}, {}, {}},
        Case{"Flatten", 13, {T({2, 3, 4})}, {}, {{2, 12}}},
        Case{"Flatten", 13, {T({2, 3, 4})}, {{"axis", I{-1}}}, {{6, 4}}},
        Case{"Flatten", 13, {T({2, 3, 4})}, {{"axis", I{3}}}, {{24, 1}}},
        Case{"Flatten", 13, {T({2, 3, 4})}, {{"axis", I{0}}}, {{1, 24}}},
        Case{"Squeeze", 11, {T({1, 3, 1})}, {{"axes", Ints{2}}}, {{1, 3}}},
        Case{"Squeeze", 13, {T({1, 3, 1}), N({0, -1})}, {}, {{3}}},
        Case{"Squeeze", 13, {T({1, 3, 1})}, {}, {{3}}},
        Case{"Squeeze", 13, {T({1, 3, 1}), N({1})}, {}, {}},
        Case{"Unsqueeze", 11, {T({3})}, {{"axes", Ints{0, 2}}}, {{1, 3, 1}}},
        Case{"Unsqueeze", 13, {T({3}), N({-1})}, {}, {{3, 1}}},
        Case{"Unsqueeze", 13, {T({3}), N({0, 0})}, {}, {}},
        Case{"Transpose", 13, {T({2, 3, 4})}, {}, {{4, 3, 2}}},
        Case{"Transpose", 13, {T({2, 3, 4})}, {{"perm", Ints{0, 2, 1}}}, {{2, 4, 3}}},
        Case{"Transpose", 13, {T({2, 3, 4})}, {{"perm", Ints{0, 0, 1}}}, {}},
        Case{"DepthToSpace", 13, {T({1, 8, 2, 3})}, {{"blocksize", I{2}}}, {{1, 2, 4, 6}}},
        Case{"DepthToSpace", 13, {T({1, 6, 2, 3})}, {{"blocksize", I{2}}}, {}},
        Case{"SpaceToDepth", 13, {T({1, 2, 4, 6})}, {{"blocksize", I{2}}}, {{1, 8, 2, 3}}},
        Case{"Concat", 13, {T({2, 3}), T({2, 4})}, {{"axis", I{1}}}, {{2, 7}}},
        Case{"Concat", 13, {T({2, 3}), T({2, 4})}, {{"axis", I{-1}}}, {{2, 7}}},
        Case{"Concat", 13, {T({2, 3}), T({2, 4})}, {{"axis", I{0}}}, {}},
        Case{"Concat", 13, {T({2, 3}), T({2, 4})}, {}, {}},
        Case{"Slice",
             9,
             {T({10, 10})},
             {{"starts", Ints{2}}, {"ends", Ints{5}}, {"axes", Ints{1}}},
             {{10, 3}}},
        Case{"Slice",
             13,
             {T({8, 10}), N({0, 0}), N({kMax, kMax}), N({0, 1}), N({2, 3})},
             {},
             {{4, 4}}},
        Case{"Slice",
             13,
             {T({10}), N({-1}), N({std::numeric_limits<I>::min()}), N({0}), N({-3})},
             {},
             {{4}}},
        Case{"Slice", 13, {T({10}), N({7}), N({3})}, {}, {{0}}},
        Case{"Slice", 13, {T({10}), N({0}), N({5}), N({0}), N({0})}, {}, {}},
        Case{"Slice", 13, {T({10}), N({0}), N({5}), N({1})}, {}, {}},
        Case{"Split", 11, {T({6, 2})}, {}, {{3, 2}, {3, 2}}},
        Case{"Split", 11, {T({6, 2})}, {{"split", Ints{4, 2}}}, {{4, 2}, {2, 2}}},
        Case{"Split", 13, {T({6, 2}), N({1, 5})}, {{"axis", I{0}}}, {{1, 2}, {5, 2}}},
        Case{"Split", 18, {T({7})}, {{"num_outputs", I{2}}}, {{4}, {3}}},
        Case{"Split", 13, {T({6, 2}), N({1, 4})}, {}, {}},
        Case{"Pad", 9, {T({2, 3})}, {{"pads", Ints{0, 1, 2, 0}}}, {{4, 4}}},
        Case{"Pad", 13, {T({2, 3}), N({0, 1, 2, 0}), None()}, {}, {{4, 4}}},
        Case{"Pad", 18, {T({2, 3}), N({1, 1}), None(), N({1})}, {}, {{2, 5}}},
        Case{"Pad", 13, {T({2, 3}), N({0, 1, 2})}, {}, {}},
        Case{"Pad", 13, {T({2, 3}), N({-3, 0, 0, 0})}, {}, {}},
        Case{"Expand", 13, {T({3, 1}), N({2, 1, 6})}, {}, {{2, 3, 6}}},
        Case{"Expand", 13, {T({3, 2}), N({3, 6})}, {}, {}},
        Case{"Tile", 13, {T({3, 2}), N({2, 1})}, {}, {{6, 2}}},
        Case{"Tile", 13, {T({3, 2}), N({2})}, {}, {}},
        Case{"Gather", 13, {T({3, 4, 5}), N({0, 2})}, {{"axis", I{1}}}, {{3, 2, 5}}},
        Case{"Gather", 13, {T({3, 4, 5}), S(1)}, {{"axis", I{-1}}}, {{3, 4}}},
        Case{"GatherElements", 13, {T({3, 4}), T({3, 2})}, {{"axis", I{1}}}, {{3, 2}}},
        Case{"GatherND", 13, {T({3, 4, 5}), T({7, 2})}, {}, {{7, 5}}},
        Case{"Shape", 15, {T({3, 4, 5})}, {{"start", I{1}}, {"end", I{-1}}}, {{1}}},
        Case{"Size", 13, {T({3, 4, 5})}, {}, {Shape{}}},
        Case{"ConstantOfShape", 13, {N({2, 3})}, {}, {{2, 3}}},
        Case{"ConstantOfShape", 13, {N({2, -3})}, {}, {}},
        Case{"Range", 13, {S(2), S(9), S(3)}, {}, {{3}}},
        Case{"Range", 13, {S(9), S(2), S(-3)}, {}, {{3}}},
        Case{"Range", 13, {S(2), S(9), S(0)}, {}, {}},
        Case{"NonZero", 13, {N({0, 5, 0, 7})}, {}, {{1, 2}}},
        Case{"OneHot", 13, {T({3}), S(10), F({0, 1})}, {}, {{3, 10}}}));

INSTANTIATE_TEST_SUITE_P(
    Normalisation, OperatorShapes,
    testing::Values(
        Case{"BatchNormalization",
             13,
             {T({2, 3, 4}), T({3}), T({3}), T({3}), T({3})},
             {},
             {{2, 3, 4}}},
        Case{"BatchNormalization", 13, {T({2, 3, 4}), T({3}), T({3}), T({4}), T({3})}, {}, {}},
        Case{"InstanceNormalization", 13, {T({2, 3, 4}), T({3}), T({3})}, {}, {{2, 3, 4}}},
        Case{"LayerNormalization",
             17,
             {T({2, 3, 4}), T({4}), T({4})},
             {},
             {{2, 3, 4}, {2, 3, 1}, {2, 3, 1}}},
        Case{"LayerNormalization",
             17,
             {T({2, 3, 4}), T({3, 4})},
             {{"axis", I{1}}},
             {{2, 3, 4}, {2, 1, 1}}},
        Case{"LayerNormalization", 17, {T({2, 3, 4}), T({5})}, {}, {}},
        Case{"GroupNormalization",
             18,
             {T({2, 6, 4}), T({3}), T({3})},
             {{"num_groups", I{3}}},
             {{2, 6, 4}}},
        Case{"GroupNormalization",
             21,
             {T({2, 6, 4}), T({6}), T({6})},
             {{"num_groups", I{3}}},
             {{2, 6, 4}}},
        Case{"GroupNormalization", 21, {T({2, 6, 4}), T({6}), T({6})}, {{"num_groups", I{4}}}, {}},
        Case{"Softmax", 11, {T({2, 3})}, {{"axis", I{2}}}, {{2, 3}}},
        Case{"Softmax", 13, {T({2, 3})}, {{"axis", I{2}}}, {}},
        Case{"LogSoftmax", 13, {T({2, 3})}, {}, {{2, 3}}},
        Case{"ReduceMean", 13, {T({2, 3, 4})}, {{"axes", Ints{1, -1}}}, {{2, 1, 1}}},
        Case{"ReduceMean", 18, {T({2, 3, 4}), N({1})}, {{"keepdims", I{0}}}, {{2, 4}}},
        Case{"ReduceSum", 13, {T({2, 3})}, {}, {{1, 1}}},
        Case{"ReduceSum", 13, {T({2, 3})}, {{"noop_with_empty_axes", I{1}}}, {{2, 3}}},
        Case{"ReduceMax", 13, {T({2, 3})}, {{"keepdims", I{0}}}, {Shape{}}},
        Case{"ReduceMax", 13, {T({2, 3})}, {{"axes", Ints{2}}}, {}},
        Case{"ArgMax", 13, {T({2, 3})}, {{"axis", I{1}}, {"keepdims", I{0}}}, {{2}}},
        Case{"TopK", 11, {T({2, 9}), N({4})}, {}, {{2, 4}, {2, 4}}},
        Case{"TopK", 11, {T({2, 9}), N({10})}, {}, {}},
        Case{"CumSum", 13, {T({2, 9}), S(1)}, {}, {{2, 9}}}));

INSTANTIATE_TEST_SUITE_P(
    Elementwise, OperatorShapes,
    testing::Values(Case{"Add", 13, {T({2, 1, 4}), T({3, 1})}, {}, {{2, 3, 4}}},
                    Case{"Add", 13, {T({2, 3}), T({2})}, {}, {}},
                    Case{"Sum", 13, {T({2, 1}), T({3}), T({1, 1})}, {}, {{2, 3}}},
                    Case{"Less", 13, {T({2, 1}), T({3})}, {}, {{2, 3}}},
                    Case{"Where", 13, {T({3}), T({2, 1}), T({})}, {}, {{2, 3}}},
                    Case{"PRelu", 13, {T({2, 3, 4}), T({3, 1})}, {}, {{2, 3, 4}}},
                    Case{"PRelu", 13, {T({3, 4}), T({2, 3, 1})}, {}, {}},
                    Case{"Clip", 6, {T({2})}, {}, {{2}}},
                    Case{"Clip", 13, {T({2}), None(), T({})}, {}, {{2}}},
                    Case{"Cast", 13, {T({2})}, {{"to", I{7}}}, {{2}}},
                    Case{"Cast", 13, {T({2})}, {{"to", I{8}}}, {}},
                    Case{"Dropout", 13, {T({2, 3})}, {}, {{2, 3}, {2, 3}}},
                    Case{"QuantizeLinear", 13, {T({2, 3}), T({}), T({})}, {}, {{2, 3}}},
                    Case{"DequantizeLinear", 13, {T({2, 3}), T({2})}, {{"axis", I{0}}}, {{2, 3}}},
                    Case{"DequantizeLinear", 13, {T({2, 3}), T({4})}, {{"axis", I{0}}}, {}}));

TEST(Operators, TableIsSortedAndComplete) {
  std::string previous;
  for (const OperatorInfo& row : Operators()) {
    EXPECT_LT(previous, row.name);
    previous = row.name;
    EXPECT_NE(row.shape, nullptr) << row.name;
    EXPECT_LE(row.min_inputs, row.max_inputs) << row.name;
    EXPECT_EQ(FindOperator("", row.name), &row);
    EXPECT_EQ(FindOperator("ai.onnx", row.name), &row);
    EXPECT_EQ(FindOperator("com.microsoft", row.name), nullptr);
  }
  EXPECT_EQ(FindOperator("", "NoSuchOperator"), nullptr);
}

TEST(Operators, CoverWhatUsersMayExpect) {
  const std::set<std::string> expected = {"Conv",
                                          "ConvTranspose",
                                          "Gemm",
                                          "MatMul",
                                          "BatchNormalization",
                                          "InstanceNormalization",
                                          "LayerNormalization",
                                          "GroupNormalization",
                                          "Relu",
                                          "LeakyRelu",
                                          "PRelu",
                                          "Clip",
                                          "Sigmoid",
                                          "HardSigmoid",
                                          "HardSwish",
                                          "Mish",
                                          "Gelu",
                                          "Softmax",
                                          "LogSoftmax",
                                          "Erf",
                                          "Tanh",
                                          "Exp",
                                          "Log",
                                          "Abs",
                                          "Neg",
                                          "Add",
                                          "Sub",
                                          "Mul",
                                          "Div",
                                          "Pow",
                                          "Sqrt",
                                          "Min",
                                          "Max",
                                          "Where",
                                          "Equal",
                                          "Greater",
                                          "GreaterOrEqual",
                                          "Less",
                                          "LessOrEqual",
                                          "MaxPool",
                                          "AveragePool",
                                          "GlobalAveragePool",
                                          "GlobalMaxPool",
                                          "ReduceMean",
                                          "ReduceSum",
                                          "ReduceMax",
                                          "ReduceMin",
                                          "ReduceProd",
                                          "ReduceL1",
                                          "ReduceL2",
                                          "ReduceLogSum",
                                          "ReduceLogSumExp",
                                          "ReduceSumSquare",
                                          "Concat",
                                          "Slice",
                                          "Split",
                                          "Pad",
                                          "Resize",
                                          "Upsample",
                                          "Flatten",
                                          "Reshape",
                                          "Expand",
                                          "Tile",
                                          "Transpose",
                                          "Squeeze",
                                          "Unsqueeze",
                                          "Gather",
                                          "Shape",
                                          "Cast",
                                          "Constant",
                                          "ConstantOfShape",
                                          "Range",
                                          "Identity",
                                          "Dropout",
                                          "DepthToSpace",
                                          "Einsum"};
  for (const std::string& name : expected) EXPECT_NE(FindOperator("", name), nullptr) << name;
}

}  // namespace
}  // namespace bitsearch
