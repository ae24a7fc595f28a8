#pragma once
// A fixture that runs an experiment on a small network and images of its own, with FakeBackend in
// place of LibTorch.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "experiments/search_run.h"
#include "space/graph/onnx_writer.h"
#include "space/network/builtin.h"
#include "space/support/files.h"
#include "tests/experiments/fake_backend.h"

namespace bitsearch {

class FakeRunTest : public ::testing::Test {
 protected:
  /// `records` images of zeros, labelled 0 to 9 in turn, in images.bin.
  FakeRunTest(std::string yaml, std::size_t records) : yaml_(std::move(yaml)), records_(records) {}

  void SetUp() override {
    const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("bitsearch_") + test.test_suite_name() + "_" + test.name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    WriteOnnx(BuildResNet(8, {3, 32, 32, 10}, 1), folder_ / "net.onnx");
    constexpr std::size_t kRecord = 3073;
    std::string bytes(records_ * kRecord, '\0');
    for (std::size_t r = 0; r < records_; ++r) bytes[r * kRecord] = static_cast<char>(r % 10);
    std::ofstream(folder_ / "images.bin", std::ios::binary) << bytes;
    WriteFileAtomically(folder_ / "x.yaml", yaml_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Experiment Read(const std::vector<std::string>& overrides = {}) const {
    return ReadExperiment((folder_ / "x.yaml").string(), overrides, ExperimentUse::kRun);
  }

  PipelineSummary Run(const std::string& out, const std::vector<std::string>& overrides = {},
                      int threads = 1) {
    const Experiment experiment = Read(overrides);
    RunContext context;
    context.root_seed = experiment.seed;
    context.threads = threads;
    const NetworkProblem network = PrepareSearch(experiment, context);
    RunDirectory run(folder_ / out, RunOpen::kResume);
    return RunSearch(
        experiment, network, run, [&] { return std::make_shared<FakeBackend>(&fuse_); }, context);
  }

  std::filesystem::path folder_;
  Fuse fuse_;

 private:
  std::string yaml_;
  std::size_t records_;
};

}  // namespace bitsearch
