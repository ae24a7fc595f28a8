// AIMET encodings. Scales and offsets as aimet_onnx/_encoding.py has them: 1.0.0 counts offsets
// from the unsigned grid (offset = min/scale, so −2^(b−1) where symmetric), 2.0.0 is ONNX
// QuantizeLinear. A tensor without an entry stays float.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/deployment/formats/aimet_reader.h"
#include "experiments/deployment/formats/format_layers.h"
#include "experiments/deployment/formats/formats.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

/// One tensor's entry; `channel_axis` is empty for a single scale.
Json Entry1(const std::string& name, const TensorQuantizer& quantizer, int bits,
            std::optional<int> channel_axis) {
  Json offsets = Json::array();
  for (const std::int32_t zero_point : quantizer.zero_point) {
    offsets.push_back((quantizer.symmetric ? -(1 << (bits - 1)) : 0) - zero_point);
  }
  return {{"name", name},
          {"enc_type", channel_axis ? "PER_CHANNEL" : "PER_TENSOR"},
          {"dtype", "INT"},
          {"bw", bits},
          {"is_sym", quantizer.symmetric},
          {"scale", quantizer.scale},
          {"offset", offsets}};
}

Json Entry2(const std::string& name, const TensorQuantizer& quantizer, int bits,
            std::optional<int> channel_axis) {
  Json entry = {{"name", name},
                {"output_dtype", fmt::format("{}int{}", quantizer.symmetric ? "" : "u", bits)}};
  const bool shifted = std::any_of(quantizer.zero_point.begin(), quantizer.zero_point.end(),
                                   [](std::int32_t zero_point) { return zero_point != 0; });
  if (channel_axis) {
    entry["y_scale"] = quantizer.scale;
    if (shifted) entry["y_zero_point"] = quantizer.zero_point;
    entry["axis"] = *channel_axis;
  } else {
    entry["y_scale"] = quantizer.scale.front();
    if (shifted) entry["y_zero_point"] = quantizer.zero_point.front();
  }
  return entry;
}

/// The entries of both versions before they part.
struct Encodings {
  Json parameters = Json::array();
  Json activations = Json::array();
  bool symmetric_weights = true;
  bool per_channel = false;
  int weight_bits = 0;      ///< The most.
  int activation_bits = 0;  ///< The most.
};

using EntryOf = Json (*)(const std::string&, const TensorQuantizer&, int, std::optional<int>);

Encodings Write(const ExportRequest& request, const std::string& tool, bool half, EntryOf entry,
                std::vector<std::string>& notes) {
  const LayerGraph& graph = *request.graph;
  const std::vector<LayerToWrite> layers = LayersToWrite(request, notes);
  Refusals refusals(tool, request.place);
  RefuseDisagreement(layers, request, NamedThing::kTensor, refusals, notes);
  Encodings encodings;
  std::set<TensorIndex> written;
  const auto half_entry = [](const std::string& name) {
    return Json{{"name", name}, {"enc_type", "PER_TENSOR"}, {"dtype", "FLOAT"}, {"bw", 16}};
  };
  for (const LayerToWrite& layer : layers) {
    RefuseBits(layer, {.half = half}, refusals);
    if (layer.weight.is_integer() && WeightGranularity(layer, request) == Granularity::kPerGroup) {
      refusals.Add(layer.layer->id, "scales of groups of weights",
                   "search with quantizer.weights.granularity: per_channel");
    }
    if (layer.activation.is_integer() && !layer.entry->quantizers.activation) {
      refusals.Add(layer.layer->id, "activations without a scale, and the configuration has none",
                   "add --calibration SPEC, or export the folder of a run, which holds ranges");
    }
    if (refusals.Has(layer.layer->id)) continue;
    if (layer.layer->weight && written.insert(*layer.layer->weight).second) {
      const std::string& name = graph.tensor(*layer.layer->weight).name;
      if (layer.weight.is_integer()) {
        const TensorQuantizer quantizer = WeightQuantizerOf(layer, request);
        const bool per_channel = quantizer.granularity != NameOf(Granularity::kPerTensor);
        const auto axis =
            per_channel ? std::optional(layer.layer->output_channel_axis) : std::nullopt;
        encodings.parameters.push_back(entry(name, quantizer, layer.weight.bits(), axis));
        encodings.symmetric_weights = encodings.symmetric_weights && quantizer.symmetric;
        encodings.per_channel = encodings.per_channel || per_channel;
        encodings.weight_bits = std::max(encodings.weight_bits, layer.weight.bits());
      } else if (layer.weight == NumberFormat::Float16()) {
        encodings.parameters.push_back(half_entry(name));
      }
    }
    if (!written.insert(layer.layer->input).second) continue;
    const std::string& name = graph.tensor(layer.layer->input).name;
    if (layer.activation.is_integer()) {
      encodings.activations.push_back(
          entry(name, *layer.entry->quantizers.activation, layer.activation.bits(), std::nullopt));
      encodings.activation_bits = std::max(encodings.activation_bits, layer.activation.bits());
    } else if (layer.activation == NumberFormat::Float16()) {
      encodings.activations.push_back(half_entry(name));
    }
  }
  refusals.Throw();
  for (const TensorGrid& tensor : request.document.tensors) {
    const auto index = graph.FindTensor(tensor.tensor);
    if (!index || !tensor.format.is_integer() || !written.insert(*index).second) continue;
    const AffineGrid& grid = tensor.grid;
    const bool symmetric = grid.qmin < 0 && grid.zero_point == 0;
    // A signed grid with a zero point is the unsigned one counted from its least code.
    const std::int32_t zero_point = symmetric ? 0 : grid.zero_point - grid.qmin;
    const int bits = tensor.format.bits();
    encodings.activations.push_back(
        entry(tensor.tensor, ActivationQuantizer(symmetric, bits, grid.scale, zero_point), bits,
              std::nullopt));
    encodings.activation_bits = std::max(encodings.activation_bits, bits);
  }
  return encodings;
}

ExportedFile Write1(const ExportRequest& request) {
  ExportedFile file;
  const Encodings encodings = Write(request, "aimet", true, Entry1, file.notes);
  constexpr int kDefaultBits = 8;
  const Json json = {
      {"version", "1.0.0"},
      {"activation_encodings", encodings.activations},
      {"param_encodings", encodings.parameters},
      {"quantizer_args",
       {{"activation_bitwidth",
         encodings.activation_bits > 0 ? encodings.activation_bits : kDefaultBits},
        {"param_bitwidth", encodings.weight_bits > 0 ? encodings.weight_bits : kDefaultBits},
        {"dtype", "int"},
        {"is_symmetric", encodings.symmetric_weights},
        {"per_channel_quantization", encodings.per_channel},
        {"quant_scheme", "post_training_tf"}}},
      {"excluded_layers", Json::array()}};
  file.content = json.dump(1) + "\n";
  return file;
}

ExportedFile Write2(const ExportRequest& request) {
  ExportedFile file;
  Encodings encodings = Write(request, "aimet2", false, Entry2, file.notes);
  Json json = {{"version", "2.0.0"}, {"encodings", std::move(encodings.parameters)}};
  for (Json& entry : encodings.activations) json["encodings"].push_back(std::move(entry));
  file.content = json.dump(1) + "\n";
  return file;
}

}  // namespace

ConfigFormat AimetFormat() {
  return {.name = "aimet",
          .description = "AIMET encodings 1.0.0: scales and offsets of ONNX tensors",
          .holds_quantizers = true,
          .needs_ranges = true,
          .holds_tensors = true,
          .write = Write1,
          .recognises =
              [](const JsonValue& file) {
                return file.is_object() && file.Find("version") &&
                       (file.Find("activation_encodings") || file.Find("param_encodings"));
              },
          .read = ReadAimet1};
}

ConfigFormat Aimet2Format() {
  return {.name = "aimet2",
          .description = "AIMET encodings 2.0.0: the same in the terms of ONNX QuantizeLinear",
          .holds_quantizers = true,
          .needs_ranges = true,
          .holds_tensors = true,
          .write = Write2,
          .recognises =
              [](const JsonValue& file) {
                return file.is_object() && file.Find("version") && file.Find("encodings");
              },
          .read = ReadAimet2};
}

}  // namespace bitsearch
