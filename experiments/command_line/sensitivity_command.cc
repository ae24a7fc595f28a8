// The sensitivity command: loads model and data, asks the LibTorch module, writes the CSV files.
#include "experiments/command_line/sensitivity_command.h"

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/option_checks.h"
#include "experiments/journal.h"
#include "experiments/torch_backend.h"
#include "sensitivity/measure.h"
#include "sensitivity/sensitivity_report.h"
#include "space/graph/onnx_reader.h"
#include "space/quantizer/float_network.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

struct SensitivityOptions {
  std::string model;
  std::string data;
  NormalisationOptions normalisation;
  std::int64_t first = 0;
  std::int64_t samples = 512;
  std::string method = "perturbation";
  std::int64_t probes = 64;
  double relative_error = 0.0;
  double time_limit_s = 0.0;
  std::int64_t batch_size = 128;
  std::string score = "half";
  std::string weight_bits = "2,3,4,5,6,8";
  std::string activation_bits = "fp32";
  std::string calibration;
  std::int64_t calibration_samples = 512;
  bool no_bias_correction = false;
  std::string calibration_steps = "bias_correction";
  std::uint64_t seed = 0;
  std::string device = "cpu";
  std::string pairs = "none";
  std::string out;
  std::string trace_out;
  std::string pairs_out;
  std::string journal;
};

std::vector<NumberFormat> FormatsOf(const std::string& text, const char* option) {
  std::vector<NumberFormat> formats;
  std::istringstream stream(text);
  std::string word;
  while (std::getline(stream, word, ',')) {
    const auto format = NumberFormat::Parse(word);
    if (!format || format->bits() == 0) {
      throw Error(ErrorId::kUsage, "'" + word + "' is no number format")
          .Key(option)
          .Hint("use 1 to 16, ternary, fp16, bf16 or fp32, with commas between");
    }
    formats.push_back(*format);
  }
  if (formats.empty()) {
    throw Error(ErrorId::kUsage, "got no number format").Key(option).Hint("as in 2,4,8");
  }
  return formats;
}

/// Before the work, not after it.
void RequireTraces(const SensitivityOptions& options) {
  if (options.trace_out.empty()) return;
  const bool by_running = options.method == "perturbation" || options.method == "kl" ||
                          options.method == "loss" || options.method == "output-mse" ||
                          options.method == "second-order";
  if (!by_running) return;
  throw Error(ErrorId::kUsage, "method '" + options.method + "' has no traces")
      .Key("--trace-out")
      .Hint("leave it out, or use hutchinson, hutchpp, xtrace, gauss-newton, fisher or eigenvalue");
}

PairRequest PairsOf(const SensitivityOptions& options) {
  const auto request = ParsePairRequest(options.pairs);
  if (!request) {
    throw Error(ErrorId::kUsage, "got '" + options.pairs +
                                     "' (allowed: none, neighbours, or how many runs of two layers)")
        .Key("--pairs");
  }
  const bool wanted = request->kind != PairRequest::Kind::kNone;
  if (wanted && !SensitivityHasPairs(options.method)) {
    throw Error(ErrorId::kUsage, "method '" + options.method + "' measures no pairs of layers")
        .Key("--pairs")
        .Hint("pairs go with perturbation, loss and output-mse");
  }
  if (wanted != !options.pairs_out.empty()) {
    throw Error(ErrorId::kUsage, "--pairs and --pairs-out go together")
        .Hint("as in --pairs neighbours --pairs-out pairs.csv, for solve --pairs pairs.csv");
  }
  return *request;
}

/// What journaled items depend on beside their keys, which name method, layer, choice and round.
std::string ItemHash(const SensitivityOptions& options) {
  std::string text = fmt::format(
      "model {} batch {} seed {} calibration {} steps {} {} quantized {} device {}",
      Sha256OfFile(options.model), options.batch_size, options.seed, options.calibration_samples,
      options.calibration_steps, !options.no_bias_correction, options.activation_bits != "fp32",
      options.device);
  for (const std::string& spec : {options.data, options.calibration}) {
    if (spec.empty()) continue;
    for (const auto& path : DataSpec::Parse(spec).paths) text += fmt::format(" {}", Sha256OfFile(path));
  }
  text += fmt::format(" records {} {}", options.first, options.samples);
  for (const float value : options.normalisation.mean) text += fmt::format(" {}", value);
  for (const float value : options.normalisation.std) text += fmt::format(" {}", value);
  return Sha256(text);
}

ExitCode Measure(const SensitivityOptions& options, CommandContext& context) {
  RequireWritable(options.out);
  RequireWritable(options.trace_out);
  RequireWritable(options.pairs_out);
  RequireTraces(options);
  const PairRequest pairs = PairsOf(options);
  const auto weights = FormatsOf(options.weight_bits, "--weight-bits");
  const auto activations = FormatsOf(options.activation_bits, "--activation-bits");
  CalibrationRequest calibration;
  calibration.spec.calibration = CalibrationStepsOf(options.calibration_steps);
  if (options.no_bias_correction) RemoveBiasSteps(calibration.spec.calibration);
  FloatNetwork network = PrepareFloatNetwork(ReadOnnx(options.model), /*fold_batch_norm=*/true,
                                             calibration.spec.calibration);
  calibration.graph = std::move(network.graph);
  calibration.statistics = std::move(network.statistics);
  calibration.device = options.device;
  bool quantizes_activations = false;
  for (const NumberFormat format : activations) {
    quantizes_activations = quantizes_activations || format != NumberFormat::Float32();
  }
  calibration.spec.placement =
      quantizes_activations ? Placement::kLayerInputs : Placement::kWeightsOnly;
  const Dataset data =
      LoadData(options.data, options.normalisation, options.samples, options.first);
  std::optional<Dataset> calibration_data;
  if (!options.calibration.empty()) {
    calibration_data =
        LoadData(options.calibration, options.normalisation, options.calibration_samples);
  }
  calibration.calibration = calibration_data ? &*calibration_data : &data;
  SensitivityRequest request;
  request.method = options.method;
  request.probes = options.probes;
  request.relative_error = options.relative_error;
  request.time_limit_s = options.time_limit_s;
  request.batch_size = options.batch_size;
  request.score = options.score;
  request.pairs = pairs;
  std::optional<Journal> journal;
  if (!options.journal.empty()) {
    journal.emplace(options.journal);
    const std::string hash = ItemHash(options);
    request.known = [&journal, hash](const std::string& key) {
      return journal->Item("sensitivity", hash, key);
    };
    request.record = [&journal, hash](const std::string& key, const std::string& text) {
      journal->AddItem("sensitivity", hash, key, text);
    };
  }
  std::vector<BitChoice> choices;
  for (const NumberFormat weight : weights) {
    for (const NumberFormat activation : activations) choices.push_back({weight, activation});
  }
  request.choices.assign(calibration.graph.layers().size(), choices);
  std::string traces;
  request.traces = [&](const std::string& csv) { traces = csv; };
  RunContext run = context.run;
  run.root_seed = options.seed;
  const auto session = LoadTorchBackend(context.executable_folder)->Calibrate(calibration, run);
  SensitivityReport report = session->MeasureSensitivity(data, request, run);
  report.notes.emplace_back("data", options.data);
  if (options.first > 0) report.notes.emplace_back("first", std::to_string(options.first));
  report.notes.emplace_back("calibration",
                            options.calibration.empty() ? "the same data" : options.calibration);
  const std::string csv = SensitivityCsv(report);
  if (options.out.empty()) {
    context.out << csv;
  } else {
    WriteFileAtomically(options.out, csv);
  }
  if (!options.trace_out.empty()) {
    WriteFileAtomically(options.trace_out, traces);
  }
  if (!options.pairs_out.empty()) WriteFileAtomically(options.pairs_out, PairsCsv(report));
  return ExitCode::kDone;
}

}  // namespace

void AddSensitivityCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<SensitivityOptions>();
  CLI::App* command = app.add_subcommand(
      "sensitivity", "Estimate what each layer's bits cost in loss, with standard errors");
  command->add_option("MODEL.onnx", options->model, "The float network")->required();
  command
      ->add_option(
          "--data", options->data,
          "cifar10:FILE[,FILE], idx:IMAGES,LABELS or npy:X[,Y]; kl and output-mse need no labels")
      ->required();
  AddNormalisationOptions(*command, options->normalisation);
  constexpr std::int64_t kMostRecords = std::int64_t{1} << 40;
  command->add_option("--first", options->first, "Leave out the first N records of --data")
      ->check(IntegerText(0, kMostRecords))
      ->capture_default_str();
  command->add_option("--samples", options->samples, "Use N records")
      ->check(IntegerText(1, kMostRecords))
      ->capture_default_str();
  command
      ->add_option("--method", options->method,
                   "One layer quantized at a time and run: perturbation = kl (KL divergence to the "
                   "float network), loss, output-mse. The error in second-order expansion: "
                   "second-order. Curvature, a mean Hessian trace times the squared error: "
                   "hutchinson = hessian, hutchinson-joint, hutchpp, xtrace; from gradients "
                   "gauss-newton, gauss-newton-sampled, fisher; from the largest eigenvalue "
                   "eigenvalue")
      ->check(NameText(SensitivityMethodNames()))
      ->capture_default_str();
  command
      ->add_option("--probes", options->probes,
                   "Random vectors per batch; Hessian products of a sketch; most iterations")
      ->check(IntegerText(1, 1 << 24))
      ->capture_default_str();
  command
      ->add_option("--relative-error", options->relative_error,
                   "Go on until every layer's trace is known this well (0: no more than --probes)")
      ->check(NumberText(0.0, 1.0));
  command->add_option("--time-limit", options->time_limit_s, "Seconds for more probes; 0: none")
      ->check(NumberText(0.0));
  command->add_option("--batch-size", options->batch_size, "Records per pass")
      ->check(IntegerText(1, 1 << 20))
      ->capture_default_str();
  command
      ->add_option("--score", options->score,
                   "half: 1/2 * mean trace * error, in nats; hawq: without the half")
      ->check(NameText({"half", "hawq"}))
      ->capture_default_str();
  command
      ->add_option("--weight-bits", options->weight_bits,
                   "Candidates: 1 to 16, ternary, fp16, bf16, fp32, with commas between")
      ->capture_default_str();
  command
      ->add_option("--activation-bits", options->activation_bits,
                   "Other than fp32: inputs of layers are quantized too")
      ->capture_default_str();
  command->add_option("--calibration", options->calibration,
                      "Data for activation ranges and bias correction (default: --data)");
  command
      ->add_option("--calibration-samples", options->calibration_samples, "Use the first N of them")
      ->check(IntegerText(1, 1 << 24))
      ->capture_default_str();
  CLI::Option* no_correction = command->add_flag(
      "--no-bias-correction", options->no_bias_correction, "Leave bias corrections out");
  command->add_option("--calibration-steps", options->calibration_steps, CalibrationStepsHelp())
      ->excludes(no_correction)
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Root of every random stream")
      ->check(IntegerText(0, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  command->add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--out", options->out, "The CSV to write (default: standard output)");
  command->add_option("--trace-out", options->trace_out,
                      "layer,parameters,trace,standard_error,probes");
  command
      ->add_option("--pairs", options->pairs,
                   "Measure pairs of layers together too: neighbours, or within N runs those that "
                   "can interact most; perturbation, loss and output-mse only")
      ->capture_default_str();
  command->add_option("--pairs-out", options->pairs_out,
                      "The CSV of what pairs add, for solve --pairs");
  command->add_option("--journal", options->journal,
                      "Keep every finished item in this file: a killed command goes on from it, and "
                      "more --probes are added to those that it has");
  command->callback([options, &context] {
    context.action = [options, &context] { return Measure(*options, context); };
  });
}

}  // namespace bitsearch
