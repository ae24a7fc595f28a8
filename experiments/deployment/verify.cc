#include "experiments/deployment/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "experiments/deployment/runtime_records.h"
#include "space/graph/onnx_writer.h"
#include "space/hardware/sample_statistics.h"
#include "space/network/data_fit.h"
#include "space/support/child_process.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kLeastAgreement = 0.999;
// Rounding alone has not moved more than 1 % of the argmaxes of any network measured here.
constexpr double kLeastFused = 0.97;
// The other levels differ from the highest in how they compute the same graph: fewer records show
// whether they load and agree.
constexpr std::int64_t kRecordsOfLowerLevels = 250;
constexpr std::int64_t kRecordsOfAThousandth = 1000;
// At a rate of 0.1 %, three or more of 250 have a probability of 0.2 %.
constexpr std::int64_t kTiesOfFewRecords = 2;
// Float sums in another order differ in the last bits; a step is one code.
constexpr double kMostSteps = 1.0 + 1e-3;

/// Outputs of all records, and the time of one batch of the smallest size.
RecordOutputs RunAndTime(const VerifyRequest& request, const Dataset& data, RuntimeRequest run,
                         RuntimeCheck& check, const RunContext& context) {
  RecordOutputs outputs = RunRecords(request.runtime, run, request.graph, data, context);
  const std::int64_t batch = std::max<std::int64_t>(1, FixedBatch(request.graph));
  run.inputs = {RecordsAsInput(request.graph, data, 0, batch, batch)};
  run.repetitions = request.repetitions;
  check.median_seconds =
      Median(RunInRuntime(request.runtime, run, context).seconds) / static_cast<double>(batch);
  return outputs;
}

/// `ours` may be of more records.
void Compare(const RecordOutputs& ours, const RecordOutputs& theirs, const Dataset& data,
             bool classifies, RuntimeCheck& check) {
  check.samples = theirs.records;
  const std::size_t width = ours.Row(0).size();
  if (width != theirs.Row(0).size()) {
    check.failure = fmt::format("it gives {} values for a record where {} are expected",
                                theirs.Row(0).size(), width);
    return;
  }
  std::vector<double> differences(theirs.values.size());
  for (std::size_t i = 0; i < differences.size(); ++i) {
    differences[i] =
        std::fabs(static_cast<double>(ours.values[i]) - static_cast<double>(theirs.values[i]));
  }
  check.largest_difference = *std::max_element(differences.begin(), differences.end());
  check.median_difference = Median(std::move(differences));
  if (!classifies) return;
  for (std::int64_t i = 0; i < theirs.records; ++i) {
    check.same_argmax += Argmax(ours.Row(i)) == Argmax(theirs.Row(i)) ? 1 : 0;
  }
  if (data.labelled()) check.correct = CountCorrect(theirs, data);
}

/// The finest step among the quantizers that `tensor` meets next, through operators that are not
/// layers; 0 if there is none.
double NextStep(const LayerGraph& exported, TensorIndex tensor) {
  double step = std::numeric_limits<double>::infinity();
  std::set<TensorIndex> seen;
  std::vector<TensorIndex> open = {tensor};
  std::set<NodeIndex> layers;
  for (const Layer& layer : exported.layers()) layers.insert(layer.node);
  while (!open.empty()) {
    const TensorIndex current = open.back();
    open.pop_back();
    if (!seen.insert(current).second) continue;
    for (const NodeIndex reader : exported.Consumers(current)) {
      const Node& node = exported.node(reader);
      if (node.op == "QuantizeLinear") {
        const auto& scale = exported.tensor(*node.inputs[1]).constant;
        step = std::min<double>(step, scale->Floats()[0]);
      } else if (node.op != "Conv" && node.op != "Gemm" && node.op != "MatMul" &&
                 node.op != "ConvTranspose") {
        open.insert(open.end(), node.outputs.begin(), node.outputs.end());
      }
    }
  }
  return std::isfinite(step) ? step : 0.0;
}

/// The dequantized form of a tensor that only a quantizer reads; else the tensor itself.
TensorIndex QuantizedForm(const LayerGraph& exported, TensorIndex tensor) {
  TensorIndex current = tensor;
  while (exported.Consumers(current).size() == 1) {
    const Node& reader = exported.node(exported.Consumers(current).front());
    const bool leads_on =
        reader.op == "QuantizeLinear" || (reader.op == "Clip" && current == tensor);
    if (reader.op == "DequantizeLinear") return reader.outputs.front();
    if (!leads_on) return tensor;
    current = reader.outputs.front();
  }
  return tensor;
}

std::vector<LayerCheck> CheckLayers(const VerifyRequest& request, QuantizationSession& session,
                                    const RunContext& context) {
  const std::int64_t fixed = FixedBatch(request.graph);
  const std::int64_t batch = fixed > 0 ? fixed : request.layer_samples;
  const Dataset data = request.data.Slice(0, std::min(batch, request.data.size()));
  // The same file with each layer's input and output as outputs of the graph.
  LayerGraph probe = request.exported;
  RuntimeRequest run;
  std::set<std::string> wanted;
  std::vector<std::pair<std::string, std::string>> names;
  const auto want = [&](TensorIndex tensor) {
    const std::string& name = probe.tensor(tensor).name;
    if (wanted.insert(name).second) {
      const auto& outputs = probe.outputs();
      if (std::find(outputs.begin(), outputs.end(), tensor) == outputs.end() &&
          std::find(probe.inputs().begin(), probe.inputs().end(), tensor) == probe.inputs().end()) {
        probe.AddOutput(tensor);
      }
      run.outputs.push_back(name);
    }
    return name;
  };
  std::vector<TensorIndex> outputs;
  for (const Layer& layer : request.graph.layers()) {
    const Node& node = probe.node(*probe.FindNode(layer.id));
    // What is added behind the layer belongs to it and keeps its tensor's name.
    outputs.push_back(*probe.FindTensor(request.graph.tensor(layer.output).name));
    std::string input = want(*node.inputs[layer.input_slot]);
    // Where whole tensors are quantized, the simulation's outputs are quantized too.
    const TensorIndex output =
        request.tensors_quantized ? QuantizedForm(probe, outputs.back()) : outputs.back();
    names.emplace_back(std::move(input), want(output));
  }
  const ScratchFolder scratch;
  run.model = scratch.path() / "layers.onnx";
  WriteOnnx(probe, run.model);
  run.level = OptimizationLevel::kDisabled;
  run.fusion = false;
  run.inputs = {RecordsAsInput(request.graph, data, 0, data.size(), data.size())};
  // A layer may read the network's own input, which no runtime gives back.
  const std::string& network_input = run.inputs.front().name;
  std::erase(run.outputs, network_input);
  RuntimeAnswer answer = RunInRuntime(request.runtime, run, context);
  std::map<std::string, FloatTensor> values;
  for (RuntimeOutput& output : answer.outputs) {
    values[output.name] = {output.shape, std::move(output.values)};
  }
  values[network_input] = {run.inputs.front().shape, run.inputs.front().values};

  std::vector<FloatTensor> inputs;
  for (const auto& [input, output] : names) inputs.push_back(values.at(input));
  const std::vector<FloatTensor> simulated = session.LayerOutputs(request.config, data, inputs);
  std::vector<LayerCheck> checks;
  for (std::size_t l = 0; l < names.size(); ++l) {
    LayerCheck check;
    check.name = request.graph.layers()[l].id;
    check.next_step = NextStep(request.exported, outputs[l]);
    const std::vector<float>& theirs = values.at(names[l].second).values;
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      const double difference =
          std::fabs(static_cast<double>(theirs[i]) - static_cast<double>(simulated[l].values[i]));
      check.largest_difference = std::max(check.largest_difference, difference);
    }
    checks.push_back(std::move(check));
  }
  return checks;
}

bool ProcessorHasVnni() {
  std::ifstream information("/proc/cpuinfo");
  for (std::string line; std::getline(information, line);) {
    if (line.rfind("flags", 0) == 0) return line.find("vnni") != std::string::npos;
  }
  return true;
}

void Explain(VerifyReport& report) {
  const auto find = [&](bool fusion) -> const RuntimeCheck* {
    for (const RuntimeCheck& run : report.runs) {
      if (run.level == OptimizationLevel::kAll && run.fusion == fusion && run.failure.empty()) {
        return &run;
      }
    }
    return nullptr;
  };
  const RuntimeCheck* plain = find(false);
  const RuntimeCheck* fused = find(true);
  if (plain == nullptr || fused == nullptr) return;
  if (report.classifies &&
      static_cast<double>(fused->same_argmax) < kLeastFused * static_cast<double>(fused->samples)) {
    report.reasons.push_back(fmt::format(
        "WITH FUSION, THE RUNTIME'S DEFAULT, ONLY {:.1f} % OF THE RECORDS HAVE THE SAME ARGMAX: "
        "score the file in the runtime before you rely on it, or set session.disable_quant_qdq=1",
        100.0 * static_cast<double>(fused->same_argmax) / static_cast<double>(fused->samples)));
  }
  if (fused->largest_difference > 4.0 * std::max(plain->largest_difference, 1e-4)) {
    report.reasons.push_back(
        ProcessorHasVnni()
            ? "with fusion the runtime's integer kernels round each layer's output to codes, where "
              "the simulation keeps it float up to the next quantizer"
            : "this processor has no VNNI: the runtime's 8-bit kernels saturate at int16; weights "
              "of "
              "at most 7 bits, or session.x64quantprecision=1, are exact");
  }
}

}  // namespace

bool VerifyReport::agrees() const {
  bool any = false;
  for (const RuntimeCheck& run : runs) {
    if (!run.failure.empty()) return false;
    if (run.fusion) continue;
    any = true;
    if (!classifies) continue;
    const auto least = kLeastAgreement * static_cast<double>(run.samples);
    // On few records a near tie or two are more than a thousandth of them.
    const bool enough =
        static_cast<double>(run.same_argmax) >= least ||
        (run.samples < kRecordsOfAThousandth && run.same_argmax + kTiesOfFewRecords >= run.samples);
    if (!enough) return false;
  }
  return any && !layers.empty() &&
         std::all_of(layers.begin(), layers.end(),
                     [](const LayerCheck& layer) { return layer.steps() <= kMostSteps; });
}

VerifyReport VerifyExport(const VerifyRequest& request, QuantizationSession& session,
                          const RunContext& context) {
  VerifyReport report;
  report.samples = request.data.size();
  RecordOutputs simulated;
  simulated.records = request.data.size();
  simulated.values = session.Outputs(request.config, request.data, context).values;
  report.classifies = GivesClasses(request.graph);
  report.labelled = report.classifies && request.data.labelled();
  if (report.labelled) report.simulated_correct = CountCorrect(simulated, request.data);
  for (const bool fusion : {false, true}) {
    for (const OptimizationLevel level : {OptimizationLevel::kDisabled, OptimizationLevel::kBasic,
                                          OptimizationLevel::kExtended, OptimizationLevel::kAll}) {
      RuntimeCheck check;
      check.level = level;
      check.fusion = fusion;
      RuntimeRequest run;
      run.model = request.file;
      run.level = level;
      run.fusion = fusion;
      context.progress->Log(
          fmt::format("verify: level {}, fusion {}", NameOf(level), fusion ? "on" : "off"));
      const bool all = level == OptimizationLevel::kAll;
      const Dataset data = request.data.Slice(
          0, all ? report.samples : std::min(report.samples, kRecordsOfLowerLevels));
      try {
        const RecordOutputs outputs = RunAndTime(request, data, run, check, context);
        report.runtime = outputs.runtime;
        Compare(simulated, outputs, data, report.classifies, check);
      } catch (const Error& error) {
        if (error.id() != ErrorId::kRuntimeFailed) throw;
        check.failure = error.message();
      }
      report.runs.push_back(std::move(check));
    }
  }
  try {
    report.layers = CheckLayers(request, session, context);
  } catch (const Error& error) {
    const bool runs = std::any_of(report.runs.begin(), report.runs.end(),
                                  [](const RuntimeCheck& run) { return run.failure.empty(); });
    if (error.id() != ErrorId::kRuntimeFailed || !runs) throw;
    report.reasons.push_back("the layers could not be compared: " + error.message());
  }
  Explain(report);
  return report;
}

std::string VerifyText(const VerifyReport& report) {
  std::string text = fmt::format(
      "{} records, {}; {}\n\n"
      "{:<10} {:<7} {:>8} {:>12} {:>12} {:>14} {:>9} {:>12}\n",
      report.samples, report.runtime,
      report.labelled     ? fmt::format("the simulation has {} correct", report.simulated_correct)
      : report.classifies ? "no labels: nothing is counted as correct"
                          : "the output is no list of classes: its differences count",
      "level", "fusion", "records", "same argmax", "correct", "median |diff|", "largest",
      "ms/sample");
  for (const RuntimeCheck& run : report.runs) {
    text += fmt::format("{:<10} {:<7} ", NameOf(run.level), run.fusion ? "on" : "off");
    if (!run.failure.empty()) {
      text += run.failure + "\n";
      continue;
    }
    const std::string same =
        report.classifies ? fmt::format("{:.2f} %", 100.0 * static_cast<double>(run.same_argmax) /
                                                        static_cast<double>(run.samples))
                          : "–";
    text += fmt::format("{:>8} {:>12} {:>12} {:>14.2e} {:>9.2e} {:>12.3f}\n", run.samples, same,
                        report.labelled ? std::to_string(run.correct) : "–", run.median_difference,
                        run.largest_difference, 1e3 * run.median_seconds);
  }
  const auto worst = std::max_element(
      report.layers.begin(), report.layers.end(),
      [](const LayerCheck& a, const LayerCheck& b) { return a.steps() < b.steps(); });
  if (worst != report.layers.end()) {
    text += fmt::format(
        "\neach layer fed with the runtime's input, fusion off: at most {:.3f} of the next "
        "quantizer's step (layer {})\n",
        worst->steps(), worst->name);
    for (const LayerCheck& layer : report.layers) {
      if (layer.steps() > kMostSteps) {
        text += fmt::format("  {} differs by {:.3g}, {:.2f} steps\n", layer.name,
                            layer.largest_difference, layer.steps());
      }
    }
  }
  for (const std::string& reason : report.reasons) text += "note: " + reason + "\n";
  text += report.agrees() ? "the file computes what was simulated\n"
                          : "THE FILE DOES NOT COMPUTE WHAT WAS SIMULATED\n";
  return text;
}

std::string VerifyJson(const VerifyReport& report) {
  Json runs = Json::array();
  for (const RuntimeCheck& run : report.runs) {
    Json item = {{"level", NameOf(run.level)}, {"fusion", run.fusion}};
    if (!run.failure.empty()) {
      item["failure"] = run.failure;
    } else {
      item["samples"] = run.samples;
      if (report.classifies) item["same_argmax"] = run.same_argmax;
      if (report.labelled) item["correct"] = run.correct;
      item["median_difference"] = run.median_difference;
      item["largest_difference"] = run.largest_difference;
      item["median_seconds"] = run.median_seconds;
    }
    runs.push_back(std::move(item));
  }
  Json layers = Json::array();
  for (const LayerCheck& layer : report.layers) {
    layers.push_back({{"name", layer.name},
                      {"largest_difference", layer.largest_difference},
                      {"next_step", layer.next_step}});
  }
  Json json = {{"format", "bitsearch/verification/1"},
               {"runtime", report.runtime},
               {"samples", report.samples}};
  if (report.labelled) json["simulated_correct"] = report.simulated_correct;
  json["agrees"] = report.agrees();
  json["runs"] = std::move(runs);
  json["layers"] = std::move(layers);
  json["reasons"] = report.reasons;
  return json.dump(1) + "\n";
}

}  // namespace bitsearch
