// Integer evaluation of real networks beside its simulation in floating point.

#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/network/batches_torch.h"
#include "space/quantizer/integer_network_torch.h"
#include "tests/space/network/shared_models.h"
#include "tests/space/quantizer/recorder_torch.h"

namespace bitsearch {
namespace {

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

QuantizationSpec SpecOf(Placement placement) {
  QuantizationSpec spec;
  spec.placement = placement;
  spec.calibration.clear();
  return spec;
}

// The simulation rounds where the engine rounds, but in floating point: the same codes, up to ties
// that floating point breaks otherwise.
TEST(IntegerModels, SimulationAndIntegersAgreeOnResNet20) {
  BITSEARCH_SKIP_WITHOUT_SHARED_DATA();
  const at::NoGradGuard no_grad;
  const LayerGraph graph = FoldBatchNorm(ReadOnnx(SharedResNet(20, "bnfold.onnx")));
  const Dataset calibration = SharedCifar("train_20k.bin", 128);
  const Dataset images = SharedCifar("test_batch.bin", 256);
  const at::Tensor input = ImageBatch(images, 0, 256);
  for (const auto& [weight, activation] : std::vector<std::pair<int, int>>{{8, 8}, {4, 4}}) {
    const CalibratedNetwork network(graph, &calibration, SpecOf(Placement::kRuntime), "cpu", {});
    const BitConfig config = BitConfig::Uniform(graph.layers().size(), Bits(weight, activation));
    QuantizationHooks simulation = PrepareQuantization(network, config);
    IntegerHooks integers(network, config, PrepareQuantization(network, config));
    EXPECT_TRUE(integers.float_operators().empty());
    Recorder simulated(network.graph(), simulation);
    const at::Tensor expected = network.network().Forward(input, &simulated);
    // Each node alone: it gets the simulation's codes, so that differences do not add up.
    std::map<std::string, at::Tensor> codes;
    for (const TensorGrid& entry : network.TensorGrids(config)) {
      if (!simulated.values.contains(entry.tensor)) continue;  // the network's input
      codes[entry.tensor] = at::round(simulated.values.at(entry.tensor) / entry.grid.scale);
    }
    Recorder single(network.graph(), integers);
    single.replacement = &codes;
    network.network().Forward(input, &single);
    std::int64_t elements = 0;
    std::int64_t differing = 0;
    for (const auto& [name, computed] : single.computed) {
      const at::Tensor difference = (computed - codes.at(name)).abs();
      EXPECT_LE(difference.max().item<float>(), 1.0F) << name;
      elements += difference.numel();
      differing += difference.gt(0).sum().item<std::int64_t>();
    }
    EXPECT_EQ(single.computed.size(), codes.size());
    EXPECT_LT(static_cast<double>(differing), 1e-4 * static_cast<double>(elements));
    // The whole network, free running.
    const at::Tensor got = network.network().Forward(input, &integers);
    const auto agreeing = got.argmax(1).eq(expected.argmax(1)).sum().item<std::int64_t>();
    std::printf("W%dA%d: argmax agrees on %d of 256; alone, %d of %d codes differ, by one step\n",
                weight, activation, static_cast<int>(agreeing), static_cast<int>(differing),
                static_cast<int>(elements));
    EXPECT_GE(agreeing, 255);
  }
}

// Noise: what matters is that every operator of a deployed network gets what it expects.
Dataset NoiseImages(std::int64_t count, std::int64_t height, std::int64_t width) {
  std::mt19937 random(5);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * 3 * height * width));
  for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(random() % 256);
  return Dataset(3, height, width, 2, std::move(pixels),
                 std::vector<std::uint8_t>(static_cast<std::size_t>(count)), {0.5F, 0.5F, 0.5F},
                 {0.5F, 0.5F, 0.5F});
}

struct OcrCase {
  const char* file;
  std::int64_t height;
  std::int64_t width;
  float most_difference;
};

class OcrNetworks : public testing::TestWithParam<OcrCase> {};

TEST_P(OcrNetworks, OperatorsWithoutAnIntegerFormRunInFloatBetweenOthers) {
  BITSEARCH_SKIP_WITHOUT_SHARED_DATA();
  const auto& [file, height, width, most_difference] = GetParam();
  const at::NoGradGuard no_grad;
  const LayerGraph graph = FoldBatchNorm(ReadOnnx(
      SharedData() / "onnx/ocr" / file, {.input_shapes = {{"x", {-1, 3, height, width}}}}));
  const Dataset images = NoiseImages(4, height, width);
  const CalibratedNetwork network(graph, &images, SpecOf(Placement::kRuntime), "cpu", {});
  const BitConfig config = BitConfig::Uniform(graph.layers().size(), Bits(8, 8));
  QuantizationHooks simulation = PrepareQuantization(network, config);
  IntegerHooks integers(network, config, PrepareQuantization(network, config));
  const at::Tensor input = ImageBatch(images, 0, images.size());
  const at::Tensor expected = network.network().Forward(input, &simulation);
  const at::Tensor got = network.network().Forward(input, &integers);
  const float difference = (got - expected).abs().max().item<float>();
  std::printf("%s: %d of %d operators in float, %d tensors quantized; outputs differ by %g\n", file,
              static_cast<int>(integers.float_operators().size()),
              static_cast<int>(integers.operator_count()),
              static_cast<int>(network.TensorGrids(config).size()),
              static_cast<double>(difference));
  EXPECT_LT(difference, most_difference);
  EXPECT_LT(integers.float_operators().size(), integers.operator_count());
  for (const std::string& name : integers.float_operators()) {
    EXPECT_NE(name.substr(0, 5), "Conv ") << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ocr, OcrNetworks,
    testing::Values(OcrCase{"ch_ppocr_mobile_v2.0_cls_infer.onnx", 48, 192, 0.05F},
                    OcrCase{"ch_PP-OCRv4_det_infer.onnx", 160, 160, 0.05F}),
    [](const auto& parameter) { return parameter.index == 0 ? "Classifier" : "Detector"; });

}  // namespace
}  // namespace bitsearch
