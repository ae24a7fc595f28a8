// Reading experiments: defaults, contradictions, the resolved text.
#include "experiments/experiment.h"

#include <algorithm>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr const char* kGood = R"(
model: {file: net.onnx}
data:
  source: cifar10:test.bin
  mean: [0.485, 0.456, 0.406]
  std: [0.229, 0.224, 0.225]
  calibration: {source: "cifar10:train.bin", samples: 512}
  search: {samples: 5000}
  report: {first: 5000, samples: 5000}
space:
  placement: layer_inputs
  weight_bits: [2, 4, ternary, fp16]
  activation_bits: [8]
  pins:
    conv1: {weight: 8, activation: 8}
    layer*.0.*: {weight: 4}
costs: {latency: {table: t4.csv, missing: interpolate}}
budgets:
  - size_bytes: 0.6 x int8
  - name: both
    latency_us: 900.5
    mean_weight_bits: 3
)";

/// Ids of all errors of an experiment.
std::vector<ErrorId> IdsOf(const std::string& text, const std::vector<std::string>& overrides = {},
                           ExperimentUse use = ExperimentUse::kRun) {
  try {
    ParseExperiment(text, "f/x.yaml", overrides, use);
  } catch (const ErrorList& list) {
    std::vector<ErrorId> ids;
    for (const Error& error : list.errors()) {
      EXPECT_FALSE(error.key().empty() && error.id() != ErrorId::kYamlDuplicateKey) << error.what();
      EXPECT_FALSE(error.hint().empty()) << error.what();
      ids.push_back(error.id());
    }
    return ids;
  } catch (const Error& error) {
    return {error.id()};
  }
  return {};
}

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ExperimentTest, ReadsAllSections) {
  const Experiment x = ParseExperiment(kGood, "f/x.yaml", {}, ExperimentUse::kRun);
  EXPECT_EQ(x.name, "x");
  EXPECT_EQ(x.model.file, std::filesystem::absolute("f/net.onnx"));
  EXPECT_EQ(x.data.search->paths, x.data.report->paths);
  EXPECT_EQ(x.data.report->first, 5000);
  EXPECT_EQ(x.data.calibration->samples, 512);
  EXPECT_FLOAT_EQ(x.data.calibration->std[1], 0.224F);
  EXPECT_EQ(x.space.weight_bits[2], NumberFormat::Ternary());
  EXPECT_EQ(x.quantization.placement, Placement::kLayerInputs);
  ASSERT_EQ(x.space.pins.size(), 2U);
  EXPECT_EQ(x.space.pins[1].glob, "layer*.0.*");
  EXPECT_FALSE(x.space.pins[1].activation.has_value());
  EXPECT_EQ(x.quantization.weight.granularity, Granularity::kPerChannel);
  EXPECT_TRUE(x.quantization.weight.narrow);
  EXPECT_EQ(x.quantization.calibration, std::vector{CalibrationStep::kBiasCorrection});
  EXPECT_EQ(x.quantization.activation.range.method, RangeMethod::kPercentile);
  ASSERT_EQ(x.budgets.size(), 2U);
  EXPECT_EQ(x.budgets[0].name, "size_bytes <= 0.6 x int8");
  EXPECT_EQ(x.budgets[0].limits[0].baseline, "int8");
  EXPECT_EQ(x.budgets[1].limits.size(), 2U);
  EXPECT_EQ(x.costs.missing, MissingPolicy::kInterpolate);
}

TEST(ExperimentTest, ResolvedTextReadsBackTheSame) {
  for (const std::string extra :
       {"", "calibration: [equalisation, adaround, bias_correction]\n",
        "quantizer: {weights: {granularity: per_group, group_size: 16, range: mse}}\n",
        "train: {output: out.onnx, learning_rate: 0.0123456789}\ncalibration: []\n"}) {
    const std::string source =
        extra.starts_with("train")
            ? kGood + extra + "search: {solver: auto, frontier: [latency_us]}\nseed: 17\n"
            : kGood + extra;
    const std::string with_train =
        extra.starts_with("train")
            ? "data={train: \"idx:a,b\", validation: \"idx:c,d\", calibration: \"idx:a,b\", "
              "search: \"idx:e,f\", report: \"idx:g,h\"}"
            : "name=\"quoted: \\\"name\\\"\"";
    const Experiment x = ParseExperiment(source, "f/x.yaml", {with_train}, ExperimentUse::kRun);
    const std::string text = ExperimentText(x);
    const Experiment again = ParseExperiment(text, "elsewhere/y.yaml", {}, ExperimentUse::kRun);
    EXPECT_EQ(ExperimentText(again), text);
    EXPECT_EQ(again.budgets, x.budgets);
    EXPECT_EQ(again.space, x.space);
    EXPECT_EQ(again.quantization.weight.group_size, x.quantization.weight.group_size);
    EXPECT_EQ(again.quantization.calibration, x.quantization.calibration);
    EXPECT_EQ(again.train, x.train);
    EXPECT_EQ(again.costs, x.costs);
    EXPECT_EQ(again.model, x.model);
    EXPECT_EQ(again.seed, x.seed);
    EXPECT_EQ(again.name, x.name);
    EXPECT_EQ(again.data.search->mean, x.data.search->mean);
  }
}

TEST(ExperimentTest, OverridePathsAreRelativeToTheWorkingDirectory) {
  const Experiment x =
      ParseExperiment(kGood, "f/x.yaml", {"model.file=other.onnx"}, ExperimentUse::kRun);
  EXPECT_EQ(x.model.file, std::filesystem::absolute("other.onnx"));
}

TEST(ExperimentTest, MissingSectionsDependOnTheUse) {
  EXPECT_THAT(IdsOf("seed: 1\n"), ElementsAre(ErrorId::kYamlMissingKey, ErrorId::kYamlMissingKey,
                                              ErrorId::kYamlMissingKey));  // model, data, budgets
  EXPECT_THAT(
      IdsOf("model: {builtin: resnet20}\ndata: {train: \"idx:a,b\", validation: \"idx:c,d\"}\n"
            "train: {output: a.onnx}\n",
            {}, ExperimentUse::kTrain),
      IsEmpty());
  EXPECT_THAT(
      IdsOf("model: {builtin: resnet20}\ndata: {train: \"idx:a,b\", validation: \"idx:c,d\"}\n", {},
            ExperimentUse::kTrain),
      ElementsAre(ErrorId::kYamlMissingKey));
}

TEST(ExperimentTest, ContradictionsAreErrors) {
  const auto with = [](const std::string& override_text) { return IdsOf(kGood, {override_text}); };
  EXPECT_THAT(with("model.builtin=resnet20"),
              ElementsAre(ErrorId::kYamlConflict, ErrorId::kYamlConflict));
  EXPECT_THAT(with("model.builtin=resnet21"),
              ::testing::UnorderedElementsAre(ErrorId::kYamlConflict, ErrorId::kYamlConflict,
                                              ErrorId::kYamlChoice));
  EXPECT_THAT(with("space.placement=weights_only"), ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("space.weight_bits=[2, 2]"), ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("space.weight_bits=[17]"), ElementsAre(ErrorId::kBitsValue));
  EXPECT_THAT(with("space.weight_bits=[-3]"), ElementsAre(ErrorId::kBitsValue));
  EXPECT_THAT(with("space.weight_bits=[]"), ElementsAre(ErrorId::kYamlRange));
  EXPECT_THAT(with("space.pins.x={}"), ElementsAre(ErrorId::kYamlMissingKey));
  EXPECT_THAT(with("quantizer.weights.group_size=4"), ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("quantizer.weights.percentile=99"), ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("quantizer.activations.granularity=per_channel"),
              ElementsAre(ErrorId::kYamlUnknownKey));
  EXPECT_THAT(with("quantizer.weights={symmetric: false, narrow: true}"),
              ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("budgets=[{size_bytes: 0.6 x int99}]"), ElementsAre(ErrorId::kBudgetValue));
  EXPECT_THAT(with("budgets=[{size_bytes: -1}]"), ElementsAre(ErrorId::kBudgetValue));
  EXPECT_THAT(with("budgets=[{name: a}]"), ElementsAre(ErrorId::kYamlMissingKey));
  EXPECT_THAT(with("budgets=[{bops: 1}, {bops: 1}]"), ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("budgets=[]"), ElementsAre(ErrorId::kYamlRange));
  EXPECT_THAT(with("data.report.first=4999"), ElementsAre(ErrorId::kDataOverlap));
  EXPECT_THAT(with("data.report=cifar10:f/test.bin"), ElementsAre(ErrorId::kDataOverlap));
  EXPECT_THAT(with("data.search.source=imagenet:x"), ElementsAre(ErrorId::kDataSpec));
  EXPECT_THAT(with("data.std=[0]"), ::testing::Each(ErrorId::kYamlRange));
  EXPECT_THAT(with("calibration=[bias_corection]"), ElementsAre(ErrorId::kYamlChoice));
  EXPECT_THAT(with("sensitivity={file: s.csv, method: kl}"), ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("sensitivity={file: s.csv, pairs: neighbours}"),
              ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("sensitivity={method: hessian, pairs: 100}"),
              ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(with("sensitivity.pairs=0"), ElementsAre(ErrorId::kYamlChoice));
  EXPECT_THAT(with("costs="), ::testing::Contains(ErrorId::kYamlType));
}

TEST(ExperimentTest, ALatencyBudgetNeedsATable) {
  std::string text = kGood;
  const std::string costs = "costs: {latency: {table: t4.csv, missing: interpolate}}\n";
  text.erase(text.find(costs), costs.size());
  EXPECT_THAT(IdsOf(text), ElementsAre(ErrorId::kYamlConflict));
  EXPECT_THAT(IdsOf(text, {"search.frontier=[latency_us]"}),
              ElementsAre(ErrorId::kYamlConflict, ErrorId::kYamlConflict));
}

TEST(BudgetTest, Baselines) {
  EXPECT_EQ(ParseBaseline("int8")->ToString(), "W8A8");
  EXPECT_EQ(ParseBaseline("w4a8")->ToString(), "W4A8");
  EXPECT_EQ(ParseBaseline("w8a32")->ToString(), "W8Afp32");
  EXPECT_EQ(ParseBaseline("wternaryafp16")->ToString(), "WternaryAfp16");
  EXPECT_EQ(ParseBaseline("fp32")->ToString(), "Wfp32Afp32");
  EXPECT_EQ(ParseBaseline("fp16")->ToString(), "Wfp16Afp16");
  for (const char* name : {"", "int", "int0", "int17", "w4", "wa", "w4a", "w0a8", "8"}) {
    EXPECT_FALSE(ParseBaseline(name).has_value()) << name;
  }
}

TEST(BudgetTest, ScalesExactlyAndDown) {
  EXPECT_EQ(ScaleDown(ParseDecimal("0.6", {}), 10), 6);
  EXPECT_EQ(ScaleDown(ParseDecimal("0.6", {}), 11), 6);
  EXPECT_EQ(ScaleDown(ParseDecimal("0.1", {}), 30), 3);  // 0.1 · 30 < 3 in binary on some paths
  EXPECT_EQ(ScaleDown(ParseDecimal("1.000000001", {}), 1'000'000'000), 1'000'000'001);
  EXPECT_THROW(ScaleDown(ParseDecimal("99", {}), std::int64_t{1} << 62), Error);
}

}  // namespace
}  // namespace bitsearch
