// What placements layer_inputs, runtime and integer make of one network at uniform bits: top-1, how
// often they choose the same class, and the CPU time of a pass beside the float network's. Prints
// rows of docs/results.md.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/network/batches_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/integer_network_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kBatch = 25;

struct Options {
  std::string model;
  std::string data;
  std::string calibration;
  std::vector<float> mean;
  std::vector<float> deviation;
  std::int64_t samples = -1;
  std::int64_t calibration_samples = 512;
  std::vector<std::string> bits = {"8,8", "4,8", "4,4"};
  bool bias_correction = false;
};

Dataset Load(const std::string& text, const Options& options, std::int64_t samples) {
  DataSpec spec = DataSpec::Parse(text);
  spec.mean = options.mean;
  spec.std = options.deviation;
  spec.samples = samples;
  return Dataset::Load(spec);
}

struct Pass {
  std::vector<std::int64_t> classes;
  double top1_percent = 0.0;
  double cpu_seconds = 0.0;
};

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Pass Run(const Network& network, const Dataset& data, ExecutionHooks* hooks) {
  Pass pass;
  const double before = CpuSeconds();
  std::int64_t correct = 0;
  ForEachOnOneThread(RunContext{}, (data.size() + kBatch - 1) / kBatch, [&](std::int64_t b) {
    const std::int64_t count = std::min(kBatch, data.size() - b * kBatch);
    const at::Tensor chosen =
        network.Forward(ImageBatch(data, b * kBatch, count), hooks).argmax(1).contiguous();
    correct += chosen.eq(LabelBatch(data, b * kBatch, count)).sum().item<std::int64_t>();
    const auto* values = chosen.data_ptr<std::int64_t>();
    pass.classes.insert(pass.classes.end(), values, values + count);
  });
  pass.cpu_seconds = CpuSeconds() - before;
  pass.top1_percent = 100.0 * static_cast<double>(correct) / static_cast<double>(data.size());
  return pass;
}

double AgreementPercent(const Pass& a, const Pass& b) {
  std::int64_t equal = 0;
  for (std::size_t i = 0; i < a.classes.size(); ++i) equal += a.classes[i] == b.classes[i] ? 1 : 0;
  return 100.0 * static_cast<double>(equal) / static_cast<double>(a.classes.size());
}

NumberFormat ParseBits(const std::string& text) {
  const auto format = NumberFormat::Parse(text);
  if (!format) throw Error(ErrorId::kUsage, "'" + text + "' is no number of bits").Key("--bits");
  return *format;
}

void PrintTable(const Options& options) {
  const LayerGraph graph = FoldBatchNorm(ReadOnnx(options.model));
  const Dataset data = Load(options.data, options, options.samples);
  const Dataset calibration = Load(options.calibration, options, options.calibration_samples);
  QuantizationSpec spec;
  if (!options.bias_correction) spec.calibration.clear();
  spec.placement = Placement::kRuntime;
  const CalibratedNetwork runtime(graph, &calibration, spec, "cpu", {});
  const CalibratedNetwork layers = runtime.WithPlacement(Placement::kLayerInputs);
  const Network& network = runtime.network();
  const Pass real = Run(network, data, nullptr);
  fmt::print("fp32: top-1 {:.2f}, {:.1f} CPU s\n", real.top1_percent, real.cpu_seconds);
  fmt::print(
      "| bits | layer_inputs | runtime | integer | runtime = layer_inputs | integer = runtime | "
      "CPU "
      "over float: layer_inputs, runtime, integer |\n|---|---|---|---|---|---|---|\n");
  for (const std::string& text : options.bits) {
    const std::size_t comma = text.find(',');
    const BitChoice choice{ParseBits(text.substr(0, comma)), ParseBits(text.substr(comma + 1))};
    const BitConfig config = BitConfig::Uniform(graph.layers().size(), choice);
    QuantizationHooks by_layer = PrepareQuantization(layers, config);
    QuantizationHooks by_tensor = PrepareQuantization(runtime, config);
    IntegerHooks integers(runtime, config, by_tensor);
    for (const std::string& name : integers.float_operators()) fmt::print("float: {}\n", name);
    const Pass a = Run(network, data, &by_layer);
    const Pass b = Run(network, data, &by_tensor);
    const Pass c = Run(network, data, &integers);
    fmt::print("| {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} % | {:.2f} % | {:.2f}, {:.2f}, {:.2f} |\n",
               choice.ToString(), a.top1_percent, b.top1_percent, c.top1_percent,
               AgreementPercent(a, b), AgreementPercent(b, c), a.cpu_seconds / real.cpu_seconds,
               b.cpu_seconds / real.cpu_seconds, c.cpu_seconds / real.cpu_seconds);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) {
  bitsearch::Options options;
  CLI::App app("Placements beside each other");
  app.add_option("MODEL.onnx", options.model)->required();
  app.add_option("--data", options.data)->required();
  app.add_option("--calibration", options.calibration)->required();
  app.add_option("--mean", options.mean)->required()->delimiter(',');
  app.add_option("--std", options.deviation)->required()->delimiter(',');
  app.add_option("--samples", options.samples);
  app.add_option("--calibration-samples", options.calibration_samples);
  app.add_option("--bits", options.bits, "weight,activation; may stand several times");
  app.add_flag("--bias-correction", options.bias_correction);
  CLI11_PARSE(app, argc, argv);
  try {
    bitsearch::PrintTable(options);
  } catch (const bitsearch::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
