// The order of a search's stages.
#include "experiments/search_run.h"

#include <fmt/format.h>

#include <utility>

#include "experiments/search_stages.h"

namespace bitsearch {

std::string SolutionName(std::size_t budget) { return fmt::format("solution_{}.json", budget + 1); }
std::string ConfigName(std::size_t budget) { return fmt::format("config_{}.json", budget + 1); }
std::string ExplanationName(std::size_t budget) {
  return fmt::format("explanation_{}.json", budget + 1);
}
std::string StabilityName(std::size_t budget) {
  return fmt::format("stability_{}.json", budget + 1);
}
std::string FrontierName(const std::string& resource) {
  return fmt::format("frontier_{}.json", resource);
}

std::string DnasName(std::size_t budget) { return fmt::format("dnas_{}.json", budget + 1); }
std::string SupernetName(std::size_t budget) { return fmt::format("supernet_{}.onnx", budget + 1); }
std::string TunedModelName(std::size_t budget) { return fmt::format("tuned_{}.onnx", budget + 1); }
std::string TunedConfigName(std::size_t budget) {
  return fmt::format("config_tuned_{}.json", budget + 1);
}

PipelineSummary RunSearch(const Experiment& experiment, const NetworkProblem& network,
                          RunDirectory& run, const BackendFactory& backend,
                          const RunContext& context) {
  SearchInputs inputs(experiment, network, backend, context);
  std::vector<Stage> stages = {CostStage(inputs), SensitivityStage(inputs)};
  if (experiment.goal.has_value()) stages.push_back(GoalStage(inputs));
  if (!experiment.budgets.empty()) {
    const auto choose = experiment.predictor.has_value() ? PredictorStage
                        : experiment.dnas.has_value()    ? SupernetStage
                                                         : RefinementStage;
    for (const auto make : {SearchStage, choose, EvaluationStage, StabilityStage, ResultStage}) {
      stages.push_back(make(inputs));
    }
    if (experiment.finetune.has_value()) stages.push_back(FineTuneStage(inputs));
  }
  stages.push_back(ExplanationStage(inputs));
  stages.push_back(ReportStage(inputs));
  return RunStages(stages, run, context);
}

}  // namespace bitsearch
