// Normalisations and softmax.

#include "space/network/operator_builders_torch.h"

namespace bitsearch {
namespace {

OperatorFn PrepareBatchNorm(const LayerGraph&, const Node& node) {
  const double epsilon = node.attributes.Float("epsilon", 1e-5F);
  // ONNX: running = running · momentum + batch · (1 − momentum); LibTorch has it the other way.
  const double momentum = 1.0 - node.attributes.Float("momentum", 0.9F);
  return [=](OperatorCall& call) {
    call.out[0] = at::batch_norm(call.in[0], call.in[1], call.in[2], call.in[3], call.in[4],
                                 call.training, momentum, epsilon, /*cudnn_enabled=*/true);
  };
}

OperatorFn PrepareInstanceNorm(const LayerGraph&, const Node& node) {
  return [epsilon = node.attributes.Float("epsilon", 1e-5F)](OperatorCall& call) {
    call.out[0] = at::instance_norm(call.in[0], call.in[1], call.in[2], {}, {},
                                    /*use_input_stats=*/true, 0.0, epsilon, true);
  };
}

OperatorFn PrepareLayerNorm(const LayerGraph& graph, const Node& node) {
  if (node.outputs.size() > 1) {
    throw UnsupportedOperator(graph, node, "its mean and deviation as outputs");
  }
  const float epsilon = node.attributes.Float("epsilon", 1e-5F);
  std::int64_t axis = node.attributes.Int("axis", -1);
  return [=](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    const std::int64_t first = axis < 0 ? axis + x.dim() : axis;
    const std::vector<std::int64_t> normalised(x.sizes().begin() + first, x.sizes().end());
    const at::Tensor bias = call.in.size() > 2 ? call.in[2] : at::Tensor();
    call.out[0] = at::layer_norm(x, normalised, call.in[1], bias, epsilon);
  };
}

OperatorFn PrepareGroupNorm(const LayerGraph& graph, const Node& node) {
  const float epsilon = node.attributes.Float("epsilon", 1e-5F);
  const std::int64_t groups = node.attributes.Int("num_groups", 1);
  // Opset 18 has one scale per group, opset 21 one per channel.
  const bool per_channel = graph.opset >= 21;
  return [=](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    const std::int64_t repeat = per_channel ? 1 : x.size(1) / groups;
    const auto spread = [&](const at::Tensor& values) {
      return repeat == 1 ? values : values.repeat_interleave(repeat);
    };
    call.out[0] = at::group_norm(x, groups, spread(call.in[1]), spread(call.in[2]), epsilon);
  };
}

// Before opset 13 softmax runs over all axes from `axis` on, flattened; since then over `axis` only.
template <at::Tensor (*kFunction)(const at::Tensor&, std::int64_t)>
OperatorFn PrepareSoftmax(const LayerGraph& graph, const Node& node) {
  const bool flattens = graph.opset < 13;
  const std::int64_t axis = node.attributes.Int("axis", flattens ? 1 : -1);
  return [=](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    if (!flattens) {
      call.out[0] = kFunction(x, axis);
      return;
    }
    const std::int64_t first = axis < 0 ? axis + x.dim() : axis;
    call.out[0] = kFunction(at::flatten(x, first), first).view(x.sizes());
  };
}

at::Tensor Softmax(const at::Tensor& x, std::int64_t axis) { return at::softmax(x, axis); }
at::Tensor LogSoftmax(const at::Tensor& x, std::int64_t axis) { return at::log_softmax(x, axis); }

}  // namespace

OperatorSection NormalizationOperators() {
  return {
      {"BatchNormalization", PrepareBatchNorm},
      {"GroupNormalization", PrepareGroupNorm},
      {"InstanceNormalization", PrepareInstanceNorm},
      {"LayerNormalization", PrepareLayerNorm},
      {"LogSoftmax", PrepareSoftmax<LogSoftmax>},
      {"Softmax", PrepareSoftmax<Softmax>},
  };
}

}  // namespace bitsearch
