// Which tensors a runtime keeps as integers, on graphs small enough to say it by hand.
#include "space/quantizer/tensor_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "space/support/error.h"

namespace bitsearch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr NumberFormat kFp32 = NumberFormat::Float32();

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

// Builds a graph node by node; tensors are named like the nodes that write them.
class Builder {
 public:
  Builder() { graph_.AddInput("x", DataType::kFloat32, {-1, 2, 4, 4}); }
  void Conv(const std::string& id, const std::string& input) {
    const std::vector<float> ones(4, 1.0F);
    const TensorIndex weight =
        graph_.AddConstant(id + ".weight", TensorValue::FromFloats({2, 2, 1, 1}, ones));
    Append({id, "Conv", "", {*graph_.FindTensor(input), weight}, {}, {}});
  }
  void MatMul(const std::string& id, const std::string& input) {
    const std::vector<float> ones(64, 1.0F);
    const TensorIndex weight =
        graph_.AddConstant(id + ".weight", TensorValue::FromFloats({32, 2}, ones));
    Append({id, "MatMul", "", {*graph_.FindTensor(input), weight}, {}, {}});
  }
  Node& Op(const std::string& id, const std::string& op, const std::vector<std::string>& inputs) {
    last_ = Node{id, op, "", {}, {}, {}};
    for (const std::string& input : inputs) last_.inputs.push_back(graph_.FindTensor(input));
    return last_;
  }
  /// For nodes that need attributes: Op(...).attributes.Set(...); Add().
  void Add() { Append(std::move(last_)); }
  void Simple(const std::string& id, const std::string& op,
              const std::vector<std::string>& inputs) {
    Op(id, op, inputs);
    Add();
  }
  void Constant(const std::string& name, float value) {
    graph_.AddConstant(name, TensorValue::FromFloats({1}, std::vector<float>{value}));
  }
  LayerGraph Finish(const std::string& output) {
    graph_.AddOutput(*graph_.FindTensor(output));
    graph_.FindLayers();
    return graph_;
  }

 private:
  void Append(Node node) {
    Tensor tensor;
    tensor.name = node.id;
    node.outputs = {graph_.AddTensor(std::move(tensor))};
    graph_.AddNode(std::move(node));
  }
  LayerGraph graph_;
  Node last_;
};

// "name:bits", with "<-other" where another tensor's range gives the grid, "@" if at the readers.
std::vector<std::string> Describe(const LayerGraph& graph, const TensorPlan& plan) {
  std::vector<std::string> lines;
  for (const PlannedTensor& entry : plan.tensors) {
    std::string line = graph.tensor(entry.tensor).name + ":" + entry.format.ToString();
    if (entry.range_from != entry.tensor) line += "<-" + graph.tensor(entry.range_from).name;
    if (entry.at_readers) line += "@";
    lines.push_back(line);
  }
  return lines;
}

std::map<std::string, NodeForm> FormsById(const LayerGraph& graph, const TensorPlan& plan) {
  std::map<std::string, NodeForm> forms;
  for (std::size_t n = 0; n < plan.forms.size(); ++n) forms[graph.nodes()[n].id] = plan.forms[n];
  return forms;
}

// conv1 → Relu → { conv2 → Relu → conv3, skip } → Add → Relu → pool → Flatten → last
LayerGraph ResidualBlock() {
  Builder b;
  b.Conv("conv1", "x");
  b.Simple("relu1", "Relu", {"conv1"});
  b.Conv("conv2", "relu1");
  b.Simple("relu2", "Relu", {"conv2"});
  b.Conv("conv3", "relu2");
  b.Simple("add", "Add", {"conv3", "relu1"});
  b.Simple("relu3", "Relu", {"add"});
  b.Simple("pool", "GlobalAveragePool", {"relu3"});
  b.Simple("flat", "Flatten", {"pool"});
  b.Conv("last", "flat");
  return b.Finish("last");
}

TEST(TensorPlan, ResidualBlock) {
  const LayerGraph graph = ResidualBlock();
  BitConfig config = BitConfig::Uniform(4, Bits(4, 8));
  config.choices[1].activation = NumberFormat::Integer(4);  // conv2
  config.choices[3].activation = NumberFormat::Integer(6);  // last
  const TensorPlan plan = PlanTensors(graph, config);
  // conv3 in front of the Add and the Add's result get 8 bits; the skip path sees conv2's 4 bits;
  // the pool gives what Flatten hands to the last layer. The network's output stays float.
  EXPECT_THAT(Describe(graph, plan), ElementsAre("x:8@", "relu1:4", "relu2:8", "conv3:8", "relu3:8",
                                                 "pool:6<-flat", "flat:6"));
  const auto forms = FormsById(graph, plan);
  EXPECT_EQ(forms.at("relu1"), NodeForm::kFused);
  EXPECT_EQ(forms.at("relu3"), NodeForm::kFused);
  EXPECT_EQ(forms.at("add"), NodeForm::kAdd);
  EXPECT_EQ(forms.at("pool"), NodeForm::kAverage);
  EXPECT_EQ(forms.at("flat"), NodeForm::kMove);
  EXPECT_EQ(forms.at("last"), NodeForm::kLayer);
}

TEST(TensorPlan, FloatLayersInterruptTheIntegers) {
  const LayerGraph graph = ResidualBlock();
  BitConfig config = BitConfig::Uniform(4, Bits(8, 8));
  config.choices[2].weight = kFp32;  // conv3: its result is float, so the Add is, too.
  EXPECT_THAT(Describe(graph, PlanTensors(graph, config)),
              ElementsAre("x:8@", "relu1:8", "relu2:8", "flat:8"));
  config.choices[2] = Bits(8, 8);
  config.choices[3] = {kFp32, kFp32};  // Nothing behind the Add reads integers.
  const TensorPlan plan = PlanTensors(graph, config);
  EXPECT_THAT(Describe(graph, plan), ElementsAre("x:8@", "relu1:8", "relu2:8", "conv3:8"));
  EXPECT_EQ(FormsById(graph, plan).at("add"), NodeForm::kFloat);
  EXPECT_TRUE(PlanTensors(graph, BitConfig::Uniform(4, {kFp32, kFp32})).tensors.empty());
  EXPECT_TRUE(
      PlanTensors(graph, BitConfig::Uniform(4, {NumberFormat::Integer(4), kFp32})).tensors.empty());
}

TEST(TensorPlan, ConcatPoolsAndMovesAreIntegerAndReluOfASharedTensorIsNotFused) {
  Builder b;
  b.Constant("zero", 0.0F);
  b.Constant("one", 1.0F);
  b.Conv("a", "x");
  b.Conv("b", "x");
  b.Simple("relu", "Relu", {"a"});
  b.Simple("max", "MaxPool", {"relu"});
  b.Simple("join", "Concat", {"max", "b", "a"});
  b.Simple("padded", "Pad", {"join", "zero", "zero"});
  b.Conv("c", "padded");
  b.Simple("sigmoid", "Sigmoid", {"c"});
  b.Simple("by_one", "Pad", {"c", "zero", "one"});
  b.Simple("shifted", "Add", {"by_one", "one"});
  b.Simple("mixed", "Add", {"sigmoid", "shifted"});
  b.Conv("d", "mixed");
  const LayerGraph graph = b.Finish("d");
  const TensorPlan plan = PlanTensors(graph, BitConfig::Uniform(4, Bits(8, 5)));
  // "c" goes to floating-point operators only (Sigmoid, padding with 1), but a convolution's
  // integer kernel gives codes.
  EXPECT_THAT(Describe(graph, plan), ElementsAre("x:5@", "a:8", "b:8", "relu:8", "max:8<-relu",
                                                 "join:5<-padded", "padded:5", "c:8", "mixed:5"));
  const auto forms = FormsById(graph, plan);
  EXPECT_EQ(forms.at("relu"), NodeForm::kRectify);
  EXPECT_EQ(forms.at("max"), NodeForm::kMove);
  EXPECT_EQ(forms.at("join"), NodeForm::kConcat);
  EXPECT_EQ(forms.at("by_one"), NodeForm::kFloat);
  EXPECT_EQ(forms.at("mixed"), NodeForm::kFloat);
}

TEST(TensorPlan, ConvolutionsGiveCodesWhoeverReadsThemAndProductsOfMatricesGiveFloats) {
  Builder b;
  b.Conv("a", "x");
  b.Simple("relu", "Relu", {"a"});
  b.Simple("gate", "Sigmoid", {"relu"});
  b.Simple("flat", "Flatten", {"gate"});
  b.MatMul("m", "flat");
  b.Simple("bend", "Sigmoid", {"m"});
  const LayerGraph graph = b.Finish("bend");
  const TensorPlan plan = PlanTensors(graph, BitConfig::Uniform(2, Bits(8, 6)));
  EXPECT_THAT(Describe(graph, plan), ElementsAre("x:6@", "relu:8", "flat:6"));
  const auto forms = FormsById(graph, plan);
  EXPECT_EQ(forms.at("relu"), NodeForm::kFused);
  EXPECT_EQ(forms.at("m"), NodeForm::kLayer);
}

TEST(TensorPlan, MovedElementsChangeGridOnlyBetweenLayersOfDifferentBits) {
  Builder b;
  b.Conv("a", "x");
  b.Conv("b", "a");
  b.Simple("view", "Flatten", {"a"});
  b.Simple("turned", "Transpose", {"view"});
  b.Conv("c", "turned");
  b.Simple("sum", "Add", {"b", "c"});
  const LayerGraph graph = b.Finish("sum");
  BitConfig config = BitConfig::Uniform(3, Bits(8, 8));
  EXPECT_THAT(Describe(graph, PlanTensors(graph, config)),
              ElementsAre("x:8@", "a:8", "b:8", "view:8<-a", "turned:8<-a", "c:8"));
  config.choices[2].activation = NumberFormat::Integer(3);
  EXPECT_THAT(Describe(graph, PlanTensors(graph, config)),
              ElementsAre("x:8@", "a:8", "b:8", "view:8<-a", "turned:3", "c:8"));
}

TEST(TensorPlan, AnOutputThatALayerReadsIsQuantizedForTheLayerOnly) {
  Builder b;
  b.Conv("a", "x");
  b.Conv("b", "a");
  LayerGraph graph = b.Finish("b");
  graph.AddOutput(*graph.FindTensor("a"));
  EXPECT_THAT(Describe(graph, PlanTensors(graph, BitConfig::Uniform(2, Bits(8, 8)))),
              ElementsAre("x:8@", "a:8@"));
}

TEST(TensorPlan, LayersThatShareAnInputNeedEqualBits) {
  Builder b;
  b.Conv("a", "x");
  b.Conv("b", "x");
  b.Simple("sum", "Add", {"a", "b"});
  const LayerGraph graph = b.Finish("sum");
  for (const NumberFormat other : {NumberFormat::Integer(4), kFp32}) {
    BitConfig config = BitConfig::Uniform(2, Bits(8, 8));
    config.choices[1].activation = other;
    try {
      PlanTensors(graph, config);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), ErrorId::kConfigLayers);
      EXPECT_THAT(error.what(), HasSubstr("'a' and 'b' read the tensor 'x'"));
    }
  }
  EXPECT_THROW(PlanTensors(graph, BitConfig::Uniform(3, Bits(8, 8))), Error);
}

}  // namespace
}  // namespace bitsearch
