// Post-training quantization of the pretrained CIFAR-10 ResNets against figures measured
// independently in PyTorch (the shared data's manifest). Prints the rows with bias correction too.

#include <gtest/gtest.h>

#include <cstdio>

#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/quantizer/quantized_network.h"
#include "tests/space/network/shared_models.h"

namespace bitsearch {
namespace {

struct Row {
  const char* name;
  Placement placement;
  RangeSpec activation_range;
  bool first_and_last_at_8;
  std::vector<std::pair<int, double>> top1_by_bits;
};

struct Model {
  int depth;
  double float_top1;
  std::vector<Row> rows;
};

const RangeSpec kMinMax{RangeMethod::kMinMax, 100.0};
const RangeSpec kP999{RangeMethod::kPercentile, 99.9};
const RangeSpec kP9999{RangeMethod::kPercentile, 99.99};

const std::vector<Model>& Models() {
  static const std::vector<Model> models = {
      {20,
       91.73,
       {{"weights only",
         Placement::kWeightsOnly,
         kMinMax,
         false,
         {{8, 91.77}, {6, 91.66}, {5, 91.22}, {4, 90.12}, {3, 72.07}, {2, 9.70}}},
        {"weights + activations, min-max",
         Placement::kLayerInputs,
         kMinMax,
         false,
         {{8, 91.67}, {6, 91.49}, {5, 89.58}, {4, 82.02}, {3, 31.67}, {2, 10.00}}},
        {"weights + activations, 99.9",
         Placement::kLayerInputs,
         kP999,
         false,
         {{8, 91.61}, {6, 91.44}, {5, 90.43}, {4, 85.41}, {3, 48.22}, {2, 10.00}}},
        {"weights + activations, 99.99",
         Placement::kLayerInputs,
         kP9999,
         false,
         {{8, 91.75}, {6, 91.53}, {5, 90.43}, {4, 84.82}, {3, 42.34}, {2, 10.00}}},
        {"weights only, first and last at 8",
         Placement::kWeightsOnly,
         kMinMax,
         true,
         {{4, 90.02}, {3, 75.91}, {2, 9.85}}},
        {"weights + activations 99.9, first and last at 8",
         Placement::kLayerInputs,
         kP999,
         true,
         {{4, 89.31}, {3, 70.25}, {2, 10.36}}}}},
      {56,
       93.39,
       {{"weights only",
         Placement::kWeightsOnly,
         kMinMax,
         false,
         {{8, 93.45}, {4, 92.22}, {3, 82.36}}},
        {"weights + activations, 99.9",
         Placement::kLayerInputs,
         kP999,
         false,
         {{8, 93.40}, {4, 90.21}}}}}};
  return models;
}

class PublishedTable : public testing::TestWithParam<std::size_t> {};

TEST_P(PublishedTable, EveryRowIsReproduced) {
  BITSEARCH_SKIP_WITHOUT_SHARED_DATA();
  const Model& model = Models()[GetParam()];
  const Dataset test = SharedCifar("test_batch.bin");
  const Dataset calibration = SharedCifar("train_20k.bin", 512);
  const LayerGraph graph = FoldBatchNorm(ReadOnnx(SharedResNet(model.depth, "bn.onnx")));
  for (const Row& row : model.rows) {
    for (const bool correction : {false, true}) {
      QuantizationSpec spec;
      spec.placement = row.placement;
      spec.activation.range = row.activation_range;
      if (!correction) spec.calibration.clear();
      const CalibratedNetwork network(graph, &calibration, spec, "cpu", {});
      PtqEvaluator evaluator(network, test, {});
      EXPECT_NEAR(evaluator.FloatEvaluation().top1_percent(), model.float_top1, 0.0201);
      for (const auto& [bits, expected] : row.top1_by_bits) {
        BitConfig config = BitConfig::Uniform(
            graph.layers().size(), {NumberFormat::Integer(bits), NumberFormat::Integer(bits)});
        if (row.first_and_last_at_8) {
          config.choices.front() = {NumberFormat::Integer(8), NumberFormat::Integer(8)};
          config.choices.back() = config.choices.front();
        }
        const double top1 = evaluator.Evaluate(std::span(&config, 1))[0].top1_percent();
        std::printf("resnet%d | %s | %d bits | %s | %.2f\n", model.depth, row.name, bits,
                    correction ? "bias correction" : "plain", top1);
        std::fflush(stdout);
        if (!correction) {
          EXPECT_NEAR(top1, expected, 0.3) << row.name << " at " << bits << " bits";
        } else {
          EXPECT_GT(top1, expected - 0.5) << row.name << " at " << bits << " bits";
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ResNets, PublishedTable, testing::Values(0U, 1U));

}  // namespace
}  // namespace bitsearch
