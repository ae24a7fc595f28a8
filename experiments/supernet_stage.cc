// The stage of `search: {method: dnas}`: a supernet for each budget, what its distributions decode
// to, and the best of that by the search records. Takes the place of the refinement.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "experiments/parallel_jobs.h"
#include "experiments/result_rows.h"
#include "experiments/search_stages.h"
#include "experiments/supernet_artifacts.h"
#include "space/graph/onnx_writer.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

/// Of a hinge on each limited resource, where the file names no terms.
constexpr double kHingeWeight = 10.0;
/// Of training batches, for the BN of a configuration that the supernet's weights run at.
constexpr int kReestimationBatches = 20;

std::vector<SearchCostTerm> TermsOf(const DnasSection& section, const AssignmentProblem& problem) {
  std::vector<SearchCostTerm> terms = section.options.terms;
  for (SearchCostTerm& term : terms) term.resource = ProblemResource(term.resource);
  if (!terms.empty()) return terms;
  for (const Resource& resource : problem.resources) {
    if (!resource.limit) continue;
    terms.push_back({SearchCostTerm::Kind::kHinge, resource.name, kHingeWeight, 0.0, 0.0});
  }
  return terms;
}

/// What is the same for every budget.
SupernetRequest RequestOf(SearchInputs& inputs) {
  const Experiment& experiment = inputs.experiment;
  SupernetRequest request;
  request.graph = inputs.TrainableGraph();
  request.choices = inputs.network.named.choices;
  request.ties = InferTies(request.graph, TieRulesOf(experiment.quantization.placement));
  request.options = experiment.dnas->options;
  request.options.quantizers = TrainingQuantizers(experiment);
  request.options.device = experiment.device;
  request.options.resume = true;
  return request;
}

/// Runs configurations with a supernet's weights: scales and BN statistics are found for each.
class SupernetEvaluator : public Evaluator {
 public:
  SupernetEvaluator(SearchInputs& inputs, const LayerGraph& graph, const Dataset& data,
                    const RunContext& context)
      : inputs_(inputs), data_(data), context_(context) {
    request_.graph = graph;
    request_.train = &inputs.Train();
    request_.options = inputs.experiment.finetune->options;
    request_.options.quantizers = TrainingQuantizers(inputs.experiment);
    request_.options.device = inputs.experiment.device;
    request_.options.epochs = 0;
    request_.options.lowering.clear();
    request_.options.distillation = 0.0;
    request_.options.reestimation_batches = kReestimationBatches;
  }
  std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) override {
    TorchBackend& backend = inputs_.session.Backend();
    RunContext one = Quiet(context_);
    one.threads = 1;
    std::vector<Evaluation> evaluations;
    for (const BitConfig& config : configs) {
      request_.config = config;
      evaluations.push_back(backend.EvaluateTuned(backend.FineTune(request_, one).network, data_,
                                                  context_, inputs_.experiment.device));
    }
    return evaluations;
  }

 private:
  SearchInputs& inputs_;
  const Dataset& data_;
  RunContext context_;
  FineTuneRequest request_;
};

/// Decodes what was learned for budget `b` and evaluates it.
void Choose(SearchInputs& inputs, StageScope& scope, const NamedProblem& limited, std::size_t b,
            SupernetSearch* search) {
  const DnasSection& section = *inputs.experiment.dnas;
  DecodeOptions options;
  options.samples = section.decode_samples;
  options.keep = static_cast<std::size_t>(section.evaluate_best);
  search->decoded = DecodeDistributions(search->found.space, search->found.probabilities,
                                        limited.choices, limited.problem, options, scope.context());
  scope.context().ThrowIfStopped();
  if (search->decoded.configs.empty()) {
    throw Error(ErrorId::kBudgetInfeasible, "no configuration of the supernet keeps the budget")
        .Key(fmt::format("budgets (\"{}\")", search->budget))
        .Hint("raise the limit, or choose scope: layer");
  }
  search->with_supernet_weights = inputs.experiment.finetune.has_value();
  if (search->with_supernet_weights) {
    JournalledEvaluator evaluator(
        scope, fmt::format("supernet {}", b), [&]() -> std::unique_ptr<Evaluator> {
          return std::make_unique<SupernetEvaluator>(inputs, search->found.graph, inputs.Search(),
                                                     scope.context());
        });
    search->chosen = BestByLoss(search->decoded.configs, evaluator, &search->evaluations);
  } else {
    JournalledEvaluator evaluator = inputs.On(inputs.SensitivityData(), "search", scope);
    search->chosen = BestByLoss(search->decoded.configs, evaluator, &search->evaluations);
  }
}

void SearchBySupernet(SearchInputs& inputs, StageScope& scope) {
  const NamedProblem named = inputs.WithSensitivity(scope);
  std::vector<BudgetLines> all = ParseLinesJson(scope.Read(kLinesName));
  const std::vector<Budget>& budgets = inputs.experiment.budgets;
  const SupernetRequest common = RequestOf(inputs);
  const Dataset& train = inputs.Train();
  TorchBackend& backend = inputs.session.Backend();
  std::vector<SupernetSearch> searches(budgets.size());
  std::mutex mutex;
  RunJobs(inputs.TrainingJobs(scope.context()), budgets.size(), [&](std::size_t b) {
    const double start_s = ThreadSeconds();
    const std::string name = fmt::format("budget {}", budgets[b].name);
    SupernetRequest request = common;
    request.problem = WithBudget(inputs.network, named, budgets[b]).problem;
    request.options.terms = TermsOf(*inputs.experiment.dnas, request.problem);
    {
      const std::lock_guard lock(mutex);
      request.options.checkpoint = scope.Scratch(fmt::format("{}.pt", b + 1));
    }
    searches[b].budget = budgets[b].name;
    searches[b].found = backend.SearchSupernet(request, train, JobContext(scope.context(), name));
    const std::lock_guard lock(mutex);
    scope.AddSeconds(name, ThreadSeconds() - start_s);
  });
  for (std::size_t b = 0; b < budgets.size(); ++b) {
    SupernetSearch& search = searches[b];
    const NamedProblem limited = WithBudget(inputs.network, named, budgets[b]);
    Choose(inputs, scope, limited, b, &search);
    const DecodedConfig& best = search.decoded.configs[search.chosen];
    const SensitivitySection& section = inputs.experiment.sensitivity;
    all[b].lines.front().note = (section.file.empty() ? section.method : "file") + " + exact";
    PutInFront(
        best.config, PredictedLoss(named, best.config).value_or(0.0),
        fmt::format("DNAS: {}, best of {} measured", best.origin, search.decoded.configs.size()),
        all[b]);
    scope.Write(DnasName(b), DnasJson(limited, *inputs.experiment.dnas, search));
    scope.Write(SupernetName(b), SerializeOnnx(search.found.graph));
  }
  scope.Write(kRefinedName, LinesJson(all));
}

/// The sections that decide what a supernet learns.
std::string SupernetText(const Experiment& experiment) {
  Experiment relevant;
  relevant.seed = experiment.seed;
  relevant.device = experiment.device;
  relevant.quantization = experiment.quantization;
  relevant.space = experiment.space;
  relevant.budgets = experiment.budgets;
  relevant.dnas = experiment.dnas;
  const LearnedQuantizerOptions quantizers = TrainingQuantizers(experiment);
  return fmt::format("{}tuned {} narrow {} calibration {}", ExperimentText(relevant),
                     experiment.finetune.has_value(), quantizers.weight.narrow,
                     quantizers.calibration_samples);
}

}  // namespace

LearnedQuantizerOptions TrainingQuantizers(const Experiment& experiment) {
  LearnedQuantizerOptions quantizers;
  quantizers.weight = experiment.quantization.weight;
  if (experiment.finetune.has_value()) {
    quantizers = experiment.finetune->options.quantizers;
    quantizers.weight.granularity = experiment.quantization.weight.granularity;
    quantizers.weight.group_size = experiment.quantization.weight.group_size;
  }
  quantizers.placement = experiment.quantization.placement;
  return quantizers;
}

Stage SupernetStage(SearchInputs& inputs) {
  Stage stage{"dnas", "", inputs.cost_names, {kRefinedName}, {}};
  stage.parameters =
      fmt::format("{}\n{}\ntrain {}\nsearch {}\n{}", SupernetText(inputs.experiment),
                  inputs.quantization, inputs.hashes.Of(inputs.experiment.data.train),
                  inputs.hashes.Of(inputs.SensitivityData()), CandidatesText(inputs.network.named));
  // Costs are in the loss: checkpoints and journalled items belong to them too.
  for (const auto& [name, text] : inputs.cost_files) stage.parameters += name + "\n" + text;
  inputs.AddSensitivityNames(stage.inputs);
  stage.inputs.emplace_back(kLinesName);
  for (std::size_t b = 0; b < inputs.experiment.budgets.size(); ++b) {
    stage.outputs.push_back(DnasName(b));
    stage.outputs.push_back(SupernetName(b));
  }
  stage.work = [&inputs](StageScope& scope) { SearchBySupernet(inputs, scope); };
  return stage;
}

}  // namespace bitsearch
