#include "space/network/network_torch.h"

#include <gtest/gtest.h>

#include "space/network/builtin.h"
#include "space/network/evaluate.h"
#include "space/support/error.h"
#include "tests/space/network/synthetic_data.h"

namespace bitsearch {
namespace {

at::Tensor RandomInput(std::int64_t count) {
  torch::manual_seed(3);
  return at::randn({count, 1, 8, 8});
}

TEST(NetworkTest, RunsTwiceDifferentiably) {
  const Network network(BuildResNet(8, {1, 8, 8, 10}, 1));
  const TensorIndex weight = *network.graph().layers()[2].weight;
  Network copy = network;
  at::Tensor parameter = network.constant(weight).clone().requires_grad_(true);
  copy.SetConstant(weight, parameter);
  const at::Tensor loss = copy.Forward(RandomInput(4)).square().sum();
  const auto gradient = torch::autograd::grad({loss}, {parameter}, {}, true, true);
  const auto second = torch::autograd::grad({gradient[0].square().sum()}, {parameter});
  EXPECT_GT(second[0].abs().sum().item<double>(), 0.0);
}

TEST(NetworkTest, APrefixCanBeReusedAnyNumberOfTimes) {
  const at::NoGradGuard no_grad;
  const Network network(BuildResNet(14, {1, 8, 8, 10}, 1));
  const at::Tensor input = RandomInput(3);
  const at::Tensor expected = network.Forward(input);
  ExecutionState prefix = network.Start({input});
  for (std::size_t cut = 0; cut <= network.step_count(); ++cut) {
    network.Advance(prefix, cut);
    for (int repeat = 0; repeat < 2; ++repeat) {
      ExecutionState state = prefix;
      network.Advance(state, network.step_count());
      // In-place operators must not have touched what the prefix still holds.
      ASSERT_TRUE(at::equal(network.Output(state), expected)) << "cut " << cut;
    }
  }
  EXPECT_TRUE(at::equal(input, RandomInput(3)));
}

class ScalingHooks : public ExecutionHooks {
 public:
  at::Tensor OnConstant(NodeIndex, std::size_t slot, at::Tensor value) override {
    return slot == 1 && value.dim() == 4 ? value * 0 : value;
  }
};

TEST(NetworkTest, HooksReplaceConstantsWithoutChangingThem) {
  const at::NoGradGuard no_grad;
  const Network network(BuildResNet(8, {1, 8, 8, 10}, 1));
  const at::Tensor before = network.Forward(RandomInput(2));
  ScalingHooks hooks;
  const at::Tensor zeroed = network.Forward(RandomInput(2), &hooks);
  EXPECT_EQ(zeroed.abs().max().item<float>(), 0.0F);
  EXPECT_TRUE(at::equal(network.Forward(RandomInput(2)), before));
}

TEST(NetworkTest, EvaluationIsBitwiseEqualForAnyNumberOfThreads) {
  const Network network(BuildResNet(8, {1, 8, 8, 10}, 1));
  const Dataset data = SyntheticDataset(70, 5);
  RunContext one;
  RunContext two;
  two.threads = 2;
  const Evaluation a = EvaluateNetwork(network, data, nullptr, one, 8);
  const Evaluation b = EvaluateNetwork(network, data, nullptr, two, 8);
  EXPECT_EQ(a.loss_nats, b.loss_nats);
  EXPECT_EQ(a.correct_per_sample, b.correct_per_sample);
  EXPECT_EQ(a.samples, 70);
}

TEST(NetworkTest, AnUnknownOperatorIsNamedWithItsOpset) {
  LayerGraph graph;
  graph.opset = 17;
  const TensorIndex input = graph.AddInput("x", DataType::kFloat32, {-1, 4});
  const TensorIndex output = graph.AddTensor({"y", DataType::kFloat32, Shape{-1, 4}, {}});
  graph.AddNode({"odd", "Sprocket", "", {input}, {output}, {}});
  graph.AddOutput(output);
  try {
    Network network(graph);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kOperatorUnsupported);
    EXPECT_NE(std::string(error.what()).find("Sprocket (opset 17)"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("node odd"), std::string::npos);
  }
}

TEST(NetworkTest, AWrongInputShapeNamesTheNode) {
  const Network network(BuildResNet(8, {1, 8, 8, 10}, 1));
  try {
    network.Forward(at::zeros({1, 3, 8, 8}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kExecution);
    EXPECT_NE(std::string(error.what()).find("conv1"), std::string::npos);
  }
}

TEST(NetworkTest, UnknownDevicesAreRefused) {
  EXPECT_THROW(ParseDevice("quantum"), Error);
  EXPECT_EQ(ParseDevice("cpu").type(), at::kCPU);
}

}  // namespace
}  // namespace bitsearch
