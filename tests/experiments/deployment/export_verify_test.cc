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

struct Deployed {
  std::string file;   ///< Without .onnx.
  std::string shape;  ///< Of the recorded input.
};

/// Networks as others deploy them: opsets 9 and 11, Constant weights, one without classes. The
/// recorded input calibrates and is what both sides compute.
class ExportDeployed : public testing::TestWithParam<Deployed> {};

TEST_P(ExportDeployed, OldOpsetsAndOutputsWithoutClassesAgreeToo) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  const std::filesystem::path base =
      std::filesystem::path(BITSEARCH_SHARED_DATA) / "onnx/ocr" / GetParam().file;
  const std::string model = base.string() + ".onnx";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "test data absent: " << model;
  const ScratchFolder folder;
  const std::filesystem::path array = folder.path() / "x.npy";
  {
    std::string header =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + GetParam().shape + "), }";
    while ((header.size() + 11) % 64 != 0) header += ' ';
    header += '\n';
    std::ofstream out(array, std::ios::binary);
    out << "\x93NUMPY" << '\x01' << '\0' << static_cast<char>(header.size()) << '\0' << header
        << std::ifstream(base.string() + ".in.f32", std::ios::binary).rdbuf();
  }
  const std::filesystem::path config = folder.path() / "config.csv";
  {
    std::ofstream out(config);
    out << "layer,weight_bits,activation_bits\n";
    const LayerGraph graph = ReadOnnx(model);
    for (const Layer& layer : graph.layers()) out << layer.id << ",8,8\n";
  }
  ChildProcess child;
  child.command = {BITSEARCH_EXECUTABLE,
                   "export",
                   config.string(),
                   "--model",
                   model,
                   "--format",
                   "onnx",
                   "--out",
                   (folder.path() / "out.onnx").string(),
                   "--placement",
                   "runtime",
                   "--calibration",
                   "npy:" + array.string(),
                   "--calibration-samples",
                   "1",
                   "--verify",
                   "--data",
                   "npy:" + array.string(),
                   "--json"};
  const ChildResult result = RunChild(child);
  ASSERT_EQ(result.exit_status, 0) << result.errors << result.output;
  const Json report = Json::parse(result.output);
  EXPECT_TRUE(report.at("agrees").get<bool>());
  EXPECT_FALSE(report.contains("simulated_correct"));
  for (const Json& run : report.at("runs")) {
    EXPECT_FALSE(run.contains("failure")) << run;
    EXPECT_FALSE(run.contains("correct"));
  }
}

INSTANTIATE_TEST_SUITE_P(Ocr, ExportDeployed,
                         testing::Values(Deployed{"ch_ppocr_mobile_v2.0_cls_infer",
                                                  "2, 3, 48, 192"},
                                         Deployed{"ch_PP-OCRv4_det_infer", "1, 3, 160, 160"}));

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
