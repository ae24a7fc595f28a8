#include "space/quantizer/quantized_network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "space/graph/rewrites.h"
#include "space/network/batches_torch.h"
#include "space/network/builtin.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/support/error.h"
#include "tests/space/network/synthetic_data.h"

namespace bitsearch {
namespace {

const BitChoice kFloat{NumberFormat::Float32(), NumberFormat::Float32()};

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

class QuantizedNetworkTest : public testing::Test {
 protected:
  CalibratedNetwork Calibrate(const QuantizationSpec& spec) {
    return CalibratedNetwork(BuildResNet(8, {1, 8, 8, 10}, 1), &calibration_, spec, "cpu", {});
  }
  Dataset calibration_ = SyntheticDataset(64, 1);
  Dataset data_ = SyntheticDataset(120, 2);
};

TEST_F(QuantizedNetworkTest, AllFloatIsTheFloatNetwork) {
  const CalibratedNetwork network = Calibrate({});
  PtqEvaluator evaluator(network, data_, {});
  const BitConfig config = BitConfig::Uniform(network.graph().layers().size(), kFloat);
  const Evaluation result = evaluator.Evaluate(std::span(&config, 1))[0];
  EXPECT_EQ(result.loss_nats, evaluator.FloatEvaluation().loss_nats);
  EXPECT_EQ(result.kl_nats, 0.0);
}

TEST_F(QuantizedNetworkTest, KlFallsWithBitsAndIsZeroOnlyForFloat) {
  const CalibratedNetwork network = Calibrate({});
  PtqEvaluator evaluator(network, data_, {});
  std::vector<BitConfig> configs;
  for (const int bits : {2, 4, 8, 12}) {
    configs.push_back(BitConfig::Uniform(network.graph().layers().size(), Bits(bits, bits)));
  }
  const std::vector<Evaluation> results = evaluator.Evaluate(configs);
  for (std::size_t i = 1; i < results.size(); ++i) {
    EXPECT_LT(results[i].kl_nats, results[i - 1].kl_nats);
    EXPECT_GT(results[i].kl_nats, 0.0);
  }
}

TEST_F(QuantizedNetworkTest, WithoutLabelsOutputsAreComparedWithTheFloatNetworks) {
  const Dataset unlabelled({data_.shape(),
                            [] {
                              std::vector<std::uint8_t> bytes(57 * 64);
                              for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i * 37 % 251;
                              return bytes;
                            }(),
                            {},
                            {}},
                           0, {0.4F}, {0.25F});
  const CalibratedNetwork network = Calibrate({});
  PtqEvaluator evaluator(network, unlabelled, {});
  const std::size_t layers = network.graph().layers().size();
  const std::vector<BitConfig> configs = {BitConfig::Uniform(layers, kFloat),
                                          BitConfig::Uniform(layers, Bits(4, 4))};
  const std::vector<Evaluation> results = evaluator.Evaluate(configs);
  EXPECT_FALSE(results[0].labelled());
  EXPECT_EQ(results[0].output_error_percent(), 0.0);
  EXPECT_TRUE(std::isnan(results[1].top1_percent()));
  EXPECT_TRUE(std::isnan(results[1].loss_nats));

  // The definition, on the whole set at once.
  const at::NoGradGuard no_grad;
  QuantizationHooks hooks = PrepareQuantization(network, configs[1]);
  const at::Tensor images = ImageBatch(unlabelled, 0, unlabelled.size());
  const at::Tensor f = network.network().Forward(images).to(at::kDouble);
  const at::Tensor q = network.network().Forward(images, &hooks).to(at::kDouble);
  const at::Tensor error = 100.0 * (q - f).square().sum(1) / f.square().sum(1).mean();
  ASSERT_EQ(results[1].output_error_percent_per_sample.size(), 57U);
  for (std::int64_t i = 0; i < 57; ++i) {
    const double expected = error[i].item<double>();
    EXPECT_NEAR(results[1].output_error_percent_per_sample[i], expected, 1e-4 * expected + 1e-6);
  }
  const at::Tensor log_f = at::log_softmax(f, 1);
  const double kl = (log_f.exp() * (log_f - at::log_softmax(q, 1))).sum(1).mean().item<double>();
  EXPECT_NEAR(results[1].kl_nats, kl, 1e-5 * kl + 1e-7);
  EXPECT_EQ(results[1].divergence(), results[1].kl_nats);

  // Without the float network nothing can be said.
  PtqEvaluator alone(network, unlabelled, {}, /*compare_with_float=*/false);
  EXPECT_THROW(alone.Evaluate(configs), Error);
}

TEST_F(QuantizedNetworkTest, ThreadsDoNotChangeResults) {
  const CalibratedNetwork network = Calibrate({});
  RunContext two;
  two.threads = 2;
  PtqEvaluator a(network, data_, {});
  PtqEvaluator b(network, data_, two);
  const BitConfig config = BitConfig::Uniform(network.graph().layers().size(), Bits(3, 4));
  EXPECT_EQ(a.Evaluate(std::span(&config, 1))[0].kl_nats,
            b.Evaluate(std::span(&config, 1))[0].kl_nats);
}

TEST_F(QuantizedNetworkTest, BiasCorrectionRestoresEveryLayersMeanOnTheCalibrationSet) {
  const CalibratedNetwork network = Calibrate({});
  const BitConfig config = BitConfig::Uniform(network.graph().layers().size(), Bits(2, 4));
  QuantizationHooks hooks = PrepareQuantization(network, config);
  const at::NoGradGuard no_grad;
  const at::Tensor images = ImageBatch(calibration_, 0, calibration_.size());
  const at::Tensor expected = network.network().Forward(images).mean(0);
  const at::Tensor corrected = network.network().Forward(images, &hooks).mean(0);
  EXPECT_LT((expected - corrected).abs().max().item<float>(), 1e-4F);

  QuantizationSpec plain;
  plain.calibration.clear();
  const CalibratedNetwork uncorrected = Calibrate(plain);
  QuantizationHooks raw = PrepareQuantization(uncorrected, config);
  EXPECT_GT((expected - network.network().Forward(images, &raw).mean(0)).abs().max().item<float>(),
            1e-3F);
}

TEST_F(QuantizedNetworkTest, WeightsOnlyLeavesActivationsAlone) {
  QuantizationSpec spec;
  spec.placement = Placement::kWeightsOnly;
  const CalibratedNetwork network = Calibrate(spec);
  PtqEvaluator evaluator(network, data_, {});
  const std::size_t layers = network.graph().layers().size();
  const std::vector<BitConfig> configs = {
      BitConfig::Uniform(layers, Bits(4, 2)),
      BitConfig::Uniform(layers, {NumberFormat::Integer(4), NumberFormat::Float32()})};
  const auto results = evaluator.Evaluate(configs);
  EXPECT_EQ(results[0].kl_nats, results[1].kl_nats);
}

TEST_F(QuantizedNetworkTest, StraightThroughGradientIsOneInsideAndZeroOutside) {
  const AffineGrid grid = SymmetricGrid({-1, 1}, 4, true);
  at::Tensor x = at::tensor({-3.0F, -0.9F, 0.1F, 0.9F, 1.5F}).requires_grad_(true);
  const at::Tensor y = FakeQuantize(x, grid);
  y.sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), at::tensor({0.0F, 1.0F, 1.0F, 1.0F, 0.0F})));
  EXPECT_TRUE(at::equal(y.detach(), FakeQuantize(x.detach().clone(), grid)));
}

TEST_F(QuantizedNetworkTest, FakeQuantizeNeverWritesIntoSharedMemory) {
  const at::NoGradGuard no_grad;
  const AffineGrid grid = SymmetricGrid({-1, 1}, 2, true);
  const at::Tensor kept = at::randn({64});
  const at::Tensor copy = kept.clone();
  FakeQuantize(kept, grid);
  FakeQuantize(kept.view({8, 8}), grid);
  EXPECT_TRUE(at::equal(kept, copy));
}

TEST_F(QuantizedNetworkTest, StoredGridsAndCorrectionsStandForCalibrationData) {
  // With BN folded a layer's correction goes into its bias, without into a shift of its output.
  const LayerGraph raw = BuildResNet(8, {1, 8, 8, 10}, 1);
  for (const LayerGraph& graph : {raw, FoldBatchNorm(raw)}) {
    QuantizationSpec spec;
    const CalibratedNetwork calibrated(graph, &calibration_, spec, "cpu", {});
    BitConfig config = BitConfig::Uniform(graph.layers().size(), Bits(3, 4));
    config.choices[2].activation = NumberFormat::Float32();
    StoredCalibration stored;
    for (LayerCalibration& layer : CalibrationOf(calibrated, config)) {
      stored.corrections.push_back(std::move(layer.correction));
    }
    EXPECT_NE(stored.corrections[1].bias.empty(), stored.corrections[1].output_shift.empty());
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      stored.grids.push_back(
          calibrated.ActivationGrid(LayerIndex(l), config.choices[l].activation));
    }
    const CalibratedNetwork again(graph, nullptr, spec, "cpu", {}, stored);
    const Evaluation before = PtqEvaluator(calibrated, data_, {}).Evaluate({&config, 1})[0];
    const Evaluation after = PtqEvaluator(again, data_, {}).Evaluate({&config, 1})[0];
    EXPECT_EQ(before.loss_nats, after.loss_nats);
    EXPECT_EQ(before.kl_nats, after.kl_nats);
    config.choices[2].activation = NumberFormat::Integer(8);
    EXPECT_THROW(PrepareQuantization(again, config), Error);  // no range, no data
  }
}

TEST_F(QuantizedNetworkTest, RefusesWhatItCannotSimulate) {
  QuantizationSpec spec;
  EXPECT_THROW(CalibratedNetwork(BuildResNet(8, {1, 8, 8, 10}, 1), nullptr, spec, "cpu", {}),
               Error);
  spec.placement = Placement::kRuntime;
  EXPECT_THROW(CalibratedNetwork(BuildResNet(8, {1, 8, 8, 10}, 1), nullptr, spec, "cpu", {}),
               Error);
  const CalibratedNetwork network = Calibrate({});
  EXPECT_THROW(PrepareQuantization(network, BitConfig::Uniform(3, Bits(4, 4))), Error);
}

}  // namespace
}  // namespace bitsearch
