#include "experiments/deployment/export_source.h"

#include <filesystem>

#include "experiments/deployment/formats/config_format.h"
#include "experiments/experiment.h"
#include "experiments/run_directory.h"
#include "experiments/search_run.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGoalChoice = "goal";

/// The run's configuration files by choice.
std::vector<std::pair<std::string, std::string>> ChoicesOf(const Experiment& experiment) {
  std::vector<std::pair<std::string, std::string>> choices;
  for (std::size_t b = 0; b < experiment.budgets.size(); ++b) {
    choices.emplace_back(experiment.budgets[b].name, ConfigName(b));
  }
  if (experiment.goal) choices.emplace_back(kGoalChoice, kGoalConfigName);
  return choices;
}

fs::path ConfigOfRun(const fs::path& run, const Experiment& experiment, const std::string& choice) {
  const auto choices = ChoicesOf(experiment);
  std::vector<std::string> names;
  std::string listed;
  for (const auto& [name, file] : choices) {
    if (name == choice || (choice.empty() && choices.size() == 1)) return run / file;
    names.push_back(name);
    listed += (listed.empty() ? "\"" : ", \"") + name + "\"";
  }
  const std::string nearest = NearestName(choice, names);
  throw Error(ErrorId::kUsage, choice.empty() ? "the run has several choices: " + listed
                                              : "got \"" + choice + "\" (allowed: " + listed + ")")
      .At({run.string()})
      .Key("--choice")
      .Hint(nearest.empty() ? "name one of them" : "did you mean \"" + nearest + "\"?");
}

LayerGraph ReadGraph(const fs::path& model, bool fold_batch_norm) {
  LayerGraph graph = ReadOnnx(model);
  return fold_batch_norm ? FoldBatchNorm(graph) : graph;
}

}  // namespace

ExportSource LoadExportSource(const std::string& what, const std::string& model,
                              const std::string& choice, bool wants_graph) {
  ExportSource source;
  if (fs::is_directory(what)) {
    const fs::path run = RequireRun(what);
    const Experiment experiment =
        ReadExperiment((run / RunDirectory::kConfiguration).string(), {}, ExperimentUse::kRun);
    if (wants_graph || !model.empty()) {
      source.graph = ReadGraph(model.empty() ? experiment.model.file : fs::path(model),
                               experiment.model.fold_batch_norm);
    }
    source.report_data = experiment.data.report;
    source.place = ConfigOfRun(run, experiment, choice).string();
    source.document = ReadConfigJson(source.place);
  } else {
    if (!choice.empty()) {
      throw Error(ErrorId::kUsage, "only a run has several choices")
          .Key("--choice")
          .Hint("name the run's folder instead of " + what);
    }
    if (!model.empty()) source.graph = ReadGraph(model, /*fold_batch_norm=*/true);
    source.place = what;
    ImportedConfig imported = ReadAnyConfig(what, source.graph ? &*source.graph : nullptr);
    source.document = std::move(imported.document);
    source.notes = std::move(imported.notes);
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
