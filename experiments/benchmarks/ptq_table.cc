// Post-training methods beside each other: top-1 at uniform bits, for lists of calibration steps
// and range methods. Prints the rows of docs/results.md as they are measured.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <sstream>
#include <string>
#include <vector>

#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/quantizer/equalization.h"
#include "space/quantizer/float_network.h"
#include "space/quantizer/quantized_network.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

struct Options {
  std::string model;
  std::string data;
  std::string calibration;
  std::vector<float> mean;
  std::vector<float> deviation;
  std::int64_t first = 0;
  std::int64_t samples = -1;
  std::int64_t calibration_samples = 512;
  std::vector<int> bits = {8, 6, 5, 4, 3, 2};
  std::vector<std::string> placements = {"weights_only", "layer_inputs"};
  std::vector<std::string> granularities = {"per_channel"};
  std::string weight_range = "min_max";
  std::string activation_range = "percentile";
  double spread = 0.0;
  std::vector<std::string> steps = {"none", "bias_correction"};
};

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Dataset Load(const std::string& text, const Options& options, std::int64_t first,
             std::int64_t samples) {
  DataSpec spec = DataSpec::Parse(text);
  spec.mean = options.mean;
  spec.std = options.deviation;
  spec.first = first;
  spec.samples = samples;
  return Dataset::Load(spec);
}

template <typename T>
T Named(const std::vector<std::pair<std::string, T>>& names, const std::string& wanted) {
  for (const auto& [name, value] : names) {
    if (name == wanted) return value;
  }
  throw Error(ErrorId::kUsage, "'" + wanted + "' is not known");
}

std::vector<CalibrationStep> StepsOf(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream stream(text);
  for (std::string name; text != "none" && std::getline(stream, name, ',');) names.push_back(name);
  return ParseCalibrationSteps(names);
}

/// Makes the channels of every pair that equalisation would level unlike each other, by factors of
/// up to 10^±spread. The network computes the same.
LayerGraph Spoiled(const LayerGraph& model, double spread) {
  LayerGraph graph = FoldBatchNorm(model);
  RandomStream random(1, "spread");
  for (const EqualizablePair& pair : FindEqualizablePairs(graph)) {
    std::vector<float> scale(static_cast<std::size_t>(graph.layer(pair.first).output_channels));
    for (float& factor : scale) {
      factor = static_cast<float>(std::pow(10.0, spread * (2.0 * random.Uniform() - 1.0)));
    }
    ScalePair(pair, scale, graph);
  }
  return graph;
}

/// One line of the table: a cell for each number of bits, and the seconds of all of it, calibration
/// included.
void PrintRow(const LayerGraph& model, const Options& options, const QuantizationSpec& spec,
              const Dataset& calibration, const Dataset& data) {
  const FloatNetwork prepared = PrepareFloatNetwork(model, true, spec.calibration);
  const double before = CpuSeconds();
  const CalibratedNetwork network(prepared.graph, &calibration, spec, "cpu", {}, {},
                                  prepared.statistics);
  std::string cells;
  for (const int bits : options.bits) {
    const NumberFormat format = NumberFormat::Integer(bits);
    const bool weights_only = spec.placement == Placement::kWeightsOnly;
    const BitConfig config = BitConfig::Uniform(
        prepared.graph.layers().size(), {format, weights_only ? NumberFormat::Float32() : format});
    const Evaluation result = PtqEvaluator(network, data, {}, /*compare_with_float=*/false)
                                  .Evaluate(std::span(&config, 1))[0];
    cells += fmt::format(" {:.2f} |", result.top1_percent());
  }
  fmt::print("| {} | {} | {}{}, {} |{} {:.0f} |\n", StepsText(spec.calibration),
             NameOf(spec.weight.granularity), NameOf(spec.weight.range.method),
             spec.placement == Placement::kWeightsOnly
                 ? ""
                 : " / " + std::string(NameOf(spec.activation.range.method)),
             spec.placement == Placement::kWeightsOnly ? "W" : "W+A", cells, CpuSeconds() - before);
  std::fflush(stdout);
}

void PrintTable(const Options& options) {
  LayerGraph model = ReadOnnx(options.model);
  if (options.spread > 0.0) model = Spoiled(model, options.spread);
  const Dataset data = Load(options.data, options, options.first, options.samples);
  const Dataset calibration = Load(options.calibration, options, 0, options.calibration_samples);
  std::string head = "| calibration | weights | ranges |";
  std::string rule = "|---|---|---|";
  for (const int bits : options.bits) {
    head += fmt::format(" {} |", bits);
    rule += "---|";
  }
  fmt::print("{} CPU s |\n{}---|\n", head, rule);
  for (const std::string& placement : options.placements) {
    for (const std::string& granularity : options.granularities) {
      for (const std::string& steps : options.steps) {
        QuantizationSpec spec;
        spec.placement = *ParsePlacement(placement);
        spec.weight.granularity = Named(GranularityNames(), granularity);
        spec.weight.range.method = Named(RangeMethodNames(), options.weight_range);
        spec.activation.range.method = Named(RangeMethodNames(), options.activation_range);
        spec.calibration = StepsOf(steps);
        PrintRow(model, options, spec, calibration, data);
      }
    }
  }
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) {
  bitsearch::Options options;
  CLI::App app("Post-training methods beside each other");
  app.add_option("MODEL.onnx", options.model)->required();
  app.add_option("--data", options.data)->required();
  app.add_option("--calibration", options.calibration)->required();
  app.add_option("--mean", options.mean)->required()->delimiter(',');
  app.add_option("--std", options.deviation)->required()->delimiter(',');
  app.add_option("--first", options.first);
  app.add_option("--samples", options.samples);
  app.add_option("--calibration-samples", options.calibration_samples);
  app.add_option("--bits", options.bits)->delimiter(',');
  app.add_option("--placement", options.placements)
      ->check(CLI::IsMember({"weights_only", "layer_inputs"}));
  app.add_option("--granularity", options.granularities);
  app.add_option("--weight-range", options.weight_range);
  app.add_option("--activation-range", options.activation_range);
  app.add_option("--spread", options.spread,
                 "Scale channels by up to 10^±SPREAD first, without changing the function");
  app.add_option("--steps", options.steps, "steps with commas, or none; may stand several times");
  CLI11_PARSE(app, argc, argv);
  try {
    bitsearch::PrintTable(options);
  } catch (const bitsearch::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
