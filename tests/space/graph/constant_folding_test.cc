// Folding computes what the operators define; shapes computed from shapes disappear.
#include "space/graph/constant_folding.h"

#include <gtest/gtest.h>

#include <random>

#include "space/support/error.h"
#include "tests/space/graph/graph_testing.h"

namespace bitsearch {
namespace {

using namespace testing_graph;
using Ints = std::vector<std::int64_t>;

/// Values of an output that must have been folded.
TensorValue Folded(const onnx::ModelProto& model, const std::string& name) {
  const LayerGraph graph = Read(model);
  const std::optional<TensorIndex> tensor = graph.FindTensor(name);
  EXPECT_TRUE(tensor && graph.tensor(*tensor).constant) << name << " was not folded";
  if (!tensor || !graph.tensor(*tensor).constant) return {};
  return *graph.tensor(*tensor).constant;
}

onnx::ModelProto Base(std::int64_t opset = 13) { return EmptyModel(opset, {-1, 3, 8, 8}); }

TEST(FoldConstants, TransposeSliceConcatGather) {
  onnx::ModelProto model = Base();
  AddInts(model, "a", {2, 3}, {1, 2, 3, 4, 5, 6});
  AddInts(model, "one", {1}, {1});
  AddInts(model, "end", {1}, {std::numeric_limits<std::int64_t>::min()});
  AddInts(model, "minus", {1}, {-1});
  AddInts(model, "picks", {2}, {-1, 0});
  AddNode(model, "Transpose", {"a"}, {"t"});
  AddNode(model, "Slice", {"a", "minus", "end", "one", "minus"}, {"s"});
  SetInt(AddNode(model, "Concat", {"a", "s"}, {"c"}), "axis", 1);
  SetInt(AddNode(model, "Gather", {"a", "picks"}, {"g"}), "axis", 1);
  for (const char* name : {"t", "s", "c", "g"}) AddOutput(model, name);
  EXPECT_EQ(Folded(model, "t").ToInt64s(), (Ints{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(Folded(model, "s").ToInt64s(), (Ints{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(Folded(model, "c").ToInt64s(), (Ints{1, 2, 3, 3, 2, 1, 4, 5, 6, 6, 5, 4}));
  EXPECT_EQ(Folded(model, "g").ToInt64s(), (Ints{3, 1, 6, 4}));
  EXPECT_EQ(Folded(model, "g").shape(), (Shape{2, 2}));
}

TEST(FoldConstants, ArithmeticBroadcastsAndKeepsIntegersExact) {
  onnx::ModelProto model = Base();
  const std::int64_t big = (std::int64_t{1} << 53) + 1;  // Not a double.
  AddInts(model, "a", {2, 1}, {big, -7});
  AddInts(model, "b", {2}, {2, -3});
  AddNode(model, "Mul", {"a", "b"}, {"mul"});
  AddNode(model, "Div", {"a", "b"}, {"div"});
  AddNode(model, "Mod", {"a", "b"}, {"mod"});
  AddNode(model, "Less", {"a", "b"}, {"less"});
  AddNode(model, "Max", {"a", "b"}, {"max"});
  for (const char* name : {"mul", "div", "mod", "less", "max"}) AddOutput(model, name);
  EXPECT_EQ(Folded(model, "mul").ToInt64s(), (Ints{big * 2, big * -3, -14, 21}));
  EXPECT_EQ(Folded(model, "div").ToInt64s(), (Ints{big / 2, big / -3, -3, 2}));
  EXPECT_EQ(Folded(model, "mod").ToInt64s()[2], 1) << "the sign follows the divisor";
  EXPECT_EQ(Folded(model, "less").type(), DataType::kBool);
  EXPECT_EQ(Folded(model, "less").ToInt64s(), (Ints{0, 0, 1, 1}));
  EXPECT_EQ(Folded(model, "max").ToInt64s(), (Ints{big, big, 2, -3}));
}

TEST(FoldConstants, DivisionByZeroIsAnError) {
  onnx::ModelProto model = Base();
  AddInts(model, "a", {1}, {1});
  AddInts(model, "zero", {1}, {0});
  AddNode(model, "Div", {"a", "zero"}, {"q"}, "division");
  AddOutput(model, "q");
  try {
    Read(model);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kModelShape);
    EXPECT_EQ(error.key(), "division");
  }
}

TEST(FoldConstants, CastsWhereRangeTileExpandReduce) {
  onnx::ModelProto model = Base();
  AddFloats(model, "f", {3}, {-1.7F, 0.5F, 0.0F});
  SetInt(AddNode(model, "Cast", {"f"}, {"i"}), "to", 7);
  SetInt(AddNode(model, "Cast", {"f"}, {"b"}), "to", 9);
  AddNode(model, "Where", {"b", "i", "w"}, {"where"});
  AddInts(model, "w", {1}, {9});
  AddInts(model, "start", {}, {10});
  AddInts(model, "limit", {}, {3});
  AddInts(model, "step", {}, {-4});
  AddNode(model, "Range", {"start", "limit", "step"}, {"range"});
  AddInts(model, "two", {1}, {2});
  AddNode(model, "Tile", {"i", "two"}, {"tile"});
  AddInts(model, "shape", {2}, {2, 3});
  AddNode(model, "Expand", {"i", "shape"}, {"expand"});
  SetInt(AddNode(model, "ReduceProd", {"shape"}, {"prod"}), "keepdims", 0);
  for (const char* name : {"where", "range", "tile", "expand", "prod"}) AddOutput(model, name);
  EXPECT_EQ(Folded(model, "where").ToInt64s(), (Ints{-1, 0, 9}));
  EXPECT_EQ(Folded(model, "range").ToInt64s(), (Ints{10, 6}));
  EXPECT_EQ(Folded(model, "tile").ToInt64s(), (Ints{-1, 0, 0, -1, 0, 0}));
  EXPECT_EQ(Folded(model, "expand").ToInt64s(), (Ints{-1, 0, 0, -1, 0, 0}));
  EXPECT_EQ(Folded(model, "prod").ToInt64s(), (Ints{6}));
}

TEST(FoldConstants, RandomLayoutChainsMatchBruteForce) {
  // Transpose, then slice with a step: every element is looked up by its coordinates.
  std::mt19937 random(11);
  for (int trial = 0; trial < 100; ++trial) {
    const auto pick = [&](int low, int high) {
      return std::int64_t{std::uniform_int_distribution<int>(low, high)(random)};
    };
    const Shape shape = {pick(1, 4), pick(1, 4), pick(1, 4)};
    Ints values(static_cast<std::size_t>(ElementCount(shape)));
    std::iota(values.begin(), values.end(), 0);
    Ints perm = {0, 1, 2};
    std::shuffle(perm.begin(), perm.end(), random);
    const std::int64_t axis = pick(0, 2);
    const std::int64_t step = pick(0, 1) == 0 ? pick(1, 3) : -pick(1, 3);
    const std::int64_t start = pick(-5, 5);
    const std::int64_t end = pick(-6, 6);
    onnx::ModelProto model = Base();
    AddInts(model, "a", shape, values);
    AddInts(model, "start", {1}, {start});
    AddInts(model, "end", {1}, {end});
    AddInts(model, "axis", {1}, {axis});
    AddInts(model, "step", {1}, {step});
    SetInts(AddNode(model, "Transpose", {"a"}, {"t"}), "perm", perm);
    AddNode(model, "Slice", {"t", "start", "end", "axis", "step"}, {"s"});
    AddOutput(model, "s");
    const TensorValue result = Folded(model, "s");

    // NumPy's own rule, element by element.
    Shape turned;
    for (const std::int64_t p : perm) turned.push_back(shape[static_cast<std::size_t>(p)]);
    const std::int64_t extent = turned[static_cast<std::size_t>(axis)];
    const auto place = [&](std::int64_t position) {
      if (position < 0) position += extent;
      return step > 0 ? std::clamp<std::int64_t>(position, 0, extent)
                      : std::clamp<std::int64_t>(position, -1, extent - 1);
    };
    const std::int64_t first = step > 0 || start >= -extent ? place(start) : -1;
    const std::int64_t clamped_first = step < 0 && start < -extent ? 0 : first;
    const std::int64_t last = end < -extent ? (step > 0 ? 0 : -1) : place(end);
    Ints kept;
    for (std::int64_t i = clamped_first; step > 0 ? i < last : i > last; i += step)
      kept.push_back(i);
    Ints expected;
    const std::int64_t strides[] = {shape[1] * shape[2], shape[2], 1};
    const auto range = [&](std::size_t d) {
      if (static_cast<std::int64_t>(d) == axis) return kept;
      Ints all(static_cast<std::size_t>(turned[d]));
      std::iota(all.begin(), all.end(), 0);
      return all;
    };
    for (const std::int64_t i : range(0)) {
      for (const std::int64_t j : range(1)) {
        for (const std::int64_t k : range(2)) {
          expected.push_back(i * strides[perm[0]] + j * strides[perm[1]] + k * strides[perm[2]]);
        }
      }
    }
    EXPECT_EQ(result.ToInt64s(), expected)
        << "shape " << ToString(shape) << " perm " << ToString(perm) << " axis " << axis
        << " start " << start << " end " << end << " step " << step;
  }
}

TEST(InferShapes, ShapesComputedFromShapesDisappear) {
  // The usual exporter idiom: view(x.size(0), -1), and the size of a fixed axis.
  onnx::ModelProto model = Base();
  AddInts(model, "zero", {}, {0});
  AddInts(model, "zeros", {1}, {0});
  AddInts(model, "minus", {1}, {-1});
  AddNode(model, "Shape", {"x"}, {"shape"});
  AddNode(model, "Gather", {"shape", "zero"}, {"n"});
  AddNode(model, "Unsqueeze", {"n", "zeros"}, {"n1"});
  SetInt(AddNode(model, "Concat", {"n1", "minus"}, {"target"}), "axis", 0);
  AddNode(model, "Reshape", {"x", "target"}, {"y"}, "view");
  AddOutput(model, "y");
  const LayerGraph graph = Read(model);
  ASSERT_EQ(graph.nodes().size(), 1U);
  EXPECT_EQ(graph.nodes()[0].id, "view");
  EXPECT_EQ(graph.tensor(*graph.nodes()[0].inputs[1]).constant->ToInt64s(), (Ints{-1, 192}));
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).shape, (Shape{-1, 192}));
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).sample_shape, (Shape{1, 192}));
}

TEST(InferShapes, BatchTimesTokensIsPerSample) {
  onnx::ModelProto model = EmptyModel(13, {-1, 5, 4});
  AddInts(model, "flat", {2}, {-1, 4});
  AddFloats(model, "w", {4, 6}, Ramp(24));
  AddNode(model, "Reshape", {"x", "flat"}, {"rows"});
  AddNode(model, "Gemm", {"rows", "w"}, {"y"}, "fc");
  AddOutput(model, "y");
  const LayerGraph graph = Read(model);
  EXPECT_EQ(graph.tensor(graph.outputs()[0]).shape, (Shape{-1, 6}));
  EXPECT_EQ(graph.layers()[0].macs, 5 * 4 * 6) << "five rows per sample";
}

TEST(InferShapes, AFixedBatchIsDividedOut) {
  onnx::ModelProto model = EmptyModel(13, {4, 5});
  AddFloats(model, "w", {5, 6}, Ramp(30));
  AddNode(model, "MatMul", {"x", "w"}, {"y"}, "fc");
  AddOutput(model, "y");
  EXPECT_EQ(Read(model).layers()[0].macs, 30);
}

TEST(InferShapes, OpenSizesStayOpenAndCanBeGiven) {
  onnx::ModelProto model = EmptyModel(13, {-1, 3, -1, -1});
  AddFloats(model, "w", {4, 3, 3, 3}, Ramp(108));
  AddNode(model, "Conv", {"x", "w"}, {"y"}, "conv");
  AddOutput(model, "y");
  EXPECT_EQ(Read(model).tensor(*Read(model).FindTensor("y")).shape, (Shape{-1, 4, -1, -1}));
  const LayerGraph given = Read(model, {.input_shapes = {{"x", {-1, 3, 10, 12}}}});
  EXPECT_EQ(given.tensor(given.outputs()[0]).shape, (Shape{-1, 4, 8, 10}));
  EXPECT_EQ(given.layers()[0].macs, 4 * 8 * 10 * 27);
  EXPECT_THROW(Read(model, {.input_shapes = {{"x", {-1, 5, 10, 12}}}}), Error);
}

TEST(InferShapes, OpenSizesDoNotHideATrueMismatch) {
  onnx::ModelProto model = EmptyModel(13, {-1, 5, -1, -1});
  AddFloats(model, "w", {4, 3, 3, 3}, Ramp(108));
  AddNode(model, "Conv", {"x", "w"}, {"y"}, "conv");
  AddOutput(model, "y");
  EXPECT_THROW(Read(model), Error);
}

TEST(InferShapes, NetworksThatFitNoGuessAreStillRead) {
  // 48 rows are squeezed to one; no probed size does that.
  onnx::ModelProto model = EmptyModel(13, {-1, 1, -1, -1});
  AddInts(model, "two", {1}, {2});
  SetInts(AddNode(model, "MaxPool", {"x"}, {"p"}), "kernel_shape", {48, 1});
  AddNode(model, "Squeeze", {"p", "two"}, {"y"}, "squeeze");
  AddOutput(model, "y");
  EXPECT_FALSE(Read(model).tensor(*Read(model).FindTensor("y")).shape);
  const LayerGraph given = Read(model, {.input_shapes = {{"x", {-1, 1, 48, 100}}}});
  EXPECT_EQ(given.tensor(given.outputs()[0]).shape, (Shape{-1, 1, 100}));
}

}  // namespace
}  // namespace bitsearch
