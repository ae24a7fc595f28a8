// Arguments of onnxruntime.quantization.quantize_static as JSON: TensorQuantOverrides with scale
// and zero point of every weight and input, nodes_to_exclude for float layers. Enumerators stand as
// texts (QuantType.from_string). Its types have 4, 8 and 16 bits: other weights lie in the next
// type, which changes nothing where no code leaves their range; that is checked.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/deployment/formats/format_layers.h"
#include "experiments/deployment/formats/formats.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kOverrides = "TensorQuantOverrides";

int ContainerBits(int bits) { return bits <= 4 ? 4 : bits <= 8 ? 8 : 16; }

std::string TypeOf(int bits, bool is_signed) {
  return fmt::format("Q{}Int{}", is_signed ? "" : "U", ContainerBits(bits));
}

/// True if the next type's wider range changes no code of the weight: where `bits` clamps, the type
/// would not.
bool SameInContainer(const TensorValue& weight, int axis, const TensorQuantizer& quantizer,
                     int bits, bool narrow) {
  const std::vector<float> values = weight.ToFloats();
  std::size_t stride = 1;
  for (std::size_t a = static_cast<std::size_t>(axis) + 1; a < weight.shape().size(); ++a) {
    stride *= static_cast<std::size_t>(weight.shape()[a]);
  }
  const AffineGrid ours = GridOf(quantizer, bits);
  const AffineGrid type = GridOf(quantizer, ContainerBits(bits));
  const std::int32_t lowest = ours.qmin + (quantizer.symmetric && narrow ? 1 : 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = quantizer.scale.size() == 1 ? 0 : i / stride % quantizer.scale.size();
    const float code = std::nearbyint(values[i] / quantizer.scale[c]) +
                       static_cast<float>(quantizer.zero_point[c]);
    if (std::clamp(code, static_cast<float>(lowest), static_cast<float>(ours.qmax)) !=
        std::clamp(code, static_cast<float>(type.qmin), static_cast<float>(type.qmax))) {
      return false;
    }
  }
  return true;
}

Json WeightOverrides(const LayerToWrite& layer, const TensorQuantizer& quantizer) {
  const bool per_channel = quantizer.granularity != NameOf(Granularity::kPerTensor);
  Json list = Json::array();
  for (std::size_t c = 0; c < quantizer.scale.size(); ++c) {
    Json channel = {{"quant_type", TypeOf(layer.weight.bits(), quantizer.symmetric)}};
    if (per_channel) channel["axis"] = layer.layer->output_channel_axis;
    channel["scale"] = quantizer.scale[c];
    channel["zero_point"] = quantizer.zero_point[c];
    list.push_back(std::move(channel));
  }
  return list;
}

Json InputOverrides(const LayerToWrite& layer) {
  const std::optional<TensorQuantizer>& quantizer = layer.entry->quantizers.activation;
  Json entry = {{"quant_type", TypeOf(layer.activation.bits(), quantizer && quantizer->symmetric)}};
  if (quantizer) {
    entry["scale"] = quantizer->scale.front();
    entry["zero_point"] = quantizer->zero_point.front();
  }
  return Json::array({std::move(entry)});
}

void RefuseWhatItLacks(const LayerToWrite& layer, const ExportRequest& request,
                       Refusals& refusals) {
  const std::string& id = layer.layer->id;
  if (layer.activation.is_integer() &&
      ContainerBits(layer.activation.bits()) != layer.activation.bits()) {
    refusals.Add(
        id, fmt::format("activations of {} bits (allowed: 8, 16, fp32)", layer.activation.bits()),
        "--format onnx writes them with a Clip");
  }
  if (layer.activation.is_integer() != layer.weight.is_integer()) {
    refusals.Add(id,
                 fmt::format("{} weights beside {} activations: a node is quantized or "
                             "excluded",
                             layer.weight.is_integer() ? "integer" : "float",
                             layer.activation.is_integer() ? "integer" : "float"),
                 "--format onnx writes weight-only layers");
  }
  if (!layer.weight.is_integer()) return;
  if (WeightGranularity(layer, request) == Granularity::kPerGroup) {
    refusals.Add(id, "scales of groups of weights",
                 "search with quantizer.weights.granularity: per_channel");
  }
}

ExportedFile Write(const ExportRequest& request) {
  ExportedFile file;
  const LayerGraph& graph = *request.graph;
  const std::vector<LayerToWrite> layers = LayersToWrite(request, file.notes);
  Refusals refusals("ort", request.place);
  RefuseDisagreement(layers, request, NamedThing::kTensor, refusals, file.notes);
  const bool narrow = request.document.weights.value_or(WeightQuantizerSpec{}).narrow;
  Json overrides = Json::object();
  Json excluded = Json::array();
  Json bits = Json::object();
  bool renamed = false;
  for (const LayerToWrite& layer : layers) {
    const std::string& id = layer.layer->id;
    RefuseBits(layer, {.least_activation = 4}, refusals);
    if (!refusals.Has(id)) RefuseWhatItLacks(layer, request, refusals);
    if (refusals.Has(id)) continue;
    if (!layer.weight.is_integer()) {
      excluded.push_back(id);
      // An id that the reader made up is no name of a node.
      renamed = renamed || id.find('#') != std::string::npos ||
                id == graph.tensor(layer.layer->output).name;
      continue;
    }
    overrides[graph.tensor(layer.layer->input).name] = InputOverrides(layer);
    const TensorQuantizer quantizer = WeightQuantizerOf(layer, request);
    const std::string& weight = graph.tensor(*layer.layer->weight).name;
    const TensorValue& value = *graph.tensor(*layer.layer->weight).constant;
    if (!SameInContainer(value, layer.layer->output_channel_axis, quantizer, layer.weight.bits(),
                         narrow)) {
      refusals.Add(id, "weights whose range clips them: its type would not",
                   "search with quantizer.weights.range: min_max, or use --format onnx");
      continue;
    }
    overrides[weight] = WeightOverrides(layer, quantizer);
    if (ContainerBits(layer.weight.bits()) != layer.weight.bits()) {
      bits[weight] = layer.weight.bits();
    }
  }
  refusals.Throw();
  if (!bits.empty()) {
    file.notes.push_back(fmt::format(
        "{} weights lie in the next wider type with their own scale; true_bits says their bits",
        bits.size()));
  }
  if (renamed) {
    file.notes.push_back(
        "the model has nodes without a name of their own, which nodes_to_exclude cannot name");
  }
  Json json = {{"quant_format", "QDQ"},
               {"activation_type", "QUInt8"},
               {"weight_type", "QInt8"},
               {"per_channel", true},
               {"nodes_to_exclude", std::move(excluded)},
               {"extra_options", {{kOverrides, std::move(overrides)}}}};
  if (!bits.empty()) json["true_bits"] = std::move(bits);
  file.content = json.dump(1) + "\n";
  return file;
}

// --- reading ------------------------------------------------------------------------------------

struct TypeInfo {
  int bits = 8;
  bool is_signed = false;
};

TypeInfo ParseType(const JsonValue& value) {
  std::string name = value.String();
  if (const std::size_t dot = name.rfind('.'); dot != std::string::npos) name.erase(0, dot + 1);
  for (const int bits : {4, 8, 16}) {
    if (name == TypeOf(bits, true)) return {bits, true};
    if (name == TypeOf(bits, false)) return {bits, false};
  }
  throw value.Fault("got '" + name + "' (allowed: QInt4, QUInt4, QInt8, QUInt8, QInt16, QUInt16)");
}

std::optional<TensorQuantizer> QuantizerOf(const std::vector<JsonValue>& channels, TypeInfo type) {
  if (channels.empty() || !channels.front().Find("scale")) return std::nullopt;
  TensorQuantizer quantizer{channels.front().Find("axis") ? "per_channel" : "per_tensor",
                            type.is_signed,
                            0.0,
                            0.0,
                            {},
                            {}};
  for (const JsonValue& channel : channels) {
    const auto scale = static_cast<float>(channel.At("scale").Number());
    if (!(scale > 0.0F)) throw channel.At("scale").Fault("got a scale that is not above 0");
    const double point = channel.At("zero_point").Number();
    if (point != std::floor(point) || std::fabs(point) > 65536.0) {
      throw channel.At("zero_point").Fault("got no integer of the type");
    }
    quantizer.scale.push_back(scale);
    quantizer.zero_point.push_back(static_cast<std::int32_t>(point));
  }
  return quantizer;
}

/// A signed grid with a zero point is the unsigned one counted from its least code.
void CountFromZero(TensorQuantizer& quantizer, int bits) {
  const auto shifted = [](std::int32_t point) { return point != 0; };
  if (!quantizer.symmetric ||
      std::none_of(quantizer.zero_point.begin(), quantizer.zero_point.end(), shifted)) {
    return;
  }
  quantizer.symmetric = false;
  for (std::int32_t& point : quantizer.zero_point) point += 1 << (bits - 1);
}

ConfigDocument Read(const JsonValue& file, const LayerGraph& graph,
                    std::vector<std::string>& notes) {
  ConfigDocument document = FloatDocument(graph);
  LayersByName names;
  LayersByName ids;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    ids[layer.id].push_back(LayerIndex(l));
    names[graph.tensor(layer.input).name].push_back(LayerIndex(l));
    if (layer.weight) names[graph.tensor(*layer.weight).name].push_back(LayerIndex(l));
  }
  const auto type_of = [&](const char* key, TypeInfo fallback) {
    const auto value = file.Find(key);
    return value ? ParseType(*value) : fallback;
  };
  const TypeInfo weight_type = type_of("weight_type", {8, true});
  const TypeInfo input_type = type_of("activation_type", {8, false});
  std::set<std::string> excluded;
  if (const auto list = file.Find("nodes_to_exclude")) {
    for (const JsonValue& node : list->Elements()) {
      if (!graph.FindNode(node.String())) throw UnknownName(node, "node", node.String(), ids);
      excluded.insert(node.String());
    }
  }
  const auto extra = file.Find("extra_options");
  const auto overrides = extra ? extra->Find(kOverrides) : file.Find(kOverrides);
  const auto true_bits = file.Find("true_bits");
  std::map<std::string, JsonValue> entries;
  for (const auto& [name, value] :
       overrides ? overrides->Members() : std::vector<std::pair<std::string, JsonValue>>()) {
    if (!graph.FindTensor(name)) throw UnknownName(value, "tensor", name, names);
    entries.emplace(name, value);
  }
  std::size_t used = 0;
  const auto take = [&](TensorIndex tensor, TypeInfo type, NumberFormat& format,
                        std::optional<TensorQuantizer>& quantizer) {
    const std::string& name = graph.tensor(tensor).name;
    if (const auto at = entries.find(name); at != entries.end()) {
      const std::vector<JsonValue> channels = at->second.Elements();
      const auto given = channels.empty() ? std::nullopt : channels.front().Find("quant_type");
      if (given) type = ParseType(*given);
      quantizer = QuantizerOf(channels, type);
      ++used;
    }
    format = NumberFormat::Integer(type.bits);
    const auto bits = true_bits ? true_bits->Find(name) : std::nullopt;
    if (bits) format = IntegerBits(*bits, 2);
    if (quantizer) CountFromZero(*quantizer, format.bits());
  };
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    ConfigLayer& entry = document.layers[l];
    if (excluded.contains(layer.id) || !layer.weight) continue;
    take(*layer.weight, weight_type, entry.choice.weight, entry.quantizers.weight);
    std::optional<TensorQuantizer>& input = entry.quantizers.activation;
    take(layer.input, input_type, entry.choice.activation, input);
    if (input) {
      input = ActivationQuantizer(input->symmetric, entry.choice.activation.bits(),
                                  input->scale.front(), input->zero_point.front());
    }
  }
  if (used < entries.size()) {
    notes.push_back("overrides of tensors that are no layer's weight or input are left out");
  }
  InferPlacement(document);
  InferWeightSpec(graph, document, notes);
  return document;
}

}  // namespace

ConfigFormat OnnxRuntimeFormat() {
  return {.name = "ort",
          .description = "ONNX Runtime quantize_static: TensorQuantOverrides, nodes_to_exclude",
          .holds_quantizers = true,
          .write = Write,
          .recognises =
              [](const JsonValue& file) {
                return file.is_object() && (file.Find("extra_options") || file.Find(kOverrides) ||
                                            file.Find("nodes_to_exclude"));
              },
          .read = Read};
}

}  // namespace bitsearch
