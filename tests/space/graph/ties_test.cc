// Which layers must share bits, under each kind of placement; and the description of a graph.
#include "space/graph/ties.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/graph/describe.h"
#include "space/graph/onnx_reader.h"
#include "tests/space/graph/graph_testing.h"

namespace bitsearch {
namespace {

using namespace testing_graph;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> LayerIds(const LayerGraph& graph, const TieGroup& group) {
  std::vector<std::string> ids;
  for (const LayerIndex layer : group.layers) ids.push_back(graph.layer(layer).id);
  return ids;
}

/// Two branches from x, joined by an addition, then a convolution; q, k, v style sharing.
LayerGraph Branches() {
  onnx::ModelProto model = EmptyModel(13, {-1, 2, 4, 4});
  for (const char* name : {"w1", "w2", "w3", "w4"}) AddFloats(model, name, {2, 2, 1, 1}, Ramp(4));
  AddNode(model, "Conv", {"x", "w1"}, {"a"}, "left");
  AddNode(model, "Conv", {"x", "w2"}, {"b"}, "right");
  AddNode(model, "Relu", {"a"}, {"ar"}, "relu");
  AddNode(model, "Add", {"ar", "b"}, {"sum"}, "add");
  AddNode(model, "Conv", {"sum", "w3"}, {"c"}, "after");
  AddNode(model, "Conv", {"ar", "w4"}, {"d"}, "side");
  AddNode(model, "Add", {"c", "d"}, {"y"}, "end");
  AddOutput(model, "y");
  return Read(model);
}

TEST(Ties, SharedInputsTieActivations) {
  const LayerGraph graph = Branches();
  const std::vector<TieGroup> ties = InferTies(graph, {.activations = true, .joins = false});
  ASSERT_EQ(ties.size(), 1U);
  EXPECT_EQ(ties[0].kind, TieKind::kActivation);
  EXPECT_EQ(ties[0].name, "activation:x");
  EXPECT_THAT(LayerIds(graph, ties[0]), ElementsAre("left", "right"));
  EXPECT_TRUE(InferTies(graph, {.activations = false, .joins = false}).empty())
      << "without activation bits there is nothing to tie";
}

TEST(Ties, JoinsTieWhereTheyAreQuantized) {
  const LayerGraph graph = Branches();
  const std::vector<TieGroup> ties = InferTies(graph, {.activations = true, .joins = true});
  ASSERT_EQ(ties.size(), 2U);
  EXPECT_THAT(LayerIds(graph, ties[0]), ElementsAre("left", "right"));
  EXPECT_THAT(LayerIds(graph, ties[1]), ElementsAre("after", "side"));
}

TEST(Ties, SharedWeightsTieWeights) {
  onnx::ModelProto model = EmptyModel(13, {-1, 2, 4, 4});
  AddFloats(model, "w", {2, 2, 1, 1}, Ramp(4));
  AddNode(model, "Identity", {"w"}, {"same"}, "");
  AddNode(model, "Conv", {"x", "w"}, {"a"}, "first");
  AddNode(model, "Conv", {"a", "same"}, {"b"}, "second");
  AddOutput(model, "b");
  const LayerGraph graph = Read(model);
  const std::vector<TieGroup> ties = InferTies(graph, {.activations = false, .joins = false});
  ASSERT_EQ(ties.size(), 1U);
  EXPECT_EQ(ties[0].kind, TieKind::kWeight);
  EXPECT_THAT(LayerIds(graph, ties[0]), ElementsAre("first", "second"));
}

TEST(Ties, AttentionSharesItsInputAndChainsProducts) {
  onnx::ModelProto model = EmptyModel(13, {-1, 5, 4});
  for (const char* name : {"wq", "wk", "wv"}) AddFloats(model, name, {4, 4}, Ramp(16));
  AddNode(model, "MatMul", {"x", "wq"}, {"q"}, "query");
  AddNode(model, "MatMul", {"x", "wk"}, {"k"}, "key");
  AddNode(model, "MatMul", {"x", "wv"}, {"v"}, "value");
  SetInts(AddNode(model, "Transpose", {"k"}, {"kt"}, "turn"), "perm", {0, 2, 1});
  AddNode(model, "MatMul", {"q", "kt"}, {"scores"}, "scores");
  AddNode(model, "Softmax", {"scores"}, {"p"}, "softmax");
  AddNode(model, "MatMul", {"p", "v"}, {"y"}, "context");
  AddOutput(model, "y");
  const LayerGraph graph = Read(model);
  ASSERT_EQ(graph.layers().size(), 5U);
  EXPECT_FALSE(graph.layers()[3].weight) << "a product of two activations has no weight";
  EXPECT_EQ(graph.layers()[3].parameter_count, 0);
  EXPECT_EQ(graph.layers()[3].macs, 5 * 5 * 4);
  const std::vector<TieGroup> ties = InferTies(graph, {.activations = true, .joins = false});
  ASSERT_EQ(ties.size(), 1U);
  EXPECT_THAT(LayerIds(graph, ties[0]), ElementsAre("query", "key", "value"));
}

TEST(Ties, ResNetStagesTieOnlyWhereTheSkipPathIsQuantized) {
  const std::filesystem::path path = SharedModel("resnet20/resnet20_cifar10_bnfold.onnx");
  BITSEARCH_SKIP_WITHOUT(path);
  const LayerGraph graph = ReadOnnx(path);
  EXPECT_TRUE(InferTies(graph, {.activations = true, .joins = false}).empty());
  // The skip path runs from the first convolution through every block (option A shortcuts only
  // slice and pad), so the first convolution of each of the nine blocks reads one stream. The
  // pooling before the classifier makes new values.
  const std::vector<TieGroup> ties = InferTies(graph, {.activations = true, .joins = true});
  ASSERT_EQ(ties.size(), 1U);
  EXPECT_EQ(ties[0].layers.size(), 9U);
}

TEST(Describe, TableNamesLayersTiesAndWhatIsNotQuantizable) {
  onnx::ModelProto model = EmptyModel(13, {-1, 2, 4, 4});
  AddFloats(model, "w", {2, 2, 3, 3}, Ramp(36));
  AddFloats(model, "w2", {2, 2, 3, 3}, Ramp(36));
  AddNode(model, "Conv", {"x", "w"}, {"a"}, "first");
  AddNode(model, "Conv", {"x", "w2"}, {"b"}, "second");
  AddNode(model, "Conv", {"a", "b"}, {"c"}, "dynamic");
  AddOutput(model, "c");
  // The batch must be 2 for "b" to serve as a weight; give it.
  const LayerGraph graph = Read(model, {.input_shapes = {{"x", {2, 2, 4, 4}}}});
  const std::string text = DescribeLayers(graph, InferTies(graph, {}));
  EXPECT_THAT(text, HasSubstr("first"));
  EXPECT_THAT(text, HasSubstr("[2, 2, 3, 3]"));
  EXPECT_THAT(text, HasSubstr("2 layers, 72 weights"));
  EXPECT_THAT(text,
              HasSubstr("not quantizable: dynamic (Conv): its weight is computed at run time"));
  EXPECT_THAT(text, HasSubstr("t1 ties the activation bits of first, second"));
  const std::string dot = DescribeAsDot(graph);
  EXPECT_THAT(dot, HasSubstr("n0 [label=\"Conv\\nfirst\", style=filled"));
  EXPECT_THAT(dot, HasSubstr("n0 -> n2"));
}

}  // namespace
}  // namespace bitsearch
