// The calibration steps as a network runs them: moments of a layer's inputs against its outputs,
// learned rounding, statistics without data, and what is stored.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <optional>

#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/network/batches_torch.h"
#include "space/network/builtin.h"
#include "space/quantizer/channel_moments.h"
#include "space/quantizer/equalization.h"
#include "space/quantizer/float_network.h"
#include "space/quantizer/input_moments_torch.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/support/error.h"
#include "space/support/random.h"
#include "tests/space/network/synthetic_data.h"

namespace bitsearch {
namespace {

using Step = CalibrationStep;

/// A network of one convolution without bias.
struct OneConv {
  OneConv(const at::Tensor& weight, std::int64_t channels, std::int64_t groups,
          const std::vector<std::int64_t>& pads, std::int64_t stride) {
    const TensorIndex x = graph.AddInput("x", DataType::kFloat32, {-1, channels, 7, 6});
    const TensorIndex w = graph.AddConstant("w", FromTorch(weight));
    const TensorIndex y = graph.AddTensor({"y", DataType::kFloat32, {}, {}});
    Node node{"conv", "Conv", "", {x, w}, {y}, {}};
    node.attributes.Set("group", groups);
    node.attributes.Set("pads", pads);
    node.attributes.Set("strides", std::vector<std::int64_t>(2, stride));
    graph.AddNode(std::move(node));
    graph.AddOutput(y);
    graph.FindLayers();
  }
  LayerGraph graph;
};

std::vector<float> Values(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.contiguous();
  return {plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel()};
}

TEST(InputMomentsTest, GiveTheErrorOfTheOutputs) {
  const at::NoGradGuard no_grad;
  torch::manual_seed(1);
  const at::Tensor x = at::randn({9, 4, 7, 6}) + 0.5;
  for (const std::int64_t groups : {1, 2, 4}) {
    for (const std::vector<std::int64_t>& pads :
         {std::vector<std::int64_t>{1, 1, 1, 1}, std::vector<std::int64_t>{0, 1, 2, 0}}) {
      const at::Tensor weight = at::randn({8, 4 / groups, 3, 2});
      const at::Tensor other = weight + 0.1 * at::randn_like(weight);
      const OneConv exact(weight, 4, groups, pads, 2);
      const OneConv shifted(other, 4, groups, pads, 2);
      const at::Tensor difference =
          (Network(shifted.graph).Forward(x) - Network(exact.graph).Forward(x)).to(at::kDouble);
      for (const bool centred : {false, true}) {
        const auto moments =
            MeasureInputMoments(exact.graph, exact.graph.layers()[0], x, x, centred);
        ASSERT_TRUE(moments);
        EXPECT_EQ(std::ssize(moments->by_group), groups);
        const double error =
            ReconstructionError(Values(weight), Values(other), weight.sizes().vec(), 0, *moments);
        const at::Tensor mean = difference.mean({0, 2, 3}, true);
        const at::Tensor centre = centred ? mean : at::zeros_like(mean);
        const double expected = (difference - centre).square().mean({0, 2, 3}).sum().item<double>();
        EXPECT_NEAR(error, expected, 1e-3 * expected);
      }
    }
  }
}

class CalibrationStepsTest : public testing::Test {
 protected:
  CalibratedNetwork Calibrate(std::vector<Step> steps,
                              Placement placement = Placement::kLayerInputs) {
    QuantizationSpec spec;
    spec.placement = placement;
    spec.calibration = std::move(steps);
    FloatNetwork network = PrepareFloatNetwork(raw_, true, spec.calibration);
    return CalibratedNetwork(network.graph, &calibration_, spec, "cpu", {}, {}, network.statistics);
  }
  BitConfig Uniform(int weight, int activation) const {
    return BitConfig::Uniform(raw_.layers().size(),
                              {NumberFormat::Integer(weight), NumberFormat::Integer(activation)});
  }
  double Kl(const CalibratedNetwork& network, const BitConfig& config) {
    return PtqEvaluator(network, data_, {}).Evaluate({&config, 1})[0].kl_nats;
  }

  LayerGraph raw_ = BuildResNet(8, {1, 8, 8, 10}, 1);
  Dataset calibration_ = SyntheticDataset(96, 1);
  Dataset data_ = SyntheticDataset(120, 2);
};

TEST_F(CalibrationStepsTest, LearnedRoundingBringsTheNetworkNearerToTheFloatOne) {
  const BitConfig config = Uniform(3, 8);
  const double nearest = Kl(Calibrate({Step::kBiasCorrection}), config);
  const double learned = Kl(Calibrate({Step::kAdaRound, Step::kBiasCorrection}), config);
  const double sequential =
      Kl(Calibrate({Step::kSequentialAdaRound, Step::kBiasCorrection}), config);
  EXPECT_LT(learned, 0.6 * nearest);
  EXPECT_LT(sequential, 0.6 * nearest);
}

TEST_F(CalibrationStepsTest, EqualisationKeepsTheFloatNetwork) {
  const at::NoGradGuard no_grad;
  const at::Tensor images = ImageBatch(data_, 0, 20);
  const at::Tensor expected = Network(FoldBatchNorm(raw_)).Forward(images);
  const FloatNetwork network = PrepareFloatNetwork(raw_, true, std::vector{Step::kEqualisation});
  const double scale = expected.abs().max().item<double>();
  EXPECT_LT((Network(network.graph).Forward(images) - expected).abs().max().item<double>(),
            1e-5 * scale);
  EXPECT_NE(network.graph.tensor(*network.graph.layers()[1].weight).constant->ToFloats(),
            FoldBatchNorm(raw_).tensor(*network.graph.layers()[1].weight).constant->ToFloats());
  EXPECT_EQ(network.statistics.size(), 9U);  // each convolution's
}

TEST_F(CalibrationStepsTest, AnalyticCorrectionNeedsNoData) {
  QuantizationSpec spec;
  spec.placement = Placement::kWeightsOnly;
  spec.calibration = {Step::kAnalyticBiasCorrection};
  FloatNetwork network = PrepareFloatNetwork(raw_, true, spec.calibration);
  const CalibratedNetwork without_data(network.graph, nullptr, spec, "cpu", {}, {},
                                       network.statistics);
  const auto calibration = CalibrationOf(without_data, Uniform(3, 8));
  // The first layer reads the image, of which nothing is known; the others are corrected.
  EXPECT_TRUE(calibration[0].correction.bias.empty());
  for (std::size_t l = 1; l < calibration.size(); ++l) {
    EXPECT_FALSE(calibration[l].correction.bias.empty()) << l;
    EXPECT_TRUE(calibration[l].weight_codes.empty());
  }
  // Without folded statistics there is nothing to read.
  try {
    CalibratedNetwork(network.graph, nullptr, spec, "cpu", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kUsage);
  }
}

TEST_F(CalibrationStepsTest, StatisticsSayTheMeanErrorOfALayer) {
  // Records drawn from the normalisation's own normal distributions, through Relu and Add.
  const at::NoGradGuard no_grad;
  LayerGraph graph;
  const TensorIndex image = graph.AddInput("x", DataType::kFloat32, {-1, 5, 4, 4});
  const auto conv = [&](const std::string& id, TensorIndex in, const at::Tensor& weight) {
    const TensorIndex w = graph.AddConstant(id + ".w", FromTorch(weight));
    const TensorIndex out =
        graph.AddTensor({id + "_out", DataType::kFloat32, Shape{-1, weight.size(0), 4, 4}, {}});
    graph.AddNode({id, "Conv", "", {in, w}, {out}, {}});
    return out;
  };
  const auto op = [&](const std::string& id, std::vector<std::optional<TensorIndex>> in) {
    const TensorIndex out = graph.AddTensor({id, DataType::kFloat32, Shape{-1, 5, 4, 4}, {}});
    graph.AddNode({id, id == "sum" ? "Add" : "Relu", "", std::move(in), {out}, {}});
    return out;
  };
  const at::Tensor identity = at::eye(5).view({5, 5, 1, 1});
  const TensorIndex a = conv("a", image, identity);
  const TensorIndex relu = op("relu", {a});
  const TensorIndex b = conv("b", relu, at::zeros({5, 5, 1, 1}));
  const TensorIndex sum = op("sum", {relu, b});
  torch::manual_seed(5);
  const at::Tensor weight = at::randn({3, 5, 1, 1});
  graph.AddOutput(conv("last", op("relu2", {sum}), weight));
  graph.FindLayers();
  BatchNormMap statistics;
  statistics["a"] = {{1.0F, 0.5F, 2.0F, -1.0F, 0.3F}, {0.2F, -0.4F, 1.0F, 0.0F, 2.0F}, {}, {}};
  statistics["b"] = {std::vector<float>(5, 0.0F), std::vector<float>(5, -0.1F), {}, {}};
  const auto moments = PropagateChannelMoments(graph, statistics);
  const at::Tensor gamma = at::tensor(statistics["a"].gamma).view({1, 5, 1, 1});
  const at::Tensor beta = at::tensor(statistics["a"].beta).view({1, 5, 1, 1});
  const at::Tensor first = at::relu(at::randn({4000, 5, 4, 4}) * gamma + beta);
  const auto& behind_relu = moments[relu.value];
  ASSERT_TRUE(behind_relu);
  for (int c = 0; c < 5; ++c) {
    const at::Tensor channel = first.select(1, c);
    EXPECT_NEAR((*behind_relu)[static_cast<std::size_t>(c)].mean, channel.mean().item<double>(),
                0.03);
    EXPECT_NEAR((*behind_relu)[static_cast<std::size_t>(c)].variance, channel.var().item<double>(),
                0.06);
  }
  // The sum is taken as normal, which it is not quite: the shift is right to a tenth or so.
  const at::Tensor inputs = at::relu(first - 0.1);
  const at::Tensor quantized = weight + 0.2 * at::randn_like(weight);
  const auto shift = AnalyticShift(graph, graph.layers()[2], Values(quantized),
                                   moments[graph.layers()[2].input.value]);
  ASSERT_TRUE(shift);
  const at::Tensor error =
      -at::conv2d(inputs, quantized - weight).mean(std::vector<std::int64_t>{0, 2, 3});
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR((*shift)[static_cast<std::size_t>(c)], error[c].item<double>(),
                0.1 * (1.0 + std::fabs(error[c].item<double>())));
  }
  EXPECT_FALSE(AnalyticShift(graph, graph.layers()[0], Values(identity),
                             moments[graph.layers()[0].input.value]));
}

TEST_F(CalibrationStepsTest, StoredIntegersStandForCalibrationData) {
  for (const std::vector<Step>& steps :
       {std::vector{Step::kEqualisation, Step::kWeightCorrection, Step::kAdaRound,
                    Step::kBiasCorrection},
        std::vector{Step::kSequentialAdaRound, Step::kBiasCorrection},
        std::vector{Step::kWeightCorrection}}) {
    const CalibratedNetwork calibrated = Calibrate(steps);
    BitConfig config = Uniform(3, 8);
    config.choices[1].weight = NumberFormat::Ternary();
    config.choices[2].weight = NumberFormat::Float32();
    StoredCalibration stored;
    for (LayerCalibration& layer : CalibrationOf(calibrated, config)) {
      stored.weight_codes.push_back(layer.weight_codes);
      if (steps.size() > 1) stored.corrections.push_back(layer.correction);
    }
    EXPECT_TRUE(stored.weight_codes[1].empty());
    EXPECT_TRUE(stored.weight_codes[2].empty());
    EXPECT_FALSE(stored.weight_codes[0].empty());
    for (std::size_t l = 0; l < config.choices.size(); ++l) {
      stored.grids.push_back(
          calibrated.ActivationGrid(LayerIndex(l), config.choices[l].activation));
      stored.weight_grids.push_back(
          config.choices[l].weight == NumberFormat::Integer(3)
              ? calibrated.Weight(LayerIndex(l), config.choices[l].weight).grids
              : std::vector<AffineGrid>());
    }
    const CalibratedNetwork again(calibrated.graph(), nullptr, calibrated.spec(), "cpu", {},
                                  stored);
    const Evaluation before = PtqEvaluator(calibrated, data_, {}).Evaluate({&config, 1})[0];
    const Evaluation after = PtqEvaluator(again, data_, {}).Evaluate({&config, 1})[0];
    EXPECT_EQ(before.loss_nats, after.loss_nats);
    EXPECT_EQ(before.kl_nats, after.kl_nats);
    // What is stored is given out again.
    EXPECT_EQ(CalibrationOf(again, config)[0].weight_codes, stored.weight_codes[0]);
  }
}

TEST_F(CalibrationStepsTest, IntegersRunAsTheirSimulation) {
  const CalibratedNetwork runtime =
      Calibrate({Step::kSequentialAdaRound, Step::kBiasCorrection}, Placement::kRuntime);
  const CalibratedNetwork integer =
      Calibrate({Step::kSequentialAdaRound, Step::kBiasCorrection}, Placement::kInteger);
  const BitConfig config = Uniform(4, 8);
  EXPECT_NEAR(Kl(runtime, config), Kl(integer, config), 0.05 * Kl(runtime, config) + 1e-4);
}

/// The embedded network on Fashion-MNIST, where Debian's package of it is installed.
class EmbeddedNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string images = "/usr/share/datasets/fashion-mnist/t10k-";
    if (!std::filesystem::exists(images + "images-idx3-ubyte.gz")) {
      GTEST_SKIP() << "Fashion-MNIST is not installed";
    }
    DataSpec spec = DataSpec::Parse("idx:" + images + "images-idx3-ubyte.gz," + images +
                                    "labels-idx1-ubyte.gz");
    spec.mean = {0.2860F};
    spec.std = {0.3530F};
    spec.first = 5000;
    spec.samples = 400;
    data_ = Dataset::Load(spec);
    raw_ = ReadOnnx(std::string(BITSEARCH_SOURCE_DIR) + "/experiments/fashion_mnist_resnet20.onnx");
  }

  /// Top-1 with weights of `bits` bits in one range per tensor. No calibration data exist.
  double Top1(const LayerGraph& graph, std::vector<Step> steps, int bits) {
    QuantizationSpec spec;
    spec.placement = Placement::kWeightsOnly;
    spec.weight.granularity = Granularity::kPerTensor;
    spec.calibration = std::move(steps);
    FloatNetwork network = PrepareFloatNetwork(graph, true, spec.calibration);
    const CalibratedNetwork calibrated(network.graph, nullptr, spec, "cpu", {}, {},
                                       network.statistics);
    const BitConfig config = BitConfig::Uniform(
        graph.layers().size(), {NumberFormat::Integer(bits), NumberFormat::Float32()});
    return PtqEvaluator(calibrated, *data_, {}, /*compare_with_float=*/false)
        .Evaluate({&config, 1})[0]
        .top1_percent();
  }

  std::optional<Dataset> data_;
  LayerGraph raw_;
};

TEST_F(EmbeddedNetworkTest, EqualisationSavesWhatOneRangePerTensorRuins) {
  // Unlike channels, as depthwise networks have them; the function is the same.
  LayerGraph spoiled = FoldBatchNorm(raw_);
  RandomStream random(1, "spread");
  for (const EqualizablePair& pair : FindEqualizablePairs(spoiled)) {
    std::vector<float> scale(static_cast<std::size_t>(spoiled.layer(pair.first).output_channels));
    for (float& factor : scale) {
      factor = static_cast<float>(std::pow(10.0, 1.5 * (2.0 * random.Uniform() - 1.0)));
    }
    ScalePair(pair, scale, spoiled);
  }
  EXPECT_GT(Top1(spoiled, {}, 16), 90.0);
  EXPECT_LT(Top1(spoiled, {}, 8), 60.0);
  EXPECT_GT(Top1(spoiled, {Step::kEqualisation}, 8), 92.0);
}

TEST_F(EmbeddedNetworkTest, WithoutDataLevelOneBeatsPlainRounding) {
  const std::vector<Step> level_one = {Step::kEqualisation, Step::kAnalyticBiasCorrection};
  EXPECT_GT(Top1(raw_, level_one, 8), 92.0);
  EXPECT_GT(Top1(raw_, level_one, 3), Top1(raw_, {}, 3));
}

}  // namespace
}  // namespace bitsearch
