// What the commands say and refuse that no other test sees: changed options of a resumed run, files
// of an earlier training, shapes of open inputs. Runs the real executable with LibTorch.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sensitivity/measure.h"
#include "space/graph/onnx_writer.h"
#include "space/network/builtin.h"
#include "space/support/files.h"
#include "tests/install/shell.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class CommandLineTest : public ::testing::Test {
 protected:
  /// A network, 60 records of random pixels, a search and a training that take a second.
  CommandLineTest()
      : folder_(fs::path(::testing::TempDir()) /
                (std::string("bitsearch_command_line_") +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    WriteOnnx(BuildResNet(8, {3, 32, 32, 10}, 1), folder_ / "net.onnx");
    constexpr std::size_t kRecord = 3073;
    std::string records(60 * kRecord, '\0');
    unsigned state = 1;
    for (char& byte : records) byte = static_cast<char>((state = state * 1664525U + 1U) >> 24);
    for (std::size_t r = 0; r < 60; ++r) records[r * kRecord] = static_cast<char>(r % 10);
    std::ofstream(folder_ / "images.bin", std::ios::binary) << records;
    WriteFileAtomically(folder_ / "search.yaml", R"(
model: {file: net.onnx}
data:
  source: cifar10:images.bin
  calibration: {samples: 10}
  search: {first: 10, samples: 20}
  report: {first: 30, samples: 30}
space: {weight_bits: [4, 8]}
sensitivity: {samples: 20}
budgets: [{name: half, size_bytes: 0.7 x int8}]
search: {measured_candidates: 2}
baselines: [fp32, uniform]
)");
    WriteFileAtomically(folder_ / "train.yaml", R"(
model: {builtin: resnet8}
data:
  train: {source: "cifar10:images.bin", samples: 40}
  validation: {source: "cifar10:images.bin", first: 40}
train: {output: out.onnx, epochs: 1, batch_size: 20, learning_rate: 0.01}
)");
  }
  ~CommandLineTest() override { fs::remove_all(folder_); }

  ShellResult Bitsearch(const std::string& arguments) const {
    return Shell("cd '" + folder_.string() + "' && " + BITSEARCH_EXECUTABLE + " " + arguments);
  }

  fs::path folder_;
};

TEST_F(CommandLineTest, AResumeWithOtherOptionsSaysWhichAndWhatIsComputedAnew) {
  ASSERT_EQ(Bitsearch("run search.yaml --out run").status, 0);
  const ShellResult same = Bitsearch("run search.yaml --out run --resume");
  EXPECT_EQ(same.status, 0);
  EXPECT_THAT(same.output, Not(HasSubstr("changed")));
  const ShellResult other = Bitsearch(
      "run search.yaml --out run --resume --set search.max_points=7 --set baselines=[fp32]");
  ASSERT_EQ(other.status, 0) << other.output;
  EXPECT_THAT(other.output, HasSubstr("last started: search.max_points: 200 → 7"));
  EXPECT_THAT(other.output, HasSubstr("last started: baselines.lines: [fp32, uniform] → [fp32]"));
  EXPECT_THAT(other.output, HasSubstr("another folder by --out"));
  EXPECT_THAT(other.output, HasSubstr("sensitivity: finished before, kept"));
  EXPECT_THAT(other.output, HasSubstr("search: computed anew, for what it depends on has changed"));
}

TEST_F(CommandLineTest, EvaluateStartsAtAnyRecord) {
  const auto correct = [&](const std::string& options) {
    const ShellResult result =
        Bitsearch("evaluate net.onnx --data cifar10:images.bin --json " + options);
    EXPECT_EQ(result.status, 0) << result.output;
    return nlohmann::json::parse(result.output);
  };
  const auto all = correct("");
  const auto head = correct("--samples 25");
  const auto tail = correct("--first 25");
  EXPECT_EQ(head.at("samples").get<int>() + tail.at("samples").get<int>(), 60);
  EXPECT_EQ(head.at("correct").get<int>() + tail.at("correct").get<int>(),
            all.at("correct").get<int>());
  const ShellResult beyond =
      Bitsearch("evaluate net.onnx --data cifar10:images.bin --first 50 --samples 20");
  EXPECT_EQ(beyond.status, 3);
  EXPECT_THAT(beyond.output, HasSubstr("records 50 to"));
}

TEST_F(CommandLineTest, TrainKeepsWhatIsThere) {
  ASSERT_EQ(Bitsearch("train train.yaml").status, 0);
  const std::string first = ReadTextFile(folder_ / "out.onnx");
  const ShellResult refused = Bitsearch("train train.yaml");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("add --resume to go on with that training, --force"));
  EXPECT_EQ(Bitsearch("train train.yaml --set train.epochs=1 --resume").status, 0);
  EXPECT_EQ(ReadTextFile(folder_ / "out.onnx"), first);
  ASSERT_EQ(Bitsearch("train train.yaml --force --set seed=9").status, 0);
  EXPECT_NE(ReadTextFile(folder_ / "out.onnx"), first);
  // Killed before the network was written: the checkpoint is all there is.
  fs::remove(folder_ / "out.onnx");
  EXPECT_EQ(Bitsearch("train train.yaml --set seed=9").status, 2);
  EXPECT_EQ(Bitsearch("train train.yaml --set seed=9 --resume").status, 0);
  EXPECT_TRUE(fs::exists(folder_ / "out.onnx"));
}

TEST_F(CommandLineTest, LayersTakesTheShapeOfAnOpenInput) {
  LayerGraph open;
  open.opset = 13;
  const TensorIndex image =
      open.AddInput("image", DataType::kFloat32, {-1, 3, -1, -1}, {"batch", "height", "width"});
  const std::vector<float> weights(108, 0.5F);
  const TensorIndex weight = open.AddConstant("w", TensorValue::FromFloats({4, 3, 3, 3}, weights));
  Tensor output;
  output.name = "y";
  const TensorIndex y = open.AddTensor(output);
  open.AddNode({"conv", "Conv", "", {image, weight}, {y}, {}});
  open.AddOutput(y);
  WriteOnnx(open, folder_ / "open.onnx");
  EXPECT_THAT(Bitsearch("layers open.onnx").output, Not(HasSubstr("14256")));
  // 4 × 3 × 3 × 3 weights at 6 × 22 places.
  for (const char* shape : {"1,3,8,24", "image=1,3,8,24"}) {
    const ShellResult given = Bitsearch("layers open.onnx --shape " + std::string(shape));
    EXPECT_EQ(given.status, 0) << given.output;
    EXPECT_THAT(given.output, HasSubstr("14256")) << given.output;
  }
  const ShellResult wrong_name = Bitsearch("layers open.onnx --shape imag=1,3,8,24");
  EXPECT_EQ(wrong_name.status, 2);
  EXPECT_THAT(wrong_name.output, HasSubstr("did you mean 'image'?"));
  EXPECT_EQ(Bitsearch("layers open.onnx --shape 1,3,8").status, 3);
  EXPECT_EQ(Bitsearch("layers open.onnx --shape 1,5,8,24").status, 3);
  EXPECT_EQ(Bitsearch("layers open.onnx --shape 1,3,x").status, 2);
}

TEST_F(CommandLineTest, TheHelpOfSensitivityNamesEveryMethod) {
  const std::string help = Bitsearch("sensitivity --help").output;
  for (const std::string& name : SensitivityMethodNames()) EXPECT_THAT(help, HasSubstr(name));
}

}  // namespace
}  // namespace bitsearch
