#include "space/choices/calibration_step.h"

#include <algorithm>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

std::string OrderReason(const CalibrationStepInfo& before, const CalibrationStepInfo& step) {
  if (step.phase == CalibrationPhase::kNetwork) {
    return step.name + " changes the float network, which " + before.name +
           " before it has already quantized";
  }
  return step.name + " changes the quantized weights, whose error " + before.name +
         " before it has already corrected";
}

std::optional<StepConflict> ConflictBetween(const CalibrationStepInfo& before,
                                            const CalibrationStepInfo& step) {
  using Step = CalibrationStep;
  const auto conflict = [](std::string what, std::string hint) {
    return StepConflict{0, std::move(what), std::move(hint)};
  };
  if (before.step == step.step)
    return conflict(step.name + " stands twice", "remove one of the two");
  if (before.phase == CalibrationPhase::kBiases && step.phase == CalibrationPhase::kBiases) {
    return conflict(
        "bias_correction measures the shift that analytic_bias_correction estimates: "
        "one of them leaves nothing to the other",
        "keep bias_correction where there are calibration data, else the analytic one");
  }
  if (before.phase > step.phase) {
    return conflict(OrderReason(before, step), "write " + step.name + " before " + before.name);
  }
  if (before.step == Step::kEqualisation && step.step == Step::kReplaceRelu6) {
    return conflict("equalisation cannot scale through a ReLU6 that is replaced behind it",
                    "write replace_relu6 before equalisation");
  }
  const auto chooses = [](const CalibrationStepInfo& info) {
    return info.step == Step::kAdaRound || info.step == Step::kSequentialAdaRound;
  };
  if (chooses(before) && chooses(step)) {
    return conflict(step.name + " chooses the integers that " + before.name + " has chosen",
                    "keep one of them");
  }
  if (chooses(before) && step.step == Step::kWeightCorrection) {
    return conflict("weight_correction would change the scales for which " + before.name +
                        " has chosen the integers",
                    "write weight_correction before " + before.name);
  }
  return std::nullopt;
}

}  // namespace

const std::vector<CalibrationStepInfo>& CalibrationStepTable() {
  using Step = CalibrationStep;
  using Phase = CalibrationPhase;
  static const std::vector<CalibrationStepInfo> kTable = {
      {Step::kReplaceRelu6, "replace_relu6", Phase::kNetwork, false},
      {Step::kEqualisation, "equalisation", Phase::kNetwork, false},
      {Step::kBiasAbsorption, "bias_absorption", Phase::kNetwork, false},
      {Step::kWeightCorrection, "weight_correction", Phase::kWeights, false},
      {Step::kAdaRound, "adaround", Phase::kWeights, true},
      {Step::kSequentialAdaRound, "sequential_adaround", Phase::kWeights, true},
      {Step::kAnalyticBiasCorrection, "analytic_bias_correction", Phase::kBiases, false},
      {Step::kBiasCorrection, "bias_correction", Phase::kBiases, true}};
  return kTable;
}

const CalibrationStepInfo& InfoOf(CalibrationStep step) {
  return CalibrationStepTable()[static_cast<std::size_t>(step)];
}

std::vector<std::string> NamesOf(std::span<const CalibrationStep> steps) {
  std::vector<std::string> names;
  for (const CalibrationStep step : steps) names.push_back(InfoOf(step).name);
  return names;
}

std::string StepsText(std::span<const CalibrationStep> steps) {
  std::string text;
  for (const std::string& name : NamesOf(steps)) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

std::optional<StepConflict> FindStepConflict(std::span<const CalibrationStep> steps) {
  for (std::size_t i = 1; i < steps.size(); ++i) {
    for (std::size_t before = 0; before < i; ++before) {
      if (auto conflict = ConflictBetween(InfoOf(steps[before]), InfoOf(steps[i]))) {
        conflict->position = i;
        return conflict;
      }
    }
  }
  return std::nullopt;
}

void RemoveBiasSteps(std::vector<CalibrationStep>& steps) {
  std::erase_if(
      steps, [](CalibrationStep step) { return InfoOf(step).phase == CalibrationPhase::kBiases; });
}

std::vector<CalibrationStep> ParseCalibrationSteps(const std::vector<std::string>& names) {
  std::vector<CalibrationStep> steps;
  for (const std::string& name : names) {
    const auto& table = CalibrationStepTable();
    const auto found = std::find_if(table.begin(), table.end(),
                                    [&](const auto& info) { return info.name == name; });
    if (found == table.end()) {
      std::vector<std::string> known;
      std::string listed;
      for (const CalibrationStepInfo& info : table) {
        known.push_back(info.name);
        listed += (listed.empty() ? "" : ", ") + info.name;
      }
      const std::string near = NearestName(name, known);
      throw Error(ErrorId::kUsage, "'" + name + "' is no calibration step")
          .Hint(near.empty() ? "the steps are " + listed : "did you mean '" + near + "'?");
    }
    steps.push_back(found->step);
  }
  if (const auto conflict = FindStepConflict(steps)) {
    throw Error(ErrorId::kUsage, conflict->what).Hint(conflict->hint);
  }
  return steps;
}

}  // namespace bitsearch
