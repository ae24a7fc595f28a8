// The stage of `finetune:`: lines of the result table trained at their bits, from the same model,
// on the same images, with the same teacher; a table of their own; and the tuned networks.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "experiments/artifact_json.h"
#include "experiments/parallel_jobs.h"
#include "experiments/result_rows.h"
#include "experiments/search_stages.h"
#include "experiments/supernet_artifacts.h"
#include "experiments/tuned_config.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/onnx_writer.h"
#include "space/support/error.h"
#include "space/support/hash.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

constexpr const char* kTunedResultsCsvName = "tuned_results.csv";
constexpr const char* kFloatLine = "fp32";

/// A training: what it starts from and where its result goes.
struct Job {
  TunedLine line;
  std::string note;
  std::optional<std::size_t> budget;
  /// Tells it from others, whatever it starts from included.
  std::string key;
};

bool Wants(const FineTuneSection& section, const std::string& line) {
  return std::find(section.lines.begin(), section.lines.end(), line) != section.lines.end();
}

/// The lines of the table that the section names. Of "random", the first configuration.
std::vector<Job> JobsOf(const SearchInputs& inputs, StageScope& scope,
                        const std::vector<BudgetLines>& budgets) {
  const FineTuneSection& section = *inputs.experiment.finetune;
  std::vector<Job> jobs;
  const auto add = [&](Job job) {
    TunedLine& line = job.line;
    line.from_supernet = line.line == "ours" && inputs.experiment.dnas.has_value();
    line.epochs = line.from_supernet ? section.options.epochs : section.control_epochs;
    job.key = fmt::format(
        "{}|{}|{}|{}|{}", line.budget, line.line, line.config.Canonical(), line.epochs,
        line.from_supernet ? Sha256(std::string_view(scope.Read(SupernetName(*job.budget))))
                           : "model");
    jobs.push_back(std::move(job));
  };
  if (Wants(section, kFloatLine)) {
    Job job;
    job.line.line = kFloatLine;
    job.line.config = inputs.Fp32();
    add(std::move(job));
  }
  for (std::size_t b = 0; b < budgets.size(); ++b) {
    for (const ResultLine& line : budgets[b].lines) {
      if (!Wants(section, line.name) || line.configs.empty()) continue;
      Job job;
      job.line.budget = budgets[b].budget;
      job.line.line = line.name;
      job.line.config = line.configs.front();
      job.note = line.note;
      job.budget = b;
      add(std::move(job));
    }
  }
  return jobs;
}

/// Trains one line, or reads from the journal what it came to.
class Trainer {
 public:
  Trainer(SearchInputs& inputs, StageScope& scope)
      : inputs_(inputs),
        scope_(scope),
        graph_(inputs.TrainableGraph()),
        train_(inputs.Train()),
        validation_(inputs.experiment.data.validation.has_value()
                        ? Dataset::Load(*inputs.experiment.data.validation)
                        : inputs.Search()),
        report_(Dataset::Load(*inputs.experiment.data.report)),
        backend_(inputs.session.Backend()) {}

  void Run(Job* job) {
    const bool keeps_network = job->line.line == "ours";
    FineTuneRequest request;
    {
      const std::lock_guard lock(mutex_);
      const auto known = scope_.Known(job->key);
      if (known) Restore(*known, &job->line);
      if (known && !keeps_network) return;
      request.options.checkpoint = scope_.Scratch(Sha256(std::string_view(job->key)) + ".pt");
      request.graph =
          job->line.from_supernet ? ReadOnnx(scope_.PathOf(SupernetName(*job->budget))) : graph_;
    }
    const std::filesystem::path checkpoint = request.options.checkpoint;
    request.options = inputs_.experiment.finetune->options;
    request.options.checkpoint = checkpoint;
    request.options.resume = true;
    request.options.epochs = job->line.epochs;
    request.options.quantizers = TrainingQuantizers(inputs_.experiment);
    request.options.device = inputs_.experiment.device;
    request.config = job->line.config;
    request.train = &train_;
    request.validation = &validation_;
    request.teacher = &graph_;
    const std::string name =
        job->budget ? fmt::format("{}, {}", job->line.budget, job->line.line) : job->line.line;
    const RunContext context = JobContext(scope_.context(), name);
    const double start_s = ThreadSeconds();
    const FineTuneResult result = backend_.FineTune(request, context);
    const double took_s = ThreadSeconds() - start_s;
    if (job->line.curve.empty()) {
      job->line.curve = result.history;
      job->line.evaluation =
          backend_.EvaluateTuned(result.network, report_, context, inputs_.experiment.device);
    }
    const std::lock_guard lock(mutex_);
    scope_.AddSeconds(name, took_s);
    if (keeps_network) Keep(*job, result.network);
    scope_.Record(job->key,
                  nlohmann::ordered_json{{"curve", CurveJson(job->line.curve)},
                                         {"evaluation", EvaluationJson(job->line.evaluation)}}
                      .dump());
  }

 private:
  static void Restore(const std::string& text, TunedLine* line) {
    const JsonValue json = ParseArtifact(text, "the journal", ErrorId::kRunDamaged);
    line->curve = ParseCurveJson(json.At("curve").String());
    line->evaluation = ParseEvaluationJson(json.At("evaluation").String());
  }

  void Keep(const Job& job, const TunedNetwork& network) {
    const std::string model = SerializeOnnx(network.graph);
    ConfigDocument document = TunedDocument(network, TrainingQuantizers(inputs_.experiment));
    document.model = TunedModelName(*job.budget);
    document.model_sha256 = Sha256(std::string_view(model));
    document.costs = CostTexts(inputs_.network, job.line.config);
    document.chosen_by = inputs_.experiment.dnas.has_value() ? "dnas" : "measured";
    document.measured = job.line.evaluation;
    document.seed = inputs_.experiment.seed;
    scope_.Write(document.model, model);
    scope_.Write(TunedConfigName(*job.budget), ConfigJson(document));
  }

  SearchInputs& inputs_;
  StageScope& scope_;
  LayerGraph graph_;
  const Dataset& train_;
  Dataset validation_;
  Dataset report_;
  TorchBackend& backend_;
  std::mutex mutex_;  ///< Of the scope.
};

std::vector<ResultRow> TunedRows(const SearchInputs& inputs, const NamedProblem& named,
                                 const std::vector<Job>& jobs) {
  std::vector<ResultRow> rows;
  for (const Job& job : jobs) {
    const TunedLine& line = job.line;
    ResultRow row = RowOf(inputs.network, named, line.config, line.evaluation);
    row.budget = line.budget;
    row.line = line.line;
    if (line.line == kFloatLine) row.bits = kFloatLine;
    row.note = line.from_supernet ? fmt::format("{} epochs of search + {}",
                                                inputs.experiment.dnas->options.epochs, line.epochs)
                                  : fmt::format("{} epochs", line.epochs);
    if (!job.note.empty()) row.note += "; " + job.note;
    for (const Job& ours : jobs) {
      if (ours.line.line != "ours" || ours.line.budget != line.budget || &ours == &job) continue;
      row.p_value = McNemarExactPValue(line.evaluation.correct_per_sample,
                                       ours.line.evaluation.correct_per_sample);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void FineTuneLinesOf(SearchInputs& inputs, StageScope& scope) {
  std::vector<Job> jobs = JobsOf(inputs, scope, ParseLinesJson(scope.Read(kRefinedName)));
  {
    Trainer trainer(inputs, scope);
    RunJobs(inputs.TrainingJobs(scope.context()), jobs.size(),
            [&](std::size_t i) { trainer.Run(&jobs[i]); });
  }
  std::vector<TunedLine> lines;
  for (const Job& job : jobs) lines.push_back(job.line);
  const std::vector<ResultRow> rows = TunedRows(inputs, inputs.WithSensitivity(scope), jobs);
  scope.Write(kFineTuneName, FineTuneJson(lines));
  scope.Write(kTunedResultsName, ResultsJson(rows));
  scope.Write(kTunedResultsCsvName, ResultsCsv(rows));
  scope.Write(kTunedResultsTextName, ResultsText(rows));
}

}  // namespace

Stage FineTuneStage(SearchInputs& inputs) {
  const Experiment& experiment = inputs.experiment;
  Experiment relevant;
  relevant.seed = experiment.seed;
  relevant.device = experiment.device;
  relevant.quantization = experiment.quantization;
  relevant.finetune = experiment.finetune;
  Stage stage{"finetune", "", inputs.cost_names, {}, {}};
  stage.parameters = fmt::format(
      "{}\n{}\ntrain {}\nvalidation {}\nreport {}", ExperimentText(relevant), inputs.quantization,
      inputs.hashes.Of(experiment.data.train),
      inputs.hashes.Of(experiment.data.validation.has_value() ? *experiment.data.validation
                                                              : inputs.SensitivityData()),
      inputs.hashes.Of(experiment.data.report));
  if (experiment.dnas.has_value()) {
    stage.parameters += fmt::format("\nsearch epochs {}", experiment.dnas->options.epochs);
  }
  inputs.AddSensitivityNames(stage.inputs);
  stage.inputs.emplace_back(kRefinedName);
  stage.outputs = {kFineTuneName, kTunedResultsName, kTunedResultsCsvName, kTunedResultsTextName};
  for (std::size_t b = 0; b < experiment.budgets.size(); ++b) {
    if (experiment.dnas.has_value()) stage.inputs.push_back(SupernetName(b));
    stage.outputs.push_back(TunedModelName(b));
    stage.outputs.push_back(TunedConfigName(b));
  }
  stage.work = [&inputs](StageScope& scope) { FineTuneLinesOf(inputs, scope); };
  return stage;
}

}  // namespace bitsearch
