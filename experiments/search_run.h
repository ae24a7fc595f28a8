#pragma once
// The main job: an experiment → costs → sensitivities → frontier and selections → measured
// accuracies → results, as resumable stages in a run directory.

#include <functional>
#include <memory>
#include <string>

#include "experiments/experiment.h"
#include "experiments/network_problem.h"
#include "experiments/pipeline.h"
#include "experiments/torch_backend.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Called when a stage needs LibTorch for the first time; may throw Error(kTorchMissing).
using BackendFactory = std::function<std::shared_ptr<TorchBackend>()>;

/// Reads the model and the table, and makes sure that every budget can be kept. What `check` does
/// beyond reading the file, and what a run does before it computes anything. Throws ErrorList of
/// all infeasible budgets, or the errors of BuildNetworkProblem; Error(kFileNotFound) for data
/// files that are absent.
NetworkProblem PrepareSearch(const Experiment& experiment, const RunContext& context);

/// Runs or resumes the search in `run`. context.root_seed and threads are the experiment's.
PipelineSummary RunSearch(const Experiment& experiment, const NetworkProblem& network,
                          RunDirectory& run, const BackendFactory& backend,
                          const RunContext& context);

/// File names within a run directory.
std::string SolutionName(std::size_t budget);  ///< "solution_1.json", …
std::string ConfigName(std::size_t budget);    ///< "config_1.json", …
std::string ExplanationName(std::size_t budget);
std::string StabilityName(std::size_t budget);  ///< "stability_1.json", …
std::string FrontierName(const std::string& resource);
std::string DnasName(std::size_t budget);         ///< "dnas_1.json", …
std::string SupernetName(std::size_t budget);     ///< "supernet_1.onnx", …
std::string TunedModelName(std::size_t budget);   ///< "tuned_1.onnx", …
std::string TunedConfigName(std::size_t budget);  ///< "config_tuned_1.json", …
inline constexpr const char* kFineTuneName = "finetune.json";
inline constexpr const char* kTunedResultsName = "tuned_results.json";
inline constexpr const char* kTunedResultsTextName = "tuned_results.txt";
inline constexpr const char* kResultsName = "results.json";
inline constexpr const char* kResultsTextName = "results.txt";
inline constexpr const char* kSensitivityName = "sensitivity.csv";
inline constexpr const char* kPairsName = "pairs.csv";
inline constexpr const char* kReportName = "report.html";
inline constexpr const char* kReportMarkdownName = "report.md";
inline constexpr const char* kGoalName = "goal.json";
inline constexpr const char* kGoalConfigName = "config_goal.json";
/// What greedy fallback by sensitivity needs for the same goal.
inline constexpr const char* kFallbackConfigName = "config_goal_fallback.json";

}  // namespace bitsearch
