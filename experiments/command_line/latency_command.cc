// Options and output of latency measure, import and show.
#include "experiments/command_line/latency_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "experiments/command_line/latency_check_command.h"
#include "experiments/command_line/model_options.h"
#include "experiments/command_line/option_checks.h"
#include "experiments/deployment/fixed_ranges.h"
#include "space/graph/rewrites.h"
#include "space/hardware/analytic.h"
#include "space/hardware/command_measure.h"
#include "space/hardware/importers.h"
#include "space/hardware/latency_backend.h"
#include "space/hardware/latency_csv.h"
#include "space/hardware/machine_info.h"
#include "space/hardware/network_latency.h"
#include "space/hardware/onednn_measure.h"
#include "space/hardware/onnxruntime_measure.h"
#include "space/hardware/table_warnings.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

BitChoice ParseBits(const std::string& text, const std::string& option) {
  const std::size_t comma = text.find(',');
  const auto weight = NumberFormat::Parse(text.substr(0, comma));
  const auto activation = comma == std::string::npos
                              ? weight
                              : NumberFormat::Parse(std::string_view(text).substr(comma + 1));
  if (weight && activation) return {*weight, *activation};
  throw Error(ErrorId::kUsage, "got bits '" + text +
                                   "' (allowed: W,A of 1 to 16, ternary, fp16, "
                                   "bf16, fp32)")
      .Key(option);
}

/// "8,8=FILE" → bits and file; "FILE" → no bits.
std::pair<std::optional<BitChoice>, std::string> SplitSetting(const std::string& text,
                                                              const std::string& option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return {std::nullopt, text};
  return {ParseBits(text.substr(0, equals), option), text.substr(equals + 1)};
}

void PrintWarnings(const std::vector<std::string>& warnings, CommandContext& context) {
  for (const std::string& warning : warnings) context.run.progress->Warning(warning);
}

/// Entries by layer, edges, fixed time, and what is suspicious about them.
void PrintTable(const LatencyTable& table, CommandContext& context) {
  std::ostream& out = context.out;
  for (const auto& [name, value] : table.provenance()) out << name << ": " << value << "\n";
  out << fmt::format("{} entries of {} layers or shapes, {} edge times, fixed {} us\n\n",
                     table.rows().size(), table.keys().size(), table.transitions().size(),
                     MicrosecondsText(table.fixed_ns()));
  std::vector<BitChoice> choices;
  for (const LatencyTable::Row& row : table.rows()) {
    if (std::find(choices.begin(), choices.end(), row.choice) == choices.end()) {
      choices.push_back(row.choice);
    }
  }
  std::size_t width = 5;
  for (const std::string& key : table.keys()) width = std::max(width, key.size());
  out << fmt::format("{:<{}}", "layer", width);
  for (const BitChoice choice : choices) out << fmt::format("  {:>18}", choice.ToString());
  out << "   (us, +- spread of one run)\n";
  std::map<BitChoice, std::int64_t> sums;
  for (const std::string& key : table.keys()) {
    out << fmt::format("{:<{}}", key, width);
    for (const BitChoice choice : choices) {
      const LatencyEntry* entry = table.Find(key, choice);
      std::string cell = "-";
      if (entry != nullptr) {
        sums[choice] += entry->latency_ns;
        cell = MicrosecondsText(entry->latency_ns);
        if (entry->stddev_ns) cell += " +- " + MicrosecondsText(*entry->stddev_ns);
      }
      out << fmt::format("  {:>18}", cell);
    }
    out << "\n";
  }
  out << fmt::format("{:<{}}", "sum", width);
  for (const BitChoice choice : choices) {
    out << fmt::format("  {:>18}", MicrosecondsText(sums[choice]));
  }
  out << "\n";
  PrintWarnings(TableWarnings(table), context);
}

struct MeasureCommandOptions {
  std::string model;
  std::vector<std::string> shapes;
  std::string backend = "onednn";
  std::string device;
  std::string runtime;
  std::string command;
  std::vector<std::string> choices;
  std::string container{NameOf(Container::kCompute)};
  int repetitions = 0;  ///< 0: the backend's default.
  std::string out;
};

constexpr int kCommandRounds = 5;  // A program is started for each.

/// The choices of `--choices 8,8 4,fp32`, fp32 first; by default fp32 and 8,8.
std::vector<BitChoice> MeasuredChoices(const MeasureCommandOptions& options) {
  std::vector<BitChoice> choices = {{NumberFormat::Float32(), NumberFormat::Float32()}};
  const auto add = [&](BitChoice choice) {
    if (std::find(choices.begin(), choices.end(), choice) == choices.end()) {
      choices.push_back(choice);
    }
  };
  for (const std::string& text : options.choices) add(ParseBits(text, "--choices"));
  if (options.choices.empty()) add({NumberFormat::Integer(8), NumberFormat::Integer(8)});
  return choices;
}

/// An option that only one backend reads.
void RequireBackend(const std::string& backend, const std::string& wanted, bool given,
                    const std::string& option) {
  if (!given || backend == wanted) return;
  throw Error(ErrorId::kUsage, "the backend " + backend + " does not read it")
      .Key(option)
      .Hint("leave it out, or use --backend " + wanted);
}

/// Measures with the backend that was asked for.
Measurement MeasureOn(const MeasureCommandOptions& options, const LayerGraph& graph,
                      MeasureOptions measure, CommandContext& context) {
  if (options.backend == "onednn") {
    return OnednnBackend().Measure(graph, options.model, measure, context.run);
  }
  const Container container = *ParseContainer(options.container);
  const std::vector<BitChoice> choices = MeasuredChoices(options);
  for (const BitChoice choice : choices) {
    measure.command +=
        " --choices " + choice.weight.ToString() + "," + choice.activation.ToString();
  }
  measure.command += " --container " + options.container;
  const LayerGraph folded = FoldBatchNorm(graph);
  const ModelWriter writer = FixedRangeWriter(folded, container);
  Measurement result;
  if (options.backend == "onnxruntime") {
    OnnxRuntimeBackend backend(FindRuntime(options.runtime, context.executable_folder), choices,
                               writer);
    result = backend.Measure(folded, options.model, measure, context.run);
  } else {
    measure.command += " --command '" + options.command + "'";
    CommandBackend backend(options.command, choices, writer);
    result = backend.Measure(folded, options.model, measure, context.run);
  }
  result.table.SetProvenance("container", options.container);
  result.table.SetProvenance("quantized",
                             "uniformly, placement runtime, with made-up ranges (times do not "
                             "depend on them)");
  return result;
}

ExitCode Measure(const MeasureCommandOptions& options, CommandContext& context) {
  RequireBackend(options.backend, "analytic", !options.device.empty(), "--device");
  RequireBackend(options.backend, "onnxruntime", !options.runtime.empty(), "--runtime");
  RequireBackend(options.backend, "command", !options.command.empty(), "--command");
  if (options.backend == "command") CommandFor(options.command, "");
  RequireWritable(options.out);
  const LayerGraph graph = ReadModel(options.model, options.shapes);
  if (options.backend == "analytic") {
    if (options.device.empty()) {
      throw Error(ErrorId::kUsage, "the analytic backend needs a device")
          .Key("--device")
          .Hint("give a YAML file with `model: roofline`, `bit_fusion` or `bit_serial`");
    }
    std::vector<BitChoice> candidates = {{NumberFormat::Float32(), NumberFormat::Float32()}};
    for (int weight = 1; weight <= 8; ++weight) {
      for (int activation = 1; activation <= 8; ++activation) {
        candidates.push_back({NumberFormat::Integer(weight), NumberFormat::Integer(activation)});
      }
    }
    LatencyTable table =
        AnalyticTable(ReadAnalyticDeviceFile(options.device), LayerKeysOf(graph), candidates);
    table.SetProvenance("model", options.model);
    WriteLatencyCsv(table, options.out);
    context.run.progress->Log("written: " + options.out + " (a model, not a measurement)");
    return ExitCode::kDone;
  }
  MeasureOptions measure;
  measure.repetitions = options.repetitions > 0        ? options.repetitions
                        : options.backend == "command" ? kCommandRounds
                                                       : MeasureOptions{}.repetitions;
  measure.command = fmt::format("bitsearch latency measure {} --backend {} --repetitions {}",
                                options.model, options.backend, measure.repetitions);
  for (const std::string& shape : options.shapes) measure.command += " --shape " + shape;
  measure.date = UtcNow();
  const Measurement result = MeasureOn(options, graph, measure, context);
  const std::string samples_path = SamplesPathFor(options.out);
  WriteLatencyCsv(result.table, options.out, TransitionsPathFor(options.out));
  WriteFileAtomically(samples_path, RawSamplesCsvText(result.raw));
  PrintWarnings(result.warnings, context);
  PrintTable(result.table, context);
  const std::string transitions = TransitionsPathFor(options.out);
  context.out << "written: " << options.out << ", "
              << (std::filesystem::exists(transitions) ? transitions + ", " : "") << samples_path
              << "\n";
  return ExitCode::kDone;
}

struct ImportCommandOptions {
  std::vector<std::string> shapes;
  std::string tool;
  std::vector<std::string> files;
  std::vector<std::string> layer_info;
  std::vector<std::string> optimized_models;
  std::string model;
  std::string out;
};

using FileOfBits = std::map<BitChoice, std::string>;

FileOfBits BySetting(const std::vector<std::string>& texts, const std::string& option) {
  FileOfBits files;
  for (const std::string& text : texts) {
    const auto [bits, file] = SplitSetting(text, option);
    if (!bits) {
      throw Error(ErrorId::kUsage, "got '" + text + "' without its bits")
          .Key(option)
          .Hint("say which setting it belongs to, as in 8,8=FILE or fp32,fp32=FILE");
    }
    files[*bits] = file;
  }
  return files;
}

std::string FileOf(const FileOfBits& files, BitChoice choice) {
  const auto found = files.find(choice);
  return found == files.end() ? "" : found->second;
}

ImportedProfile ImportOne(const ImportCommandOptions& options, const std::string& text,
                          const std::vector<LayerKey>& layers, const LayerGraph* graph) {
  const auto [bits, file] = SplitSetting(text, "FILE");
  if (options.tool == "haq") return ImportHaq(file, layers);
  if (options.tool == "hawq") return ImportHawq(file, layers);
  if (options.tool == "csv") return {ReadLatencyCsv(file), {}};
  if (!bits) {
    throw Error(ErrorId::kUsage, "got '" + text + "' without its bits")
        .Key("FILE")
        .Hint("this tool's files do not say their bits: write 8,8=" + text);
  }
  if (options.tool == "tensorrt") {
    return ImportTensorRt(file, FileOf(BySetting(options.layer_info, "--layer-info"), *bits), *bits,
                          layers);
  }
  if (options.tool == "onnxruntime") {
    return ImportOnnxRuntime(
        file, FileOf(BySetting(options.optimized_models, "--optimized-model"), *bits), *bits,
        layers, graph);
  }
  if (options.tool == "openvino") return ImportOpenVino(file, *bits, layers);
  return ImportOnceForAll(file, *bits);
}

ExitCode Import(const ImportCommandOptions& options, CommandContext& context) {
  std::optional<LayerGraph> graph;
  std::vector<LayerKey> layers;
  if (!options.model.empty()) {
    graph = ReadModel(options.model, options.shapes);
    layers = LayerKeysOf(*graph);
  }
  if (options.tool == "apq") {
    if (options.files.size() != 1) {
      throw Error(ErrorId::kUsage,
                  "apq takes one file, got " + std::to_string(options.files.size()))
          .Key("FILE")
          .Hint("import each table by a command of its own");
    }
    const ImportedCosts imported = ImportApq(options.files.front());
    std::string energy_path = options.out;
    if (energy_path.ends_with(".csv")) energy_path.resize(energy_path.size() - 4);
    energy_path += ".energy.csv";
    WriteLatencyCsv(imported.profile.table, options.out);
    WriteFileAtomically(energy_path, CostCsvText(imported.energy));
    context.out << imported.profile.table.rows().size() << " entries of "
                << imported.profile.table.keys().size() << " shapes\nwritten: " << options.out
                << ", " << energy_path << "\n";
    return ExitCode::kDone;
  }
  TableMerger merger;
  for (const std::string& text : options.files) {
    WithPlace({text},
              [&] { merger.Add(ImportOne(options, text, layers, graph ? &*graph : nullptr)); });
  }
  const ImportedProfile merged = merger.Finish();
  PrintWarnings(merged.warnings, context);
  const std::string transitions = TransitionsPathFor(options.out);
  WriteLatencyCsv(merged.table, options.out, transitions);
  context.out << merged.table.rows().size() << " entries of " << merged.table.keys().size()
              << " layers, " << merged.table.transitions().size()
              << " edge times\nwritten: " << options.out
              << (merged.table.transitions().empty() ? "" : ", " + transitions) << "\n";
  PrintWarnings(TableWarnings(merged.table), context);
  return ExitCode::kDone;
}

void AddMeasure(CLI::App& latency, CommandContext& context) {
  const auto options = std::make_shared<MeasureCommandOptions>();
  CLI::App* command = latency.add_subcommand("measure", "Measure a model's layers on this machine");
  command->add_option("MODEL.onnx", options->model, "The float model")->required();
  AddShapeOption(*command, options->shapes);
  command
      ->add_option("--backend", options->backend,
                   "onednn: FP32 and INT8 kernels; onnxruntime: the network in ONNX Runtime; "
                   "command: a program that prints seconds; analytic: a device described in YAML")
      ->check(NameText({"onednn", "onnxruntime", "command", "analytic"}));
  command->add_option("--device", options->device, "analytic: the device, a YAML file");
  command->add_option("--runtime", options->runtime,
                      "onnxruntime: command that runs a Node.js script (default: node)");
  command->add_option("--command", options->command,
                      "command: runs one model, {model}, and prints seconds, one number a line");
  command
      ->add_option("--choices", options->choices,
                   "onnxruntime, command: W,A to measure beside fp32 (default: 8,8)")
      ->take_all();
  command
      ->add_option("--container", options->container,
                   "onnxruntime, command: storage (4 bits in INT4) or compute (INT8)")
      ->check(NameText({"storage", "compute"}))
      ->capture_default_str();
  command
      ->add_option("--repetitions", options->repetitions,
                   "Timed runs of each kernel or network (default: 50; command: 5 of the "
                   "program)")
      ->check(IntegerText(1, 1'000'000));
  command->add_option("--out", options->out, "The table to write, a CSV")->required();
  command->callback([options, &context] {
    context.action = [options, &context] { return Measure(*options, context); };
  });
}

void AddImport(CLI::App& latency, CommandContext& context) {
  const auto options = std::make_shared<ImportCommandOptions>();
  CLI::App* command = latency.add_subcommand("import", "Make a table from other tools' profiles");
  command->add_option("--tool", options->tool, "Who wrote the files")
      ->required()
      ->check(
          NameText({"tensorrt", "onnxruntime", "openvino", "haq", "apq", "hawq", "ofa", "csv"}));
  command
      ->add_option("FILE", options->files,
                   "Profiles, one for each uniform setting as W,A=FILE; tables as FILE")
      ->required();
  command->add_option("--model", options->model, "The ONNX model whose layers are meant");
  AddShapeOption(*command, options->shapes);
  command->add_option("--layer-info", options->layer_info,
                      "TensorRT: W,A=FILE of --exportLayerInfo");
  command->add_option("--optimized-model", options->optimized_models,
                      "ONNX Runtime: W,A=FILE of the saved optimized model");
  command->add_option("--out", options->out, "The table to write, a CSV")->required();
  command->callback([options, &context] {
    context.action = [options, &context] { return Import(*options, context); };
  });
}

void AddShow(CLI::App& latency, CommandContext& context) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command = latency.add_subcommand("show", "Print a table and what is suspicious in it");
  command->add_option("TABLE.csv", *path, "The table")->required();
  command->callback([path, &context] {
    context.action = [path, &context] {
      LatencyTable table = ReadLatencyCsv(*path);
      const std::string transitions = TransitionsPathFor(*path);
      if (std::filesystem::exists(transitions)) ReadTransitionsCsv(transitions, &table);
      PrintTable(table, context);
      return ExitCode::kDone;
    };
  });
}

}  // namespace

void AddLatencyCommand(CLI::App& app, CommandContext& context) {
  CLI::App* latency = app.add_subcommand("latency", "Build or look at a latency table");
  latency->require_subcommand(1);
  AddMeasure(*latency, context);
  AddImport(*latency, context);
  AddShow(*latency, context);
  AddLatencyCheck(*latency, context);
}

}  // namespace bitsearch
