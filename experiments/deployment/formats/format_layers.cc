#include "experiments/deployment/formats/format_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "space/quantizer/tensor_plan.h"
#include "space/quantizer/weight_quantizer.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr const char* kHoldsAll = "--format json holds every configuration";

/// "integers of 2 to 8 bits, fp32"
std::string Allowed(int least, int most, bool floats, bool half) {
  std::string text;
  if (least <= most) {
    text = least == most ? fmt::format("{}", least) : fmt::format("{} to {} bits", least, most);
  }
  if (half) text += text.empty() ? "fp16" : ", fp16";
  if (floats) text += text.empty() ? "fp32" : ", fp32";
  return text;
}

std::string Described(NumberFormat format, const char* what) {
  if (format.is_integer()) return fmt::format("{} of {} bits", what, format.bits());
  return fmt::format("{} {}", format.ToString(), what);
}

void RefuseOne(const std::string& layer, NumberFormat format, const char* what, int least, int most,
               bool floats, bool half, Refusals& refusals) {
  const bool holds = format.is_integer() ? format.bits() >= least && format.bits() <= most
                     : format == NumberFormat::Float32()
                         ? floats
                         : half && format == NumberFormat::Float16();
  if (holds) return;
  refusals.Add(layer, fmt::format("{} (allowed: {})", Described(format, what),
                                  Allowed(least, most, floats, half)));
}

bool SameGrids(const std::optional<TensorQuantizer>& a, const std::optional<TensorQuantizer>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return a->symmetric == b->symmetric && a->scale == b->scale && a->zero_point == b->zero_point;
}

bool SameWeight(const LayerToWrite& a, const LayerToWrite& b) {
  return a.weight == b.weight && SameGrids(a.entry->quantizers.weight, b.entry->quantizers.weight);
}

bool SameActivation(const LayerToWrite& a, const LayerToWrite& b) {
  return a.activation == b.activation &&
         SameGrids(a.entry->quantizers.activation, b.entry->quantizers.activation);
}

}  // namespace

std::vector<LayerToWrite> LayersToWrite(const ExportRequest& request,
                                        std::vector<std::string>& notes) {
  std::vector<LayerToWrite> layers;
  bool overridden = false;
  for (const ConfigLayer& entry : request.document.layers) {
    const Layer& layer = request.graph->layer(*request.graph->FindLayer(entry.name));
    LayerToWrite write{&entry, &layer, entry.choice.weight, entry.choice.activation};
    if (!layer.weight && write.weight.kind() != NumberFormat::Kind::kSkip) {
      write.weight = NumberFormat::Float32();
    }
    if (request.document.placement == Placement::kWeightsOnly && write.activation.is_integer()) {
      write.activation = NumberFormat::Float32();
      overridden = true;
    }
    layers.push_back(write);
  }
  if (overridden) {
    notes.push_back(
        "placement weights_only leaves activations in float: their bits are not in the file");
  }
  return layers;
}

void Refusals::Add(const std::string& layer, const std::string& what, const std::string& hint) {
  layers_[layer] = true;
  errors_.push_back(Error(ErrorId::kExportRefused, tool_ + " cannot hold " + what)
                        .At({place_})
                        .Key(layer)
                        .Hint(hint.empty() ? kHoldsAll : hint));
}

void Refusals::Throw() const {
  if (!errors_.empty()) throw ErrorList(errors_);
}

void RefuseBits(const LayerToWrite& layer, const HoldableBits& bits, Refusals& refusals) {
  const std::string& id = layer.layer->id;
  if (layer.weight.kind() == NumberFormat::Kind::kSkip ||
      layer.activation.kind() == NumberFormat::Kind::kSkip) {
    refusals.Add(id, "a block that is left out (0 bits)");
    return;
  }
  RefuseOne(id, layer.weight, "weights", bits.least_weight, bits.most_weight,
            bits.float_weights || !layer.layer->weight, bits.half, refusals);
  RefuseOne(id, layer.activation, "activations", bits.least_activation, bits.most_activation,
            bits.float_activations, bits.half, refusals);
}

TensorQuantizer WeightQuantizerOf(const LayerToWrite& layer, const ExportRequest& request) {
  if (layer.entry->quantizers.weight) return *layer.entry->quantizers.weight;
  const WeightQuantizerSpec spec = request.document.weights.value_or(WeightQuantizerSpec{});
  const TensorValue& weight = *request.graph->tensor(*layer.layer->weight).constant;
  const QuantizedWeight quantized = QuantizeWeight(
      weight.ToFloats(), weight.shape(), layer.layer->output_channel_axis, layer.weight, spec);
  TensorQuantizer quantizer{NameOf(spec.granularity), spec.symmetric, 0.0, 0.0, {}, {}};
  for (const AffineGrid& grid : quantized.grids) {
    quantizer.scale.push_back(grid.scale);
    quantizer.zero_point.push_back(grid.zero_point);
  }
  return quantizer;
}

Granularity WeightGranularity(const LayerToWrite& layer, const ExportRequest& request) {
  if (layer.entry->quantizers.weight) {
    for (const auto& [name, granularity] : GranularityNames()) {
      if (name == layer.entry->quantizers.weight->granularity) return granularity;
    }
  }
  return request.document.weights.value_or(WeightQuantizerSpec{}).granularity;
}

bool SymmetricWeight(const LayerToWrite& layer, const ExportRequest& request) {
  if (layer.entry->quantizers.weight) return layer.entry->quantizers.weight->symmetric;
  return request.document.weights.value_or(WeightQuantizerSpec{}).symmetric;
}

AffineGrid GridOf(const TensorQuantizer& quantizer, int bits) {
  const std::int32_t levels = std::int32_t{1} << bits;
  return {quantizer.scale.front(), quantizer.zero_point.front(),
          quantizer.symmetric ? -levels / 2 : 0, quantizer.symmetric ? levels / 2 - 1 : levels - 1};
}

TensorQuantizer ActivationQuantizer(bool symmetric, int bits, float scale,
                                    std::int32_t zero_point) {
  TensorQuantizer quantizer{"per_tensor", symmetric, 0.0, 0.0, {scale}, {zero_point}};
  const AffineGrid grid = GridOf(quantizer, bits);
  quantizer.low = grid.lowest();
  quantizer.high = grid.highest();
  return quantizer;
}

std::optional<std::string> ModuleName(const LayerGraph& graph, const Layer& layer) {
  constexpr std::string_view kSuffix = ".weight";
  if (!layer.weight) return std::nullopt;
  const std::string& name = graph.tensor(*layer.weight).name;
  if (name.size() <= kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  return name.substr(0, name.size() - kSuffix.size());
}

std::string ModuleToWrite(const LayerToWrite& layer, const LayerGraph& graph, Refusals& refusals) {
  const auto module = ModuleName(graph, *layer.layer);
  if (module) return *module;
  const bool is_float =
      layer.weight == NumberFormat::Float32() && layer.activation == NumberFormat::Float32();
  if (!layer.layer->weight) {
    if (!is_float) {
      refusals.Add(layer.layer->id, "a product of two activations, which is no PyTorch module",
                   "leave the layer in float: pin it to fp32,fp32");
    }
  } else if (!is_float) {
    refusals.Add(layer.layer->id,
                 fmt::format("the layer: its weight is '{}', which names no PyTorch module",
                             graph.tensor(*layer.layer->weight).name),
                 "export the network with its parameters' names: torch.onnx.export(..., "
                 "do_constant_folding=False)");
  }
  return "";
}

std::optional<TensorIndex> MovedFrom(const LayerGraph& graph, TensorIndex tensor) {
  static const std::vector<std::string> kMoves = {"Flatten", "Identity",  "MaxPool",  "Reshape",
                                                  "Squeeze", "Transpose", "Unsqueeze"};
  const auto producer = graph.producer(tensor);
  if (!producer) return std::nullopt;
  const Node& node = graph.node(*producer);
  if (std::find(kMoves.begin(), kMoves.end(), node.op) == kMoves.end()) return std::nullopt;
  return node.inputs.front();
}

void RefuseDisagreement(const std::vector<LayerToWrite>& layers, const ExportRequest& request,
                        NamedThing named, Refusals& refusals, std::vector<std::string>& notes) {
  const LayerGraph& graph = *request.graph;
  const auto refuse = [&](const LayerToWrite& layer, TensorIndex tensor, const Layer& other) {
    refusals.Add(layer.layer->id,
                 fmt::format("two choices for '{}', which {} reads too", graph.tensor(tensor).name,
                             other.id),
                 "give both layers the same bits: `bitsearch layers MODEL.onnx` lists such ties");
  };
  std::map<TensorIndex, const LayerToWrite*> weights;
  std::map<TensorIndex, const LayerToWrite*> inputs;
  for (const LayerToWrite& layer : layers) {
    if (layer.layer->weight) {
      const auto [first, is_new] = weights.try_emplace(*layer.layer->weight, &layer);
      const LayerToWrite& other = *first->second;
      if (!is_new && (!SameWeight(layer, other) ||
                      (named == NamedThing::kModule && !SameActivation(layer, other)))) {
        refuse(layer, *layer.layer->weight, *other.layer);
      }
    }
    if (named != NamedThing::kTensor) continue;
    const auto [first, is_new] = inputs.try_emplace(layer.layer->input, &layer);
    if (!is_new && !SameActivation(layer, *first->second)) {
      refuse(layer, layer.layer->input, *first->second->layer);
    }
  }
  if (named != NamedThing::kTensor) return;
  std::size_t beside = 0;
  for (const auto& [tensor, layer] : inputs) {
    if (layer->activation == NumberFormat::Float32()) {
      for (auto above = MovedFrom(graph, tensor); above; above = MovedFrom(graph, *above)) {
        const auto at = inputs.find(*above);
        if (at == inputs.end() || at->second->activation == NumberFormat::Float32()) continue;
        refuse(*layer, *above, *at->second->layer);
        break;
      }
      continue;
    }
    std::size_t readers = 0;
    for (const LayerToWrite& each : layers) readers += each.layer->input == tensor ? 1 : 0;
    beside += graph.Consumers(tensor).size() > readers ? 1 : 0;
  }
  if (beside > 0 && !QuantizesTensors(request.document.placement)) {
    notes.push_back(fmt::format(
        "{} of the quantized inputs are read by other operators too (residual additions), which "
        "will see them quantized",
        beside));
  }
}

LayersByName LayersByModule(const LayerGraph& graph) {
  LayersByName known;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    if (const auto name = ModuleName(graph, graph.layers()[l])) {
      known[*name].push_back(LayerIndex(l));
    }
  }
  return known;
}

Error UnknownName(const JsonValue& where, const std::string& kind, const std::string& name,
                  const LayersByName& known) {
  std::vector<std::string> names;
  for (const auto& [each, layers] : known) names.push_back(each);
  const std::string nearest = NearestName(name, names);
  return where.Fault(fmt::format("the network has no {} '{}'", kind, name))
      .Hint(nearest.empty() ? "is it a file for this network? `bitsearch layers MODEL.onnx` lists "
                              "its layers"
                            : fmt::format("did you mean '{}'?", nearest));
}

ConfigDocument FloatDocument(const LayerGraph& graph) {
  ConfigDocument document;
  for (const Layer& layer : graph.layers()) document.layers.push_back({layer.id, layer.op, {}, {}});
  return document;
}

void InferPlacement(ConfigDocument& document) {
  const bool quantized = std::any_of(
      document.layers.begin(), document.layers.end(),
      [](const ConfigLayer& layer) { return layer.choice.activation != NumberFormat::Float32(); });
  document.placement = quantized ? Placement::kLayerInputs : Placement::kWeightsOnly;
}

void InferWeightSpec(const LayerGraph& graph, ConfigDocument& document,
                     std::vector<std::string>& notes) {
  constexpr float kSameScale = 1e-5F;  // Scales that went through decimal text.
  std::size_t others = 0;
  for (const ConfigLayer& entry : document.layers) {
    if (!entry.quantizers.weight || !entry.choice.weight.is_integer()) continue;
    const TensorQuantizer& stored = *entry.quantizers.weight;
    if (!document.weights) {
      WeightQuantizerSpec spec;
      spec.granularity = stored.granularity == NameOf(Granularity::kPerTensor)
                             ? Granularity::kPerTensor
                             : Granularity::kPerChannel;
      spec.symmetric = stored.symmetric;
      spec.narrow = stored.symmetric;
      document.weights = spec;
    }
    const Layer& layer = graph.layer(*graph.FindLayer(entry.name));
    const TensorValue& weight = *graph.tensor(*layer.weight).constant;
    const std::vector<AffineGrid> grids =
        QuantizeWeight(weight.ToFloats(), weight.shape(), layer.output_channel_axis,
                       entry.choice.weight, *document.weights)
            .grids;
    bool same =
        grids.size() == stored.scale.size() && document.weights->symmetric == stored.symmetric;
    for (std::size_t c = 0; same && c < grids.size(); ++c) {
      same = std::fabs(grids[c].scale - stored.scale[c]) <= kSameScale * stored.scale[c] &&
             grids[c].zero_point == stored.zero_point[c];
    }
    others += same ? 0 : 1;
  }
  if (others > 0) {
    notes.push_back(fmt::format(
        "the file's scales of {} weights are not those of min-max: evaluate takes min-max, export "
        "writes the file's",
        others));
  }
}

NumberFormat IntegerBits(const JsonValue& value, int least) {
  const std::int64_t bits = value.Count();
  if (bits < least || bits > 16) {
    throw value.Fault(fmt::format("got {} bits (allowed: {} to 16)", bits, least));
  }
  return NumberFormat::Integer(static_cast<int>(bits));
}

}  // namespace bitsearch
