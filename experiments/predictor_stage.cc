// The stage of `search: {method: predictor}`: many cheap evaluations, few expensive ones, a
// predictor transferred from the ones to the others, a search on it within each budget, and the
// best of what it proposes by running the network. Takes the place of the refinement.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "experiments/baselines.h"
#include "experiments/predictor_search.h"
#include "experiments/result_rows.h"
#include "experiments/search_stages.h"
#include "predictor/training/transfer_curve.h"
#include "space/hardware/latency_csv.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

/// Of each budget's first limit: how far below it the configurations may lie that are measured.
constexpr double kTolerancePercent = 25.0;
/// Networks for spaces of some dozens of genes; `rows` cheap evaluations fill their steps.
PerceptronTraining TrainingFor(std::size_t rows) {
  constexpr std::int64_t kLeastSteps = 200, kMostSteps = 1500;
  return {.width = 96,
          .steps = std::clamp(static_cast<std::int64_t>(rows), kLeastSteps, kMostSteps),
          .batch_rows = 128,
          .learning_rate = 2e-3,
          .weight_decay = 1e-2};
}

/// What was measured of some configurations. A score is minus the KL to the float network, in nats.
struct Measured {
  std::vector<BitConfig> configs;
  std::vector<double> scores;
};

class Chain {
 public:
  Chain(SearchInputs& inputs, StageScope& scope)
      : inputs_(inputs),
        scope_(scope),
        section_(*inputs.experiment.predictor),
        named_(inputs.WithSensitivity(scope)),
        encoding_(Encoding::OneHot(SpaceOfChoices(inputs))),
        cheap_evaluator_(inputs.On(CheapData(inputs), "cheap", scope)),
        expensive_evaluator_(inputs.On(*inputs.experiment.data.search, "expensive", scope)) {}

  void Run() {
    std::vector<BudgetLines> all = ParseLinesJson(scope_.Read(kLinesName));
    const std::vector<BitConfig> sampled = Sample(all);
    cheap_ = Measure(sampled, cheap_evaluator_, "cheap evaluations");
    const auto expensive_count = static_cast<std::size_t>(section_.expensive_evaluations);
    const std::size_t wanted =
        std::min(sampled.size(), expensive_count + static_cast<std::size_t>(section_.held_out));
    expensive_ = Measure({sampled.begin(), sampled.begin() + static_cast<std::ptrdiff_t>(wanted)},
                         expensive_evaluator_, "expensive evaluations");
    scope_.Write(kTransferCurveName, Curve(expensive_count));
    FitPredictor();
    std::string csv =
        "budget,configuration,predicted_loss_nats,measured_kl_nats,predicted_kl_nats,"
        "predicted_deviation_nats\n";
    for (std::size_t b = 0; b < all.size(); ++b) csv += Choose(b, all[b]);
    scope_.Write(kRefinedName, LinesJson(all));
    scope_.Write(kCandidatesName, csv);
  }

 private:
  static DataSpec CheapData(const SearchInputs& inputs) {
    DataSpec spec = *inputs.experiment.data.search;
    const std::int64_t samples = inputs.experiment.predictor->cheap_samples;
    spec.samples = spec.samples < 0 ? samples : std::min(spec.samples, samples);
    return spec;
  }
  static CandidateSpace SpaceOfChoices(const SearchInputs& inputs) {
    std::vector<std::vector<NumberFormat>> weight, activation;
    for (const std::vector<BitChoice>& choices : inputs.network.named.choices) {
      std::set<NumberFormat> weights, activations;
      for (const BitChoice& choice : choices) {
        weights.insert(choice.weight);
        activations.insert(choice.activation);
      }
      weight.emplace_back(weights.begin(), weights.end());
      activation.emplace_back(activations.begin(), activations.end());
    }
    return CandidateSpace::BitsOnly("network", inputs.network.named.layers, weight, activation);
  }

  /// Different configurations within the budgets, in an order that a prefix of is a random sample.
  std::vector<BitConfig> Sample(const std::vector<BudgetLines>& all) const {
    std::vector<std::vector<BitConfig>> of_budget;
    const auto budgets = static_cast<std::int64_t>(all.size());
    for (std::size_t b = 0; b < all.size(); ++b) {
      const NamedProblem limited =
          WithBudget(inputs_.network, named_, inputs_.experiment.budgets[b]);
      BaselineSection random{
          {"random"}, (section_.cheap_evaluations + budgets - 1) / budgets, kTolerancePercent};
      of_budget.emplace_back();
      for (const BaselineLine& line :
           MakeBaselines(limited, random, "auto", "cheap." + all[b].budget, scope_.context())) {
        for (const auto& choice : line.choices) {
          of_budget.back().push_back(ToBitConfig(limited, choice));
        }
      }
    }
    std::vector<BitConfig> sampled;
    std::set<std::string> seen;
    for (std::size_t i = 0, left = 1; left > 0; ++i) {
      left = 0;
      for (const std::vector<BitConfig>& configs : of_budget) {
        if (i >= configs.size()) continue;
        ++left;
        if (seen.insert(configs[i].Canonical()).second) sampled.push_back(configs[i]);
      }
    }
    return sampled;
  }

  Measured Measure(std::vector<BitConfig> configs, JournalledEvaluator& evaluator,
                   const std::string& task) const {
    Measured measured{std::move(configs), {}};
    const auto total = static_cast<std::int64_t>(measured.configs.size());
    for (const BitConfig& config : measured.configs) {
      measured.scores.push_back(-evaluator.Evaluate({&config, 1}).front().divergence());
      scope_.context().progress->Progress(task, static_cast<std::int64_t>(measured.scores.size()),
                                          total);
    }
    return measured;
  }

  TrainingRows Rows(const Measured& measured) const {
    TrainingRows rows;
    for (const BitConfig& config : measured.configs) {
      const std::vector<std::uint8_t> genome = encoding_.space().FromBitConfig(config);
      rows.genomes.insert(rows.genomes.end(), genome.begin(), genome.end());
    }
    rows.top1_percent = measured.scores;
    return rows;
  }
  SourceRows CheapRows() const {
    return {Rows(cheap_).genomes,
            Eigen::Map<const Eigen::VectorXd>(cheap_.scores.data(),
                                              static_cast<Eigen::Index>(cheap_.scores.size()))};
  }

  /// How well expensive results are ranked from few of them: transfer, scratch, the cheap score.
  std::string Curve(std::size_t expensive_count) const {
    TransferProblem problem;
    problem.encoding = encoding_;
    problem.source = CheapRows();
    problem.target = Rows(expensive_);
    problem.source_sees_bits = true;
    for (std::size_t i = 0; i < cheap_.configs.size(); ++i) {
      problem.source_groups.push_back(static_cast<int>(i));
    }
    for (std::size_t i = 0; i < expensive_.configs.size(); ++i) {
      problem.target_groups.push_back(static_cast<int>(i));
      problem.reference.push_back(cheap_.scores[i]);
    }
    problem.reference_name = "cheap score";
    TransferCurveOptions options;
    options.unit = "nats";
    options.tested_share = static_cast<double>(section_.held_out) /
                           static_cast<double>(expensive_count + section_.held_out);
    options.samples = {10, 20, 50, 100, 200};
    std::erase_if(options.samples, [&](std::size_t n) { return n >= expensive_count; });
    options.samples.push_back(expensive_count);
    options.source.training = options.pretraining = options.scratch =
        TrainingFor(cheap_.configs.size());
    options.scratch.steps = std::min<std::int64_t>(options.scratch.steps, 400);
    if (section_.held_out == 0) return TransferCurveJson({}, problem.reference_name);
    return TransferCurveJson(MeasureTransferCurve(problem, options, scope_.context()),
                             problem.reference_name);
  }

  void FitPredictor() {
    SourceOptions options;
    options.with_bits = true;
    options.training = TrainingFor(cheap_.configs.size());
    const auto source =
        std::make_shared<SourceModel>(encoding_, CheapRows(), options, scope_.context());
    predictor_ =
        std::make_unique<TransferPredictor>(encoding_, source, Rows(expensive_), BitSummaries{});
  }
  std::vector<CandidateScore> Predict(const std::vector<BitConfig>& configs) const {
    const TrainingRows rows = Rows({configs, {}});
    std::vector<CandidateScore> scores(configs.size());
    predictor_->Evaluate({rows.genomes.data(), configs.size(), encoding_.space().size()}, scores);
    return scores;
  }

  /// Puts the best of what was run in front of a budget's lines; returns its lines of the CSV.
  std::string Choose(std::size_t b, BudgetLines& lines) {
    const NamedProblem limited = WithBudget(inputs_.network, named_, inputs_.experiment.budgets[b]);
    const BitConfig additive = lines.lines.front().configs.front();
    std::vector<std::vector<ChoiceIndex>> starts =
        StartsWithin(inputs_, limited, lines, scope_.context());
    for (const BitConfig& config : cheap_.configs) starts.push_back(ToChoice(limited, config));
    const std::vector<ScoredConfiguration> found = SearchByScore(
        limited, starts,
        [&](const std::vector<std::vector<ChoiceIndex>>& choices) {
          std::vector<BitConfig> configs;
          for (const auto& choice : choices) configs.push_back(ToBitConfig(limited, choice));
          std::vector<double> scores;
          for (const CandidateScore& score : Predict(configs)) scores.push_back(score.top1_percent);
          return scores;
        },
        section_.evaluations, lines.budget, scope_.context());

    // The additive optimum is run too: the predictor must beat it, not be believed to.
    std::vector<BitConfig> proposals = {additive};
    for (const ScoredConfiguration& scored : found) {
      if (proposals.size() > static_cast<std::size_t>(section_.evaluate_best)) break;
      const BitConfig config = ToBitConfig(limited, scored.choice);
      if (config.Canonical() != additive.Canonical()) proposals.push_back(config);
    }
    const std::vector<CandidateScore> predicted = Predict(proposals);
    const Measured run = Measure(proposals, expensive_evaluator_, "proposals");
    std::string csv;
    std::size_t best = 0;
    for (std::size_t i = 0; i < proposals.size(); ++i) {
      csv += fmt::format("{},\"{}\",{},{},{},{}\n", CsvCell(lines.budget), proposals[i].Canonical(),
                         PredictedLoss(named_, proposals[i]).value_or(std::nan("")), -run.scores[i],
                         -predicted[i].top1_percent, predicted[i].standard_deviation_percent);
      if (run.scores[i] > run.scores[best]) best = i;
    }
    PutInFront(proposals[best], PredictedLoss(named_, proposals[best]).value_or(std::nan("")),
               fmt::format("best of {} run, predictor", proposals.size()), lines);
    return csv;
  }

  SearchInputs& inputs_;
  StageScope& scope_;
  const PredictorSection& section_;
  NamedProblem named_;
  Encoding encoding_;
  JournalledEvaluator cheap_evaluator_, expensive_evaluator_;
  Measured cheap_, expensive_;
  std::unique_ptr<TransferPredictor> predictor_;
};

}  // namespace

Stage PredictorStage(SearchInputs& inputs) {
  const PredictorSection& section = *inputs.experiment.predictor;
  Stage stage{"predictor",
              fmt::format("cheap {} of {} expensive {} held out {} predictions {} run {} seed {}\n"
                          "{}\ndata {}",
                          section.cheap_evaluations, section.cheap_samples,
                          section.expensive_evaluations, section.held_out, section.evaluations,
                          section.evaluate_best, inputs.experiment.seed, inputs.quantization,
                          inputs.hashes.Of(inputs.experiment.data.search)),
              inputs.cost_names,
              {kRefinedName, kCandidatesName, kTransferCurveName},
              {}};
  inputs.AddSensitivityNames(stage.inputs);
  stage.inputs.emplace_back(kLinesName);
  stage.work = [&inputs](StageScope& scope) { Chain(inputs, scope).Run(); };
  return stage;
}

}  // namespace bitsearch
