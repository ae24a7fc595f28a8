// The real executable exports the embedded network and ONNX Runtime computes what was simulated.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "space/graph/onnx_reader.h"
#include "space/support/child_process.h"
#include "space/support/error.h"
#include "tests/experiments/deployment/runtime_testing.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;

constexpr const char* kData = "/usr/share/datasets/fashion-mnist/";

std::filesystem::path Model() {
  return std::filesystem::path(BITSEARCH_SOURCE_DIR) / "experiments/fashion_mnist_resnet20.onnx";
}

struct Choice {
  std::string weight;
  std::string activation;
  std::string placement;
  std::string container;
};

void PrintTo(const Choice& choice, std::ostream* stream) {
  *stream << "W" << choice.weight << "A" << choice.activation << " " << choice.placement << " "
          << choice.container;
}

class ExportVerify : public testing::TestWithParam<Choice> {};

TEST_P(ExportVerify, TheRuntimeComputesWhatWasSimulated) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  if (!std::filesystem::exists(kData)) GTEST_SKIP() << "Fashion-MNIST is not installed";
  const Choice& choice = GetParam();
  const ScratchFolder folder;
  const std::filesystem::path config = folder.path() / "config.csv";
  {
    std::ofstream out(config);
    out << "layer,weight_bits,activation_bits\n";
    const LayerGraph graph = ReadOnnx(Model());
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      // "mixed": weights of 3 to 8 bits; tied inputs need equal activation bits.
      const std::string weight =
          choice.weight == "mixed" ? std::to_string(3 + l % 6) : choice.weight;
      out << graph.layers()[l].id << "," << weight << "," << choice.activation << "\n";
    }
  }
  const auto data = [](const std::string& name) {
    return "idx:" + std::string(kData) + name + "-images-idx3-ubyte.gz," + kData + name +
           "-labels-idx1-ubyte.gz";
  };
  ChildProcess child;
  child.command = {BITSEARCH_EXECUTABLE,
                   "export",
                   config.string(),
                   "--model",
                   Model().string(),
                   "--format",
                   "onnx",
                   "--out",
                   (folder.path() / "out.onnx").string(),
                   "--placement",
                   choice.placement,
                   "--container",
                   choice.container,
                   "--calibration",
                   data("train"),
                   "--calibration-samples",
                   "100",
                   "--mean",
                   "0.286",
                   "--std",
                   "0.353",
                   "--verify",
                   "--data",
                   data("t10k"),
                   "--samples",
                   "200",
                   "--json"};
  const ChildResult result = RunChild(child);
  ASSERT_EQ(result.exit_status, 0) << result.errors << result.output;
  const Json report = Json::parse(result.output);
  EXPECT_TRUE(report.at("agrees").get<bool>());
  EXPECT_EQ(report.at("runs").size(), 8U);  // four levels, with fusion and without
  for (const Json& run : report.at("runs")) {
    EXPECT_FALSE(run.contains("failure")) << run;
    if (run.at("fusion").get<bool>()) continue;
    EXPECT_LT(run.at("median_difference").get<double>(), 1e-4);
  }
  EXPECT_EQ(report.at("layers").size(), 22U);
}

INSTANTIATE_TEST_SUITE_P(Choices, ExportVerify,
                         testing::Values(Choice{"8", "8", "runtime", "compute"},
                                         Choice{"4", "8", "runtime", "storage"},
                                         Choice{"mixed", "5", "runtime", "compute"},
                                         Choice{"mixed", "8", "layer_inputs", "storage"}));

TEST(ExportVerify, SaysWhichRuntimeIsMissing) {
  const ScratchFolder folder;
  const RuntimeLocation nowhere{{"no-such-program"}, {}};
  RuntimeRequest request;
  request.model = Model();
  EXPECT_THROW(
      {
        try {
          RunInRuntime(nowhere, request, RunContext{});
        } catch (const Error& error) {
          EXPECT_EQ(error.id(), ErrorId::kRuntimeMissing);
          EXPECT_THAT(error.hint(), testing::HasSubstr("install_runtime.sh"));
          throw;
        }
      },
      Error);
}

TEST(ExportVerify, GivesTheRuntimesOwnWordsWhereItRefusesAModel) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  const ScratchFolder folder;
  RuntimeRequest request;
  request.model = folder.path() / "broken.onnx";
  std::ofstream(request.model) << "no model";
  EXPECT_THROW(
      {
        try {
          RunInRuntime(TestRuntime(), request, RunContext{});
        } catch (const Error& error) {
          EXPECT_EQ(error.id(), ErrorId::kRuntimeFailed);
          EXPECT_THAT(error.message(), testing::HasSubstr("broken.onnx"));
          throw;
        }
      },
      Error);
}

}  // namespace
}  // namespace bitsearch
