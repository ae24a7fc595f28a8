// The graph's own bookkeeping: names, producers, readers, order, removal.
#include "space/graph/dag.h"
#include "space/graph/layer_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "space/support/error.h"
#include "tests/space/graph/graph_testing.h"

namespace bitsearch {
namespace {

using testing_graph::RandomGraph;

TensorIndex Named(LayerGraph& graph, const std::string& name) {
  Tensor tensor;
  tensor.name = name;
  return graph.AddTensor(tensor);
}

NodeIndex Connect(LayerGraph& graph, const std::string& id, const std::vector<TensorIndex>& inputs,
                  TensorIndex output) {
  Node node;
  node.id = id;
  node.op = "Sum";
  for (const TensorIndex input : inputs) node.inputs.emplace_back(input);
  node.outputs = {output};
  return graph.AddNode(node);
}

ErrorId IdOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.id();
  }
  return ErrorId::kUsage;
}

TEST(LayerGraph, IdsAreMadeUnique) {
  LayerGraph graph;
  const TensorIndex x = graph.AddInput("x", DataType::kFloat32, {1});
  const NodeIndex a = Connect(graph, "n", {x}, Named(graph, "a"));
  const NodeIndex b = Connect(graph, "n", {x}, Named(graph, "b"));
  const NodeIndex c = Connect(graph, "n", {x}, Named(graph, "c"));
  const NodeIndex d = Connect(graph, "", {x}, Named(graph, "d"));
  EXPECT_EQ(graph.node(a).id, "n");
  EXPECT_EQ(graph.node(b).id, "n#2");
  EXPECT_EQ(graph.node(c).id, "n#3");
  EXPECT_EQ(graph.node(d).id, "d");
  EXPECT_EQ(graph.FindNode("n#2"), b);
}

TEST(LayerGraph, RefusesASecondProducer) {
  LayerGraph graph;
  const TensorIndex x = graph.AddInput("x", DataType::kFloat32, {1});
  const TensorIndex y = Named(graph, "y");
  Connect(graph, "a", {x}, y);
  EXPECT_EQ(IdOf([&] { Connect(graph, "b", {x}, y); }), ErrorId::kModelGraph);
  EXPECT_EQ(IdOf([&] { Connect(graph, "c", {y}, x); }), ErrorId::kModelGraph);
  EXPECT_EQ(IdOf([&] { Named(graph, "y"); }), ErrorId::kModelGraph);
  EXPECT_EQ(IdOf([&] { Named(graph, ""); }), ErrorId::kModelGraph);
}

TEST(LayerGraph, SortFindsACycle) {
  LayerGraph graph;
  const TensorIndex x = graph.AddInput("x", DataType::kFloat32, {1});
  const TensorIndex a = Named(graph, "a");
  const TensorIndex b = Named(graph, "b");
  const TensorIndex c = Named(graph, "c");
  Connect(graph, "before", {x}, c);
  Connect(graph, "loop1", {c, b}, a);
  Connect(graph, "loop2", {a}, b);
  Connect(graph, "after", {b}, Named(graph, "d"));
  try {
    graph.SortTopologically();
    FAIL() << "a cycle went unnoticed";
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kModelGraph);
    EXPECT_TRUE(error.key() == "loop1" || error.key() == "loop2") << error.what();
  }
}

TEST(LayerGraph, SortRepairsAnyOrder) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 200; ++trial) {
    // Node k reads earlier tensors only, but nodes are added in shuffled order.
    const int count = 12;
    LayerGraph graph;
    std::vector<TensorIndex> tensors = {graph.AddInput("x", DataType::kFloat32, {1})};
    for (int k = 0; k < count; ++k) tensors.push_back(Named(graph, "t" + std::to_string(k)));
    std::vector<int> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    for (const int k : order) {
      std::vector<TensorIndex> inputs;
      for (int i = 0; i < 3; ++i) {
        inputs.push_back(tensors[std::uniform_int_distribution<std::size_t>(
            0, static_cast<std::size_t>(k))(random)]);
      }
      Connect(graph, "n" + std::to_string(k), inputs, tensors[static_cast<std::size_t>(k) + 1]);
    }
    graph.SortTopologically();
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
      for (const auto& input : graph.nodes()[n].inputs) {
        const auto producer = graph.producer(*input);
        EXPECT_TRUE(!producer || producer->value < n);
      }
      EXPECT_EQ(graph.FindNode(graph.nodes()[n].id), NodeIndex(n));
    }
    const std::vector<Node> sorted = graph.nodes();
    graph.SortTopologically();
    for (std::size_t n = 0; n < sorted.size(); ++n) EXPECT_EQ(sorted[n].id, graph.nodes()[n].id);
  }
}

TEST(LayerGraph, BookkeepingMatchesBruteForce) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const LayerGraph graph = RandomGraph(seed);
    for (std::size_t t = 0; t < graph.tensors().size(); ++t) {
      std::vector<NodeIndex> readers;
      std::optional<NodeIndex> producer;
      for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
        const Node& node = graph.nodes()[n];
        if (std::count(node.inputs.begin(), node.inputs.end(), TensorIndex(t)) > 0) {
          readers.emplace_back(n);
        }
        if (std::count(node.outputs.begin(), node.outputs.end(), TensorIndex(t)) > 0) {
          producer = NodeIndex(n);
        }
      }
      EXPECT_EQ(graph.Consumers(TensorIndex(t)), readers) << "seed " << seed;
      EXPECT_EQ(graph.producer(TensorIndex(t)), producer) << "seed " << seed;
    }
    const Dag dag = BuildDag(graph);
    EXPECT_EQ(boost::num_vertices(dag), graph.nodes().size());
  }
}

TEST(LayerGraph, RemoveNodesDropsWhatNobodyRefersTo) {
  LayerGraph graph;
  const TensorIndex x = graph.AddInput("x", DataType::kFloat32, {1});
  const float one = 1.0F;
  const TensorIndex w = graph.AddConstant("w", TensorValue::FromFloats({1}, {&one, 1}));
  const TensorIndex a = Named(graph, "a");
  const TensorIndex b = Named(graph, "b");
  Connect(graph, "kept", {x}, a);
  Connect(graph, "dead", {x, w}, b);
  graph.AddOutput(a);
  EXPECT_EQ(IdOf([&] { graph.RemoveNodes({true, false}); }), ErrorId::kInternal);
  EXPECT_EQ(graph.nodes().size(), 2U) << "a refused call must change nothing";
  graph.RemoveNodes({false, true});
  EXPECT_EQ(graph.nodes().size(), 1U);
  EXPECT_FALSE(graph.FindTensor("w"));
  EXPECT_FALSE(graph.FindTensor("b"));
  EXPECT_FALSE(graph.FindNode("dead"));
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).name, "a");
}

TEST(LayerGraph, SetConstantDetachesAComputedTensor) {
  LayerGraph graph;
  const TensorIndex x = graph.AddInput("x", DataType::kFloat32, {1});
  const TensorIndex a = Named(graph, "a");
  const TensorIndex b = Named(graph, "b");
  Connect(graph, "first", {x}, a);
  Connect(graph, "second", {a}, b);
  graph.AddOutput(b);
  const float one = 1.0F;
  graph.SetConstant(a, TensorValue::FromFloats({1}, {&one, 1}));
  EXPECT_FALSE(graph.producer(a));
  graph.RemoveNodes({true, false});
  EXPECT_TRUE(graph.tensor(*graph.FindTensor("a")).constant);
  EXPECT_EQ(graph.nodes().size(), 1U);
}

TEST(LayerGraph, LayersAreFoundByIdAndByWeight) {
  LayerGraph graph = RandomGraph(3);
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    EXPECT_EQ(graph.FindLayer(layer.id), LayerIndex(l));
    EXPECT_EQ(graph.FindLayer(graph.tensor(*layer.weight).name), LayerIndex(l));
  }
  EXPECT_FALSE(graph.FindLayer("no such layer"));
}

TEST(Attributes, RefuseAnotherType) {
  Attributes attributes;
  attributes.Set("axis", std::int64_t{3});
  EXPECT_EQ(attributes.Int("axis", 0), 3);
  EXPECT_EQ(attributes.Int("absent", 7), 7);
  EXPECT_EQ(IdOf([&] { attributes.Float("axis", 0.0F); }), ErrorId::kModelAttribute);
}

}  // namespace
}  // namespace bitsearch
