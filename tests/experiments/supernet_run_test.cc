// A run with `search: {method: dnas}` and `finetune:` on a tiny network with a synthetic backend:
// artifacts, rows, resume after a kill at every unit of work. Needs no LibTorch.
#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/config_file.h"
#include "experiments/result_table.h"
#include "experiments/search_run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/onnx_writer.h"
#include "space/hardware/costs.h"
#include "space/network/builtin.h"
#include "space/support/hash.h"
#include "tests/experiments/fake_run.h"
#include "tests/experiments/run_artifacts.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kYaml = R"(
seed: 3
model: {file: net.onnx}
data:
  source: cifar10:images.bin
  search: {samples: 20}
  report: {first: 20, samples: 30}
  train: {first: 50, samples: 50}
space: {weight_bits: [2, 3, 4, 8]}
calibration: []
budgets:
  - {name: half, size_bytes: 0.5 x int8}
  - {name: three, mean_weight_bits: 3}
search: {method: dnas, epochs: 3, batch_size: 10, decode_samples: 8, evaluate_best: 3}
finetune: {epochs: 2, batch_size: 10}
baselines: {lines: [fp32, uniform, random], random_count: 2}
)";

class SupernetRunTest : public FakeRunTest {
 protected:
  SupernetRunTest() : FakeRunTest(kYaml, 100) {}

  nlohmann::json ReadJson(const std::string& name) const {
    return nlohmann::json::parse(ReadTextFile(folder_ / "run" / name));
  }

  std::vector<std::string> LinesOf(const std::string& name, const std::string& budget) const {
    std::vector<std::string> lines;
    for (const ResultRow& row : ParseResultsJson(ReadTextFile(folder_ / "run" / name), name)) {
      if (row.budget == budget) lines.push_back(row.line);
    }
    return lines;
  }
};

TEST_F(SupernetRunTest, WritesDistributionsCurvesRowsAndTunedNetworks) {
  Run("run");
  EXPECT_THAT(
      LinesOf("results.json", "three"),
      ElementsAre("ours", "additive", "uniform", "random (best of 2)", "random (mean of 2)"));
  EXPECT_THAT(LinesOf("tuned_results.json", ""), ElementsAre("fp32"));
  EXPECT_THAT(LinesOf("tuned_results.json", "three"),
              ElementsAre("ours", "additive", "uniform", "random"));
  const nlohmann::json dnas = ReadJson("dnas_2.json");
  EXPECT_EQ(dnas["format"], "bitsearch/dnas/1");
  ASSERT_EQ(dnas["epochs"].size(), 3U);
  // Ten layers; their inputs have no choice but fp32.
  ASSERT_EQ(dnas["groups"].size(), 20U);
  for (const auto& group : dnas["groups"]) {
    double sum = 0.0;
    for (const double probability : group["probabilities"]) sum += probability;
    EXPECT_NEAR(sum, 1.0, 1e-12);
    EXPECT_EQ(group["candidates"].size(), group["kind"] == "weight" ? 4U : 1U);
  }
  for (const char* key : {"relative_entropy", "margin", "argmax", "probabilities"}) {
    EXPECT_EQ(dnas["epochs"][2][key].size(), 20U) << key;
  }
  EXPECT_FALSE(dnas["argmax"]["configuration"].get<std::string>().empty());
  EXPECT_EQ(dnas["configurations"].size(), 3U);
  EXPECT_EQ(ReadConfigJson(folder_ / "run" / "config_2.json").chosen_by, "dnas");

  // Controls get the time of the search.
  const nlohmann::json tuned = ReadJson("finetune.json");
  ASSERT_EQ(tuned["lines"].size(), 9U);
  for (const auto& line : tuned["lines"]) {
    const bool ours = line["line"] == "ours";
    EXPECT_EQ(line["epochs"], ours ? 2 : 5);
    EXPECT_EQ(line["curve"].size(), ours ? 2U : 5U);
    EXPECT_EQ(line["start"], ours ? "supernet" : "model");
  }
  const ConfigDocument document = ReadConfigJson(folder_ / "run" / "config_tuned_2.json");
  EXPECT_TRUE(document.learned_scales);
  EXPECT_EQ(document.model, "tuned_2.onnx");
  EXPECT_EQ(document.model_sha256, Sha256OfFile(folder_ / "run" / "tuned_2.onnx"));
  const LayerGraph graph = ReadOnnx(folder_ / "run" / "tuned_2.onnx");
  EXPECT_EQ(ConfigForGraph(document, graph, "x").choices.size(), graph.layers().size());
}

TEST_F(SupernetRunTest, EveryEvaluatedConfigurationKeepsItsBudget) {
  Run("run");
  const NetworkProblem network =
      BuildNetworkProblem(ReadExperiment((folder_ / "x.yaml").string(), {}, ExperimentUse::kRun));
  const auto int8 = BitConfig::Uniform(network.graph.layers().size(),
                                       {NumberFormat::Integer(8), NumberFormat::Float32()});
  const auto dnas = ReadJson("dnas_1.json");
  for (const auto& entry : dnas.at("configurations")) {
    BitConfig config;
    std::istringstream parts(entry["configuration"].get<std::string>());
    for (std::string part; std::getline(parts, part, ',');) {
      config.choices.push_back({*NumberFormat::Parse(part.substr(0, part.find('/'))), {}});
      config.choices.back().activation = NumberFormat::Float32();
    }
    EXPECT_LE(2 * TotalSizeBits(network.graph, config), TotalSizeBits(network.graph, int8));
  }
}

TEST_F(SupernetRunTest, WithoutFineTuningTheQuantizedModelDecides) {
  const std::string yaml = kYaml;
  const std::size_t at = yaml.find("finetune:");
  WriteFileAtomically(folder_ / "x.yaml", yaml.substr(0, at) + yaml.substr(yaml.find('\n', at)));
  Run("run");
  EXPECT_EQ(ReadJson("dnas_1.json")["evaluated_with"], "quantized model");
  EXPECT_FALSE(fs::exists(folder_ / "run" / "finetune.json"));
}

TEST_F(SupernetRunTest, ResultsDoNotDependOnThreads) {
  Run("a");
  Run("b", {}, 4);
  EXPECT_EQ(RunArtifacts(folder_ / "a"), RunArtifacts(folder_ / "b"));
}

TEST_F(SupernetRunTest, AKillAtAnyUnitOfWorkChangesNothing) {
  Run("whole");
  const auto expected = RunArtifacts(folder_ / "whole");
  for (int kill_at = 40; kill_at < 140; kill_at += 4) {
    const std::string out = "killed_" + std::to_string(kill_at);
    fuse_.left = kill_at;
    try {
      Run(out);
    } catch (const Killed&) {
      fuse_.left = -1;
      Run(out);
    }
    fuse_.left = -1;
    EXPECT_EQ(RunArtifacts(folder_ / out), expected) << "killed at unit " << kill_at;
    fs::remove_all(folder_ / out);
  }
}

TEST_F(SupernetRunTest, AResumeComputesOnlyWhatHasChanged) {
  Run("run");
  fuse_.left = 0;
  EXPECT_TRUE(Run("run").computed.empty());
  fuse_.left = -1;
  EXPECT_THAT(Run("run", {"finetune.learning_rate=0.02"}).computed, ElementsAre("finetune"));
  EXPECT_THAT(Run("run", {"finetune.learning_rate=0.02", "search.temperature=3"}).computed,
              ElementsAre("dnas"));
}

}  // namespace
}  // namespace bitsearch
