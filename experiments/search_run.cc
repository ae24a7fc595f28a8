// The stages of a search run. What each computes is in the rooms below; here is only the wiring and
// what each stage's result depends on.
#include "experiments/search_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "experiments/baselines.h"
#include "experiments/config_file.h"
#include "experiments/goal_walk.h"
#include "experiments/journalled_evaluator.h"
#include "experiments/report.h"
#include "experiments/result_rows.h"
#include "experiments/result_table.h"
#include "experiments/solution_json.h"
#include "search/frontier.h"
#include "search/measured_search.h"
#include "search/solver.h"
#include "sensitivity/sensitivity_report.h"
#include "space/hardware/latency_csv.h"
#include "space/support/error.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLinesName = "lines.json";
constexpr const char* kRefinedName = "refined.json";
constexpr const char* kCandidatesName = "candidates.csv";
constexpr const char* kGoalConfigName = "config_goal.json";
constexpr const char* kEvaluationsName = "evaluations.json";

/// SHA-256 of files, each read once.
class FileHashes {
 public:
  const std::string& Of(const fs::path& path) {
    auto& hash = hashes_[path];
    if (hash.empty()) hash = Sha256OfFile(path);
    return hash;
  }
  /// What a data set is, without where it lies.
  std::string Of(const std::optional<DataSpec>& spec) {
    if (!spec.has_value()) return "none";
    std::string text = fmt::format("kind {} first {} samples {}", static_cast<int>(spec->kind),
                                   spec->first, spec->samples);
    for (const fs::path& path : spec->paths) text += " " + Of(path);
    for (const float value : spec->mean) text += fmt::format(" mean {}", value);
    for (const float value : spec->std) text += fmt::format(" std {}", value);
    return text;
  }

 private:
  std::map<fs::path, std::string> hashes_;
};

/// The calibrated network, made when a stage first asks for it.
class LazySession {
 public:
  LazySession(const Experiment& experiment, const LayerGraph& graph, const BackendFactory& factory,
              RunContext context)
      : experiment_(experiment), graph_(graph), factory_(factory), context_(std::move(context)) {}

  QuantizationSession& Get() {
    if (session_ != nullptr) return *session_;
    backend_ = factory_();
    if (experiment_.data.calibration.has_value()) {
      calibration_ = Dataset::Load(*experiment_.data.calibration);
    }
    CalibrationRequest request;
    request.graph = graph_;
    request.calibration = calibration_.has_value() ? &*calibration_ : nullptr;
    request.spec = experiment_.quantization;
    request.device = experiment_.device;
    session_ = backend_->Calibrate(request, context_);
    return *session_;
  }

 private:
  const Experiment& experiment_;
  const LayerGraph& graph_;
  const BackendFactory& factory_;
  RunContext context_;
  // In the order in which they are needed; destroyed the other way round.
  std::shared_ptr<TorchBackend> backend_;
  std::optional<Dataset> calibration_;
  std::unique_ptr<QuantizationSession> session_;
};

/// An evaluator together with its records.
class OwningEvaluator : public Evaluator {
 public:
  OwningEvaluator(QuantizationSession& session, Dataset data, const RunContext& context)
      : data_(std::move(data)),
        inner_(session.MakeEvaluator(data_, context, /*compare_with_float=*/true)) {}
  std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) override {
    return inner_->Evaluate(configs);
  }

 private:
  Dataset data_;
  std::unique_ptr<Evaluator> inner_;
};

/// The sections that decide what a configuration means on this network.
std::string QuantizationText(const Experiment& experiment, FileHashes* hashes) {
  Experiment relevant;
  relevant.device = experiment.device;
  relevant.model.fold_batch_norm = experiment.model.fold_batch_norm;
  relevant.quantization = experiment.quantization;
  return ExperimentText(relevant) + "model " + hashes->Of(experiment.model.file) +
         "\ncalibration " + hashes->Of(experiment.data.calibration);
}

std::string CandidatesText(const NamedProblem& named) {
  std::string text;
  for (std::size_t l = 0; l < named.layers.size(); ++l) {
    text += named.layers[l] + ":";
    for (const BitChoice& choice : named.choices[l]) text += " " + choice.ToString();
    text += "\n";
  }
  return text;
}

std::vector<std::string> Names(const std::vector<std::pair<std::string, std::string>>& files) {
  std::vector<std::string> names;
  for (const auto& [name, text] : files) names.push_back(name);
  return names;
}

/// Resources of the problem against which frontiers are drawn.
std::vector<std::string> FrontierResources(const Experiment& experiment) {
  std::vector<std::string> wanted = experiment.search.frontier;
  if (wanted.empty()) {
    for (const Budget& budget : experiment.budgets) {
      for (const BudgetLimit& limit : budget.limits) wanted.push_back(limit.resource);
    }
  }
  std::vector<std::string> resources;
  for (const std::string& name : wanted) {
    const std::string resource = ProblemResource(name);
    if (std::find(resources.begin(), resources.end(), resource) == resources.end()) {
      resources.push_back(resource);
    }
  }
  return resources;
}

/// Everything that the stages share; lives as long as the run.
class SearchStages {
 public:
  SearchStages(const Experiment& experiment, const NetworkProblem& network,
               const BackendFactory& backend, const RunContext& context)
      : experiment_(experiment),
        network_(network),
        session_(experiment, network.graph, backend, context),
        cost_files_(CostFiles(network)),
        cost_names_(Names(cost_files_)),
        quantization_(QuantizationText(experiment, &hashes_)) {}

  std::vector<Stage> All() {
    std::vector<Stage> stages = {CostStage(), SensitivityStage()};
    if (experiment_.goal.has_value()) stages.push_back(GoalStage());
    if (experiment_.budgets.empty()) return stages;
    for (Stage stage :
         {SearchStage(), RefinementStage(), EvaluationStage(), ResultStage(), ReportStage()}) {
      stages.push_back(std::move(stage));
    }
    return stages;
  }

 private:
  Stage CostStage() {
    Stage stage{"costs", "", {}, cost_names_, {}};
    for (const auto& [name, text] : cost_files_) stage.parameters += name + "\n" + text;
    stage.work = [this](StageScope& scope) {
      for (const auto& [name, text] : cost_files_) scope.Write(name, text);
    };
    return stage;
  }

  Stage SensitivityStage() {
    const SensitivitySection& section = experiment_.sensitivity;
    Stage stage{"sensitivity", "", {}, {kSensitivityName}, {}};
    if (!section.file.empty()) {
      stage.parameters = "file " + hashes_.Of(section.file);
      stage.work = [&section](StageScope& scope) {
        scope.Write(kSensitivityName, SensitivityCsv(ReadSensitivityCsv(section.file.string())));
      };
      return stage;
    }
    const DataSpec spec = SensitivityData();
    stage.parameters = fmt::format("method {} probes {} score {} seed {}\n{}\ndata {}\n{}",
                                   section.method, section.probes, section.score, experiment_.seed,
                                   quantization_, hashes_.Of(spec), CandidatesText(network_.named));
    stage.work = [this, spec](StageScope& scope) {
      SensitivityRequest request;
      request.method = experiment_.sensitivity.method;
      request.probes = experiment_.sensitivity.probes;
      request.score = experiment_.sensitivity.score;
      request.choices = network_.named.choices;
      request.known = [&scope](const std::string& key) { return scope.Known(key); };
      request.record = [&scope](const std::string& key, const std::string& text) {
        scope.Record(key, text);
      };
      const Dataset data = Dataset::Load(spec);
      scope.Write(kSensitivityName, SensitivityCsv(session_.Get().MeasureSensitivity(
                                        data, request, scope.context())));
    };
    return stage;
  }

  /// Evaluates on the records of `spec`, which are loaded when first needed.
  JournalledEvaluator On(const DataSpec& spec, const std::string& split, StageScope& scope) {
    return {scope, split, [this, spec, context = scope.context()]() -> std::unique_ptr<Evaluator> {
              return std::make_unique<OwningEvaluator>(session_.Get(), Dataset::Load(spec),
                                                       context);
            }};
  }

  /// The records on which choices are made.
  DataSpec SensitivityData() const {
    DataSpec spec = *experiment_.data.search;
    const std::int64_t samples = experiment_.sensitivity.samples;
    spec.samples = spec.samples < 0 ? samples : std::min(spec.samples, samples);
    return spec;
  }

  NamedProblem WithSensitivity(const std::string& csv) const {
    return WithLosses(network_.named, ParseSensitivityCsv(csv, kSensitivityName), kSensitivityName);
  }

  Stage SearchStage() {
    Experiment relevant;
    relevant.seed = experiment_.seed;
    relevant.budgets = experiment_.budgets;
    relevant.search = experiment_.search;
    relevant.baselines = experiment_.baselines;
    Stage stage{"search",
                ExperimentText(relevant) + CandidatesText(network_.named),
                cost_names_,
                {kLinesName},
                {}};
    stage.inputs.emplace_back(kSensitivityName);
    for (std::size_t b = 0; b < experiment_.budgets.size(); ++b) {
      stage.outputs.push_back(SolutionName(b));
    }
    for (const std::string& resource : FrontierResources(experiment_)) {
      stage.outputs.push_back(FrontierName(resource));
    }
    stage.work = [this](StageScope& scope) { Search(scope); };
    return stage;
  }

  void Search(StageScope& scope) {
    const NamedProblem named = WithSensitivity(scope.Read(kSensitivityName));
    const RunContext& context = scope.context();
    for (const std::string& resource : FrontierResources(experiment_)) {
      WriteFrontier(scope, named, resource);
    }
    SolverOptions options;
    options.gap = experiment_.search.gap;
    if (experiment_.search.time_limit_s > 0.0) {
      options.time_limit_s = experiment_.search.time_limit_s;
    }
    std::vector<BudgetLines> all;
    for (std::size_t b = 0; b < experiment_.budgets.size(); ++b) {
      const Budget& budget = experiment_.budgets[b];
      const NamedProblem limited = WithBudget(network_, named, budget);
      const Solution solution =
          MakeSolver(experiment_.search.solver)->Solve(limited.problem, options, context);
      context.ThrowIfStopped();
      if (!solution.has_choice()) {
        throw Error(ErrorId::kBudgetInfeasible,
                    fmt::format("no configuration found ({})", NameOf(solution.status)))
            .Key(fmt::format("budgets (\"{}\")", budget.name))
            .Hint("raise the limit or search.time_limit_s");
      }
      std::ostringstream json;
      WriteSolutionJson(limited, solution, json);
      scope.Write(SolutionName(b), json.str());
      BudgetLines lines;
      lines.budget = budget.name;
      lines.limits = LimitsText(budget);
      lines.lower_bound = solution.lower_bound;
      lines.gap = solution.gap();
      lines.lines.push_back({"ours", "", {ToBitConfig(limited, solution.choice)}});
      for (const BaselineLine& baseline :
           MakeBaselines(limited, experiment_.baselines, "auto", budget.name, context)) {
        ResultLine line{baseline.name, baseline.note, {}};
        for (const auto& choice : baseline.choices) {
          line.configs.push_back(ToBitConfig(limited, choice));
        }
        lines.lines.push_back(std::move(line));
      }
      all.push_back(std::move(lines));
    }
    scope.Write(kLinesName, LinesJson(all));
  }

  void WriteFrontier(StageScope& scope, const NamedProblem& named, const std::string& resource) {
    FrontierOptions options;
    options.resources = {named.FindResource(resource)};
    Frontier frontier = ComputeFrontier(named.problem, options, scope.context());
    scope.context().ThrowIfStopped();
    FrontierOutput output;
    output.resources = options.resources;
    output.computed_points = frontier.points().size();
    const auto most = static_cast<std::size_t>(experiment_.search.max_points);
    output.thinned = output.computed_points > most;
    if (output.thinned) frontier = ThinnedTo(frontier, most);
    std::ostringstream json;
    WriteFrontierJson(named, frontier, output, json);
    scope.Write(FrontierName(resource), json.str());
  }

  bool wants_fp32() const {
    const std::vector<std::string>& lines = experiment_.baselines.lines;
    return std::find(lines.begin(), lines.end(), "fp32") != lines.end();
  }
  BitConfig Fp32() const {
    return BitConfig::Uniform(network_.named.layers.size(),
                              {NumberFormat::Float32(), NumberFormat::Float32()});
  }

  Stage RefinementStage() {
    const DataSpec spec = SensitivityData();
    Stage stage{
        "refinement",
        fmt::format("candidates {} seed {}\n{}\ndata {}", experiment_.search.measured_candidates,
                    experiment_.seed, quantization_, hashes_.Of(spec)),
        cost_names_,
        {kRefinedName, kCandidatesName},
        {}};
    stage.inputs.emplace_back(kSensitivityName);
    stage.inputs.emplace_back(kLinesName);
    stage.work = [this, spec](StageScope& scope) { Refine(scope, spec); };
    return stage;
  }

  /// Measures whole configurations within each budget on the search records and puts the best one
  /// in front; the optimum of the predicted losses stays as the line "additive".
  void Refine(StageScope& scope, const DataSpec& spec) {
    const NamedProblem named = WithSensitivity(scope.Read(kSensitivityName));
    std::vector<BudgetLines> all = ParseLinesJson(scope.Read(kLinesName));
    std::string csv = "budget,configuration,predicted_loss_nats,measured_kl_nats\n";
    JournalledEvaluator evaluator = On(spec, "search", scope);
    for (std::size_t b = 0; experiment_.search.measured_candidates > 0 && b < all.size(); ++b) {
      const NamedProblem limited = WithBudget(network_, named, experiment_.budgets[b]);
      const BitConfig additive = all[b].lines.front().configs.front();
      std::vector<std::vector<ChoiceIndex>> starts = {ToChoice(limited, additive)};
      const BaselineSection section{{"greedy", "two_level", "first_last_8", "blind", "uniform"}, 0};
      for (const BaselineLine& line :
           MakeBaselines(limited, section, "auto", all[b].budget, scope.context())) {
        starts.insert(starts.end(), line.choices.begin(), line.choices.end());
      }
      const std::vector<RankedConfiguration> measured = SearchByMeasurement(
          limited.problem, starts,
          [&](const std::vector<ChoiceIndex>& choice) {
            const BitConfig config = ToBitConfig(limited, choice);
            return evaluator.Evaluate({&config, 1}).front().kl_nats;
          },
          {experiment_.search.measured_candidates, all[b].budget}, scope.context());
      for (const RankedConfiguration& candidate : measured) {
        csv += fmt::format("{},\"{}\",{},{}\n", CsvCell(all[b].budget),
                           ToBitConfig(limited, candidate.choice).Canonical(), candidate.predicted,
                           candidate.measured);
      }
      // The optimum keeps the budget, so something was measured.
      const RankedConfiguration& best = measured.front();
      all[b].gap =
          (best.predicted - all[b].lower_bound) / std::max(std::abs(best.predicted), 1e-12);
      all[b].lines.front().name = "additive";
      all[b].lines.insert(all[b].lines.begin(),
                          {"ours",
                           fmt::format("best of {} measured", measured.size()),
                           {ToBitConfig(limited, best.choice)}});
    }
    scope.Write(kRefinedName, LinesJson(all));
    scope.Write(kCandidatesName, csv);
  }

  Stage EvaluationStage() {
    Stage stage{"evaluation", "", {kRefinedName}, {kEvaluationsName}, {}};
    stage.parameters = fmt::format("{}\nreport {}\nfp32 {}", quantization_,
                                   hashes_.Of(experiment_.data.report), wants_fp32());
    stage.work = [this](StageScope& scope) {
      std::vector<BitConfig> configs;
      std::set<std::string> seen;
      const auto add = [&](const BitConfig& config) {
        if (seen.insert(config.Canonical()).second) configs.push_back(config);
      };
      if (wants_fp32()) add(Fp32());
      for (const BudgetLines& budget : ParseLinesJson(scope.Read(kRefinedName))) {
        for (const ResultLine& line : budget.lines) {
          for (const BitConfig& config : line.configs) add(config);
        }
      }
      JournalledEvaluator evaluator = On(*experiment_.data.report, "report", scope);
      nlohmann::ordered_json all = nlohmann::ordered_json::object();
      const auto total = static_cast<std::int64_t>(configs.size());
      for (std::size_t i = 0; i < configs.size(); ++i) {
        all[configs[i].Canonical()] = EvaluationJson(evaluator.Evaluate({&configs[i], 1}).front());
        scope.context().progress->Progress("evaluate", static_cast<std::int64_t>(i) + 1, total);
      }
      scope.Write(kEvaluationsName, all.dump(1) + "\n");
    };
    return stage;
  }

  Stage ResultStage() {
    Stage stage{
        "results",
        fmt::format("{}\nmodel {}\nseed {}\nfp32 {}", quantization_,
                    experiment_.model.file.filename().string(), experiment_.seed, wants_fp32()),
        cost_names_,
        {kResultsName, "results.csv", kResultsTextName},
        {}};
    for (const char* name : {kSensitivityName, kRefinedName, kEvaluationsName}) {
      stage.inputs.emplace_back(name);
    }
    for (std::size_t b = 0; b < experiment_.budgets.size(); ++b) {
      stage.outputs.push_back(ConfigName(b));
    }
    stage.work = [this](StageScope& scope) { WriteResults(scope); };
    return stage;
  }

  void WriteResults(StageScope& scope) {
    const NamedProblem named = WithSensitivity(scope.Read(kSensitivityName));
    const std::vector<BudgetLines> lines = ParseLinesJson(scope.Read(kRefinedName));
    std::map<std::string, Evaluation> evaluations;
    const auto all = nlohmann::ordered_json::parse(scope.Read(kEvaluationsName));
    for (const auto& [config, payload] : all.items()) {
      evaluations[config] = ParseEvaluationJson(payload.get<std::string>());
    }
    const std::vector<ResultRow> rows =
        ResultRows(network_, named, lines, evaluations,
                   wants_fp32() ? std::optional<BitConfig>(Fp32()) : std::nullopt);
    scope.Write(kResultsName, ResultsJson(rows));
    scope.Write("results.csv", ResultsCsv(rows));
    scope.Write(kResultsTextName, ResultsText(rows));
    for (std::size_t b = 0; b < lines.size(); ++b) {
      const BitConfig& config = lines[b].lines.front().configs.front();
      ConfigDocument document = DocumentOf(config);
      document.predicted_loss_nats = PredictedLoss(named, config);
      document.lower_bound_nats = lines[b].lower_bound;
      document.gap = lines[b].gap;
      document.measured = evaluations.at(config.Canonical());
      scope.Write(ConfigName(b), ConfigJson(document));
    }
  }

  /// What every configuration file of the run says.
  ConfigDocument DocumentOf(const BitConfig& config) {
    ConfigDocument document;
    document.model = experiment_.model.file.filename().string();
    document.model_sha256 = hashes_.Of(experiment_.model.file);
    document.placement = experiment_.quantization.placement;
    if (experiment_.quantization.bias_correction) document.calibration = {"bias_correction"};
    const std::vector<LayerQuantizers> quantizers = session_.Get().Quantizers(config);
    for (std::size_t l = 0; l < config.choices.size(); ++l) {
      const Layer& layer = network_.graph.layers()[l];
      document.layers.push_back({layer.id, layer.op, config.choices[l], quantizers[l]});
    }
    document.costs = CostTexts(network_, config);
    document.seed = experiment_.seed;
    return document;
  }

  Stage GoalStage() {
    const GoalSection& goal = *experiment_.goal;
    Stage stage{
        "goal",
        fmt::format("minimise {} drop {} confidence {} evaluations {}\n{}\nsearch {}\n"
                    "report {}",
                    goal.minimise, goal.accuracy_drop_percent, goal.confidence,
                    goal.max_evaluations, quantization_, hashes_.Of(experiment_.data.search),
                    hashes_.Of(experiment_.data.report)),
        cost_names_,
        {kGoalName, kGoalConfigName},
        {}};
    stage.inputs.emplace_back(kSensitivityName);
    stage.work = [this, &goal](StageScope& scope) {
      const NamedProblem named = WithSensitivity(scope.Read(kSensitivityName));
      JournalledEvaluator search = On(*experiment_.data.search, "search", scope);
      JournalledEvaluator report = On(*experiment_.data.report, "report", scope);
      const BitConfig fp32 = Fp32();
      const Evaluation search_reference = search.Evaluate({&fp32, 1}).front();
      const Evaluation report_reference = report.Evaluate({&fp32, 1}).front();
      const GoalOutcome outcome = WalkToGoal(network_, named, goal, {search, search_reference},
                                             {report, report_reference}, scope.context());
      ConfigDocument document = DocumentOf(outcome.config);
      document.predicted_loss_nats = PredictedLoss(named, outcome.config);
      document.measured = report.Evaluate({&outcome.config, 1}).front();
      scope.Write(kGoalName, outcome.json);
      scope.Write(kGoalConfigName, ConfigJson(document));
    };
    return stage;
  }

  Stage ReportStage() {
    Stage stage{"report", experiment_.name, {kResultsName, kSensitivityName}, {kReportName}, {}};
    ReportInputs names;
    for (std::size_t b = 0; b < experiment_.budgets.size(); ++b) {
      names.configs.push_back(ConfigName(b));
    }
    for (const std::string& resource : FrontierResources(experiment_)) {
      names.frontiers.push_back(FrontierName(resource));
    }
    stage.inputs.insert(stage.inputs.end(), names.configs.begin(), names.configs.end());
    stage.inputs.insert(stage.inputs.end(), names.frontiers.begin(), names.frontiers.end());
    stage.work = [this, names](StageScope& scope) {
      scope.Write(kReportName, ReportHtml(experiment_.name, names, [&](const std::string& name) {
                    return scope.Read(name);
                  }));
    };
    return stage;
  }

  const Experiment& experiment_;
  const NetworkProblem& network_;
  FileHashes hashes_;
  LazySession session_;
  std::vector<std::pair<std::string, std::string>> cost_files_;
  std::vector<std::string> cost_names_;
  std::string quantization_;
};

}  // namespace

std::string SolutionName(std::size_t budget) { return fmt::format("solution_{}.json", budget + 1); }
std::string ConfigName(std::size_t budget) { return fmt::format("config_{}.json", budget + 1); }
std::string FrontierName(const std::string& resource) {
  return fmt::format("frontier_{}.json", resource);
}

PipelineSummary RunSearch(const Experiment& experiment, const NetworkProblem& network,
                          RunDirectory& run, const BackendFactory& backend,
                          const RunContext& context) {
  SearchStages stages(experiment, network, backend, context);
  return RunStages(stages.All(), run, context);
}

}  // namespace bitsearch
