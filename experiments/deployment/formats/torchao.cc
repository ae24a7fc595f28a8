// torchao's FqnToConfig as config_to_dict writes it: "_version" is the class's (1 throughout),
// "version" in "_data" the workflow's. IntxWeightOnlyConfig takes Linear and Conv2d,
// Int8DynamicActivationIntxWeightConfig Linear only; both symmetric or not, per output channel.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "experiments/deployment/formats/format_layers.h"
#include "experiments/deployment/formats/formats.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kWeightOnly = "IntxWeightOnlyConfig";
constexpr const char* kDynamic = "Int8DynamicActivationIntxWeightConfig";

Json Object(const char* type, Json data) {
  return {{"_type", type}, {"_version", 1}, {"_data", std::move(data)}};
}

Json Enumerator(const char* type, const char* name) { return {{"_type", type}, {"_data", name}}; }

Json ConfigOf(const LayerToWrite& layer, bool symmetric) {
  if (layer.weight == NumberFormat::Float32()) return nullptr;
  const bool dynamic = layer.activation.is_integer();
  const std::string prefix = dynamic ? "weight_" : "";
  Json data = {{"weight_dtype",
                Enumerator("torch.dtype", fmt::format("int{}", layer.weight.bits()).c_str())}};
  data[prefix + "granularity"] = Object("PerAxis", {{"axis", 0}});
  data[prefix + "mapping_type"] = Enumerator("MappingType", symmetric ? "SYMMETRIC" : "ASYMMETRIC");
  data["version"] = 2;
  return Object(dynamic ? kDynamic : kWeightOnly, std::move(data));
}

bool IsLinear(const Layer& layer) { return layer.op == "Gemm" || layer.op == "MatMul"; }

void RefuseWhatWorkflowsLack(const LayerToWrite& layer, const ExportRequest& request,
                             Refusals& refusals) {
  const std::string& id = layer.layer->id;
  const bool quantizes_input = layer.activation.is_integer();
  if (quantizes_input && layer.weight == NumberFormat::Float32()) {
    refusals.Add(id, "8-bit activations beside float weights",
                 "quantize the weights of this layer too, or leave its input float");
  }
  if (!layer.weight.is_integer()) return;
  if (quantizes_input && !IsLinear(*layer.layer)) {
    refusals.Add(id, "activations of a convolution, only those of a Linear",
                 "leave this input float (a search with placement: weights_only)");
  }
  const TensorValue& weight = *request.graph->tensor(*layer.layer->weight).constant;
  if (!IsLinear(*layer.layer) && (layer.layer->op != "Conv" || weight.shape().size() != 4)) {
    refusals.Add(id,
                 fmt::format("a {} of rank {}, only Linear and Conv2d", layer.layer->op,
                             weight.shape().size()),
                 "leave the layer float: pin it to fp32,fp32");
  }
  if (WeightGranularity(layer, request) != Granularity::kPerChannel) {
    refusals.Add(id, "weights that are not scaled per output channel",
                 "search with quantizer.weights.granularity: per_channel");
  }
}

ExportedFile Write(const ExportRequest& request) {
  ExportedFile file;
  const LayerGraph& graph = *request.graph;
  const std::vector<LayerToWrite> layers = LayersToWrite(request, file.notes);
  Refusals refusals("torchao", request.place);
  RefuseDisagreement(layers, request, NamedThing::kModule, refusals, file.notes);
  Json configs = Json::object();
  bool dynamic = false;
  bool spatial = false;
  for (const LayerToWrite& layer : layers) {
    RefuseBits(layer, {.most_weight = 8, .least_activation = 8, .most_activation = 8}, refusals);
    RefuseWhatWorkflowsLack(layer, request, refusals);
    const std::string module = ModuleToWrite(layer, graph, refusals);
    if (module.empty() || refusals.Has(layer.layer->id)) continue;
    configs[module] = ConfigOf(layer, SymmetricWeight(layer, request));
    if (!layer.weight.is_integer()) continue;
    dynamic = dynamic || layer.activation.is_integer();
    const Shape& shape = graph.tensor(*layer.layer->weight).constant->shape();
    spatial = spatial || (shape.size() == 4 && shape[2] * shape[3] > 1);
  }
  refusals.Throw();
  if (dynamic) {
    file.notes.push_back(
        "torchao measures the ranges of 8-bit activations on every input, token by token");
  }
  if (spatial) {
    file.notes.push_back(
        "torchao scales a convolution's weights per output channel and position of the kernel, "
        "finer than here");
  }
  file.content = Object("FqnToConfig", {{"fqn_to_config", std::move(configs)}}).dump(1) + "\n";
  return file;
}

// --- reading ------------------------------------------------------------------------------------

NumberFormat WeightType(const JsonValue& data, int fallback) {
  const auto type = data.Find("weight_dtype");
  if (!type) return NumberFormat::Integer(fallback);
  const std::string name = type->At("_data").String();
  const auto format = name.starts_with("int") ? NumberFormat::Parse(name.substr(3)) : std::nullopt;
  if (!format || !format->is_integer() || format->bits() > 8) {
    throw type->At("_data").Fault("got '" + name + "' (allowed: int1 to int8)");
  }
  return *format;
}

BitChoice ChoiceOf(const JsonValue& config) {
  if (config.is_null()) return {};
  const std::string type = config.At("_type").String();
  const JsonValue data = config.At("_data");
  const NumberFormat eight = NumberFormat::Integer(8);
  if (type == kWeightOnly) return {WeightType(data, 8), NumberFormat::Float32()};
  if (type == kDynamic) return {WeightType(data, 8), eight};
  if (type == "Int8WeightOnlyConfig") return {eight, NumberFormat::Float32()};
  if (type == "Int4WeightOnlyConfig") return {NumberFormat::Integer(4), NumberFormat::Float32()};
  if (type == "Int8DynamicActivationInt8WeightConfig") return {eight, eight};
  throw config.At("_type").Fault(
      "got '" + type + "' (allowed: " + kWeightOnly + ", " + kDynamic +
      ", Int8WeightOnlyConfig, Int4WeightOnlyConfig, Int8DynamicActivationInt8WeightConfig)");
}

bool FullMatch(const JsonValue& where, const std::string& pattern, const std::string& name) {
  try {
    return std::regex_match(name, std::regex(pattern));
  } catch (const std::regex_error&) {
    throw where.Fault("'" + pattern + "' is no regular expression that this reads");
  }
}

ConfigDocument Read(const JsonValue& file, const LayerGraph& graph, std::vector<std::string>&) {
  const JsonValue data = file.At("_data");
  auto list = data.Find("fqn_to_config");
  if (!list) list = data.At("module_fqn_to_config");
  const LayersByName modules = LayersByModule(graph);
  ConfigDocument document = FloatDocument(graph);
  const auto members = list->Members();
  const auto find = [&](const std::string& name) -> const JsonValue* {
    for (const auto& [key, value] : members) {
      if (key == name) return &value;
    }
    return nullptr;
  };
  for (const auto& [module, layers] : modules) {
    // torchao's order: the parameter, the module, patterns of either in the file's order, default.
    const JsonValue* config = find(module + ".weight");
    if (config == nullptr) config = find(module);
    for (const std::string& name : {module + ".weight", module}) {
      for (const auto& [key, value] : members) {
        if (config != nullptr) break;
        if (key.starts_with("re:") && FullMatch(value, key.substr(3), name)) config = &value;
      }
    }
    if (config == nullptr) config = find("_default");
    if (config == nullptr) continue;
    for (const LayerIndex l : layers) document.layers[l.value].choice = ChoiceOf(*config);
  }
  for (const auto& [key, value] : members) {
    if (key == "_default" || key.starts_with("re:")) continue;
    const bool parameter =
        key.ends_with(".weight") && modules.contains(key.substr(0, key.size() - 7));
    if (!parameter && !modules.contains(key)) throw UnknownName(value, "module", key, modules);
  }
  InferPlacement(document);
  return document;
}

}  // namespace

ConfigFormat TorchaoFormat() {
  return {.name = "torchao",
          .description = "torchao FqnToConfig: weights of 2 to 8 bits, Linear inputs of 8",
          .write = Write,
          .recognises =
              [](const JsonValue& file) {
                return file.is_object() && file.Find("_type") && file.Find("_data");
              },
          .read = Read};
}

}  // namespace bitsearch
