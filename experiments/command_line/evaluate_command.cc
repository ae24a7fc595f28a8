// The evaluate command: loads model, data and configuration, and asks the LibTorch module.
#include "experiments/command_line/evaluate_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/option_checks.h"
#include "experiments/config_file.h"
#include "experiments/deployment/calibrated_document.h"
#include "experiments/deployment/formats/config_format.h"
#include "experiments/tensor_files.h"
#include "experiments/torch_backend.h"
#include "space/graph/onnx_reader.h"
#include "space/quantizer/float_network.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

struct EvaluateOptions {
  std::string model;
  std::string data;
  NormalisationOptions normalisation;
  std::int64_t first = 0;
  std::int64_t samples = -1;
  std::string config;
  std::string placement;
  std::string calibration;
  std::int64_t calibration_samples = 512;
  bool no_bias_correction = false;
  std::string calibration_steps;
  std::vector<std::string> inputs;
  std::string expect;
  std::string shape;
  double tolerance = 1e-4;
  std::string device = "cpu";
  bool json = false;
};

ExitCode CompareOutput(const EvaluateOptions& options, CommandContext& context) {
  const LayerGraph graph = ReadOnnx(options.model);
  std::vector<FloatTensor> inputs(graph.inputs().size());
  std::vector<bool> given(inputs.size(), false);
  for (const std::string& text : options.inputs) {
    const std::size_t equals = text.find('=');
    std::size_t slot = 0;
    if (equals != std::string::npos) {
      const std::string name = text.substr(0, equals);
      while (slot < inputs.size() && graph.tensor(graph.inputs()[slot]).name != name) ++slot;
      if (slot == inputs.size()) {
        throw Error(ErrorId::kUsage, "the network has no input '" + name + "'")
            .Key("--input")
            .Hint("its first input is '" + graph.tensor(graph.inputs()[0]).name + "'");
      }
    }
    const std::string file = equals == std::string::npos ? text : text.substr(equals + 1);
    inputs[slot] = ReadTensorFile(file, options.shape);
    given[slot] = true;
  }
  for (std::size_t slot = 0; slot < given.size(); ++slot) {
    if (!given[slot]) {
      throw Error(ErrorId::kUsage, "no value for the network's input '" +
                                       graph.tensor(graph.inputs()[slot]).name + "'")
          .Key("--input")
          .Hint("give --input NAME=FILE once for each input");
    }
  }
  const FloatTensor output =
      LoadTorchBackend(context.executable_folder)->Run(graph, inputs, options.device).front();
  const std::vector<float> expected = ReadExpectedValues(options.expect, output.values.size());
  std::size_t worst = 0;
  double largest = -1.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference =
        std::fabs(static_cast<double>(output.values[i]) - static_cast<double>(expected[i]));
    // A NaN on either side is worse than any number.
    const double rank =
        std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
    if (rank > largest) {
      largest = rank;
      worst = i;
    }
  }
  std::string place;
  std::size_t rest = worst;
  for (std::size_t a = output.shape.size(); a-- > 0;) {
    const auto extent = static_cast<std::size_t>(output.shape[a]);
    place = std::to_string(rest % extent) + (place.empty() ? "" : ", ") + place;
    rest /= extent;
  }
  const bool agrees = largest <= options.tolerance;
  if (options.json) {
    const nlohmann::ordered_json json = {{"elements", expected.size()},
                                         {"largest_difference", largest},
                                         {"at", "[" + place + "]"},
                                         {"tolerance", options.tolerance},
                                         {"agrees", agrees}};
    context.out << json.dump(1) << '\n';
  } else {
    context.out << fmt::format(
        "{} elements, largest difference {:.3g} at [{}]: {} where {} is expected (tolerance "
        "{:g})\n",
        expected.size(), largest, place, output.values[worst], expected[worst], options.tolerance);
  }
  if (agrees) return ExitCode::kDone;
  context.out.flush();
  throw Error(ErrorId::kOutputMismatch, fmt::format("differs by {:.3g} at [{}], allowed {:g}",
                                                    largest, place, options.tolerance))
      .At({options.expect})
      .Hint("is it the output of this network for this input? --tolerance sets what is allowed");
}

ExitCode EvaluateData(const EvaluateOptions& options, CommandContext& context) {
  const LayerGraph model = ReadOnnx(options.model);
  FloatNetwork network = PrepareFloatNetwork(model, /*fold_batch_norm=*/true, {});
  CalibrationRequest request;
  BitConfig config = BitConfig::Uniform(network.graph.layers().size(), {});
  request.spec.placement = Placement::kWeightsOnly;
  request.spec.calibration.clear();
  if (!options.config.empty()) {
    ImportedConfig imported = ReadAnyConfig(options.config, &network.graph);
    for (const std::string& note : imported.notes) context.run.progress->Warning(note);
    ConfigDocument& document = imported.document;
    config = ConfigForGraph(document, network.graph, options.config);
    const bool other_steps = !options.calibration_steps.empty();
    if (other_steps) SetSteps(CalibrationStepsOf(options.calibration_steps), document);
    network =
        PrepareFloatNetwork(model, /*fold_batch_norm=*/true, StepsOf(document, options.config));
    request = CalibrationFor(document, network.graph, options.config);
    if (!options.placement.empty()) request.spec.placement = PlacementNamed(options.placement);
    // Elsewhere quantized, a layer's correction is another one. Integer arithmetic has that of its
    // simulation.
    const bool elsewhere =
        request.spec.placement != document.placement &&
        !(QuantizesTensors(request.spec.placement) && QuantizesTensors(document.placement));
    if (options.no_bias_correction || elsewhere) {
      request.stored.corrections.clear();
    }
    if (config == BitConfig::Uniform(config.choices.size(), {})) {
      // Nothing is quantized, so nothing is calibrated.
      request.spec.placement = Placement::kWeightsOnly;
      request.spec.calibration.clear();
    }
    std::vector<CalibrationStep>& steps = request.spec.calibration;
    const bool corrects = std::any_of(steps.begin(), steps.end(), [](CalibrationStep step) {
      return InfoOf(step).phase == CalibrationPhase::kBiases;
    });
    if (options.no_bias_correction) {
      RemoveBiasSteps(steps);
    } else if (!corrects && !options.calibration.empty() && !other_steps) {
      steps.push_back(CalibrationStep::kBiasCorrection);
    }
    if (request.spec.Has(CalibrationStep::kBiasCorrection) && options.calibration.empty() &&
        request.stored.corrections.empty()) {
      throw Error(ErrorId::kUsage,
                  "the configuration was measured with bias correction, and the corrected biases "
                  "are not in the file: correcting them needs calibration data")
          .At({options.config})
          .Key("calibration")
          .Hint(
              "add --calibration SPEC and --calibration-samples N as the run had them, or "
              "--no-bias-correction");
    }
    if (options.calibration.empty() && LacksRanges(document, request.spec.placement)) {
      throw Error(ErrorId::kUsage,
                  "the configuration quantizes activations whose ranges it does not store, and no "
                  "calibration data are given")
          .At({options.config})
          .Hint("add --calibration SPEC");
    }
  }
  const Dataset data =
      LoadData(options.data, options.normalisation, options.samples, options.first);
  std::optional<Dataset> calibration;
  if (!options.calibration.empty() && !options.config.empty()) {
    calibration = LoadData(options.calibration, options.normalisation, options.calibration_samples);
    request.calibration = &*calibration;
    // Scales that training found, and integers chosen for the weights, are part of the network.
    StoredCalibration kept;
    kept.weight_grids = std::move(request.stored.weight_grids);
    kept.weight_codes = std::move(request.stored.weight_codes);
    request.stored = std::move(kept);
  }
  request.graph = std::move(network.graph);
  request.statistics = std::move(network.statistics);
  request.device = options.device;
  const auto backend = LoadTorchBackend(context.executable_folder);
  const auto session = backend->Calibrate(request, context.run);
  const Evaluation result =
      options.config.empty()
          ? session->EvaluateFloat(data, context.run)
          : session->MakeEvaluator(data, context.run, /*compare_with_float=*/!data.labelled())
                ->Evaluate(std::span(&config, 1))[0];
  if (!result.labelled()) {
    if (options.json) {
      nlohmann::ordered_json json = {{"format", "bitsearch/evaluation/1"},
                                     {"samples", result.samples},
                                     {"output_error_percent", result.output_error_percent()}};
      if (!std::isnan(result.kl_nats)) json["kl_nats"] = result.kl_nats;
      context.out << json.dump(1) << '\n';
    } else {
      context.out << fmt::format(
          "{} records without labels: output error {:.4g} % of the float network's output{}\n",
          result.samples, result.output_error_percent(),
          std::isnan(result.kl_nats) ? "" : fmt::format(", KL {:.4g} nats", result.kl_nats));
    }
    return ExitCode::kDone;
  }
  if (options.json) {
    const nlohmann::ordered_json json = {{"format", "bitsearch/evaluation/1"},
                                         {"samples", result.samples},
                                         {"correct", result.correct},
                                         {"top1_percent", result.top1_percent()},
                                         {"loss_nats", result.loss_nats}};
    context.out << json.dump(1) << '\n';
  } else {
    context.out << fmt::format("{} of {} correct: top-1 {:.2f} %, loss {:.4f} nats\n",
                               result.correct, result.samples, result.top1_percent(),
                               result.loss_nats);
  }
  return ExitCode::kDone;
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command = app.add_subcommand(
      "evaluate", "Measure a network, float or quantized, or compare its output with another's");
  command->add_option("MODEL.onnx", options->model, "The float network")->required();
  CLI::Option* data = command->add_option(
      "--data", options->data,
      "Data: cifar10:FILE[,FILE], idx:IMAGES,LABELS or npy:X,Y; or npy:X, without "
      "labels, for the output error of a configuration");
  AddNormalisationOptions(*command, options->normalisation);
  constexpr std::int64_t kMostRecords = std::int64_t{1} << 40;
  command->add_option("--first", options->first, "Leave out the first N records of --data")
      ->check(IntegerText(0, kMostRecords))
      ->needs(data)
      ->capture_default_str();
  command->add_option("--samples", options->samples, "Use N records (default: all)")
      ->check(IntegerText(1, kMostRecords));
  command->add_option("--config", options->config, "Bits of each layer (bitsearch/config/1)")
      ->needs(data);
  command->add_option("--placement", options->placement,
                      "Where tensors are quantized, instead of what the configuration says");
  command->add_option("--calibration", options->calibration,
                      "Data for activation ranges and bias correction; without it, those that the "
                      "configuration stores");
  command->add_option("--calibration-samples", options->calibration_samples)
      ->check(IntegerText(1, 1 << 24))
      ->capture_default_str();
  CLI::Option* no_correction = command->add_flag(
      "--no-bias-correction", options->no_bias_correction, "Leave bias corrections out");
  command
      ->add_option("--calibration-steps", options->calibration_steps,
                   "Instead of those of the configuration, which stores what they found. " +
                       CalibrationStepsHelp())
      ->needs("--config")
      ->excludes(no_correction);
  CLI::Option* input = command->add_option("--input", options->inputs,
                                           "[NAME=]FILE: .npy, or raw float32 with --shape");
  CLI::Option* expect = command->add_option("--expect", options->expect,
                                            "Expected first output: .npy or raw float32");
  input->needs(expect)->excludes(data);
  expect->needs(input);
  command->add_option("--shape", options->shape, "Shape of a raw input: 1,3,48,160");
  command->add_option("--tolerance", options->tolerance, "Largest difference that still agrees")
      ->check(NumberText(0.0))
      ->capture_default_str();
  command->add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &context] {
    context.action = [options, &context] {
      if (options->data.empty() && options->inputs.empty()) {
        throw Error(ErrorId::kUsage, "nothing to evaluate on")
            .Hint("give --data SPEC, or --input FILE with --expect FILE");
      }
      return options->data.empty() ? CompareOutput(*options, context)
                                   : EvaluateData(*options, context);
    };
  });
}

}  // namespace bitsearch
