#include "experiments/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/code_text.h"
#include "experiments/json_values.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "bitsearch/config/1";
constexpr const char* kFormatPrefix = "bitsearch/config/";

Json QuantizerJson(const TensorQuantizer& quantizer, bool with_range) {
  Json json = {{"granularity", quantizer.granularity}, {"symmetric", quantizer.symmetric}};
  if (with_range) json["range"] = {quantizer.low, quantizer.high};
  json["scale"] = quantizer.scale;
  json["zero_point"] = quantizer.zero_point;
  return json;
}

// The codes of a grid of `bits` bits; signed ones are symmetric and use all.
AffineGrid GridOfBits(int bits, bool is_signed, float scale, std::int32_t zero_point) {
  const std::int32_t levels = 1 << bits;
  return {scale, zero_point, is_signed ? -levels / 2 : 0, is_signed ? levels / 2 - 1 : levels - 1};
}

// Grid and, where they do not follow from it, integers of a layer's weight.
Json WeightJson(const TensorQuantizer& quantizer, NumberFormat format) {
  Json json = QuantizerJson(quantizer, false);
  if (quantizer.codes.empty()) return json;
  const AffineGrid grid = GridOfBits(format.bits(), quantizer.symmetric, 1.0F, 0);
  json["codes"] = {{"count", quantizer.codes.size()},
                   {"packed", PackCodes(quantizer.codes, format.bits(), grid.qmin)}};
  return json;
}

Json TensorJson(const TensorGrid& tensor) {
  return {{"name", tensor.tensor},
          {"bits", tensor.format.bits()},
          {"symmetric", tensor.grid.qmin < 0},
          {"range", {tensor.grid.lowest(), tensor.grid.highest()}},
          {"scale", tensor.grid.scale},
          {"zero_point", tensor.grid.zero_point}};
}

// The grids of integer weights as a file stores them.
std::vector<AffineGrid> WeightGrids(const TensorQuantizer& quantizer, int bits, bool narrow) {
  std::vector<AffineGrid> grids;
  for (std::size_t i = 0; i < quantizer.scale.size(); ++i) {
    grids.push_back(
        GridOfBits(bits, quantizer.symmetric, quantizer.scale[i], quantizer.zero_point[i]));
    if (quantizer.symmetric && narrow) ++grids.back().qmin;
  }
  return grids;
}

// How many scales a weight may have: one, one for each output channel or for each of its blocks.
bool FitsWeight(std::size_t scales, const Shape& shape, std::int64_t channels, int group_size) {
  const auto count = static_cast<std::int64_t>(scales);
  const std::int64_t per_channel = ElementCount(shape) / std::max<std::int64_t>(1, channels);
  return count == 1 || count == channels ||
         count == channels * ((per_channel + group_size - 1) / group_size);
}

Json WeightSpecJson(const WeightQuantizerSpec& spec) {
  Json json = {{"granularity", NameOf(spec.granularity)}};
  if (spec.granularity == Granularity::kPerGroup) json["group_size"] = spec.group_size;
  json["symmetric"] = spec.symmetric;
  json["narrow"] = spec.narrow;
  json["range"] = NameOf(spec.range.method);
  if (spec.range.method == RangeMethod::kPercentile) json["percentile"] = spec.range.percentile;
  return json;
}

// Byte offset → line and column, both from 1.
SourceLocation LocationAt(const std::string& path, const std::string& text, std::size_t offset) {
  SourceLocation location{path, 1, 1};
  for (std::size_t i = 0; i < std::min(offset, text.size()); ++i) {
    if (text[i] == '\n') {
      ++location.line;
      location.column = 1;
    } else {
      ++location.column;
    }
  }
  return location;
}

class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  ConfigDocument Read() {
    const std::string text = ReadTextFile(path_);
    Json json;
    try {
      json = Json::parse(text);
    } catch (const Json::parse_error& error) {
      const bool at_end = error.byte > text.size();
      throw Error(ErrorId::kJsonSyntax,
                  at_end ? "the JSON text ends too early" : "this is not JSON")
          .At(LocationAt(path_, text, error.byte == 0 ? 0 : error.byte - 1))
          .Hint(at_end ? "is the file truncated?"
                       : "is it a configuration file, as bitsearch run writes them?");
    }
    const std::string format =
        json.is_object() && json.contains("format") && json["format"].is_string()
            ? json["format"].get<std::string>()
            : "";
    if (format != kFormat) {
      const bool newer = format.rfind(kFormatPrefix, 0) == 0;
      throw Error(ErrorId::kFormatVersion, "format is '" + format + "', this reads " + kFormat)
          .At({path_})
          .Key("format")
          .Hint(newer ? "it was written by a newer bitsearch; update this one"
                      : "is this a bitsearch configuration file?");
    }
    ConfigDocument document;
    document.model = TextOf(json, "model");
    document.model_sha256 = TextOf(json, "model_sha256");
    if (json.contains("seed")) {
      if (!json["seed"].is_number_unsigned()) throw Bad("seed", "must be an integer of 0 or more");
      document.seed = json["seed"].get<std::uint64_t>();
    }
    document.chosen_by = TextOf(json, "chosen_by");
    if (const std::string name = TextOf(json, "placement"); !name.empty()) {
      const auto placement = ParsePlacement(name);
      if (!placement) throw Bad("placement", "'" + name + "' is no placement");
      document.placement = *placement;
    }
    if (json.contains("calibration")) {
      for (const Json& step : json["calibration"]) {
        if (!step.is_string()) throw Bad("calibration", "steps must be names");
        document.calibration.push_back(step.get<std::string>());
      }
    }
    document.weights = WeightSpec(json);
    document.learned_scales = LearnedScales(json);
    ReadFigures(json, document);
    if (!json.contains("layers") || !json["layers"].is_array()) {
      throw Bad("layers", "the list of layers is missing");
    }
    std::set<std::string> names;
    for (std::size_t i = 0; i < json["layers"].size(); ++i) {
      const std::string key = "layers[" + std::to_string(i) + "]";
      const Json& item = json["layers"][i];
      if (!item.is_object()) throw Bad(key, "must be an object");
      ConfigLayer layer;
      layer.name = TextOf(item, "name");
      layer.op = TextOf(item, "op");
      if (layer.name.empty()) throw Bad(key + ".name", "is missing");
      if (!names.insert(layer.name).second) {
        throw Bad(key + ".name", "'" + layer.name + "' stands twice");
      }
      layer.choice.weight = Bits(item, "weight_bits", key);
      layer.choice.activation = Bits(item, "activation_bits", key);
      layer.quantizers.weight = Quantizer(item, "weight_quantizer", layer.choice.weight, key);
      layer.quantizers.activation =
          Quantizer(item, "activation_quantizer", layer.choice.activation, key);
      layer.quantizers.correction = {Values(item, "bias", key), Values(item, "output_shift", key)};
      document.layers.push_back(std::move(layer));
    }
    ReadTensors(json, document);
    return document;
  }

 private:
  Error Bad(const std::string& key, const std::string& what) const {
    return Error(ErrorId::kConfigLayers, what)
        .At({path_})
        .Key(key)
        .Hint("docs/ARCHITECTURE.md describes the file; `bitsearch run` writes one");
  }

  /// What the search and the measurement said.
  void ReadFigures(const Json& json, ConfigDocument& document) const {
    const auto number = [&](const Json& object, const char* key) -> std::optional<double> {
      if (!object.contains(key)) return std::nullopt;
      if (!object[key].is_number()) throw Bad(key, "must be a number");
      return object[key].get<double>();
    };
    document.predicted_loss_nats = number(json, "predicted_loss_nats");
    document.lower_bound_nats = number(json, "lower_bound_nats");
    document.gap = number(json, "gap");
    if (json.contains("costs")) {
      if (!json["costs"].is_object()) throw Bad("costs", "must be an object");
      for (const auto& [name, value] : json["costs"].items()) {
        if (!value.is_number()) throw Bad("costs." + name, "must be a number");
        document.costs.emplace_back(name, value.dump());
      }
    }
    if (json.contains("stability")) {
      document.stability = ParseStabilityFigures(
          JsonValue::Parse(json["stability"].dump(), path_,
                           {ErrorId::kConfigLayers, ErrorId::kConfigLayers, "", ""}));
    }
    if (!json.contains("measured")) return;
    const Json& measured = json["measured"];
    if (!measured.is_object()) throw Bad("measured", "must be an object");
    document.measured.emplace();
    document.measured->samples =
        static_cast<std::int64_t>(number(measured, "samples").value_or(0.0));
    document.measured->correct =
        static_cast<std::int64_t>(number(measured, "correct").value_or(0.0));
    document.measured->loss_nats = number(measured, "loss_nats").value_or(0.0);
    if (const auto error = number(measured, "output_error_percent")) {
      // One entry stands for the mean.
      document.measured->output_error_percent_per_sample = {static_cast<float>(*error)};
    }
  }

  /// The tensors' grids; only placements that quantize by tensor have them.
  void ReadTensors(const Json& json, ConfigDocument& document) const {
    if (!json.contains("tensors")) return;
    if (!QuantizesTensors(document.placement)) {
      throw Bad("tensors", "only placements runtime and integer quantize tensors");
    }
    if (!json["tensors"].is_array()) throw Bad("tensors", "must be a list");
    std::set<std::string> names;
    for (std::size_t i = 0; i < json["tensors"].size(); ++i) {
      const std::string key = "tensors[" + std::to_string(i) + "]";
      const Json& item = json["tensors"][i];
      if (!item.is_object()) throw Bad(key, "must be an object");
      TensorGrid tensor;
      tensor.tensor = TextOf(item, "name");
      if (tensor.tensor.empty()) throw Bad(key + ".name", "is missing");
      if (!names.insert(tensor.tensor).second) {
        throw Bad(key + ".name", "'" + tensor.tensor + "' stands twice");
      }
      tensor.format = Bits(item, "bits", key);
      if (!tensor.format.is_integer()) throw Bad(key + ".bits", "must be an integer from 1 to 16");
      try {
        tensor.grid =
            GridOfBits(tensor.format.bits(), item.at("symmetric").get<bool>(),
                       item.at("scale").get<float>(), item.at("zero_point").get<std::int32_t>());
      } catch (const Json::exception&) {
        throw Bad(key, "must hold symmetric, scale and zero_point, each of its type");
      }
      const AffineGrid& grid = tensor.grid;
      if (!(grid.scale > 0.0F) || !std::isfinite(grid.scale)) {
        throw Bad(key + ".scale", "must be a positive number");
      }
      if (grid.zero_point < grid.qmin || grid.zero_point > grid.qmax) {
        throw Bad(key + ".zero_point", "is none of the codes " + std::to_string(grid.qmin) +
                                           " to " + std::to_string(grid.qmax));
      }
      document.tensors.push_back(std::move(tensor));
    }
  }

  std::string TextOf(const Json& object, const char* key) const {
    if (!object.contains(key)) return "";
    if (!object[key].is_string()) throw Bad(key, "must be a text");
    return object[key].get<std::string>();
  }

  NumberFormat Bits(const Json& item, const char* name, const std::string& key) const {
    if (!item.contains(name)) throw Bad(key + "." + name, "is missing");
    const Json& value = item[name];
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const auto format = NumberFormat::Parse(text);
    if (!format) {
      throw Bad(key + "." + name,
                "got " + value.dump() + ", allowed 0 to 16, 32, ternary, fp16, bf16, fp32");
    }
    return *format;
  }

  /// The value that goes with a name under `key`; the fallback where there is none.
  template <typename T>
  T Named(const Json& json, const char* key, const std::vector<std::pair<std::string, T>>& names,
          T fallback) const {
    if (!json.contains(key)) return fallback;
    std::string allowed;
    for (const auto& [name, value] : names) {
      if (json[key] == name) return value;
      allowed += (allowed.empty() ? "" : ", ") + name;
    }
    throw Bad(std::string("quantizer.weights.") + key,
              "got " + json[key].dump() + ", allowed " + allowed);
  }

  std::optional<WeightQuantizerSpec> WeightSpec(const Json& document) const {
    if (!document.contains("quantizer")) return std::nullopt;
    WeightQuantizerSpec spec;
    try {
      const Json& json = document["quantizer"].at("weights");
      spec.granularity = Named(json, "granularity", GranularityNames(), spec.granularity);
      spec.group_size = json.value("group_size", spec.group_size);
      spec.symmetric = json.value("symmetric", spec.symmetric);
      spec.narrow = json.value("narrow", spec.symmetric);
      spec.range.method = Named(json, "range", RangeMethodNames(), spec.range.method);
      spec.range.percentile = json.value("percentile", spec.range.percentile);
    } catch (const Json::exception&) {
      throw Bad("quantizer.weights",
                "must be an object with granularity, group_size, symmetric, narrow, range and "
                "percentile, each of its type");
    }
    if (spec.group_size < 1) throw Bad("quantizer.weights.group_size", "must be at least 1");
    return spec;
  }

  /// Asked after WeightSpec has seen that the objects are there.
  bool LearnedScales(const Json& document) const {
    if (!document.contains("quantizer")) return false;
    const Json& json = document["quantizer"]["weights"];
    if (!json.contains("learned")) return false;
    if (!json["learned"].is_boolean()) throw Bad("quantizer.weights.learned", "must be a boolean");
    return json["learned"].get<bool>();
  }

  std::vector<float> Values(const Json& item, const char* name, const std::string& key) const {
    std::vector<float> values;
    if (!item.contains(name)) return values;
    const auto bad = [&] { return Bad(key + "." + name, "must be a list of finite numbers"); };
    if (!item[name].is_array()) throw bad();
    for (const Json& value : item[name]) {
      if (!value.is_number() || !std::isfinite(value.get<float>())) throw bad();
      values.push_back(value.get<float>());
    }
    return values;
  }

  /// Zero points are codes, and a range is what its grid covers.
  void RequireCodes(const TensorQuantizer& quantizer, NumberFormat format,
                    const std::string& key) const {
    if (!format.is_integer()) return;
    const AffineGrid grid = GridOfBits(format.bits(), quantizer.symmetric, 1.0F, 0);
    for (const std::int32_t zero_point : quantizer.zero_point) {
      if (zero_point >= grid.qmin && zero_point <= grid.qmax) continue;
      throw Bad(key + ".zero_point", std::to_string(zero_point) + " is none of the codes " +
                                         std::to_string(grid.qmin) + " to " +
                                         std::to_string(grid.qmax));
    }
    if (!(quantizer.low <= quantizer.high)) {
      throw Bad(key + ".range",
                fmt::format("its end {} lies below its start {}", quantizer.high, quantizer.low));
    }
    if (quantizer.low == quantizer.high || quantizer.scale.size() != 1) return;
    // A grid may end a little beside the range: zero is a code, and other tools round.
    constexpr double kTolerance = 0.05;
    const auto scale = static_cast<double>(quantizer.scale[0]);
    const double reach =
        scale * std::max(quantizer.zero_point[0] - grid.qmin, grid.qmax - quantizer.zero_point[0]);
    const double wanted = std::max(std::fabs(quantizer.low), std::fabs(quantizer.high));
    if (std::fabs(reach - wanted) <= 2.0 * scale + kTolerance * wanted) return;
    throw Bad(key + ".range",
              fmt::format("reaches to {:.4g}, scale and zero point to {:.4g}", wanted, reach));
  }

  std::vector<std::int32_t> Codes(const Json& json, const TensorQuantizer& quantizer,
                                  NumberFormat format, const std::string& key) const {
    const std::string place = key + ".weight_quantizer.codes";
    if (!format.is_integer() || format.bits() < 2) {
      throw Bad(place, "only integers of 2 bits and more have codes");
    }
    const auto count = json.at("count").get<std::size_t>();
    const AffineGrid grid = GridOfBits(format.bits(), quantizer.symmetric, 1.0F, 0);
    auto codes = UnpackCodes(json.at("packed").get<std::string>(), count, format.bits(), grid.qmin);
    if (!codes) {
      throw Bad(place,
                fmt::format("the text does not hold {} codes of {} bits", count, format.bits()));
    }
    return *std::move(codes);
  }

  std::optional<TensorQuantizer> Quantizer(const Json& item, const char* name, NumberFormat format,
                                           const std::string& key) const {
    if (!item.contains(name)) return std::nullopt;
    try {
      const Json& json = item[name];
      TensorQuantizer quantizer;
      quantizer.granularity = json.at("granularity").get<std::string>();
      quantizer.symmetric = json.at("symmetric").get<bool>();
      if (json.contains("range")) {
        quantizer.low = json["range"].at(0).get<double>();
        quantizer.high = json["range"].at(1).get<double>();
      }
      quantizer.scale = json.at("scale").get<std::vector<float>>();
      quantizer.zero_point = json.at("zero_point").get<std::vector<std::int32_t>>();
      const bool usable =
          quantizer.scale.size() == quantizer.zero_point.size() && !quantizer.scale.empty() &&
          std::all_of(quantizer.scale.begin(), quantizer.scale.end(),
                      [](float scale) { return scale > 0.0F && std::isfinite(scale); });
      if (!usable) throw Bad(key + "." + name, "scales and zero points do not fit each other");
      RequireCodes(quantizer, format, key + "." + name);
      if (json.contains("codes")) quantizer.codes = Codes(json["codes"], quantizer, format, key);
      return quantizer;
    } catch (const Json::exception&) {
      throw Bad(key + "." + name,
                "must be an object with granularity, symmetric, scale and zero_point, each of its "
                "type");
    }
  }

  std::string path_;
};

}  // namespace

std::string ConfigJson(const ConfigDocument& document) {
  Json json = {{"format", kFormat},
               {"model", document.model},
               {"model_sha256", document.model_sha256},
               {"placement", NameOf(document.placement)},
               {"calibration", document.calibration},
               {"seed", document.seed}};
  if (!document.costs.empty()) {
    Json& costs = json["costs"];
    // Decimal texts become JSON numbers digit by digit.
    for (const auto& [name, text] : document.costs) costs[name] = Json::parse(text);
  }
  if (!document.chosen_by.empty()) json["chosen_by"] = document.chosen_by;
  if (document.predicted_loss_nats) json["predicted_loss_nats"] = *document.predicted_loss_nats;
  if (document.lower_bound_nats) json["lower_bound_nats"] = *document.lower_bound_nats;
  if (document.gap) json["gap"] = *document.gap;
  if (document.measured) {
    const Evaluation& measured = *document.measured;
    json["measured"] = {{"samples", measured.samples}};
    if (measured.labelled()) {
      json["measured"].update({{"correct", measured.correct},
                               {"top1_percent", measured.top1_percent()},
                               {"loss_nats", measured.loss_nats}});
    } else {
      json["measured"]["output_error_percent"] = measured.output_error_percent();
    }
  }
  if (document.stability) json["stability"] = FiguresJson(*document.stability);
  if (document.weights) json["quantizer"]["weights"] = WeightSpecJson(*document.weights);
  if (document.learned_scales) json["quantizer"]["weights"]["learned"] = true;
  json["layers"] = Json::array();
  for (const ConfigLayer& layer : document.layers) {
    Json item = {{"name", layer.name},
                 {"op", layer.op},
                 {"weight_bits", BitsJson(layer.choice.weight)},
                 {"activation_bits", BitsJson(layer.choice.activation)}};
    if (layer.quantizers.weight) {
      item["weight_quantizer"] = WeightJson(*layer.quantizers.weight, layer.choice.weight);
    }
    if (layer.quantizers.activation) {
      item["activation_quantizer"] = QuantizerJson(*layer.quantizers.activation, true);
    }
    const BiasCorrection& correction = layer.quantizers.correction;
    if (!correction.bias.empty()) item["bias"] = correction.bias;
    if (!correction.output_shift.empty()) item["output_shift"] = correction.output_shift;
    json["layers"].push_back(std::move(item));
  }
  for (const TensorGrid& tensor : document.tensors) json["tensors"].push_back(TensorJson(tensor));
  return json.dump(1) + "\n";
}

ConfigDocument ReadConfigJson(const std::filesystem::path& path) {
  return Reader(path.string()).Read();
}

BitConfig ConfigForGraph(const ConfigDocument& document, const LayerGraph& graph,
                         const std::string& path) {
  BitConfig config;
  config.choices.resize(graph.layers().size());
  std::vector<bool> given(graph.layers().size(), false);
  for (const ConfigLayer& layer : document.layers) {
    const auto index = graph.FindLayer(layer.name);
    if (!index) {
      std::vector<std::string> names;
      for (const Layer& known : graph.layers()) names.push_back(known.id);
      const std::string near = NearestName(layer.name, names);
      throw Error(ErrorId::kConfigLayers, "the network has no layer '" + layer.name + "'")
          .At({path})
          .Hint(near.empty() ? "`bitsearch layers MODEL.onnx` lists its layers"
                             : "did you mean '" + near + "'?");
    }
    config.choices[index->value] = layer.choice;
    given[index->value] = true;
  }
  for (std::size_t l = 0; l < given.size(); ++l) {
    if (!given[l]) {
      throw Error(ErrorId::kConfigLayers,
                  "layer '" + graph.layers()[l].id + "' of the network has no bits")
          .At({path})
          .Hint("every quantizable layer needs an entry; 32 leaves one in float");
    }
  }
  return config;
}

StoredCalibration StoredCalibrationOf(const ConfigDocument& document, const LayerGraph& graph,
                                      const std::string& path) {
  StoredCalibration stored;
  stored.grids.resize(graph.layers().size());
  for (const ConfigLayer& layer : document.layers) {
    const auto index = graph.FindLayer(layer.name);
    if (!index) continue;
    if (layer.quantizers.activation && layer.choice.activation.is_integer()) {
      const TensorQuantizer& quantizer = *layer.quantizers.activation;
      stored.grids[index->value] = GridOfBits(layer.choice.activation.bits(), quantizer.symmetric,
                                              quantizer.scale[0], quantizer.zero_point[0]);
    }
    const NumberFormat weight = layer.choice.weight;
    const bool has_codes = layer.quantizers.weight && !layer.quantizers.weight->codes.empty();
    if ((document.learned_scales || has_codes) && layer.quantizers.weight && weight.is_integer() &&
        weight.bits() > 1 && graph.layer(*index).weight) {
      const WeightQuantizerSpec spec = document.weights.value_or(WeightQuantizerSpec{});
      const Layer& described = graph.layer(*index);
      if (!FitsWeight(layer.quantizers.weight->scale.size(),
                      graph.tensor(*described.weight).constant->shape(), described.output_channels,
                      spec.group_size)) {
        throw Error(ErrorId::kConfigLayers,
                    "the weight has " + std::to_string(described.output_channels) +
                        " output channels, and the file " +
                        std::to_string(layer.quantizers.weight->scale.size()) + " scales for it")
            .At({path})
            .Key(layer.name + ".weight_quantizer.scale")
            .Hint("was the configuration made for another network?");
      }
      stored.weight_grids.resize(graph.layers().size());
      stored.weight_grids[index->value] =
          WeightGrids(*layer.quantizers.weight, weight.bits(), spec.narrow);
      if (has_codes) {
        const std::vector<std::int32_t>& codes = layer.quantizers.weight->codes;
        if (std::ssize(codes) != graph.tensor(*described.weight).constant->element_count()) {
          throw Error(
              ErrorId::kConfigLayers,
              fmt::format("the weight has {} elements, and the file {} codes for it",
                          graph.tensor(*described.weight).constant->element_count(), codes.size()))
              .At({path})
              .Key(layer.name + ".weight_quantizer.codes")
              .Hint("was the configuration made for another network?");
        }
        stored.weight_codes.resize(graph.layers().size());
        stored.weight_codes[index->value] = codes;
      }
    }
    const BiasCorrection& correction = layer.quantizers.correction;
    for (const std::vector<float>* values : {&correction.bias, &correction.output_shift}) {
      if (values->empty()) continue;
      const auto channels = static_cast<std::size_t>(graph.layer(*index).output_channels);
      // A product of two activations has no channels to count.
      if (graph.layer(*index).weight && values->size() != channels) {
        throw Error(ErrorId::kConfigLayers,
                    "the corrected bias has " + std::to_string(values->size()) +
                        " values, the layer " + std::to_string(channels) + " output channels")
            .At({path})
            .Key(layer.name)
            .Hint("was the configuration made for another network?");
      }
      stored.corrections.resize(graph.layers().size());
      stored.corrections[index->value] = correction;
    }
  }
  for (const TensorGrid& tensor : document.tensors) {
    const auto index = graph.FindTensor(tensor.tensor);
    if (!index) {
      throw Error(ErrorId::kConfigLayers, "the network has no tensor '" + tensor.tensor + "'")
          .At({path})
          .Key("tensors")
          .Hint("was the configuration made for another network?");
    }
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      if (graph.layers()[l].input != *index || !stored.grids[l] ||
          *stored.grids[l] == tensor.grid) {
        continue;
      }
      throw Error(ErrorId::kConfigLayers, "the grid of tensor '" + tensor.tensor +
                                              "' is another than that of the layer that reads it")
          .At({path})
          .Key(graph.layers()[l].id)
          .Hint(
              "remove the layer's activation_quantizer: the tensor's grid is the one that is used");
    }
  }
  stored.tensors = document.tensors;
  return stored;
}

}  // namespace bitsearch
