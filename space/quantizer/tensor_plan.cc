// Forward: where integers reach. Backward: where they are of use. Then grids are shared along
// moves.
#include "space/quantizer/tensor_plan.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "space/graph/operators.h"
#include "space/graph/ties.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// What an integer runtime keeps a tensor in where no layer says otherwise.
constexpr int kDefaultBits = 8;

bool IsConstantInput(const LayerGraph& graph, const Node& node, std::size_t slot) {
  return slot < node.inputs.size() && node.inputs[slot] &&
         graph.tensor(*node.inputs[slot]).constant.has_value();
}

bool IsAbsentInput(const Node& node, std::size_t slot) {
  return slot >= node.inputs.size() || !node.inputs[slot];
}

bool HasConstantBounds(const LayerGraph& graph, const Node& node) {
  for (const std::size_t slot : {1, 2}) {
    if (!IsAbsentInput(node, slot) && !IsConstantInput(graph, node, slot)) return false;
  }
  return true;
}

// Zero is on every grid; other padding values need not be.
bool PadsWithZero(const LayerGraph& graph, const Node& node) {
  if (node.attributes.String("mode", "constant") != "constant") return true;
  if (node.attributes.Float("value", 0.0F) != 0.0F) return false;
  if (IsAbsentInput(node, 2)) return true;
  if (!IsConstantInput(graph, node, 2)) return false;
  const auto values = graph.tensor(*node.inputs[2]).constant->Floats();
  return std::all_of(values.begin(), values.end(), [](float value) { return value == 0.0F; });
}

bool AveragesFixedWindows(const Node& node) {
  if (node.op == "GlobalAveragePool") return true;
  const std::vector<std::int64_t> pads = node.attributes.Ints("pads");
  const bool pads_nothing =
      std::all_of(pads.begin(), pads.end(), [](auto pad) { return pad == 0; });
  return node.attributes.Int("ceil_mode", 0) == 0 &&
         node.attributes.String("auto_pad", "NOTSET") == "NOTSET" &&
         (pads_nothing || node.attributes.Int("count_include_pad", 0) != 0);
}

// The integer form that a node which is no layer has, if its inputs are quantized.
NodeForm IntegerForm(const LayerGraph& graph, const Node& node) {
  const OperatorInfo* row = FindOperator(node.domain, node.op);
  if (row == nullptr || node.outputs.empty()) return NodeForm::kFloat;
  const std::size_t count = DataInputs(graph, node).size();
  if (node.op == "Add" || node.op == "Sum" || node.op == "Concat") {
    if (count < 2 || count != node.inputs.size()) return NodeForm::kFloat;
    return node.op == "Concat" ? NodeForm::kConcat : NodeForm::kAdd;
  }
  // From here on: operators of one tensor, in front of their parameters.
  if (count != 1 || IsAbsentInput(node, 0) || IsConstantInput(graph, node, 0)) {
    return NodeForm::kFloat;
  }
  if (node.op == "Relu") return NodeForm::kRectify;
  if (node.op == "Clip") {
    return HasConstantBounds(graph, node) ? NodeForm::kRectify : NodeForm::kFloat;
  }
  if (node.op == "AveragePool" || node.op == "GlobalAveragePool") {
    return AveragesFixedWindows(node) ? NodeForm::kAverage : NodeForm::kFloat;
  }
  if (node.op == "GlobalMaxPool") return NodeForm::kMove;
  if (node.op == "Pad" && !PadsWithZero(graph, node)) return NodeForm::kFloat;
  return row->moves_data ? NodeForm::kMove : NodeForm::kFloat;
}

bool CanBeFusedBehind(NodeForm producer) {
  return producer == NodeForm::kLayer || producer == NodeForm::kAdd ||
         producer == NodeForm::kConcat || producer == NodeForm::kAverage ||
         producer == NodeForm::kFused;
}

class Planner {
 public:
  Planner(const LayerGraph& graph, const BitConfig& config)
      : graph_(graph),
        layer_of_tensor_(graph.tensors().size()),
        format_(graph.tensors().size()),
        is_output_(graph.tensors().size(), false),
        forms_(graph.nodes().size(), NodeForm::kFloat) {
    if (config.choices.size() != graph.layers().size()) {
      throw Error(ErrorId::kUsage,
                  "the configuration has " + std::to_string(config.choices.size()) +
                      " layers, the network " + std::to_string(graph.layers().size()))
          .Hint("was it made for another network?");
    }
    for (const TensorIndex output : graph.outputs()) is_output_[output.value] = true;
    PlaceLayers(config);
  }

  TensorPlan Plan() {
    for (std::size_t n = 0; n < forms_.size(); ++n) Reach(NodeIndex(n));
    for (std::size_t n = forms_.size(); n-- > 0;) DropUseless(NodeIndex(n));
    TensorPlan plan;
    CollectTensors(plan.tensors);
    ShareGrids(plan.tensors);
    plan.forms = std::move(forms_);
    return plan;
  }

 private:
  void PlaceLayers(const BitConfig& config) {
    for (std::size_t l = 0; l < graph_.layers().size(); ++l) {
      const Layer& layer = graph_.layers()[l];
      const auto [weight, activation] = config.choices[l];
      const bool integer_weight =
          weight.is_integer() || weight.kind() == NumberFormat::Kind::kTernary;
      if (activation.is_integer() && (integer_weight || !layer.weight)) {
        forms_[layer.node.value] = NodeForm::kLayer;
      }
      std::vector<TensorIndex> inputs{layer.input};
      if (!layer.weight) inputs = DataInputs(graph_, graph_.node(layer.node));
      for (const TensorIndex input : inputs) {
        std::optional<LayerIndex>& first = layer_of_tensor_[input.value];
        if (!first) first = LayerIndex(l);
        const NumberFormat asked = config.choices[first->value].activation;
        if (asked != activation) {
          throw Error(ErrorId::kConfigLayers,
                      "layers '" + graph_.layer(*first).id + "' and '" + layer.id +
                          "' read the tensor '" + graph_.tensor(input).name + "' with " +
                          asked.ToString() + " and " + activation.ToString() + " activation bits")
              .Key(layer.id)
              .Hint(
                  "a runtime quantizes a tensor once for all its readers: give these layers equal "
                  "activation bits, or use placement layer_inputs");
        }
        if (activation.is_integer()) format_[input.value] = activation;
      }
    }
  }

  bool IsLayerInput(TensorIndex tensor) const { return format_[tensor.value].has_value(); }

  NodeForm FormOfProducer(TensorIndex tensor) const {
    const auto producer = graph_.producer(tensor);
    return producer ? forms_[producer->value] : NodeForm::kFloat;
  }

  // Whether a reader can get the tensor as codes.
  bool ComesQuantized(TensorIndex tensor) const {
    if (IsLayerInput(tensor)) return true;
    return FormOfProducer(tensor) != NodeForm::kFloat && !is_output_[tensor.value] &&
           graph_.tensor(tensor).type == DataType::kFloat32;
  }

  // Only `reader` sees what the producing node gives, so that both are one kernel.
  bool IsFusedInto(TensorIndex tensor, NodeIndex reader) const {
    return !IsLayerInput(tensor) && !is_output_[tensor.value] &&
           graph_.Consumers(tensor) == std::vector{reader} &&
           CanBeFusedBehind(FormOfProducer(tensor));
  }

  void Reach(NodeIndex index) {
    NodeForm& form = forms_[index.value];
    if (form == NodeForm::kLayer) return;
    const Node& node = graph_.node(index);
    const NodeForm wanted = IntegerForm(graph_, node);
    if (wanted == NodeForm::kFloat) return;
    for (const TensorIndex input : DataInputs(graph_, node)) {
      if (!ComesQuantized(input)) return;
    }
    form = wanted;
    if (wanted == NodeForm::kRectify && IsFusedInto(*node.inputs[0], index)) {
      form = NodeForm::kFused;
    }
  }

  // A runtime's integer convolution gives codes only; products of matrices can give floats. Where
  // only floating point reads a convolution, it would run in floating point itself.
  bool ComesFromConvolution(TensorIndex tensor) const {
    const auto producer = graph_.producer(tensor);
    if (!producer) return false;
    const Node& node = graph_.node(*producer);
    switch (forms_[producer->value]) {
      case NodeForm::kLayer: return node.op == "Conv";
      case NodeForm::kFused: return ComesFromConvolution(*node.inputs[0]);
      default: return false;
    }
  }

  // Whether integers read the tensor, or its integer kernel has no other result.
  bool IsOfUse(TensorIndex tensor) const {
    if (IsLayerInput(tensor)) return true;
    if (is_output_[tensor.value]) return false;
    if (ComesFromConvolution(tensor)) return true;
    const std::vector<NodeIndex>& readers = graph_.Consumers(tensor);
    return std::any_of(readers.begin(), readers.end(),
                       [&](NodeIndex reader) { return forms_[reader.value] != NodeForm::kFloat; });
  }

  void DropUseless(NodeIndex index) {
    NodeForm& form = forms_[index.value];
    if (form == NodeForm::kFloat || form == NodeForm::kLayer) return;
    const std::vector<TensorIndex>& outputs = graph_.node(index).outputs;
    if (std::none_of(outputs.begin(), outputs.end(),
                     [&](TensorIndex output) { return IsOfUse(output); })) {
      form = NodeForm::kFloat;
    }
  }

  bool IsPlanned(TensorIndex tensor) const {
    if (IsLayerInput(tensor)) return true;
    if (!ComesQuantized(tensor) || !IsOfUse(tensor)) return false;
    const std::vector<NodeIndex>& readers = graph_.Consumers(tensor);
    return readers.size() != 1 || forms_[readers[0].value] != NodeForm::kFused;
  }

  void CollectTensors(std::vector<PlannedTensor>& tensors) const {
    const auto add = [&](TensorIndex tensor, bool at_readers) {
      if (!IsPlanned(tensor)) return;
      const NumberFormat format =
          format_[tensor.value].value_or(NumberFormat::Integer(kDefaultBits));
      tensors.push_back({tensor, format, tensor, at_readers});
    };
    for (const TensorIndex input : graph_.inputs()) add(input, true);
    for (const Node& node : graph_.nodes()) {
      for (const TensorIndex output : node.outputs) add(output, is_output_[output.value]);
    }
  }

  // Groups of tensors joined by moves; each takes format and range of the tensor that its first
  // layer reads, or the range of its first tensor.
  void ShareGrids(std::vector<PlannedTensor>& tensors) const {
    std::vector<std::size_t> group(graph_.tensors().size());
    std::iota(group.begin(), group.end(), std::size_t{0});
    std::vector<std::optional<TensorIndex>> read_by_layer(group.size());
    std::vector<bool> planned(group.size(), false);
    for (const PlannedTensor& entry : tensors) {
      planned[entry.tensor.value] = true;
      if (IsLayerInput(entry.tensor)) read_by_layer[entry.tensor.value] = entry.tensor;
    }
    for (std::size_t n = 0; n < forms_.size(); ++n) {
      if (forms_[n] != NodeForm::kMove) continue;
      const TensorIndex input = *graph_.nodes()[n].inputs[0];
      for (const TensorIndex output : graph_.nodes()[n].outputs) {
        if (!planned[input.value] || !planned[output.value]) continue;
        std::optional<TensorIndex>& ours = read_by_layer[group[input.value]];
        const std::optional<TensorIndex>& theirs = read_by_layer[output.value];
        if (ours && theirs && format_[ours->value] != format_[theirs->value]) continue;
        if (theirs && (!ours || layer_of_tensor_[theirs->value] < layer_of_tensor_[ours->value])) {
          ours = theirs;
        }
        // Nodes come in topological order, so the output is still a group of its own.
        group[output.value] = group[input.value];
      }
    }
    std::vector<std::optional<TensorIndex>> first(group.size());
    for (PlannedTensor& entry : tensors) {
      const std::size_t g = group[entry.tensor.value];
      if (!first[g]) first[g] = read_by_layer[g] ? read_by_layer[g] : entry.tensor;
      entry.range_from = *first[g];
      if (read_by_layer[g]) entry.format = *format_[first[g]->value];
    }
  }

  const LayerGraph& graph_;
  std::vector<std::optional<LayerIndex>> layer_of_tensor_;  ///< The first layer that reads it.
  std::vector<std::optional<NumberFormat>> format_;         ///< Of layer inputs that are integer.
  std::vector<bool> is_output_;
  std::vector<NodeForm> forms_;
};

}  // namespace

bool QuantizesTensors(Placement placement) {
  return placement == Placement::kRuntime || placement == Placement::kInteger;
}

TensorPlan PlanTensors(const LayerGraph& graph, const BitConfig& config) {
  return Planner(graph, config).Plan();
}

}  // namespace bitsearch
