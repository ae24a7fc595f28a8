// The `space`, `quantizer` and `calibration` sections: what may be chosen, and what it means.
#include <fmt/format.h>

#include <algorithm>

#include "experiments/experiment_sections.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

std::optional<NumberFormat> Format(const YamlNode& node) {
  if (!node.present()) return std::nullopt;
  const std::string text = node.String("?");
  if (text == "?") return std::nullopt;  // a list or map, already noted
  const auto format = NumberFormat::Parse(text);
  if (!format.has_value() || format->kind() == NumberFormat::Kind::kSkip) {
    node.Fail(Error(ErrorId::kBitsValue,
                    fmt::format("got \"{}\", allowed 1 to 16, ternary, fp16, bf16, fp32", text))
                  .Hint("choose one of these"));
    return std::nullopt;
  }
  return format;
}

std::vector<NumberFormat> Formats(const YamlNode& node, std::vector<NumberFormat> fallback) {
  if (!node.present()) return fallback;
  std::vector<NumberFormat> formats;
  for (const YamlNode& item : node.Items()) {
    const auto format = Format(item);
    if (!format.has_value()) continue;
    if (std::find(formats.begin(), formats.end(), *format) != formats.end()) {
      item.Fail(Error(ErrorId::kYamlConflict,
                      fmt::format("\"{}\" stands twice in the list", format->ToString()))
                    .Hint("remove one of the two"));
      continue;
    }
    formats.push_back(*format);
  }
  if (node.is_list() && node.Items().empty()) {
    node.Fail(Error(ErrorId::kYamlRange, "got an empty list").Hint("name at least one format"));
  }
  return formats.empty() ? fallback : formats;
}

void ReadPlacement(const YamlNode& node, Experiment& experiment) {
  experiment.quantization.placement =
      node.Enum<Placement>({{"weights_only", Placement::kWeightsOnly},
                            {"layer_inputs", Placement::kLayerInputs},
                            {"runtime", Placement::kRuntime},
                            {"integer", Placement::kInteger}},
                           Placement::kWeightsOnly);
}

void ReadSpace(const YamlNode& node, Experiment& experiment) {
  SpaceSection& space = experiment.space;
  const auto integers = [](std::initializer_list<int> bits) {
    std::vector<NumberFormat> formats;
    for (const int b : bits) formats.push_back(NumberFormat::Integer(b));
    return formats;
  };
  space.weight_bits = Formats(node["weight_bits"], integers({2, 3, 4, 5, 6, 8}));
  const bool weights_only = experiment.quantization.placement == Placement::kWeightsOnly;
  space.activation_bits = Formats(
      node["activation_bits"], weights_only ? std::vector{NumberFormat::Float32()} : integers({8}));
  if (weights_only && space.activation_bits != std::vector{NumberFormat::Float32()}) {
    node["activation_bits"].Fail(
        Error(ErrorId::kYamlConflict, "placement weights_only leaves activations float")
            .Hint("set space.placement to layer_inputs, or remove activation_bits"));
  }
  space.equal_bits = node["equal_bits"].Boolean(false);
  for (const auto& [glob, value] : node["pins"].Entries()) {
    experiment.places["space.pins." + glob] = value.location();
    const Pin pin{glob, Format(value["weight"]), Format(value["activation"])};
    if (value.is_map() && !value["weight"].present() && !value["activation"].present()) {
      value.Fail(Error(ErrorId::kYamlMissingKey, "the pin names neither weight nor activation")
                     .Hint("write, for example, {weight: 8, activation: 8}"));
    }
    space.pins.push_back(pin);
  }
}

/// `range` and `percentile`.
RangeSpec ReadRange(const YamlNode& node, RangeSpec range) {
  range.method = node["range"].Enum(RangeMethodNames(), range.method);
  constexpr double kHalf = 50.0;
  constexpr double kAll = 100.0;
  const YamlNode percentile = node["percentile"];
  range.percentile = percentile.Number(range.percentile, {kHalf, kAll, true, false});
  if (percentile.present() && range.method != RangeMethod::kPercentile) {
    percentile.Fail(Error(ErrorId::kYamlConflict, "only range percentile has a percentile")
                        .Hint("remove it, or set range: percentile"));
  }
  return range;
}

void ReadWeightQuantizer(const YamlNode& node, Experiment& experiment) {
  WeightQuantizerSpec& weight = experiment.quantization.weight;
  weight.granularity = node["granularity"].Enum(GranularityNames(), weight.granularity);
  const YamlNode group = node["group_size"];
  constexpr std::int64_t kLargestGroup = 1 << 20;
  weight.group_size = static_cast<int>(group.Integer(weight.group_size, {1, kLargestGroup}));
  if (group.present() && weight.granularity != Granularity::kPerGroup) {
    group.Fail(Error(ErrorId::kYamlConflict, "only granularity per_group has a group size")
                   .Hint("remove it, or set granularity: per_group"));
  }
  const YamlNode narrow = node["narrow"];
  weight.symmetric = node["symmetric"].Boolean(weight.symmetric);
  weight.narrow = narrow.Boolean(weight.symmetric);
  if (weight.narrow && !weight.symmetric) {
    narrow.Fail(Error(ErrorId::kYamlConflict, "only symmetric weights have a narrow range")
                    .Hint("remove it, or set symmetric: true"));
  }
  weight.range = ReadRange(node, weight.range);
  if (weight.range.method == RangeMethod::kMovingAverage) {
    node["range"].Fail(
        Error(ErrorId::kYamlConflict, "weights have no batches to take a moving average of")
            .Hint("use min_max, or another method"));
  }
}

void ReadActivationQuantizer(const YamlNode& node, Experiment& experiment) {
  ActivationQuantizerSpec& activation = experiment.quantization.activation;
  activation.symmetric = node["symmetric"].Boolean(activation.symmetric);
  activation.range = ReadRange(node, activation.range);
}

void ReadCalibration(const YamlNode& node, Experiment& experiment) {
  std::vector<CalibrationStep>& steps = experiment.quantization.calibration;
  const std::vector<std::string> usual = NamesOf(steps);
  const std::vector<std::string> names = ReadNames(node, usual, CalibrationSteps());
  steps.clear();
  for (const std::string& name : names) steps.push_back(ParseCalibrationSteps({name})[0]);
  const std::optional<StepConflict> conflict = FindStepConflict(steps);
  if (!conflict) return;
  const std::vector<YamlNode> items = node.Items();
  const YamlNode& place = items.size() == steps.size() ? items[conflict->position] : node;
  place.Fail(Error(ErrorId::kYamlConflict, conflict->what).Hint(conflict->hint));
}

/// What rests on folded normalisation.
void RequireFolding(const YamlNode& node, const Experiment& experiment) {
  if (experiment.model.fold_batch_norm) return;
  for (const CalibrationStep step : experiment.quantization.calibration) {
    const CalibrationStepInfo& info = InfoOf(step);
    if (info.phase != CalibrationPhase::kNetwork &&
        step != CalibrationStep::kAnalyticBiasCorrection) {
      continue;
    }
    node.Fail(Error(ErrorId::kYamlConflict,
                    info.name + " works on a network whose batch normalisation is folded")
                  .Hint("set model.fold_batch_norm: true, or leave it out"));
    return;
  }
}

}  // namespace

void ReadQuantizationSections(const YamlNode& root, Experiment& experiment) {
  ReadPlacement(root["space"]["placement"], experiment);
  ReadSpace(root["space"], experiment);
  ReadWeightQuantizer(root["quantizer"]["weights"], experiment);
  ReadActivationQuantizer(root["quantizer"]["activations"], experiment);
  ReadCalibration(root["calibration"], experiment);
  RequireFolding(root["calibration"], experiment);
}

}  // namespace bitsearch
