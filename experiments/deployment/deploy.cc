// Exports, times, scores, decides. See deploy.h.
#include "experiments/deployment/deploy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "experiments/deployment/interleaved_times.h"
#include "experiments/deployment/runtime_records.h"
#include "experiments/run_directory.h"
#include "experiments/search_inputs.h"
#include "space/graph/onnx_writer.h"
#include "space/hardware/latency_csv.h"
#include "space/hardware/machine_info.h"
#include "space/support/child_process.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

std::size_t BudgetNamed(const Experiment& experiment, const std::string& name,
                        const fs::path& run) {
  if (experiment.budgets.empty()) {
    throw Error(ErrorId::kRunNotFound, "the run has no budget, so no frontier to choose from")
        .At({run.string()})
        .Hint("give its experiment a budget");
  }
  if (name.empty() && experiment.budgets.size() == 1) return 0;
  std::vector<std::string> names;
  std::string listed;
  for (std::size_t b = 0; b < experiment.budgets.size(); ++b) {
    names.push_back(experiment.budgets[b].name);
    if (names.back() == name) return b;
    listed += (b > 0 ? ", \"" : "\"") + names.back() + "\"";
  }
  const std::string nearest = NearestName(name, names);
  throw Error(ErrorId::kUsage, name.empty() ? "the run has several budgets: " + listed
                                            : "got \"" + name + "\" (allowed: " + listed + ")")
      .At({run.string()})
      .Key("--budget")
      .Hint(nearest.empty() ? "name one of them" : "did you mean \"" + nearest + "\"?");
}

/// With float activations only a MatMul has a kernel for few-bit weights.
void RequireIntegerKernels(const Experiment& experiment, const LayerGraph& graph,
                           const fs::path& run) {
  const bool any = experiment.quantization.placement != Placement::kWeightsOnly ||
                   std::any_of(graph.layers().begin(), graph.layers().end(),
                               [](const Layer& layer) { return layer.op == "MatMul"; });
  if (any) return;
  throw Error(ErrorId::kUsage,
              "the run quantizes weights only: ONNX Runtime runs such convolutions in floating "
              "point, and no choice is faster than another")
      .At({run.string()})
      .Key("space.placement")
      .Hint("search with placement runtime or layer_inputs");
}

Dataset FirstRecords(DataSpec spec, std::int64_t samples) {
  if (samples > 0) spec.samples = spec.samples < 0 ? samples : std::min(spec.samples, samples);
  Dataset data = Dataset::Load(spec);
  data.RequireLabels();
  return data;
}

/// The file of a line in the scratch folder.
fs::path FileOf(const fs::path& folder, std::size_t line) {
  return folder / fmt::format("line_{}.onnx", line);
}

void ExportLines(SearchInputs& inputs, const DeployOptions& options, const fs::path& folder,
                 Deployment& deployment, const RunContext& context) {
  OnnxExportOptions onnx;
  onnx.container = options.container;
  for (std::size_t i = 0; i < deployment.lines.size(); ++i) {
    context.ThrowIfStopped();
    DeployLine& line = deployment.lines[i];
    const ConfigDocument document = inputs.DocumentOf(line.config);
    const OnnxExport exported = BuildQuantizedOnnx(inputs.network.graph, document, onnx, line.name);
    const fs::path file = FileOf(folder, i);
    WriteOnnx(exported.graph, file);
    line.file_bytes = static_cast<std::int64_t>(fs::file_size(file));
  }
}

void TimeLines(const DeployOptions& options, const LayerGraph& graph, const fs::path& folder,
               Deployment& deployment, const RunContext& context) {
  std::vector<fs::path> files;
  for (std::size_t i = 0; i < deployment.lines.size(); ++i) files.push_back(FileOf(folder, i));
  InterleavedTimes times =
      TimeInterleaved(options.runtime, files, graph, options.rounds, options.repetitions, context);
  deployment.runtime = times.runtime;
  for (std::size_t i = 0; i < files.size(); ++i) {
    deployment.lines[i].round_us = std::move(times.round_us[i]);
  }
}

void ScoreLines(const DeployOptions& options, const Experiment& experiment, const LayerGraph& graph,
                const fs::path& folder, Deployment& deployment, const RunContext& context) {
  const Dataset data = FirstRecords(*experiment.data.search, options.samples);
  RuntimeRequest request;
  for (std::size_t i = 0; i < deployment.lines.size(); ++i) {
    request.model = FileOf(folder, i);
    const RecordOutputs outputs = RunRecords(options.runtime, request, graph, data, context);
    deployment.lines[i].samples = outputs.records;
    deployment.lines[i].correct = CountCorrect(outputs, data);
    context.progress->Progress("score", static_cast<std::int64_t>(i) + 1,
                               static_cast<std::int64_t>(deployment.lines.size()));
  }
}

/// Where the table's device is not the one that was measured on.
void CompareDevices(const LatencyTable& table, Deployment& deployment) {
  const std::string backend = table.Provenance("backend");
  if (!backend.empty() && backend != "onnxruntime") {
    deployment.notes.push_back("the run's latency table was made by " + backend +
                               ", not by this runtime (bitsearch latency measure --backend "
                               "onnxruntime makes one)");
  }
  const std::string runtime = table.Provenance("runtime");
  if (!runtime.empty() && runtime != deployment.runtime) {
    deployment.notes.push_back("the run's latency table was made by " + runtime +
                               ", measured here: " + deployment.runtime);
  }
  const std::string cpu = table.Provenance("cpu");
  if (cpu.empty()) {
    deployment.notes.push_back("the run's latency table does not say what device it is of");
  } else if (cpu != deployment.cpu) {
    deployment.notes.push_back("the run's latency table is of another device: " + cpu +
                               "; measured here: " + deployment.cpu);
  }
}

void NoteReferences(Deployment& deployment) {
  const DeployLine& chosen = deployment.lines[deployment.decision.chosen];
  for (const DeployLine& line : deployment.lines) {
    if (line.candidate || line.correct < chosen.correct ||
        line.measured_us() > chosen.measured_us()) {
      continue;
    }
    deployment.notes.push_back(fmt::format(
        "{} is as fast as the chosen configuration ({:.1f} against {:.1f} us) and no less accurate "
        "on the search records ({} against {} correct): prefer it",
        line.name, line.measured_us(), chosen.measured_us(), line.correct, chosen.correct));
  }
}

void WriteFiles(const DeployOptions& options, const fs::path& folder,
                const std::optional<LatencyTable>& table, Deployment& deployment) {
  fs::create_directories(options.out);
  deployment.chosen_file = "deployed.onnx";
  fs::copy_file(FileOf(folder, deployment.decision.chosen), options.out / deployment.chosen_file,
                fs::copy_options::overwrite_existing);
  if (table && deployment.recalibration.usable) {
    deployment.recalibrated_table = kRecalibratedName;
    const std::string path = (options.run / kRecalibratedName).string();
    WriteLatencyCsv(Recalibrated(*table, deployment.recalibration), path, TransitionsPathFor(path));
  }
  WriteFileAtomically(options.run / kDeploymentName, DeploymentJson(deployment));
}

}  // namespace

Deployment Deploy(const DeployOptions& options, const BackendFactory& backend,
                  const RunContext& context) {
  const fs::path run = RequireRun(options.run);
  const Experiment experiment =
      ReadExperiment((run / RunDirectory::kConfiguration).string(), {}, ExperimentUse::kRun);
  const std::size_t budget = BudgetNamed(experiment, options.budget, run);
  if (!experiment.data.search) {
    throw Error(ErrorId::kUsage, "the run has no search records to choose on")
        .At({run.string()})
        .Key("data.search")
        .Hint("give its experiment data.search and run it again");
  }
  const NetworkProblem network = BuildNetworkProblem(experiment);
  RequireIntegerKernels(experiment, network.graph, run);

  Deployment deployment;
  deployment.cpu = CpuDescription();
  deployment.budget = experiment.budgets[budget];
  deployment.placement = NameOf(experiment.quantization.placement);
  deployment.container = options.container;
  deployment.lines = PlanDeployment(run, experiment, network, budget, options.best);
  const ScratchFolder scratch;
  SearchInputs inputs(experiment, network, backend, context);
  ExportLines(inputs, options, scratch.path(), deployment, context);
  TimeLines(options, network.graph, scratch.path(), deployment, context);
  ScoreLines(options, experiment, network.graph, scratch.path(), deployment, context);

  deployment.limit_us = MeasuredLatencyLimit(deployment.budget, deployment.lines);
  deployment.decision = Decide(deployment.lines, deployment.limit_us);
  deployment.recalibration =
      FitRecalibration(deployment.lines, network.latency ? network.latency->fixed_ns() : 0);
  if (network.latency) CompareDevices(*network.latency, deployment);
  NoteReferences(deployment);
  if (experiment.data.report) {
    const Dataset data = FirstRecords(*experiment.data.report, options.samples);
    RuntimeRequest request;
    request.model = FileOf(scratch.path(), deployment.decision.chosen);
    const RecordOutputs outputs =
        RunRecords(options.runtime, request, network.graph, data, context);
    deployment.report_samples = outputs.records;
    deployment.report_correct = CountCorrect(outputs, data);
  }
  WriteFiles(options, scratch.path(), network.latency, deployment);
  return deployment;
}

}  // namespace bitsearch
