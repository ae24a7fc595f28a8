// A node of an old opset and the same node brought to a newer one give the same in ONNX Runtime,
// which runs both.
#include "space/graph/opset_upgrade.h"

#include <gtest/gtest.h>

#include <random>

#include "space/graph/onnx_writer.h"
#include "space/graph/shape_inference.h"
#include "space/support/child_process.h"
#include "space/support/error.h"
#include "tests/experiments/deployment/runtime_testing.h"

namespace bitsearch {
namespace {

struct OldNode {
  std::string name;
  std::string op;
  std::int64_t opset;
  Shape input;
  std::vector<std::pair<std::string, AttributeValue>> attributes = {};
  std::vector<TensorValue> constants = {};
  int outputs = 1;
};

void PrintTo(const OldNode& value, std::ostream* stream) { *stream << value.name; }

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

TensorValue FloatsOf(const Floats& values) {
  return TensorValue::FromFloats({static_cast<std::int64_t>(values.size())}, values);
}

LayerGraph GraphOf(const OldNode& old) {
  LayerGraph graph;
  graph.opset = old.opset;
  Node node;
  node.id = "node";
  node.op = old.op;
  node.inputs = {graph.AddInput("x", DataType::kFloat32, old.input)};
  for (std::size_t i = 0; i < old.constants.size(); ++i) {
    node.inputs.emplace_back(graph.AddConstant("c" + std::to_string(i), old.constants[i]));
  }
  for (const auto& [name, value] : old.attributes) node.attributes.Set(name, value);
  for (int i = 0; i < old.outputs; ++i) {
    Tensor output;
    output.name = "y" + std::to_string(i);
    node.outputs.push_back(graph.AddTensor(output));
  }
  const std::vector<TensorIndex> outputs = node.outputs;
  graph.AddNode(std::move(node));
  // The second output of TopK holds integers.
  graph.AddOutput(outputs.front());
  for (std::size_t i = 1; i < outputs.size() && old.op != "TopK"; ++i) graph.AddOutput(outputs[i]);
  InferShapes(graph);
  return graph;
}

std::vector<RuntimeOutput> Outputs(const LayerGraph& graph, const Shape& shape) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(ElementCount(shape)));
  for (float& value : values) value = normal(random);
  const ScratchFolder scratch;
  RuntimeRequest request;
  request.model = scratch.path() / "model.onnx";
  WriteOnnx(graph, request.model);
  request.inputs = {{"x", shape, values}};
  return RunInRuntime(TestRuntime(), request, {}).outputs;
}

class OpsetUpgrade : public testing::TestWithParam<OldNode> {};

TEST_P(OpsetUpgrade, ComputesTheSameInTheRuntime) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  const OldNode& old = GetParam();
  const LayerGraph graph = GraphOf(old);
  const std::vector<RuntimeOutput> before = Outputs(graph, old.input);
  for (const std::int64_t opset : {std::int64_t{13}, std::int64_t{21}, kNewestUpgradeOpset}) {
    if (opset < old.opset) continue;
    LayerGraph upgraded = graph;
    UpgradeOpset(upgraded, opset);
    EXPECT_EQ(upgraded.opset, opset);
    const std::vector<RuntimeOutput> after = Outputs(upgraded, old.input);
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(after[i].shape, before[i].shape) << "opset " << opset;
      EXPECT_EQ(after[i].values, before[i].values) << "opset " << opset;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Operators, OpsetUpgrade,
    testing::Values(
        OldNode{"slice 9",
                "Slice",
                9,
                {1, 4, 6},
                {{"starts", Ints{1, 2}}, {"ends", Ints{3, 6}}, {"axes", Ints{1, 2}}}},
        OldNode{
            "top 9", "TopK", 9, {2, 7}, {{"k", std::int64_t{3}}, {"axis", std::int64_t{1}}}, {}, 2},
        OldNode{"upsample 9",
                "Upsample",
                9,
                {1, 2, 3, 3},
                {{"mode", std::string("nearest")}},
                {FloatsOf({1.0F, 1.0F, 2.0F, 2.0F})}},
        OldNode{"upsample linear 9",
                "Upsample",
                9,
                {1, 2, 3, 3},
                {{"mode", std::string("linear")}},
                {FloatsOf({1.0F, 1.0F, 2.0F, 2.0F})}},
        OldNode{"clip 9", "Clip", 9, {2, 5}, {{"min", -0.5F}, {"max", 0.25F}}},
        OldNode{"clip below 9", "Clip", 9, {2, 5}, {{"min", 0.0F}}},
        OldNode{"pad 9", "Pad", 9, {1, 2, 3}, {{"pads", Ints{0, 0, 1, 0, 1, 2}}, {"value", 0.5F}}},
        OldNode{"pad mirrored 9",
                "Pad",
                9,
                {1, 2, 4},
                {{"pads", Ints{0, 0, 1, 0, 0, 2}}, {"mode", std::string("reflect")}}},
        OldNode{"resize 10",
                "Resize",
                10,
                {1, 2, 3, 3},
                {{"mode", std::string("nearest")}},
                {FloatsOf({1.0F, 1.0F, 2.0F, 3.0F})}},
        OldNode{"dropout 9", "Dropout", 9, {2, 3}, {{"ratio", 0.3F}}},
        OldNode{"softmax 11", "Softmax", 11, {3, 4}, {{"axis", std::int64_t{1}}}},
        OldNode{"softmax over ones 11", "Softmax", 11, {3, 4, 1, 1}},
        OldNode{"log softmax 11", "LogSoftmax", 11, {2, 3, 4}, {{"axis", std::int64_t{-1}}}},
        OldNode{"sum 11", "ReduceSum", 11, {2, 3, 4}, {{"axes", Ints{1, 2}}}},
        OldNode{"sum 11 without axes", "ReduceSum", 11, {2, 3, 4}, {{"keepdims", std::int64_t{0}}}},
        OldNode{"split 11",
                "Split",
                11,
                {1, 6},
                {{"axis", std::int64_t{1}}, {"split", Ints{2, 4}}},
                {},
                2},
        OldNode{"even split 13", "Split", 13, {1, 6}, {{"axis", std::int64_t{1}}}, {}, 3},
        OldNode{"squeeze 11", "Squeeze", 11, {2, 1, 3, 1}, {{"axes", Ints{1, 3}}}},
        OldNode{"unsqueeze 11", "Unsqueeze", 11, {2, 3}, {{"axes", Ints{0, 3}}}},
        OldNode{"mean 13", "ReduceMean", 13, {2, 3, 4}, {{"axes", Ints{-1}}}},
        OldNode{"max 13",
                "ReduceMax",
                13,
                {2, 3, 4},
                {{"axes", Ints{1}}, {"keepdims", std::int64_t{0}}}},
        OldNode{"norm 13", "ReduceL2", 13, {2, 3, 4}, {{"axes", Ints{2}}}}));

TEST(OpsetUpgradeTest, RefusesWhatHasNoEqualForm) {
  // Over twelve elements at once; the newer form knows one axis only.
  LayerGraph graph = GraphOf({"", "Softmax", 11, {2, 3, 4}, {{"axis", std::int64_t{1}}}});
  try {
    UpgradeOpset(graph, 13);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kOperatorUnsupported);
    EXPECT_EQ(error.key(), "node");
  }
}

}  // namespace
}  // namespace bitsearch
