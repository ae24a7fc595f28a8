// Fine-tuning: it learns at few bits, freezes to exact grids, resumes, skips and lowers.
#include "search/supernet/fine_tune.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "search/supernet/tuned_network_torch.h"
#include "space/network/builtin.h"
#include "space/network/train.h"
#include "space/support/error.h"
#include "tests/space/network/synthetic_data.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

const LayerGraph& TrainedGraph() {
  static const LayerGraph graph = [] {
    TrainOptions options;
    options.epochs = 3;
    options.batch_size = 32;
    options.learning_rate = 0.05;
    options.crop_padding = 1;
    options.flip = false;
    return Train(BuildResNet(8, {1, 8, 8, 10}, 1), SyntheticDataset(512, 1),
                 SyntheticDataset(100, 2), options, RunContext{})
        .graph;
  }();
  return graph;
}

FineTuneOptions SmallOptions() {
  FineTuneOptions options;
  options.epochs = 2;
  options.batch_size = 32;
  options.learning_rate = 0.02;
  options.quantizers.calibration_samples = 64;
  options.crop_padding = 1;
  options.flip = false;
  return options;
}

void ExpectWeightsOnGrids(const TunedNetwork& network) {
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const Layer& layer = network.graph.layers()[l];
    const auto& grids = network.layers[l].weight;
    if (grids.empty()) continue;
    ASSERT_EQ(grids.size(), static_cast<std::size_t>(layer.output_channels));
    ASSERT_EQ(layer.output_channel_axis, 0);
    const std::vector<float> values = network.graph.tensor(*layer.weight).constant->ToFloats();
    const std::size_t size = values.size() / grids.size();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const AffineGrid& grid = grids[i / size];
      const double q = values[i] / grid.scale + grid.zero_point;
      ASSERT_NEAR(q, std::round(q), 1e-3) << layer.id;
      ASSERT_GE(std::round(q), grid.qmin) << layer.id;
      ASSERT_LE(std::round(q), grid.qmax) << layer.id;
    }
  }
}

TEST(FineTuneTest, RecoversAccuracyAtTwoBits) {
  const LayerGraph& graph = TrainedGraph();
  const Dataset train = SyntheticDataset(512, 1);
  const Dataset validation = SyntheticDataset(200, 2);
  const BitConfig config = BitConfig::Uniform(graph.layers().size(), Bits(2, 3));
  FineTuneOptions options = SmallOptions();
  options.epochs = 0;
  const FineTuneResult before = FineTune(graph, config, train, &validation, options, RunContext{});
  options.epochs = 3;
  const FineTuneResult after = FineTune(graph, config, train, &validation, options, RunContext{});
  ASSERT_EQ(after.history.size(), 3U);
  const double tuned = EvaluateTuned(after.network, validation, {}).top1_percent();
  EXPECT_GE(tuned, EvaluateTuned(before.network, validation, {}).top1_percent());
  EXPECT_GT(tuned, 90.0);
  // Freezing folds BN; up to values half-way between two levels nothing else changes.
  EXPECT_NEAR(tuned, after.history.back().validation_top1_percent, 1.0);
  ExpectWeightsOnGrids(after.network);
  for (const LayerGrids& layer : after.network.layers) EXPECT_TRUE(layer.activation.has_value());
  for (const Node& node : after.network.graph.nodes()) EXPECT_NE(node.op, "BatchNormalization");
}

TEST(FineTuneTest, OneBitAndFullRangeWeightsAreOnTheirGridsToo) {
  const LayerGraph& graph = TrainedGraph();
  const Dataset train = SyntheticDataset(128, 1);
  BitConfig config = BitConfig::Uniform(graph.layers().size(), Bits(2, 8));
  config.choices[1] = Bits(1, 4);
  config.choices[2] = {NumberFormat::Ternary(), NumberFormat::Integer(4)};
  config.choices.back() = Bits(8, 8);
  FineTuneOptions options = SmallOptions();
  options.epochs = 1;
  options.reestimation_batches = 3;
  ExpectWeightsOnGrids(FineTune(graph, config, train, nullptr, options, {}).network);
  options.quantizers.learn_weight_scales = false;
  options.quantizers.weight.narrow = true;
  ExpectWeightsOnGrids(FineTune(graph, config, train, nullptr, options, {}).network);
}

TEST(FineTuneTest, FloatIsTheControl) {
  const LayerGraph& graph = TrainedGraph();
  const Dataset train = SyntheticDataset(128, 1);
  FineTuneOptions options = SmallOptions();
  options.distillation = 0.0;
  const FineTuneResult result = FineTune(
      graph, BitConfig::Uniform(graph.layers().size(), BitChoice{}), train, nullptr, options, {});
  for (const LayerGrids& layer : result.network.layers) {
    EXPECT_TRUE(layer.weight.empty());
    EXPECT_FALSE(layer.activation.has_value());
  }
}

TEST(FineTuneTest, AKilledTuningResumesToTheSameWeightsAcrossStages) {
  const fs::path folder = fs::path(testing::TempDir()) / "tune_resume";
  fs::create_directories(folder);
  const LayerGraph& graph = TrainedGraph();
  const Dataset train = SyntheticDataset(256, 1);
  const BitConfig config = BitConfig::Uniform(graph.layers().size(), Bits(2, 4));
  FineTuneOptions options = SmallOptions();
  options.epochs = 4;
  options.frozen_norm_epochs = 1;
  options.lowering = {{0, 6}, {2, 0}};
  const auto weights = [](const FineTuneResult& result) {
    std::vector<float> all;
    for (const Tensor& tensor : result.network.graph.tensors()) {
      if (!tensor.constant || tensor.type != DataType::kFloat32) continue;
      const std::vector<float> values = tensor.constant->ToFloats();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  const FineTuneResult whole = FineTune(graph, config, train, nullptr, options, {});
  class StopAt : public ProgressSink {
   public:
    StopAt(StopToken token, std::int64_t step) : token_(std::move(token)), step_(step) {}
    void Progress(std::string_view, std::int64_t done, std::int64_t) override {
      if (done == step_) token_.RequestStop();
    }
    void Log(std::string_view) override {}
    void Warning(std::string_view) override {}

   private:
    StopToken token_;
    std::int64_t step_;
  };
  options.checkpoint = folder / "state.pt";
  options.resume = true;
  for (const std::int64_t step : {5, 19, 27}) {  // In epochs 1, 3 and 4 of 8 steps each.
    RunContext interrupted;
    interrupted.progress = std::make_shared<StopAt>(interrupted.stop, step);
    EXPECT_THROW(FineTune(graph, config, train, nullptr, options, interrupted), Error);
  }
  const FineTuneResult resumed = FineTune(graph, config, train, nullptr, options, {});
  EXPECT_EQ(weights(resumed), weights(whole));
  EXPECT_EQ(resumed.history.size(), 4U);
  fs::remove_all(folder);
}

TEST(FineTuneTest, SkippedBlocksAreGone) {
  const LayerGraph& graph = TrainedGraph();
  const Dataset train = SyntheticDataset(128, 1);
  BitConfig config = BitConfig::Uniform(graph.layers().size(), Bits(4, 8));
  const ResidualBlock block = FindResidualBlocks(graph)[0];
  ASSERT_TRUE(block.skippable);
  for (const LayerIndex layer : block.layers) {
    config.choices[layer.value] = {NumberFormat::Skip(), NumberFormat::Skip()};
  }
  const FineTuneResult result = FineTune(graph, config, train, nullptr, SmallOptions(), {});
  EXPECT_EQ(result.network.graph.layers().size(), graph.layers().size() - block.layers.size());
  config.choices[block.layers[0].value] = Bits(4, 8);
  EXPECT_THROW(FineTune(graph, config, train, nullptr, SmallOptions(), {}), Error);
}

}  // namespace
}  // namespace bitsearch
