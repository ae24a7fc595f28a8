#include "experiments/deployment/export_source.h"

#include <filesystem>

#include "experiments/deployment/calibrated_document.h"
#include "experiments/deployment/formats/config_format.h"
#include "experiments/experiment.h"
#include "experiments/run_directory.h"
#include "experiments/search_run.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/quantizer/float_network.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGoalChoice = "goal";
constexpr const char* kTunedSuffix = "/tuned";

/// One of the run's configurations and the network that it belongs to.
struct RunChoice {
  std::string name;
  std::string config;
  std::string model;  ///< In the run's folder; empty: the experiment's.
};

std::vector<RunChoice> ChoicesOf(const Experiment& experiment) {
  std::vector<RunChoice> choices;
  for (std::size_t b = 0; b < experiment.budgets.size(); ++b) {
    choices.push_back({experiment.budgets[b].name, ConfigName(b), ""});
  }
  if (experiment.goal) choices.push_back({kGoalChoice, kGoalConfigName, ""});
  for (std::size_t b = 0; experiment.finetune && b < experiment.budgets.size(); ++b) {
    choices.push_back(
        {experiment.budgets[b].name + kTunedSuffix, TunedConfigName(b), TunedModelName(b)});
  }
  return choices;
}

RunChoice ChoiceOfRun(const fs::path& run, const Experiment& experiment,
                      const std::string& choice) {
  const std::vector<RunChoice> choices = ChoicesOf(experiment);
  // Without a name, the one that is not tuned.
  const bool single = experiment.budgets.size() + (experiment.goal ? 1 : 0) == 1;
  std::vector<std::string> names;
  std::string listed;
  for (const RunChoice& candidate : choices) {
    if (candidate.name == choice || (choice.empty() && single)) return candidate;
    names.push_back(candidate.name);
    listed += (listed.empty() ? "\"" : ", \"") + candidate.name + "\"";
  }
  const std::string nearest = NearestName(choice, names);
  throw Error(ErrorId::kUsage, choice.empty() ? "the run has several choices: " + listed
                                              : "got \"" + choice + "\" (allowed: " + listed + ")")
      .At({run.string()})
      .Key("--choice")
      .Hint(nearest.empty() ? "name one of them" : "did you mean \"" + nearest + "\"?");
}

/// The network as the document's calibration changed it.
void TakeGraph(const LayerGraph& model, bool fold_batch_norm, ExportSource& source) {
  FloatNetwork network =
      PrepareFloatNetwork(model, fold_batch_norm, StepsOf(source.document, source.place));
  source.graph = std::move(network.graph);
  source.statistics = std::move(network.statistics);
}

}  // namespace

ExportSource LoadExportSource(const std::string& what, const std::string& model,
                              const std::string& choice, bool wants_graph) {
  ExportSource source;
  if (fs::is_directory(what)) {
    const fs::path run = RequireRun(what);
    const Experiment experiment =
        ReadExperiment((run / RunDirectory::kConfiguration).string(), {}, ExperimentUse::kRun);
    const RunChoice chosen = ChoiceOfRun(run, experiment, choice);
    source.report_data = experiment.data.report;
    source.place = (run / chosen.config).string();
    source.document = ReadConfigJson(source.place);
    if (wants_graph || !model.empty()) {
      const fs::path own = chosen.model.empty() ? experiment.model.file : run / chosen.model;
      TakeGraph(ReadOnnx(model.empty() ? own : fs::path(model)), experiment.model.fold_batch_norm,
                source);
    }
  } else {
    if (!choice.empty()) {
      throw Error(ErrorId::kUsage, "only a run has several choices")
          .Key("--choice")
          .Hint("name the run's folder instead of " + what);
    }
    std::optional<LayerGraph> graph;
    if (!model.empty()) graph = FoldBatchNorm(ReadOnnx(model));
    source.place = what;
    ImportedConfig imported = ReadAnyConfig(what, graph ? &*graph : nullptr);
    source.document = std::move(imported.document);
    source.notes = std::move(imported.notes);
    if (graph) TakeGraph(ReadOnnx(model), /*fold_batch_norm=*/true, source);
  }
  if (!model.empty() && !source.document.model_sha256.empty() &&
      Sha256OfFile(model) != source.document.model_sha256) {
    source.notes.push_back(model +
                           " is another file than the one that the configuration was made "
                           "for: scales belong to other weights");
  }
  return source;
}

}  // namespace bitsearch
