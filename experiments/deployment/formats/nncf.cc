// NNCF (up to 2.19) with precision "manual". A weight's scope is the path of its module with the
// classes, which ONNX does not keep: they are assumed or given, and readers look at names alone.
// Activation quantizers are named by calls inside PyTorch's forward: only one number of bits for
// all of them can be written.
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/deployment/formats/format_layers.h"
#include "experiments/deployment/formats/formats.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> Parts(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t dot = std::min(path.find('.', start), path.size());
    parts.push_back(path.substr(start, dot - start));
    start = dot + 1;
  }
  return parts;
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// The class of an inner module; sets `assumed` where it was not given.
std::string ClassOf(const std::string& path, const std::string& fallback,
                    const ExportRequest& request, bool& assumed) {
  for (const auto& [glob, name] : request.module_classes) {
    if (::fnmatch(glob.c_str(), path.c_str(), 0) == 0) return name;
  }
  assumed = true;
  return fallback;
}

/// "NNCFConv2d" and "conv2d_0" by operator and rank.
std::pair<std::string, std::string> LeafNames(const Layer& layer, std::size_t rank) {
  if (layer.op == "Gemm" || layer.op == "MatMul") return {"NNCFLinear", "linear_0"};
  const std::size_t dimensions = rank - 2;
  if (layer.op == "ConvTranspose") {
    return {fmt::format("NNCFConvTranspose{}d", dimensions),
            fmt::format("conv_transpose{}d_0", dimensions)};
  }
  return {fmt::format("NNCFConv{}d", dimensions), fmt::format("conv{}d_0", dimensions)};
}

/// "ResNet/Sequential[layer1]/BasicBlock[0]/NNCFConv2d[conv2]/conv2d_0"
std::string ScopeOf(const std::string& module, const Layer& layer, const ExportRequest& request,
                    bool& assumed) {
  const std::vector<std::string> parts = Parts(module);
  std::string scope = ClassOf(".", "Model", request, assumed);
  std::string path;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    path += (path.empty() ? "" : ".") + parts[i];
    const std::string fallback = IsNumber(parts[i + 1]) ? "Sequential" : "Block";
    scope += fmt::format("/{}[{}]", ClassOf(path, fallback, request, assumed), parts[i]);
  }
  const auto [leaf, call] =
      LeafNames(layer, request.graph->tensor(*layer.weight).constant->shape().size());
  return scope + fmt::format("/{}[{}]/{}", leaf, parts.back(), call);
}

/// The one choice of activations, which every layer with a weight must have.
NumberFormat OneActivation(const std::vector<LayerToWrite>& layers, Refusals& refusals) {
  std::optional<NumberFormat> common;
  for (const LayerToWrite& layer : layers) {
    if (!layer.layer->weight) continue;
    if (!common) common = layer.activation;
    if (layer.activation == *common) continue;
    refusals.Add(layer.layer->id,
                 fmt::format("activations of {} beside others of {}: it names their quantizers by "
                             "calls of PyTorch, which the model does not record",
                             layer.activation.ToString(), common->ToString()),
                 "search with one choice of activation bits");
  }
  return common.value_or(NumberFormat::Float32());
}

Json Sample(const LayerGraph& graph) {
  Json inputs = Json::array();
  for (const TensorIndex input : graph.inputs()) {
    const std::optional<Shape>& shape = graph.tensor(input).sample_shape;
    if (shape) inputs.push_back({{"sample_size", *shape}});
  }
  return inputs;
}

ExportedFile Write(const ExportRequest& request) {
  ExportedFile file;
  const LayerGraph& graph = *request.graph;
  const std::vector<LayerToWrite> layers = LayersToWrite(request, file.notes);
  Refusals refusals("nncf", request.place);
  RefuseDisagreement(layers, request, NamedThing::kModule, refusals, file.notes);
  const NumberFormat activation = OneActivation(layers, refusals);
  Json bits = Json::array();
  Json ignored = Json::array();
  std::optional<bool> symmetric;
  std::set<std::string> written;
  bool assumed = false;
  for (const LayerToWrite& layer : layers) {
    RefuseBits(layer, {}, refusals);
    if (layer.weight.is_integer()) {
      if (WeightGranularity(layer, request) != Granularity::kPerChannel) {
        refusals.Add(layer.layer->id, "weights that are not scaled per output channel",
                     "search with quantizer.weights.granularity: per_channel");
      }
      const bool is_symmetric = SymmetricWeight(layer, request);
      if (symmetric.value_or(is_symmetric) != is_symmetric) {
        refusals.Add(layer.layer->id, "symmetric beside asymmetric weights");
      }
      symmetric = is_symmetric;
    }
    const std::string module = ModuleToWrite(layer, graph, refusals);
    if (module.empty() || !written.insert(module).second) continue;
    const std::string scope = ScopeOf(module, *layer.layer, request, assumed);
    if (layer.weight.is_integer()) {
      bits.push_back({layer.weight.bits(), scope + "|WEIGHT"});
    } else {
      ignored.push_back(scope);
    }
  }
  refusals.Throw();
  if (assumed) {
    file.notes.push_back(
        "the model does not record PyTorch classes: Model, Sequential and Block are assumed; NNCF "
        "says where it finds no such scope. --module-class PATH=CLASS gives them (PATH . is the "
        "network)");
  }
  Json weights = {{"mode", symmetric.value_or(true) ? "symmetric" : "asymmetric"},
                  {"per_channel", true}};
  if (!ignored.empty()) weights["ignored_scopes"] = std::move(ignored);
  Json activations = {{"mode", "asymmetric"}};
  if (activation.is_integer()) {
    activations["bits"] = activation.bits();
  } else {
    activations["ignored_scopes"] = {"{re}.*"};
  }
  Json json = {
      {"input_info", Sample(graph)},
      {"target_device", "TRIAL"},
      {"compression",
       {{"algorithm", "quantization"},
        {"weights", std::move(weights)},
        {"activations", std::move(activations)},
        {"initializer",
         {{"precision", {{"type", "manual"}, {"bitwidth_per_scope", std::move(bits)}}}}}}}};
  if (json["input_info"].empty()) json.erase("input_info");
  file.content = json.dump(1) + "\n";
  return file;
}

// --- reading ------------------------------------------------------------------------------------

/// What stands in the brackets, joined by dots: the module's path.
std::string ModuleOf(const std::string& scope) {
  std::string module;
  for (std::size_t at = 0; (at = scope.find('[', at)) != std::string::npos;) {
    const std::size_t close = scope.find(']', at);
    if (close == std::string::npos) break;
    module += (module.empty() ? "" : ".") + scope.substr(at + 1, close - at - 1);
    at = close;
  }
  return module;
}

JsonValue Quantization(const JsonValue& file) {
  JsonValue compression = file.At("compression");
  if (!compression.is_array()) return compression;
  for (JsonValue& algorithm : compression.Elements()) {
    if (algorithm.At("algorithm").String() == "quantization") return algorithm;
  }
  throw compression.Fault("no algorithm of the list is 'quantization'");
}

/// `section` ("weights", "activations"): bits, 8 where none are given; fp32 where all is ignored.
NumberFormat CommonBits(const JsonValue& quantization, const char* section) {
  const auto part = quantization.Find(section);
  if (!part) return NumberFormat::Integer(8);
  if (const auto ignored = part->Find("ignored_scopes")) {
    const auto list = ignored->is_array() ? ignored->Elements() : std::vector{*ignored};
    for (const JsonValue& scope : list) {
      if (scope.String() == "{re}.*") return NumberFormat::Float32();
    }
  }
  const auto bits = part->Find("bits");
  return bits ? IntegerBits(*bits, 2) : NumberFormat::Integer(8);
}

ConfigDocument Read(const JsonValue& file, const LayerGraph& graph,
                    std::vector<std::string>& notes) {
  const JsonValue quantization = Quantization(file);
  const LayersByName modules = LayersByModule(graph);
  ConfigDocument document = FloatDocument(graph);
  const BitChoice common{CommonBits(quantization, "weights"),
                         CommonBits(quantization, "activations")};
  for (const auto& [module, layers] : modules) {
    for (const LayerIndex l : layers) document.layers[l.value].choice = common;
  }
  const auto weight_of = [&](const JsonValue& scope, NumberFormat format) {
    const auto at = modules.find(ModuleOf(scope.String()));
    if (at == modules.end()) {
      throw UnknownName(scope, "module", ModuleOf(scope.String()), modules);
    }
    for (const LayerIndex l : at->second) document.layers[l.value].choice.weight = format;
  };
  std::size_t others = 0;
  const auto initializer = quantization.Find("initializer");
  const auto precision = initializer ? initializer->Find("precision") : std::nullopt;
  const auto list = precision ? precision->Find("bitwidth_per_scope") : std::nullopt;
  for (const JsonValue& pair : list ? list->Elements() : std::vector<JsonValue>()) {
    const std::vector<JsonValue> parts = pair.Elements();
    if (parts.size() != 2) throw pair.Fault("got no pair of bits and scope");
    if (parts[1].String().ends_with("|WEIGHT")) {
      weight_of(parts[1], IntegerBits(parts[0], 2));
    } else {
      ++others;
    }
  }
  const auto weights = quantization.Find("weights");
  if (const auto ignored = weights ? weights->Find("ignored_scopes") : std::nullopt) {
    for (const JsonValue& scope : ignored->Elements()) {
      if (!scope.String().starts_with("{re}")) weight_of(scope, NumberFormat::Float32());
    }
  }
  if (others > 0) {
    notes.push_back(fmt::format(
        "{} activation quantizers, which NNCF names by calls of PyTorch, are left out: inputs get "
        "compression.activations.bits",
        others));
  }
  InferPlacement(document);
  return document;
}

}  // namespace

ConfigFormat NncfFormat() {
  return {.name = "nncf",
          .description = "NNCF up to 2.19: bitwidth_per_scope of weights, one choice for inputs",
          .write = Write,
          .recognises =
              [](const JsonValue& file) { return file.is_object() && file.Find("compression"); },
          .read = Read};
}

}  // namespace bitsearch
