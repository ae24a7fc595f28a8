#include <algorithm>

#include "sensitivity/output_gradients_torch.h"
#include "space/network/operators_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

// Remembers every layer's input and output; makes variables of them where gradients are wanted.
class RecordingHooks : public ExecutionHooks {
 public:
  RecordingHooks(const LayerGraph& graph, bool activations, std::vector<at::Tensor>& inputs,
                 std::vector<at::Tensor>& outputs)
      : graph_(graph), activations_(activations), inputs_(inputs), outputs_(outputs),
        layer_of_node_(graph.nodes().size(), -1) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      layer_of_node_[graph.layers()[l].node.value] = static_cast<int>(l);
    }
  }

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    const int layer = layer_of_node_[node.value];
    if (layer < 0) return value;
    const auto l = static_cast<std::size_t>(layer);
    if (slot != graph_.layers()[l].input_slot) return value;
    if (activations_) value = value.requires_grad() ? value.alias()
                                                    : value.detach().requires_grad_(true);
    inputs_[l] = value;
    return value;
  }

  at::Tensor OnOutput(NodeIndex node, std::size_t, at::Tensor value) override {
    const int layer = layer_of_node_[node.value];
    if (layer < 0) return value;
    // The first layers' outputs depend on no variable yet.
    if (!value.requires_grad()) value = value.detach().requires_grad_(true);
    // What an in-place operator would overwrite must stay as the gradient's place.
    outputs_[static_cast<std::size_t>(layer)] = value;
    return value;
  }

 private:
  const LayerGraph& graph_;
  bool activations_;
  std::vector<at::Tensor>& inputs_;
  std::vector<at::Tensor>& outputs_;
  std::vector<int> layer_of_node_;
};

at::Tensor SquaredSumPerRecord(const at::Tensor& values) {
  return values.flatten(1).square().sum(1, /*keepdim=*/false, at::kDouble);
}

// ‖G Uᵀ‖² per record for G: N × R × L and U: N × K × L, over the shorter way: the product itself
// (L·R·K) or both Gram matrices over positions (L²·(R + K)).
at::Tensor SquaredProduct(const at::Tensor& g, const at::Tensor& u) {
  const std::int64_t rows = g.size(1);
  const std::int64_t columns = u.size(1);
  const std::int64_t length = g.size(2);
  if (length == 1) return SquaredSumPerRecord(g) * SquaredSumPerRecord(u);
  if (length * (rows + columns) < rows * columns) {
    const at::Tensor gram_g = at::bmm(g.transpose(1, 2), g);
    const at::Tensor gram_u = at::bmm(u.transpose(1, 2), u);
    return (gram_g * gram_u).flatten(1).sum(1, /*keepdim=*/false, at::kDouble);
  }
  return SquaredSumPerRecord(at::bmm(g, u.transpose(1, 2)));
}

struct ConvGeometry {
  std::vector<std::int64_t> kernel, strides, dilations, pads;
  std::int64_t groups = 1;
  bool plain = false;  ///< Two axes, symmetric explicit padding: im2col can do it.
};

ConvGeometry GeometryOf(const Node& node, const at::Tensor& weight) {
  ConvGeometry geometry;
  if (weight.dim() != 4) return geometry;
  geometry.kernel = {weight.size(2), weight.size(3)};
  geometry.strides = node.attributes.Ints("strides", {1, 1});
  geometry.dilations = node.attributes.Ints("dilations", {1, 1});
  const auto pads = node.attributes.Ints("pads", {0, 0, 0, 0});
  geometry.groups = node.attributes.Int("group", 1);
  const std::string auto_pad = node.attributes.String("auto_pad", "NOTSET");
  geometry.pads = {pads[0], pads[1]};
  geometry.plain = (auto_pad == "NOTSET" || auto_pad == "VALID") && pads[0] == pads[2] &&
                   pads[1] == pads[3];
  return geometry;
}

at::Tensor ConvSquares(const ConvGeometry& geometry, const at::Tensor& input,
                       const at::Tensor& gradient) {
  const std::int64_t groups = geometry.groups;
  const std::int64_t length = gradient.size(2) * gradient.size(3);
  const bool pointwise = geometry.kernel == std::vector<std::int64_t>{1, 1} &&
                         geometry.strides == std::vector<std::int64_t>{1, 1} &&
                         geometry.pads == std::vector<std::int64_t>{0, 0};
  const at::Tensor columns =
      pointwise ? input.flatten(2)
                : at::im2col(input, geometry.kernel, geometry.dilations, geometry.pads,
                             geometry.strides);
  // Groups are further records whose norms add up.
  const std::int64_t records = input.size(0);
  const at::Tensor squares =
      SquaredProduct(gradient.reshape({records * groups, -1, length}),
                     columns.reshape({records * groups, -1, length}));
  return groups == 1 ? squares : squares.view({records, groups}).sum(1);
}

// Any operator: run it again on one record at a time.
at::Tensor SquaresByRunning(const LayerGraph& graph, const Layer& layer, const at::Tensor& input,
                            const at::Tensor& weight, const at::Tensor& gradient) {
  const OperatorFn run = PrepareOperator(graph, layer.node);
  at::Tensor result = at::empty({input.size(0)}, at::kDouble);
  for (std::int64_t n = 0; n < input.size(0); ++n) {
    OperatorCall call;
    call.in.resize(graph.node(layer.node).inputs.size());
    call.out.resize(1);
    const at::Tensor variable = weight.detach().requires_grad_(true);
    call.in[layer.input_slot] = input.slice(0, n, n + 1);
    call.in[layer.weight_slot] = variable;
    run(call);
    const at::Tensor g =
        torch::autograd::grad({call.out[0]}, {variable}, {gradient.slice(0, n, n + 1)})[0];
    result.data_ptr<double>()[n] = g.to(at::kDouble).square().sum().item<double>();
  }
  return result;
}

}  // namespace

at::Tensor SquaredWeightGradients(const LayerGraph& graph, const Layer& layer,
                                  const at::Tensor& input, const at::Tensor& weight,
                                  const std::vector<at::Tensor>& output_gradients) {
  const Node& node = graph.node(layer.node);
  if (node.op == "Conv") {
    const ConvGeometry geometry = GeometryOf(node, weight);
    const at::NoGradGuard no_grad;
    // Side by side along the channels, the vectors share one unfolding of the input.
    if (geometry.plain && geometry.groups == 1) {
      return ConvSquares(geometry, input, at::cat(output_gradients, 1));
    }
    if (geometry.plain) {
      at::Tensor sum;
      for (const at::Tensor& gradient : output_gradients) {
        const at::Tensor squares = ConvSquares(geometry, input, gradient);
        sum = sum.defined() ? sum + squares : squares;
      }
      return sum;
    }
  }
  const bool matrix = (node.op == "Gemm" && node.attributes.Int("transA", 0) == 0 &&
                       node.attributes.Float("alpha", 1.0F) == 1.0F) ||
                      (node.op == "MatMul" && layer.weight_slot == 1 && weight.dim() == 2);
  at::Tensor sum;
  for (const at::Tensor& gradient : output_gradients) {
    at::Tensor squares;
    if (matrix) {
      // Tokens (all axes between the first and the last) are the positions.
      const at::NoGradGuard no_grad;
      squares = SquaredProduct(
          gradient.reshape({gradient.size(0), -1, gradient.size(-1)}).transpose(1, 2),
          input.reshape({input.size(0), -1, input.size(-1)}).transpose(1, 2));
    } else {
      squares = SquaresByRunning(graph, layer, input.detach(), weight, gradient);
    }
    sum = sum.defined() ? sum + squares : squares;
  }
  return sum;
}

OutputGradientPass::OutputGradientPass(const Network& network, const at::Tensor& images,
                                       bool weights, bool activations)
    : network_(network), weights_(weights), activations_(activations),
      inputs_(network.graph().layers().size()), outputs_(network.graph().layers().size()) {
  RecordingHooks hooks(network.graph(), activations, inputs_, outputs_);
  logits_ = network.Forward(images, &hooks);
  if (logits_.dim() != 2) {
    throw Error(ErrorId::kUsage, "a classifier's output has two axes, this one has " +
                                     std::to_string(logits_.dim()))
        .Hint("use --method perturbation for other networks");
  }
}

OutputGradientPass::Norms OutputGradientPass::Backward(const std::vector<at::Tensor>& cotangents) {
  const auto& layers = network_.graph().layers();
  std::vector<at::Tensor> variables;
  std::vector<std::size_t> output_of(layers.size());
  std::vector<std::size_t> input_of(layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (weights_ && layers[l].weight) {
      output_of[l] = variables.size();
      variables.push_back(outputs_[l]);
    }
    if (activations_) {
      input_of[l] = variables.size();
      variables.push_back(inputs_[l]);
    }
  }
  std::vector<std::vector<at::Tensor>> gradients(variables.size());
  for (const at::Tensor& cotangent : cotangents) {
    const auto found = torch::autograd::grad({logits_}, variables, {cotangent},
                                             /*retain_graph=*/true, /*create_graph=*/false);
    for (std::size_t v = 0; v < found.size(); ++v) gradients[v].push_back(found[v]);
  }
  Norms norms;
  norms.weights.resize(layers.size());
  norms.activations.resize(layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (weights_ && layers[l].weight) {
      norms.weights[l] = SquaredWeightGradients(network_.graph(), layers[l], inputs_[l].detach(),
                                                network_.constant(*layers[l].weight),
                                                gradients[output_of[l]]);
    }
    if (!activations_) continue;
    const at::NoGradGuard no_grad;
    for (const at::Tensor& gradient : gradients[input_of[l]]) {
      const at::Tensor squares = SquaredSumPerRecord(gradient);
      at::Tensor& sum = norms.activations[l];
      sum = sum.defined() ? sum + squares : squares;
    }
  }
  return norms;
}

}  // namespace bitsearch
