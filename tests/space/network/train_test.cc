#include "space/network/train.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "space/network/builtin.h"
#include "space/support/error.h"
#include "tests/space/network/synthetic_data.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

std::vector<float> AllConstants(const LayerGraph& graph) {
  std::vector<float> all;
  for (const Tensor& tensor : graph.tensors()) {
    if (!tensor.constant) continue;
    const std::vector<float> values = tensor.constant->ToFloats();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TrainOptions SmallOptions() {
  TrainOptions options;
  options.epochs = 3;
  options.batch_size = 32;
  options.learning_rate = 0.05;
  options.crop_padding = 1;
  options.flip = false;
  return options;
}

TEST(TrainTest, LearnsASeparableProblem) {
  const TrainResult result = Train(BuildResNet(8, {1, 8, 8, 10}, 1), SyntheticDataset(512, 1),
                                   SyntheticDataset(200, 2), SmallOptions(), RunContext{});
  ASSERT_EQ(result.history.size(), 3U);
  EXPECT_GT(result.history.back().validation_top1_percent, 90.0);
  EXPECT_LT(result.history.back().train_loss_nats, result.history.front().train_loss_nats);
}

TEST(TrainTest, AnInterruptedTrainingResumesToTheSameWeights) {
  const fs::path folder = fs::path(testing::TempDir()) / "train_resume";
  fs::create_directories(folder);
  const Dataset train = SyntheticDataset(256, 1);
  const Dataset validation = SyntheticDataset(50, 2);
  const auto fresh = [] { return BuildResNet(8, {1, 8, 8, 10}, 1); };
  TrainOptions options = SmallOptions();
  const TrainResult whole = Train(fresh(), train, validation, options, RunContext{});

  // Stops in the middle of the second epoch; the checkpoint of the first remains.
  class StopAfter : public ProgressSink {
   public:
    explicit StopAfter(StopToken token) : token_(std::move(token)) {}
    void Progress(std::string_view, std::int64_t done, std::int64_t) override {
      if (done == 11) token_.RequestStop();
    }
    void Log(std::string_view) override {}
    void Warning(std::string_view) override {}

   private:
    StopToken token_;
  };
  options.checkpoint = folder / "state.pt";
  options.resume = true;
  RunContext interrupted;
  interrupted.progress = std::make_shared<StopAfter>(interrupted.stop);
  EXPECT_THROW(Train(fresh(), train, validation, options, interrupted), Error);
  const TrainResult resumed = Train(fresh(), train, validation, options, RunContext{});
  EXPECT_EQ(AllConstants(resumed.graph), AllConstants(whole.graph));
  ASSERT_EQ(resumed.history.size(), whole.history.size());
  EXPECT_EQ(resumed.history[2].train_loss_nats, whole.history[2].train_loss_nats);

  // Other options must not continue from it, and a damaged file is an error.
  options.learning_rate = 0.04;
  EXPECT_THROW(Train(fresh(), train, validation, options, RunContext{}), Error);
  options.learning_rate = SmallOptions().learning_rate;
  std::ofstream(options.checkpoint, std::ios::binary) << "damaged";
  EXPECT_THROW(Train(fresh(), train, validation, options, RunContext{}), Error);
  fs::remove_all(folder);
}

TEST(TrainTest, DivergenceIsAnError) {
  TrainOptions options = SmallOptions();
  options.learning_rate = 1e12;
  options.warmup_epochs = 0.01;
  try {
    Train(BuildResNet(8, {1, 8, 8, 10}, 1), SyntheticDataset(512, 1), SyntheticDataset(50, 2),
          options, RunContext{});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kTrainingDiverged);
  }
}

}  // namespace
}  // namespace bitsearch
