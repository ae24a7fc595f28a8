// The closed loop of a small run on real data, by the real executable. Nothing here asserts how
// long anything takes; skipped where the runtime is not installed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "space/hardware/latency_csv.h"
#include "space/support/files.h"
#include "tests/experiments/deployment/runtime_testing.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using ::testing::HasSubstr;

class DeployTest : public ::testing::Test {
 protected:
  DeployTest() : folder_(fs::path(::testing::TempDir()) / "bitsearch_deploy") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~DeployTest() override { fs::remove_all(folder_); }

  /// Exit code of `bitsearch ARGUMENTS`; what it wrote is in Output().
  int Run(const std::string& arguments) const {
    const std::string command = std::string(BITSEARCH_EXECUTABLE) + " " + arguments + " > " +
                                (folder_ / "output").string() + " 2>&1";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string Output() const { return ReadTextFile(folder_ / "output"); }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  /// A finished run of the embedded network with few records. Its table claims to be of another
  /// backend.
  int Search(const std::string& placement) const {
    const fs::path source = fs::path(BITSEARCH_SOURCE_DIR) / "experiments";
    const std::string own = "# backend: onnxruntime";
    std::string table = ReadTextFile(source / "fashion_mnist_resnet20_onnxruntime.csv");
    WriteFileAtomically(Path("table.csv"),
                        table.replace(table.find(own), own.size(), "# backend: onednn"));
    return Run("run " + std::string(BITSEARCH_SOURCE_DIR) +
               "/experiments/quickstart_latency.yaml --out " + Path("run") +
               " --set data.calibration.samples=32 --set data.search.samples=48"
               " --set data.report.samples=100 --set search.measured_candidates=2"
               " --set baselines.lines=[fp32] --set costs.latency.table=" +
               Path("table.csv") + " --set space.placement=" + placement);
  }

  fs::path folder_;
};

TEST_F(DeployTest, ChoosesAmongWhatItMeasured) {
  BITSEARCH_SKIP_WITHOUT_RUNTIME();
  ASSERT_EQ(Search("runtime"), 0) << Output();
  const int status = Run("deploy " + Path("run") + " --best 2 --out " + Path("out"));
  ASSERT_THAT(status, ::testing::AnyOf(0, 4)) << Output();
  EXPECT_THAT(Output(), HasSubstr("the predicted best (frontier 1"));
  const Json json = Json::parse(ReadTextFile(folder_ / "run" / "deployment.json"));
  EXPECT_EQ(json["format"], "bitsearch/deployment/1");
  EXPECT_EQ(json["within_limit"].get<bool>(), status == 0);
  double fp32_us = 0.0;
  int candidates = 0;
  const Json* chosen = nullptr;
  for (const Json& line : json["lines"]) {
    EXPECT_GT(line["measured_latency_us"].get<double>(), 0.0);
    EXPECT_LE(line["interval_us"][0].get<double>(), line["measured_latency_us"].get<double>());
    EXPECT_GE(line["interval_us"][1].get<double>(), line["measured_latency_us"].get<double>());
    EXPECT_EQ(line["samples"], 48);
    EXPECT_GE(line["correct"].get<int>(), 40) << line["name"];
    if (line["name"] == "fp32") fp32_us = line["measured_latency_us"];
    if (line["candidate"].get<bool>()) ++candidates;
    if (line["name"] == json["chosen"]) chosen = &line;
  }
  EXPECT_GE(candidates, 2);
  ASSERT_NE(chosen, nullptr);
  EXPECT_TRUE((*chosen)["candidate"].get<bool>());
  EXPECT_EQ((*chosen)["rank"], 1);
  EXPECT_NEAR(json["latency_limit_us"].get<double>(), 0.6 * fp32_us, 1e-6)
      << "0.6 x fp32, measured";
  EXPECT_EQ(json["report"]["samples"], 100);
  EXPECT_EQ(fs::file_size(folder_ / "out" / "deployed.onnx"),
            (*chosen)["file_bytes"].get<std::uintmax_t>());
  EXPECT_THAT(json["notes"].dump(), HasSubstr("made by onednn"));
  if (!json["recalibrated_table"].get<std::string>().empty()) {
    EXPECT_NE(ReadLatencyCsv(Path("run/latency_recalibrated.csv")).Provenance("recalibrated"), "");
  }

  EXPECT_EQ(Run("deploy " + Path("run") + " --best 1000"), 2);
  EXPECT_THAT(Output(), HasSubstr("is the most"));
  EXPECT_EQ(Run("deploy " + Path("run") + " --budget latncy"), 2);
  EXPECT_THAT(Output(), HasSubstr("did you mean \"latency\""));
  EXPECT_EQ(Run("deploy " + Path("run") + " --best 1 --runtime no-such-program"), 2);
  EXPECT_THAT(Output(), HasSubstr("cmake/install_runtime.sh"));
}

}  // namespace
}  // namespace bitsearch
