// What a run writes into a configuration is enough to run it again: `evaluate --config` without
// calibration data gives the figures of the run, to the last bit. Needs the LibTorch module and the
// embedded network.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/files.h"
#include "tests/install/shell.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class EvaluateConfigTest : public ::testing::Test {
 protected:
  EvaluateConfigTest()
      : folder_(fs::path(::testing::TempDir()) /
                (std::string("bitsearch_evaluate_config_") +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~EvaluateConfigTest() override { fs::remove_all(folder_); }

  static fs::path Experiments() { return fs::path(BITSEARCH_SOURCE_DIR) / "experiments"; }

  /// Searches on few records, with `overrides` ("--set a=b …"); the configuration that it found.
  json Search(const std::string& overrides) const {
    const ShellResult run =
        Shell(std::string(BITSEARCH_EXECUTABLE) + " run " +
              (Experiments() / "quickstart_size.yaml").string() + " --out " + Run() +
              " --set data.calibration.samples=32 --set data.search.samples=32"
              " --set data.report.samples=300 --set 'space.weight_bits=[2, 4, 8]'"
              " --set search.measured_candidates=6 --set baselines.random_count=1 " +
              overrides);
    EXPECT_EQ(run.status, 0) << run.output;
    return json::parse(ReadTextFile(Config()));
  }

  /// `evaluate` on the report records of Search, without calibration data.
  ShellResult Evaluate(const std::string& options) const {
    const std::string images = "/usr/share/datasets/fashion-mnist/t10k-";
    return Shell(std::string(BITSEARCH_EXECUTABLE) + " evaluate " +
                 (Experiments() / "fashion_mnist_resnet20.onnx").string() + " --data idx:" +
                 images + "images-idx3-ubyte.gz," + images + "labels-idx1-ubyte.gz" +
                 " --mean 0.2860 --std 0.3530 --first 5000 --samples 300 --json --config " +
                 Config() + " " + options);
  }

  std::string Run() const { return (folder_ / "run").string(); }
  std::string Config() const { return (folder_ / "run" / "config_1.json").string(); }

  void ExpectTheSameFigures(const json& config) const {
    const ShellResult again = Evaluate("2>/dev/null");
    ASSERT_EQ(again.status, 0) << again.output;
    const json figures = json::parse(again.output);
    for (const char* key : {"samples", "correct", "top1_percent", "loss_nats"}) {
      EXPECT_EQ(figures.at(key), config.at("measured").at(key)) << key;
    }
    const json results = json::parse(ReadTextFile(folder_ / "run" / "results.json"));
    for (const json& row : results.at("rows")) {
      if (row.at("line") == "ours") EXPECT_EQ(row.at("top1_percent"), figures.at("top1_percent"));
    }
  }

  fs::path folder_;
};

TEST_F(EvaluateConfigTest, CorrectedBiasesAreInTheFile) {
  const json config = Search("");
  EXPECT_EQ(config.at("calibration"), json::array({"bias_correction"}));
  for (const json& layer : config.at("layers")) {
    EXPECT_EQ(layer.at("bias").size(), layer.at("weight_quantizer").at("scale").size());
  }
  ExpectTheSameFigures(config);
  // Without the corrections it is another network.
  const ShellResult plain = Evaluate("--no-bias-correction 2>/dev/null");
  ASSERT_EQ(plain.status, 0) << plain.output;
  EXPECT_NE(json::parse(plain.output).at("loss_nats"), config.at("measured").at("loss_nats"));
}

TEST_F(EvaluateConfigTest, LearnedIntegersAndEqualisationAreKept) {
  for (const std::string learned : {"adaround", "sequential_adaround"}) {
    fs::remove_all(Run());
    const json config =
        Search("--set 'calibration=[equalisation, weight_correction, " + learned +
               ", bias_correction]' --set space.placement=layer_inputs"
               " --set search.measured_candidates=0 --set 'budgets=[{mean_weight_bits: 3}]'"
               " --set data.calibration.samples=16 --set 'space.weight_bits=[2, 4]'"
               " --set sensitivity.samples=16");
    EXPECT_EQ(config.at("calibration").size(), 4U);
    EXPECT_TRUE(config.at("layers").at(1).at("weight_quantizer").contains("codes"));
    ExpectTheSameFigures(config);
  }
  // Other steps, without data: what was stored no longer holds.
  const ShellResult plain =
      Evaluate("--placement weights_only --calibration-steps equalisation 2>/dev/null");
  ASSERT_EQ(plain.status, 0) << plain.output;
  EXPECT_LT(json::parse(plain.output).at("correct"), 290);
}

TEST_F(EvaluateConfigTest, OtherQuantizersAreKept) {
  // One layer keeps its input in float, so it has no grid to store.
  const json config = Search(
      "--set quantizer.weights.granularity=per_group --set quantizer.weights.group_size=24"
      " --set quantizer.weights.symmetric=false --set quantizer.weights.range=mse"
      " --set quantizer.activations.symmetric=true --set space.placement=layer_inputs"
      " --set 'space.activation_bits=[1, 8]'"
      " --set 'space.pins={conv1: {activation: fp32}}' --set 'budgets=[{mean_weight_bits: 4}]'");
  EXPECT_EQ(config.at("quantizer").at("weights").at("group_size"), 24);
  EXPECT_FALSE(config.at("layers").at(0).contains("activation_quantizer"));
  EXPECT_TRUE(config.at("layers").at(1).contains("activation_quantizer"));
  ExpectTheSameFigures(config);
}

}  // namespace
}  // namespace bitsearch
