#pragma once
// The stages of a search run. Each is a function of its parameters and of files in the run's
// folder. What they compute is in the rooms below; here is what each depends on and writes.

#include <string>
#include <vector>

#include "experiments/pipeline.h"
#include "experiments/result_rows.h"
#include "experiments/search_inputs.h"

namespace bitsearch {

// Every function keeps a reference to `inputs`, which must outlive the stage.

/// The cost tables as CSV.
Stage CostStage(SearchInputs& inputs);
/// What each choice costs in loss: measured, or the user's file.
Stage SensitivityStage(SearchInputs& inputs);
/// For each budget the optimum of the predicted losses and the baselines; the frontiers.
Stage SearchStage(SearchInputs& inputs);
/// Measures whole configurations within each budget on the search records and puts the best one in
/// front; the optimum of the predicted losses stays as the line "additive".
Stage RefinementStage(SearchInputs& inputs);
/// The same by a predictor (PredictorSection), whose best proposal is put in front.
Stage PredictorStage(SearchInputs& inputs);
/// The same by a supernet (DnasSection), whose answer is put in front.
Stage SupernetStage(SearchInputs& inputs);
/// Measures every line's configurations on the report records.
Stage EvaluationStage(SearchInputs& inputs);
/// How often each budget's optimum stays when the losses are drawn anew within their errors.
Stage StabilityStage(SearchInputs& inputs);
/// The answer to the inverse question (GoalSection).
Stage GoalStage(SearchInputs& inputs);
/// The result table and each budget's configuration file.
Stage ResultStage(SearchInputs& inputs);
/// Trains lines of the table at their bits (FineTuneSection); the tuned networks of ours.
Stage FineTuneStage(SearchInputs& inputs);
/// The network's outline and why each budget's optimum is what it is, for the report.
Stage ExplanationStage(SearchInputs& inputs);
/// The page and its Markdown summary.
Stage ReportStage(SearchInputs& inputs);

/// Resources of the problem against which frontiers are drawn.
std::vector<std::string> FrontierResources(const Experiment& experiment);
/// The quantizers that training learns with.
LearnedQuantizerOptions TrainingQuantizers(const Experiment& experiment);
/// The candidates of every layer, as text that a stage depends on.
std::string CandidatesText(const NamedProblem& named);

/// Where the choice among whole configurations of a budget starts: the optimum of the predicted
/// losses (the first of `lines`), the user's starting configurations, and baselines; all keep the
/// limits of `limited`.
std::vector<std::vector<ChoiceIndex>> StartsWithin(const SearchInputs& inputs,
                                                   const NamedProblem& limited,
                                                   const BudgetLines& lines,
                                                   const RunContext& context);
/// Puts a configuration of `predicted` nats in front as "ours"; the optimum of the predicted
/// losses, which was in front, stays as kAdditiveLine.
void PutInFront(const BitConfig& config, double predicted, const std::string& note,
                BudgetLines& lines);

/// Files by which the stages hand on.
inline constexpr const char* kLinesName = "lines.json";
inline constexpr const char* kRefinedName = "refined.json";
/// How well expensive evaluations are ranked after few of them (docs/predictor.md).
inline constexpr const char* kTransferCurveName = "transfer_curve.json";
inline constexpr const char* kEvaluationsName = "evaluations.json";
/// Every configuration that the refinement measured, predicted beside measured.
inline constexpr const char* kCandidatesName = "candidates.csv";

}  // namespace bitsearch
