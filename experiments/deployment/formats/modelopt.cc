// ModelOpt's quant_cfg: quantizers by pattern, in order, later entries win. Its integer grids are
// symmetric around 0 (or, "unsigned", start at 0); it calibrates ranges itself.
#include <fmt/format.h>
#include <fnmatch.h>

#include <nlohmann/json.hpp>
#include <set>

#include "experiments/deployment/formats/format_layers.h"
#include "experiments/deployment/formats/formats.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kWeight = ".weight_quantizer";
constexpr const char* kInput = ".input_quantizer";

/// PyTorch's ConvTranspose keeps its output channels along axis 1, everything else along 0.
int PyTorchChannelAxis(const Layer& layer) { return layer.op == "ConvTranspose" ? 1 : 0; }

ExportedFile Write(const ExportRequest& request) {
  ExportedFile file;
  const std::vector<LayerToWrite> layers = LayersToWrite(request, file.notes);
  Refusals refusals("modelopt", request.place);
  RefuseDisagreement(layers, request, NamedThing::kModule, refusals, file.notes);
  Json list = Json::array({{{"quantizer_name", "*"}, {"enable", false}}});
  std::set<std::string> written;
  for (const LayerToWrite& layer : layers) {
    const std::string& id = layer.layer->id;
    RefuseBits(layer, {}, refusals);
    if (layer.weight.is_integer()) {
      if (!SymmetricWeight(layer, request)) {
        refusals.Add(id, "asymmetric weights", "search with quantizer.weights.symmetric: true");
      }
      if (WeightGranularity(layer, request) == Granularity::kPerGroup) {
        refusals.Add(id,
                     "groups of weights (its block_sizes need integer keys, which JSON has not)",
                     "search with quantizer.weights.granularity: per_channel");
      }
    }
    const std::optional<TensorQuantizer>& input = layer.entry->quantizers.activation;
    const bool starts_at_zero = input && !input->symmetric && input->zero_point.front() == 0;
    if (layer.activation.is_integer() && input && !input->symmetric && !starts_at_zero) {
      refusals.Add(
          id,
          "asymmetric activations (zero point " + std::to_string(input->zero_point.front()) + ")",
          "search with quantizer.activations.symmetric: true, or leave this input float");
    }
    const std::string module = ModuleToWrite(layer, *request.graph, refusals);
    if (module.empty() || !written.insert(module).second) continue;
    if (layer.weight.is_integer()) {
      const bool per_channel = WeightGranularity(layer, request) == Granularity::kPerChannel;
      const Json axis = per_channel ? Json(PyTorchChannelAxis(*layer.layer)) : Json(nullptr);
      list.push_back({{"quantizer_name", module + kWeight},
                      {"enable", true},
                      {"cfg", {{"num_bits", layer.weight.bits()}, {"axis", axis}}}});
    }
    if (layer.activation.is_integer()) {
      Json cfg = {{"num_bits", layer.activation.bits()}, {"axis", nullptr}};
      if (starts_at_zero) cfg["unsigned"] = true;
      list.push_back(
          {{"quantizer_name", module + kInput}, {"enable", true}, {"cfg", std::move(cfg)}});
    }
  }
  refusals.Throw();
  file.content = Json{{"quant_cfg", list}, {"algorithm", "max"}}.dump(1) + "\n";
  return file;
}

/// A quantizer as a new one is: on, with 8 bits.
struct Quantizer {
  std::string name;
  std::string parent_class;
  NumberFormat* format = nullptr;
  int bits = 8;
  bool enabled = true;
};

std::string ParentClass(const Layer& layer) {
  return layer.op == "Gemm" || layer.op == "MatMul" ? "nn.Linear" : "nn." + layer.op + "2d";
}

int NumBits(const JsonValue& cfg) {
  if (cfg.is_array()) {
    throw cfg.Fault("got a sequence of quantizers, and one layer has one number format");
  }
  const auto bits = cfg.Find("num_bits");
  if (!bits) return 8;
  if (!bits->is_number()) {
    throw bits->Fault("got a floating-point format (allowed: integers of 2 to 16 bits)");
  }
  return IntegerBits(*bits, 2).bits();
}

void Apply(const JsonValue& entry, const std::string& pattern,
           const std::vector<Quantizer*>& matching) {
  const auto parent = entry.Find("parent_class");
  const auto cfg = entry.Find("cfg");
  const auto enable = entry.Find("enable");
  const bool configures = cfg && !cfg->is_null();
  if (!configures && !enable) {
    throw entry.Fault("'" + pattern + "' says neither cfg nor enable");
  }
  const bool enabled = !enable || enable->Bool();
  for (Quantizer* quantizer : matching) {
    if (parent && !parent->is_null() && parent->String() != quantizer->parent_class) continue;
    quantizer->enabled = enabled;
    if (configures) quantizer->bits = NumBits(*cfg);
  }
}

ConfigDocument Read(const JsonValue& file, const LayerGraph& graph,
                    std::vector<std::string>& notes) {
  ConfigDocument document = FloatDocument(graph);
  const LayersByName modules = LayersByModule(graph);
  std::vector<Quantizer> quantizers;
  for (const auto& [module, layers] : modules) {
    for (const LayerIndex l : layers) {
      const std::string parent = ParentClass(graph.layer(l));
      BitChoice& choice = document.layers[l.value].choice;
      quantizers.push_back({module + kWeight, parent, &choice.weight});
      quantizers.push_back({module + kInput, parent, &choice.activation});
    }
  }
  std::size_t others = 0;
  for (const JsonValue& entry : file.At("quant_cfg").Elements()) {
    const std::string pattern = entry.At("quantizer_name").String();
    std::vector<Quantizer*> matching;
    for (Quantizer& quantizer : quantizers) {
      if (::fnmatch(pattern.c_str(), quantizer.name.c_str(), FNM_NOESCAPE) == 0) {
        matching.push_back(&quantizer);
      }
    }
    Apply(entry, pattern, matching);
    if (!matching.empty() || pattern.find_first_of("*?[") != std::string::npos) continue;
    const std::size_t dot = pattern.rfind('.');
    const std::string module = pattern.substr(0, dot);
    if (!modules.contains(module)) {
      throw UnknownName(entry.At("quantizer_name"), "module", module, modules);
    }
    others += 1;
  }
  if (others > 0) {
    notes.push_back(fmt::format("{} quantizers of outputs are left out", others));
  }
  for (const Quantizer& quantizer : quantizers) {
    if (quantizer.enabled) *quantizer.format = NumberFormat::Integer(quantizer.bits);
  }
  InferPlacement(document);
  return document;
}

}  // namespace

ConfigFormat ModelOptFormat() {
  return {.name = "modelopt",
          .description = "NVIDIA ModelOpt quant_cfg: bits of PyTorch modules",
          .write = Write,
          .recognises =
              [](const JsonValue& file) { return file.is_object() && file.Find("quant_cfg"); },
          .read = Read};
}

}  // namespace bitsearch
