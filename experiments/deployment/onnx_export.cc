#include "experiments/deployment/onnx_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "experiments/deployment/export_weight.h"
#include "space/graph/opset_upgrade.h"
#include "space/graph/qdq.h"
#include "space/quantizer/integer_arithmetic.h"
#include "space/quantizer/tensor_plan.h"
#include "space/quantizer/weight_quantizer.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kBiasSlot = 2;  // Of Conv, ConvTranspose and Gemm.

class Builder {
 public:
  Builder(const LayerGraph& graph, const ConfigDocument& config, const OnnxExportOptions& options,
          const std::string& path)
      : float_graph_(graph), config_(config), options_(options), path_(path) {
    result_.graph = graph;
  }

  OnnxExport Build() {
    RequireNoSkippedBlocks(config_, path_);
    const BitConfig bits = ConfigForGraph(config_, float_graph_, path_);
    stored_ = StoredCalibrationOf(config_, float_graph_, path_);
    stored_.grids.resize(float_graph_.layers().size());
    stored_.corrections.resize(float_graph_.layers().size());
    RequireOpset();
    if (QuantizesTensors(config_.placement)) ExportTensors(bits);
    // Indices of tensors and nodes stay while nodes are only appended; layers() does not.
    for (const ConfigLayer& entry : config_.layers) {
      ExportLayer(*float_graph_.FindLayer(entry.name), entry);
    }
    LayerGraph& out = result_.graph;
    out.SortTopologically();
    out.RemoveNodes(std::vector<bool>(out.nodes().size(), false));
    WriteMetadata(bits);
    return std::move(result_);
  }

 private:
  Error Refuse(const Layer& layer, const std::string& why, const std::string& hint) const {
    return RefusedLayer(layer, path_, why, hint);
  }

  bool QuantizesActivation(const ConfigLayer& entry) const {
    return config_.placement != Placement::kWeightsOnly &&
           entry.choice.activation != NumberFormat::Float32();
  }

  /// One opset for the whole file: the oldest that its types need.
  void RequireOpset() {
    if (options_.qonnx) return;
    std::int64_t opset = 13;  // per-axis scales
    for (const ConfigLayer& entry : config_.layers) {
      const NumberFormat weight = entry.choice.weight;
      const bool narrow_type = options_.container == Container::kStorage && weight.bits() <= 4;
      const bool wide = !weight.is_float() && weight.bits() > 8;
      if (!weight.is_float() && (narrow_type || wide)) opset = std::max<std::int64_t>(opset, 21);
      if (!weight.is_float() && narrow_type && options_.two_bit_types && weight.bits() <= 2) {
        opset = 25;
      }
      const bool grouped =
          entry.quantizers.weight && entry.quantizers.weight->granularity == "per_group";
      const bool wide_input = QuantizesActivation(entry) && entry.choice.activation.is_integer() &&
                              entry.choice.activation.bits() > 8;
      if (grouped || wide_input) opset = std::max<std::int64_t>(opset, 21);
    }
    UpgradeOpset(result_.graph, opset);
  }

  void ExportLayer(LayerIndex index, const ConfigLayer& entry) {
    const Layer& layer = float_graph_.layer(index);
    std::optional<AffineGrid> input;
    if (QuantizesTensors(config_.placement) && entry.choice.activation.is_integer()) {
      input = tensor_grids_.at(layer.input);
    } else if (QuantizesActivation(entry)) {
      input = ExportInput(layer, entry, stored_.grids[index.value]);
    }
    std::optional<ExportedWeight> weight;
    if (layer.weight && entry.choice.weight != NumberFormat::Float32()) {
      weight = ExportWeight(layer, entry, input.has_value());
    }
    ExportBias(layer, stored_.corrections[index.value], input, weight);
    if (layer.op == "MatMul" && weight && !input && !options_.qonnx) KeepApartFromBias(layer);
  }

  /// ONNX Runtime has a kernel for few-bit weights of a MatMul, but first makes a Gemm of a MatMul
  /// and an Add of a constant, for which it has none: the weights would be dequantized in every run
  /// (ten times as long as float). x − (−b) is x + b exactly, and it leaves that alone.
  void KeepApartFromBias(const Layer& layer) {
    LayerGraph& graph = result_.graph;
    const TensorIndex product = graph.node(layer.node).outputs.front();
    if (graph.Consumers(product).size() != 1) return;
    const NodeIndex add = graph.Consumers(product).front();
    if (graph.node(add).op != "Add") return;
    const std::vector<std::optional<TensorIndex>>& inputs = graph.node(add).inputs;
    const TensorIndex offset = *inputs[inputs[0] == product ? 1 : 0];
    const Tensor& constant = graph.tensor(offset);
    if (!constant.constant || constant.type != DataType::kFloat32) return;
    std::vector<float> negated;
    for (const float value : constant.constant->Floats()) negated.push_back(-value);
    const TensorIndex subtrahend = graph.AddConstant(
        constant.name + "_negated", TensorValue::FromFloats(constant.constant->shape(), negated));
    graph.SetNodeInput(add, 0, product);
    graph.SetNodeInput(add, 1, std::nullopt);
    graph.ReplaceOperator(add, "Sub");
    graph.SetNodeInput(add, 1, subtrahend);
  }

  /// Placements runtime and integer: every reader of a planned tensor sees it quantized.
  void ExportTensors(const BitConfig& bits) {
    LayerGraph& graph = result_.graph;
    std::map<std::string, const TensorGrid*> stored;
    for (const TensorGrid& grid : config_.tensors) stored.emplace(grid.tensor, &grid);
    for (const PlannedTensor& planned : PlanTensors(float_graph_, bits).tensors) {
      const std::string& name = float_graph_.tensor(planned.tensor).name;
      const auto found = stored.find(name);
      if (found == stored.end()) {
        throw Error(ErrorId::kExportRefused, "the configuration stores no range for this tensor")
            .At({path_})
            .Key(name)
            .Hint("give --calibration SPEC, or export a run's configuration");
      }
      const std::vector<NodeIndex> readers = graph.Consumers(planned.tensor);
      const TensorIndex quantized =
          AddInput(planned.tensor, found->second->grid, found->second->format);
      for (const NodeIndex reader : readers) {
        for (std::size_t slot = 0; slot < graph.node(reader).inputs.size(); ++slot) {
          if (graph.node(reader).inputs[slot] == planned.tensor) {
            graph.SetNodeInput(reader, slot, quantized);
          }
        }
      }
      tensor_grids_.emplace(planned.tensor, found->second->grid);
    }
  }

  std::optional<AffineGrid> ExportInput(const Layer& layer, const ConfigLayer& entry,
                                        const std::optional<AffineGrid>& grid) {
    LayerGraph& graph = result_.graph;
    const NumberFormat format = entry.choice.activation;
    const auto read = graph.node(layer.node).inputs[layer.input_slot];
    if (format.is_float()) {
      const DataType type =
          format.kind() == NumberFormat::Kind::kFloat16 ? DataType::kFloat16 : DataType::kBfloat16;
      graph.SetNodeInput(layer.node, layer.input_slot, Rounded(*read, type));
      return std::nullopt;
    }
    if (!grid) {
      throw Refuse(layer, "the configuration stores no range for the layer's input",
                   "give --calibration SPEC, or export a run's configuration");
    }
    const auto key = std::make_pair(layer.input.value, format.bits());
    auto known = inputs_.find(key);
    if (known == inputs_.end() || !SameGrid(known->second.grid, *grid)) {
      known =
          inputs_.insert_or_assign(key, Input{*grid, AddInput(layer.input, *grid, format)}).first;
    }
    graph.SetNodeInput(layer.node, layer.input_slot, known->second.tensor);
    return grid;
  }

  static bool SameGrid(const AffineGrid& a, const AffineGrid& b) {
    return a.scale == b.scale && a.zero_point == b.zero_point && a.qmin == b.qmin &&
           a.qmax == b.qmax;
  }

  /// Both readers of a rounded tensor share the casts.
  TensorIndex Rounded(TensorIndex tensor, DataType type) {
    const auto [known, is_new] = casts_.try_emplace({tensor.value, type}, tensor);
    if (is_new) known->second = AddRoundTripCast(result_.graph, tensor, type);
    return known->second;
  }

  TensorIndex AddInput(TensorIndex tensor, const AffineGrid& grid, NumberFormat format) {
    const bool is_signed = grid.qmin < 0;
    IntegerStorage storage;
    storage.type = IntegerType(format.bits(), is_signed, false, false);
    storage.scales = {grid.scale};
    storage.zero_points = {grid.zero_point};
    if (options_.qonnx) {
      return AddQonnxQuant(result_.graph, tensor, storage, format.bits(), is_signed, false);
    }
    const IntegerLimits limits = LimitsOf(storage.type);
    std::optional<ClipBounds> clip;
    if (grid.qmin > limits.lowest || grid.qmax < limits.highest) {
      clip = ClipBounds{grid.lowest(), grid.highest()};
    }
    return AddQuantizeDequantize(result_.graph, tensor, storage, clip);
  }

  std::optional<ExportedWeight> ExportWeight(const Layer& layer, const ConfigLayer& entry,
                                             bool integer_input) {
    LayerGraph& graph = result_.graph;
    const NumberFormat format = entry.choice.weight;
    if (format.is_float()) {
      const DataType type =
          format.kind() == NumberFormat::Kind::kFloat16 ? DataType::kFloat16 : DataType::kBfloat16;
      const auto [known, is_new] =
          weights_.try_emplace({layer.weight->value, format.ToString()}, *layer.weight);
      if (is_new) {
        const Tensor& tensor = float_graph_.tensor(*layer.weight);
        known->second = AddNarrowConstant(graph, tensor.name, *tensor.constant, type);
      }
      graph.SetNodeInput(layer.node, layer.weight_slot, known->second);
      return std::nullopt;
    }
    const Tensor& tensor = float_graph_.tensor(*layer.weight);
    ExportedWeight weight = WeightOnGrids(layer, entry, *tensor.constant, config_, path_);
    const IntegerStorage storage =
        WeightStorage(layer, format, weight, tensor.constant->shape(), options_, config_, path_);
    if (storage.block_size > 0 && integer_input && BitsOf(storage.type) >= 8) {
      throw Refuse(layer,
                   "weights of " + std::string(NameOf(storage.type)) +
                       " in blocks under quantized activations fail in ONNX Runtime",
                   "use granularity: per_channel, or --container storage with at most 4 bits");
    }
    if (BitsOf(storage.type) == 2 && integer_input) {
      throw Refuse(layer,
                   "2-bit weights of " + layer.op +
                       " under quantized activations do not load in ONNX Runtime",
                   "leave --int2 out");
    }
    const auto key = std::make_pair(layer.weight->value, format.ToString());
    auto known = weights_.find(key);
    if (known == weights_.end()) {
      known = weights_.emplace(key, AddWeight(layer, tensor, format, weight, storage)).first;
    }
    graph.SetNodeInput(layer.node, layer.weight_slot, known->second);
    return weight;
  }

  TensorIndex AddWeight(const Layer& layer, const Tensor& tensor, NumberFormat format,
                        const ExportedWeight& weight, const IntegerStorage& storage) {
    const Shape& shape = tensor.constant->shape();
    const bool is_signed = weight.grids.front().qmin < 0;
    if (options_.qonnx) {
      const auto bound = (std::int64_t{1} << (std::max(2, format.bits()) - 1)) - 1;
      const bool narrow = is_signed && std::all_of(weight.codes.begin(), weight.codes.end(),
                                                   [&](std::int64_t c) { return c >= -bound; });
      return AddQuantOfWeight(layer, tensor, format, weight, storage, is_signed, narrow);
    }
    if (storage.block_size == 0 || storage.scale_shape.size() == shape.size()) {
      return AddDequantizedConstant(result_.graph, tensor.name, shape, weight.codes, storage);
    }
    // Blocks run over the flattened inputs of an output channel: stored as a matrix, reshaped.
    const Shape flat = {shape[0], ElementCount(shape) / shape[0]};
    const TensorIndex matrix =
        AddDequantizedConstant(result_.graph, tensor.name, flat, weight.codes, storage);
    return AddReshape(result_.graph, matrix, shape);
  }

  TensorIndex AddQuantOfWeight(const Layer& layer, const Tensor& tensor, NumberFormat format,
                               const ExportedWeight& weight, IntegerStorage storage, bool is_signed,
                               bool narrow) {
    if (storage.block_size > 0) {
      throw Refuse(layer, "QONNX has no weights in groups", "use granularity: per_channel");
    }
    if (weight.chosen || format.kind() == NumberFormat::Kind::kTernary || format.bits() == 1) {
      // Rounding to the nearest level is not how these are made, so their values are written.
      const Shape& shape = tensor.constant->shape();
      const std::vector<float> values = weight.Values(shape, layer.output_channel_axis);
      result_.graph.SetConstant(*layer.weight, TensorValue::FromFloats(shape, values));
    }
    if (!storage.scale_shape.empty()) {
      // Broadcast against the weight: [C] along its axis.
      Shape spread(tensor.constant->shape().size(), 1);
      spread[static_cast<std::size_t>(storage.axis)] = storage.scale_shape[0];
      storage.scale_shape = spread;
    }
    return AddQonnxQuant(result_.graph, *layer.weight, storage, std::max(2, format.bits()),
                         is_signed, narrow);
  }

  /// Writes the (corrected) bias: INT32 with scale s_x·s_w where the layer runs in integers.
  void ExportBias(const Layer& layer, const BiasCorrection& correction,
                  const std::optional<AffineGrid>& input,
                  const std::optional<ExportedWeight>& weight) {
    std::vector<float> bias = correction.bias;
    if (bias.empty() && !correction.output_shift.empty()) {
      if (layer.bias || layer.op == "MatMul") {
        AddOutputShift(layer, correction.output_shift);
      } else {
        bias = correction.output_shift;
      }
    }
    const bool was_there = layer.bias && float_graph_.tensor(*layer.bias).constant;
    if (bias.empty() && was_there) {
      const std::span<const float> own = float_graph_.tensor(*layer.bias).constant->Floats();
      bias.assign(own.begin(), own.end());
    }
    if (bias.empty()) return;
    const std::string name =
        layer.bias ? float_graph_.tensor(*layer.bias).name : layer.id + "_bias";
    const bool plain = float_graph_.node(layer.node).attributes.Float("alpha", 1.0F) == 1.0F &&
                       float_graph_.node(layer.node).attributes.Float("beta", 1.0F) == 1.0F &&
                       static_cast<int>(bias.size()) == layer.output_channels;
    LayerGraph& graph = result_.graph;
    if (input && weight && weight->groups == 1 && plain && !options_.qonnx) {
      const std::vector<float> scales = ProductScales(*input, *weight);
      if (!FitsIntegerBias(bias, scales)) {
        // As an input of the layer the runtime would round it to INT32 by itself, and overflow.
        result_.notes.push_back("layer '" + layer.id +
                                "': the bias does not fit INT32 at scale s_x·s_w and is added "
                                "behind the layer, in floating point");
        if (layer.bias) graph.SetNodeInput(layer.node, kBiasSlot, std::nullopt);
        AddOutputShift(layer, bias);
        return;
      }
      // Under layer_inputs the simulation keeps biases float, so the file does.
      if (QuantizesTensors(config_.placement)) {
        graph.SetNodeInput(layer.node, kBiasSlot, IntegerBias(name, bias, scales));
        return;
      }
    }
    if (correction.bias.empty() && was_there) return;  // as it is
    TensorValue value = TensorValue::FromFloats({static_cast<std::int64_t>(bias.size())}, bias);
    if (layer.bias && float_graph_.Consumers(*layer.bias).size() == 1) {
      graph.SetConstant(*layer.bias, std::move(value));
    } else {
      graph.SetNodeInput(layer.node, kBiasSlot,
                         graph.AddConstant(layer.id + "_corrected_bias", std::move(value)));
    }
  }

  /// s_x·s_w: one for each channel, or one for all.
  static std::vector<float> ProductScales(const AffineGrid& input, const ExportedWeight& weight) {
    std::vector<float> scales;
    for (const AffineGrid& grid : weight.grids) scales.push_back(input.scale * grid.scale);
    return scales;
  }

  TensorIndex IntegerBias(const std::string& name, const std::vector<float>& bias,
                          const std::vector<float>& product_scales) {
    const Shape shape = {static_cast<std::int64_t>(bias.size())};
    IntegerStorage storage;
    storage.type = DataType::kInt32;
    std::vector<std::int64_t> codes;
    for (std::size_t c = 0; c < bias.size(); ++c) {
      const float scale = product_scales[c % product_scales.size()];
      codes.push_back(QuantizeBias(bias[c], scale));
      if (c > 0 && product_scales.size() == 1) continue;
      storage.scales.push_back(scale);
      storage.zero_points.push_back(0);
    }
    if (product_scales.size() > 1) storage.scale_shape = shape;
    return AddDequantizedConstant(result_.graph, name, shape, codes, storage);
  }

  void AddOutputShift(const Layer& layer, const std::vector<float>& shift) {
    LayerGraph& graph = result_.graph;
    const Tensor& output = graph.tensor(layer.output);
    // Channels lie on axis 1 of images, on the last axis of matrices.
    Shape shape = {static_cast<std::int64_t>(shift.size())};
    if (output.shape && output.shape->size() >= 4) shape.resize(output.shape->size() - 1, 1);
    AddOffset(graph, layer.output, TensorValue::FromFloats(shape, shift));
  }

  void WriteMetadata(const BitConfig& bits) {
    Json layers = Json::object();
    for (std::size_t l = 0; l < bits.choices.size(); ++l) {
      layers[float_graph_.layers()[l].id] =
          bits.choices[l].weight.ToString() + "/" + bits.choices[l].activation.ToString();
    }
    const Json json = {{"format", "bitsearch/bits/1"},
                       {"placement", NameOf(config_.placement)},
                       {"container", options_.qonnx ? "qonnx" : NameOf(options_.container)},
                       {"weight/activation bits", layers}};
    result_.graph.metadata["bitsearch"] = json.dump();
  }

  struct Input {
    AffineGrid grid;
    TensorIndex tensor;
  };

  const LayerGraph& float_graph_;
  const ConfigDocument& config_;
  const OnnxExportOptions& options_;
  const std::string& path_;
  OnnxExport result_;
  StoredCalibration stored_;
  std::map<TensorIndex, AffineGrid> tensor_grids_;
  std::map<std::pair<std::size_t, int>, Input> inputs_;
  std::map<std::pair<std::size_t, DataType>, TensorIndex> casts_;
  std::map<std::pair<std::size_t, std::string>, TensorIndex> weights_;
};

}  // namespace

std::string_view NameOf(Container container) {
  return container == Container::kStorage ? "storage" : "compute";
}

std::optional<Container> ParseContainer(std::string_view name) {
  for (const Container container : {Container::kStorage, Container::kCompute}) {
    if (NameOf(container) == name) return container;
  }
  return std::nullopt;
}

void RequireNoSkippedBlocks(const ConfigDocument& config, const std::string& path) {
  for (const ConfigLayer& entry : config.layers) {
    if (entry.choice.weight.kind() != NumberFormat::Kind::kSkip) continue;
    throw Error(ErrorId::kExportRefused,
                "the block is skipped (0 bits), which no rewrite of this network does")
        .At({path})
        .Key(entry.name)
        .Hint("leave 0 out of the candidates");
  }
}

OnnxExport BuildQuantizedOnnx(const LayerGraph& graph, const ConfigDocument& config,
                              const OnnxExportOptions& options, const std::string& path) {
  return Builder(graph, config, options, path).Build();
}

}  // namespace bitsearch
