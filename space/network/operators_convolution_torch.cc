// Convolutions, matrix products and pools.

#include <numeric>

#include "space/network/operator_builders_torch.h"

namespace bitsearch {
namespace {

at::Tensor Optional(const OperatorCall& call, std::size_t slot) {
  return slot < call.in.size() ? call.in[slot] : at::Tensor();
}

std::vector<std::int64_t> KernelOf(const LayerGraph& graph, const Node& node) {
  const auto& shape = graph.tensor(*node.inputs[1]).shape;
  if (!shape || shape->size() < 3) {
    throw UnsupportedOperator(graph, node, "the weight's shape is unknown or has no spatial axis");
  }
  return {shape->begin() + 2, shape->end()};
}

OperatorFn PrepareConv(const LayerGraph& graph, const Node& node) {
  const Window w = WindowOf(graph, node, KernelOf(graph, node));
  const std::int64_t groups = node.attributes.Int("group", 1);
  return [w, groups, pads = TorchPads(w.begin, w.end)](OperatorCall& call) {
    const at::Tensor input = w.symmetric() ? call.in[0] : at::constant_pad_nd(call.in[0], pads);
    call.out[0] = at::convolution(input, call.in[1], Optional(call, 2), w.strides,
                                  w.symmetric() ? w.begin : w.zeros(), w.dilations,
                                  /*transposed=*/false, w.zeros(), groups);
  };
}

OperatorFn PrepareConvTranspose(const LayerGraph& graph, const Node& node) {
  const std::string auto_pad = node.attributes.String("auto_pad", "NOTSET");
  if (node.attributes.Has("output_shape") || (auto_pad != "NOTSET" && auto_pad != "VALID")) {
    throw UnsupportedOperator(graph, node, "output_shape and auto_pad");
  }
  const Window w = WindowOf(graph, node, KernelOf(graph, node));
  const std::int64_t groups = node.attributes.Int("group", 1);
  const auto output_padding = node.attributes.Ints("output_padding", w.zeros());
  std::vector<std::int64_t> crop_begin;
  std::vector<std::int64_t> crop_end;
  for (std::size_t a = 0; a < w.kernel.size(); ++a) {
    crop_begin.push_back(-w.begin[a]);
    crop_end.push_back(-w.end[a]);
  }
  return [=, crop = TorchPads(crop_begin, crop_end)](OperatorCall& call) {
    const bool crops = !w.symmetric();
    at::Tensor y = at::convolution(call.in[0], call.in[1], Optional(call, 2), w.strides,
                                   crops ? w.zeros() : w.begin, w.dilations, /*transposed=*/true,
                                   output_padding, groups);
    call.out[0] = crops ? at::constant_pad_nd(y, crop) : y;
  };
}

OperatorFn PrepareGemm(const LayerGraph&, const Node& node) {
  const float alpha = node.attributes.Float("alpha", 1.0F);
  const float beta = node.attributes.Float("beta", 1.0F);
  const bool trans_a = node.attributes.Int("transA", 0) != 0;
  const bool trans_b = node.attributes.Int("transB", 0) != 0;
  return [=](OperatorCall& call) {
    const at::Tensor a = trans_a ? call.in[0].t() : call.in[0];
    const at::Tensor b = trans_b ? call.in[1].t() : call.in[1];
    const at::Tensor bias = Optional(call, 2);
    if (bias.defined()) {
      call.out[0] = at::addmm(bias, a, b, beta, alpha);
    } else {
      call.out[0] = alpha == 1.0F ? at::mm(a, b) : at::mm(a, b) * alpha;
    }
  };
}

OperatorFn PrepareMatMul(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) { call.out[0] = at::matmul(call.in[0], call.in[1]); };
}

OperatorFn PrepareEinsum(const LayerGraph&, const Node& node) {
  return [equation = node.attributes.String("equation", "")](OperatorCall& call) {
    call.out[0] = at::einsum(equation, call.in);
  };
}

OperatorFn PrepareAveragePool(const LayerGraph& graph, const Node& node) {
  const Window w = WindowOf(graph, node, node.attributes.Ints("kernel_shape"));
  const bool ceil_mode = node.attributes.Int("ceil_mode", 0) != 0;
  const bool count_pad = node.attributes.Int("count_include_pad", 0) != 0;
  const std::size_t axes = w.kernel.size();
  if (axes < 1 || axes > 2) throw UnsupportedOperator(graph, node, "only one or two dimensions");
  if (w.symmetric() || count_pad) {
    return [=, pads = TorchPads(w.begin, w.end)](OperatorCall& call) {
      const at::Tensor x = w.symmetric() ? call.in[0] : at::constant_pad_nd(call.in[0], pads);
      const auto padding = w.symmetric() ? w.begin : w.zeros();
      call.out[0] = axes == 2
                        ? at::avg_pool2d(x, w.kernel, w.strides, padding, ceil_mode, count_pad)
                        : at::avg_pool1d(x, w.kernel, w.strides, padding, ceil_mode, count_pad);
    };
  }
  // Asymmetric padding that does not count: the sum over the window divided by the covered cells.
  return [=, pads = TorchPads(w.begin, w.end)](OperatorCall& call) {
    const auto pool = [&](const at::Tensor& x) {
      const at::Tensor padded = at::constant_pad_nd(x, pads);
      return axes == 2 ? at::avg_pool2d(padded, w.kernel, w.strides, 0, ceil_mode)
                       : at::avg_pool1d(padded, w.kernel, w.strides, 0, ceil_mode);
    };
    call.out[0] = pool(call.in[0]) / pool(at::ones_like(call.in[0]));
  };
}

OperatorFn PrepareMaxPool(const LayerGraph& graph, const Node& node) {
  const Window w = WindowOf(graph, node, node.attributes.Ints("kernel_shape"));
  const bool ceil_mode = node.attributes.Int("ceil_mode", 0) != 0;
  const std::size_t axes = w.kernel.size();
  if (axes < 1 || axes > 2) throw UnsupportedOperator(graph, node, "only one or two dimensions");
  return [=, pads = TorchPads(w.begin, w.end)](OperatorCall& call) {
    constexpr double kLowest = -std::numeric_limits<double>::infinity();
    const at::Tensor x =
        w.symmetric() ? call.in[0] : at::constant_pad_nd(call.in[0], pads, kLowest);
    const auto padding = w.symmetric() ? w.begin : w.zeros();
    call.out[0] =
        axes == 2 ? at::max_pool2d(x, w.kernel, w.strides, padding, w.dilations, ceil_mode)
                  : at::max_pool1d(x, w.kernel, w.strides, padding, w.dilations, ceil_mode);
  };
}

std::vector<std::int64_t> SpatialAxes(const at::Tensor& x) {
  std::vector<std::int64_t> axes(static_cast<std::size_t>(x.dim() - 2));
  std::iota(axes.begin(), axes.end(), 2);
  return axes;
}

OperatorFn PrepareGlobalAveragePool(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    call.out[0] = at::mean(call.in[0], SpatialAxes(call.in[0]), /*keepdim=*/true);
  };
}

OperatorFn PrepareGlobalMaxPool(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    call.out[0] = at::amax(call.in[0], SpatialAxes(call.in[0]), /*keepdim=*/true);
  };
}

}  // namespace

OperatorSection ConvolutionOperators() {
  return {
      {"AveragePool", PrepareAveragePool},
      {"Conv", PrepareConv},
      {"ConvTranspose", PrepareConvTranspose},
      {"Einsum", PrepareEinsum},
      {"Gemm", PrepareGemm},
      {"GlobalAveragePool", PrepareGlobalAveragePool},
      {"GlobalMaxPool", PrepareGlobalMaxPool},
      {"MatMul", PrepareMatMul},
      {"MaxPool", PrepareMaxPool},
  };
}

}  // namespace bitsearch
