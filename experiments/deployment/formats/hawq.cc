// HAWQ's bit_config: module → bits. Names follow its networks: the convolution convN of a block is
// quant_convbnN and its input quant_act (N = 1) or quant_act(N−1); convolutions that share an input
// share its QuantAct. HAWQ has integers only, symmetric weights, and calibrates itself.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "experiments/deployment/formats/format_layers.h"
#include "experiments/deployment/formats/formats.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

struct HawqNames {
  std::string weight;
  std::string input;
};

/// "conv2" → 2 for the prefix "conv"; 0 where there is no number, nothing for other names.
std::optional<int> NumberAfter(const std::string& prefix, const std::string& name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string digits = name.substr(prefix.size());
  if (digits.find_first_not_of("0123456789") != std::string::npos || digits.size() > 4) {
    return std::nullopt;
  }
  return digits.empty() ? 0 : std::stoi(digits);
}

/// By layer; empty names where the layer is no PyTorch module.
std::vector<HawqNames> NamesOf(const LayerGraph& graph) {
  std::vector<HawqNames> all(graph.layers().size());
  std::map<TensorIndex, std::string> by_input;
  std::set<std::string> taken;
  for (std::size_t l = 0; l < all.size(); ++l) {
    const Layer& layer = graph.layers()[l];
    const auto module = ModuleName(graph, layer);
    if (!module) continue;
    const std::size_t dot = module->rfind('.');
    const std::string block = dot == std::string::npos ? "" : module->substr(0, dot + 1);
    std::string last = module->substr(block.size());
    const bool named_by_hawq = last.starts_with("quant_");
    auto number = NumberAfter(named_by_hawq ? "quant_convbn" : "conv", last);
    if (named_by_hawq) {
      all[l].weight = *module;
      last.erase(0, 6);
    } else if (number) {
      all[l].weight = fmt::format("{}quant_convbn{}", block, last.substr(4));
    } else {
      all[l].weight = fmt::format("{}quant_{}", block, last);
    }
    std::string& input = by_input[layer.input];
    if (input.empty()) {
      input = !number        ? fmt::format("{}quant_act_{}", block, last)
              : *number <= 1 ? block + "quant_act"
                             : fmt::format("{}quant_act{}", block, *number - 1);
      if (!taken.insert(input).second) {
        input = fmt::format("{}quant_act_{}", block, last);
        taken.insert(input);
      }
    }
    all[l].input = input;
  }
  return all;
}

ExportedFile Write(const ExportRequest& request) {
  ExportedFile file;
  const LayerGraph& graph = *request.graph;
  const std::vector<LayerToWrite> layers = LayersToWrite(request, file.notes);
  Refusals refusals("hawq", request.place);
  RefuseDisagreement(layers, request, NamedThing::kTensor, refusals, file.notes);
  const std::vector<HawqNames> names = NamesOf(graph);
  Json json = Json::object();
  for (const LayerToWrite& layer : layers) {
    const std::string& id = layer.layer->id;
    if (!layer.layer->weight) continue;  // HAWQ has no module for it, and leaves it float.
    RefuseBits(layer, {.float_weights = false, .float_activations = false}, refusals);
    if (!SymmetricWeight(layer, request)) {
      refusals.Add(id, "asymmetric weights", "search with quantizer.weights.symmetric: true");
    }
    if (WeightGranularity(layer, request) == Granularity::kPerGroup) {
      refusals.Add(id, "groups of weights",
                   "search with quantizer.weights.granularity: per_channel");
    }
    if (ModuleToWrite(layer, graph, refusals).empty() || refusals.Has(id)) continue;
    const HawqNames& name = names[graph.FindLayer(id)->value];
    json[name.input] = layer.activation.bits();
    json[name.weight] = layer.weight.bits();
  }
  refusals.Throw();
  file.content = json.dump(1) + "\n";
  return file;
}

/// 8, or [8, "hook"] for Python's (8, "hook").
NumberFormat BitsOf(const JsonValue& value) {
  return IntegerBits(value.is_array() ? value.Elements().front() : value, 2);
}

ConfigDocument Read(const JsonValue& file, const LayerGraph& graph,
                    std::vector<std::string>& notes) {
  ConfigDocument document = FloatDocument(graph);
  const std::vector<HawqNames> names = NamesOf(graph);
  LayersByName weights;
  LayersByName all;
  for (std::size_t l = 0; l < names.size(); ++l) {
    if (names[l].weight.empty()) continue;
    weights[names[l].weight].push_back(LayerIndex(l));
    all[names[l].weight].push_back(LayerIndex(l));
    all[names[l].input].push_back(LayerIndex(l));
  }
  std::size_t others = 0;
  std::set<std::size_t> given;
  for (const auto& [name, value] : file.Members()) {
    const auto at = all.find(name);
    if (at == all.end()) {
      // Residual sums and the network's ends: no layer's input.
      if (!name.ends_with("quant_act_int32") && name != "quant_act_output") {
        throw UnknownName(value, "module", name, all);
      }
      ++others;
      continue;
    }
    const bool is_weight = weights.contains(name);
    for (const LayerIndex l : at->second) {
      BitChoice& choice = document.layers[l.value].choice;
      (is_weight ? choice.weight : choice.activation) = BitsOf(value);
      if (is_weight) given.insert(l.value);
    }
  }
  for (std::size_t l = 0; l < names.size(); ++l) {
    if (names[l].weight.empty() || given.contains(l)) continue;
    throw file.Fault("layer '" + graph.layers()[l].id + "' has no bits")
        .Hint("HAWQ knows no float layers: add '" + names[l].weight + "'");
  }
  if (others > 0) {
    notes.push_back(fmt::format("{} entries of residual sums are left out", others));
  }
  InferPlacement(document);
  return document;
}

bool Recognises(const JsonValue& file) {
  if (!file.is_object()) return false;
  const auto members = file.Members();
  if (members.empty()) return false;
  for (const auto& [name, value] : members) {
    const bool hooked =
        value.is_array() && !value.Elements().empty() && value.Elements().front().is_number();
    if (!value.is_number() && !hooked) return false;
  }
  return true;
}

}  // namespace

ConfigFormat HawqFormat() {
  return {.name = "hawq",
          .description = "a dictionary of HAWQ's bit_config.py: bits of its Quant modules",
          .write = Write,
          .recognises = Recognises,
          .read = Read};
}

}  // namespace bitsearch
