// Rules and their effect on a search space. See capabilities.h.
#include "space/hardware/capabilities.h"

#include <map>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr BitChoice kFloatChoice{NumberFormat::Float32(), NumberFormat::Float32()};

std::optional<NumberFormat> FormatAt(const YamlNode& node) {
  const std::string text = node.String();
  const auto format = NumberFormat::Parse(text);
  if (!format || format->kind() == NumberFormat::Kind::kSkip) {
    node.Fail(Error(ErrorId::kLatencyBits,
                    "got '" + text + "' (allowed: 1 to 16, ternary, fp16, bf16, fp32)"));
    return std::nullopt;
  }
  return format;
}

std::set<NumberFormat> FormatsAt(const YamlNode& node) {
  std::set<NumberFormat> formats;
  for (const YamlNode& item : node.Required().Items()) {
    if (const auto format = FormatAt(item)) formats.insert(*format);
  }
  return formats;
}

}  // namespace

Support DeviceCapabilities::SupportOf(const std::string& op, BitChoice choice,
                                      Granularity granularity) const {
  const bool skipped = choice.weight.kind() == NumberFormat::Kind::kSkip;
  if (choice == kFloatChoice || skipped) return Support::kRuns;
  for (const CapabilityRule& rule : rules) {
    const bool runs = (rule.operators.empty() || rule.operators.contains(op)) &&
                      rule.weights.contains(choice.weight) &&
                      rule.activations.contains(choice.activation) &&
                      (rule.granularities.empty() || rule.granularities.contains(granularity));
    if (runs) return Support::kRuns;
  }
  return fallback ? Support::kFallsBack : Support::kUnsupported;
}

DeviceCapabilities ReadCapabilities(const YamlNode& node) {
  DeviceCapabilities device;
  device.device = node["device"].String("unnamed");
  if (const YamlNode fallback = node["fallback"]; fallback.present()) {
    if (fallback.String() != "none") {
      if (const auto format = FormatAt(fallback)) device.fallback = BitChoice{*format, *format};
    }
  }
  for (const YamlNode& item : node["runs"].Required().Items()) {
    CapabilityRule rule;
    for (const YamlNode& op : item["operators"].Items()) {
      static const std::vector<std::string> kOperators = {"Conv", "ConvTranspose", "Gemm",
                                                          "MatMul"};
      rule.operators.insert(kOperators[op.Choice(kOperators, 0)]);
    }
    rule.weights = FormatsAt(item["weight_bits"]);
    rule.activations = FormatsAt(item["activation_bits"]);
    for (const YamlNode& granularity : item["granularities"].Items()) {
      rule.granularities.insert(
          granularity.Enum<Granularity>({{"per_tensor", Granularity::kPerTensor},
                                         {"per_channel", Granularity::kPerChannel},
                                         {"per_group", Granularity::kPerGroup}},
                                        Granularity::kPerTensor));
    }
    device.rules.push_back(std::move(rule));
  }
  return device;
}

DeviceCapabilities ReadCapabilitiesFile(const std::string& path) {
  const YamlFile file = YamlFile::Read(path);
  DeviceCapabilities device = ReadCapabilities(file.root());
  file.Finish();
  return device;
}

OfferedChoices OfferChoices(const DeviceCapabilities& device, const LatencyTable& table,
                            const std::vector<CandidateLayer>& layers, Granularity granularity) {
  OfferedChoices offered;
  offered.table = table;
  std::map<BitChoice, int> falls_back, unknown_time, unsupported;
  for (const CandidateLayer& layer : layers) {
    std::vector<BitChoice> kept;
    for (const BitChoice choice : layer.candidates) {
      switch (device.SupportOf(layer.op, choice, granularity)) {
        case Support::kRuns:
          kept.push_back(choice);
          break;
        case Support::kUnsupported:
          ++unsupported[choice];
          break;
        case Support::kFallsBack: {
          // A measured time of the choice is that of its fallback, conversions included.
          if (!table.Lookup(layer.key, choice)) {
            const auto time = table.Lookup(layer.key, *device.fallback);
            if (!time) {
              ++unknown_time[choice];
              break;
            }
            if (offered.table.Find(layer.key.id, choice) == nullptr) {
              offered.table.Add(layer.key.id, choice, time->entry);
            }
          }
          ++falls_back[choice];
          kept.push_back(choice);
          break;
        }
      }
    }
    if (kept.empty()) {
      throw Error(ErrorId::kCapabilityEmpty,
                  "none of the " + std::to_string(layer.candidates.size()) +
                      " candidates runs on " + device.device + " as " + layer.op)
          .Key(layer.key.id)
          .Hint("add fp32/fp32 to the candidates, or a pair of bits that the device runs");
    }
    offered.choices.push_back(std::move(kept));
  }
  const auto note = [&](const std::map<BitChoice, int>& counts, const std::string& what) {
    for (const auto& [choice, count] : counts) {
      offered.notes.push_back(choice.ToString() + " " + what + " in " + std::to_string(count) +
                              " of " + std::to_string(layers.size()) + " layers on " +
                              device.device);
    }
  };
  const std::string format = device.fallback ? device.fallback->weight.ToString() : "";
  note(falls_back, "falls back to " + format);
  note(unknown_time, "falls back to " + format + " with unknown time and is not offered");
  note(unsupported, "does not run and is not offered");
  return offered;
}

}  // namespace bitsearch
