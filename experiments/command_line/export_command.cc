// The export command: finds the configuration and its network, calibrates it where the
// configuration stores no ranges, asks the table of formats, and has the result checked in a
// runtime.
#include "experiments/command_line/export_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/option_checks.h"
#include "experiments/deployment/calibrated_document.h"
#include "experiments/deployment/export_source.h"
#include "experiments/deployment/formats/config_format.h"
#include "experiments/deployment/verify.h"
#include "space/graph/onnx_writer.h"
#include "space/quantizer/tensor_plan.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

struct ExportOptions {
  std::string what;
  std::string format;
  std::string model;
  std::string choice;
  std::string out;
  std::vector<std::string> module_classes;
  std::string container = "compute";
  bool two_bit_types = false;
  std::string placement;
  std::string calibration;
  std::int64_t calibration_samples = 512;
  bool no_bias_correction = false;
  bool verify = false;
  std::string data;
  NormalisationOptions normalisation;
  std::int64_t samples = -1;
  std::string runtime;
  bool json = false;
};

std::vector<std::pair<std::string, std::string>> ModuleClasses(const ExportOptions& options) {
  std::vector<std::pair<std::string, std::string>> classes;
  for (const std::string& text : options.module_classes) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
      throw Error(ErrorId::kUsage, "got \"" + text + "\", allowed PATH=CLASS")
          .Key("--module-class")
          .Hint("for example --module-class .=ResNet --module-class 'layer?.*=BasicBlock'");
    }
    classes.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return classes;
}

OnnxExportOptions OnnxOptions(const ExportOptions& options) {
  const auto container = ParseContainer(options.container);
  if (!container) {
    throw Error(ErrorId::kUsage, "got \"" + options.container + "\" (allowed: storage, compute)")
        .Key("--container")
        .Hint("storage packs few bits tightly; compute is what integer kernels take");
  }
  if (options.two_bit_types && *container != Container::kStorage) {
    throw Error(ErrorId::kUsage, "the container compute has no 2-bit types")
        .Key("--int2")
        .Hint("add --container storage, or leave it out");
  }
  return {*container, options.two_bit_types, false};
}

void WarnOfFloatInputs(const ConfigDocument& document, CommandContext& context) {
  const auto quantized = std::count_if(
      document.layers.begin(), document.layers.end(),
      [](const ConfigLayer& layer) { return layer.choice.activation != NumberFormat::Float32(); });
  if (quantized == 0) return;
  context.run.progress->Warning(fmt::format(
      "placement weights_only: the activation bits of {} layers are left out", quantized));
}

/// Measures ranges and corrects biases where the user gives calibration data.
void Calibrate(const ExportOptions& options, bool needs_ranges, ExportSource& source,
               CommandContext& context) {
  if (!options.placement.empty()) {
    const Placement placement = PlacementNamed(options.placement);
    if (options.calibration.empty()) {
      throw Error(ErrorId::kUsage, "another placement needs other ranges")
          .Key("--placement")
          .Hint("add --calibration SPEC");
    }
    source.document.placement = placement;
    if (placement == Placement::kWeightsOnly) WarnOfFloatInputs(source.document, context);
  }
  if (options.calibration.empty()) {
    if (needs_ranges && LacksRanges(source.document, source.document.placement)) {
      throw Error(ErrorId::kUsage,
                  "the configuration quantizes activations and stores no ranges for them")
          .At({source.place})
          .Key("--calibration")
          .Hint("add --calibration SPEC and --model MODEL.onnx");
    }
    return;
  }
  RequireNoSkippedBlocks(source.document, source.place);
  const Dataset data =
      LoadData(options.calibration, options.normalisation, options.calibration_samples);
  context.run.progress->Log(fmt::format("calibrating on {} records (mean {}, std {}), placement {}",
                                        data.size(), fmt::join(options.normalisation.mean, ","),
                                        fmt::join(options.normalisation.std, ","),
                                        NameOf(source.document.placement)));
  CalibrationRequest request = CalibrationFor(source.document, *source.graph, source.place);
  request.calibration = &data;
  request.statistics = source.statistics;
  // Scales that training found, and integers chosen for the weights, are part of the network.
  StoredCalibration kept;
  kept.weight_grids = std::move(request.stored.weight_grids);
  kept.weight_codes = std::move(request.stored.weight_codes);
  request.stored = std::move(kept);
  std::vector<CalibrationStep> steps = StepsOf(source.document, source.place);
  for (std::vector<CalibrationStep>* list : {&steps, &request.spec.calibration}) {
    RemoveBiasSteps(*list);
    if (!options.no_bias_correction) list->push_back(CalibrationStep::kBiasCorrection);
  }
  source.document.calibration = NamesOf(steps);
  const auto backend = LoadTorchBackend(context.executable_folder);
  StoreQuantizers(*backend->Calibrate(request, context.run), source.place, source.document);
}

ExitCode Verify(const ExportOptions& options, const ExportSource& source,
                const LayerGraph& exported, CommandContext& context) {
  std::optional<Dataset> data;
  if (!options.data.empty()) {
    data = LoadData(options.data, options.normalisation, options.samples);
  } else if (source.report_data) {
    DataSpec spec = *source.report_data;
    if (options.samples > 0) spec.samples = options.samples;
    data = Dataset::Load(spec);
  } else {
    throw Error(ErrorId::kUsage, "nothing to verify on")
        .Key("--data")
        .Hint("add --data SPEC with --mean and --std");
  }
  const auto backend = LoadTorchBackend(context.executable_folder);
  const auto session =
      backend->Calibrate(CalibrationFor(source.document, *source.graph, source.place), context.run);
  const BitConfig config = ConfigForGraph(source.document, *source.graph, source.place);
  VerifyRequest request{*source.graph, exported, options.out, config, *data};
  request.tensors_quantized = QuantizesTensors(source.document.placement);
  request.runtime = FindRuntime(options.runtime, context.executable_folder);
  const VerifyReport report = VerifyExport(request, *session, context.run);
  context.out << (options.json ? VerifyJson(report) : VerifyText(report));
  if (report.agrees()) return ExitCode::kDone;
  context.out.flush();
  throw Error(ErrorId::kOutputMismatch, "the runtime does not compute what was simulated")
      .At({options.out})
      .Hint("the table says at which level and in which layer");
}

ExitCode Export(const ExportOptions& options, CommandContext& context) {
  const ConfigFormat& format = ConfigFormatNamed(options.format);
  const auto module_classes = ModuleClasses(options);
  const OnnxExportOptions onnx = OnnxOptions(options);
  if (format.binary && options.out.empty()) {
    throw Error(ErrorId::kUsage, "a file of format " + format.name + " is not text")
        .Key("--out")
        .Hint("add --out FILE");
  }
  if (options.verify && format.name != "onnx") {
    throw Error(ErrorId::kUsage, "only --format onnx can be run in ONNX Runtime")
        .Key("--verify")
        .Hint("leave it out, or export to onnx");
  }
  RequireWritable(options.out);
  if (options.verify) {
    RequireRuntime(FindRuntime(options.runtime, context.executable_folder), context.run);
  }
  ExportSource source = LoadExportSource(options.what, options.model, options.choice,
                                         format.needs_model || !options.calibration.empty());
  if (format.holds_quantizers && source.graph) {
    Calibrate(options, format.needs_ranges, source, context);
  }
  const ExportedFile file =
      ExportConfig(format, {source.document, source.graph ? &*source.graph : nullptr, source.place,
                            module_classes, onnx});
  for (const std::string& note : source.notes) context.run.progress->Warning(note);
  for (const std::string& note : file.notes) context.run.progress->Warning(note);
  if (options.out.empty()) {
    context.out << file.content;
    return ExitCode::kDone;
  }
  WriteFileAtomically(options.out, file.content);
  if (!options.verify) {
    context.out << options.out << '\n';
    return ExitCode::kDone;
  }
  return Verify(options, source, *file.network, context);
}

std::string Footer() {
  std::string footer = "Formats:\n";
  for (const ConfigFormat& format : ConfigFormats()) {
    footer += fmt::format("  {:<9} {}\n", format.name, format.description);
  }
  return footer +
         "What a format cannot hold is refused, layer by layer; what it leaves out is said on "
         "standard error (docs/deployment.md).";
}

}  // namespace

void AddExportCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand(
      "export", "Write a configuration as a file that another tool or a runtime reads");
  command
      ->add_option("WHAT", options->what,
                   "A run's folder, or a configuration's file in any of the formats")
      ->required();
  command->add_option("--format", options->format, "One of the formats below")->required();
  command->add_option("--model", options->model,
                      "The float network; for a run, instead of the run's own");
  command->add_option(
      "--choice", options->choice,
      "Of a run with several budgets: the budget's name, or goal; NAME/tuned: the network "
      "that was trained at its bits");
  command->add_option("--out", options->out, "The file to write (default: standard output)");
  command
      ->add_option("--module-class", options->module_classes,
                   "PATH=CLASS: the PyTorch class of a module (nncf); may be given several times")
      ->allow_extra_args(false)
      ->take_all();
  command
      ->add_option("--container", options->container,
                   "onnx: storage (4 bits in INT4) or compute (INT8 with the low-bit scale)")
      ->capture_default_str();
  command->add_flag("--int2", options->two_bit_types,
                    "onnx, storage: 2-bit codes in INT2 (opset 25) instead of INT4");
  command->add_option("--placement", options->placement,
                      "Where tensors are quantized, instead of what the configuration says");
  command->add_option("--calibration", options->calibration,
                      "Data for ranges and bias correction, instead of what the file stores");
  command->add_option("--calibration-samples", options->calibration_samples)
      ->check(IntegerText(1, 1 << 24))
      ->capture_default_str();
  command->add_flag("--no-bias-correction", options->no_bias_correction, "Calibrate ranges only");
  command->add_flag("--verify", options->verify,
                    "onnx: run the file in ONNX Runtime and compare with the simulation");
  command->add_option("--data", options->data,
                      "Records to verify on (default: those the run reports on)");
  AddNormalisationOptions(*command, options->normalisation);
  command->add_option("--samples", options->samples, "Verify on the first N records")
      ->check(IntegerText(1, std::int64_t{1} << 40));
  command->add_option("--runtime", options->runtime,
                      "Command that runs a Node.js script (default: node)");
  command->add_flag("--json", options->json, "Print the verification as JSON");
  command->footer(Footer());
  command->callback([options, &context] {
    context.action = [options, &context] { return Export(*options, context); };
  });
}

}  // namespace bitsearch
