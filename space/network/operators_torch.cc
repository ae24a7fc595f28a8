#include "space/network/operators_torch.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

Error Unsupported(const LayerGraph& graph, const Node& node, const std::string& why) {
  return Error(ErrorId::kOperatorUnsupported,
               node.op + " (opset " + std::to_string(graph.opset) + "): " + why)
      .Key("node " + node.id)
      .Hint("`bitsearch layers MODEL.onnx` lists what can be executed");
}

// A constant integer argument (input slot of newer opsets, attribute of older ones).
std::vector<std::int64_t> IntArgument(const LayerGraph& graph, const Node& node, std::size_t slot,
                                      const char* attribute, std::vector<std::int64_t> fallback) {
  if (slot < node.inputs.size() && node.inputs[slot]) {
    const Tensor& tensor = graph.tensor(*node.inputs[slot]);
    if (!tensor.constant) {
      throw Unsupported(graph, node, "input " + std::to_string(slot) + " ('" + tensor.name +
                                         "') must be a constant");
    }
    return tensor.constant->ToInt64s();
  }
  return node.attributes.Ints(attribute, std::move(fallback));
}

float FloatArgument(const LayerGraph& graph, const Node& node, std::size_t slot,
                    const char* attribute, float fallback) {
  if (slot < node.inputs.size() && node.inputs[slot]) {
    const Tensor& tensor = graph.tensor(*node.inputs[slot]);
    if (!tensor.constant || tensor.constant->element_count() != 1) {
      throw Unsupported(graph, node, "input " + std::to_string(slot) + " must be a constant scalar");
    }
    return tensor.constant->ToFloats()[0];
  }
  return node.attributes.Float(attribute, fallback);
}

std::int64_t RankOf(const LayerGraph& graph, const Node& node, std::size_t slot) {
  const auto& shape = graph.tensor(*node.inputs[slot]).shape;
  if (!shape) throw Unsupported(graph, node, "the rank of its input is unknown");
  return static_cast<std::int64_t>(shape->size());
}

// Explicit begin and end padding of every spatial axis, from pads or auto_pad.
struct Window {
  std::vector<std::int64_t> kernel, strides, dilations, begin, end;
};

Window WindowOf(const LayerGraph& graph, const Node& node, std::vector<std::int64_t> kernel) {
  Window w;
  w.kernel = std::move(kernel);
  const std::size_t axes = w.kernel.size();
  w.strides = node.attributes.Ints("strides", std::vector<std::int64_t>(axes, 1));
  w.dilations = node.attributes.Ints("dilations", std::vector<std::int64_t>(axes, 1));
  const auto pads = node.attributes.Ints("pads", std::vector<std::int64_t>(2 * axes, 0));
  if (w.strides.size() != axes || w.dilations.size() != axes || pads.size() != 2 * axes) {
    throw Unsupported(graph, node, "strides, dilations or pads do not fit the kernel's rank");
  }
  w.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  w.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  const std::string auto_pad = node.attributes.String("auto_pad", "NOTSET");
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    const auto& shape = graph.tensor(*node.inputs[0]).shape;
    for (std::size_t a = 0; a < axes; ++a) {
      if (!shape || (*shape)[a + 2] < 0) {
        throw Unsupported(graph, node, "auto_pad needs a known spatial size");
      }
      const std::int64_t size = (*shape)[a + 2];
      const std::int64_t reach = (w.kernel[a] - 1) * w.dilations[a] + 1;
      const std::int64_t outputs = (size + w.strides[a] - 1) / w.strides[a];
      const std::int64_t total =
          std::max<std::int64_t>(0, (outputs - 1) * w.strides[a] + reach - size);
      const std::int64_t small = total / 2;
      w.begin[a] = auto_pad == "SAME_UPPER" ? small : total - small;
      w.end[a] = total - w.begin[a];
    }
  } else if (auto_pad != "NOTSET" && auto_pad != "VALID") {
    throw Unsupported(graph, node, "auto_pad '" + auto_pad + "'");
  }
  return w;
}

// Padding as at::constant_pad_nd wants it: last axis first, begin and end.
std::vector<std::int64_t> TorchPads(const std::vector<std::int64_t>& begin,
                                    const std::vector<std::int64_t>& end) {
  std::vector<std::int64_t> pads;
  for (std::size_t a = begin.size(); a-- > 0;) {
    pads.push_back(begin[a]);
    pads.push_back(end[a]);
  }
  return pads;
}

OperatorFn PrepareConv(const LayerGraph& graph, const Node& node) {
  const auto& weight_shape = graph.tensor(*node.inputs[1]).shape;
  if (!weight_shape || weight_shape->size() < 3) {
    throw Unsupported(graph, node, "the weight's shape is unknown or has no spatial axis");
  }
  Window w = WindowOf(graph, node, {weight_shape->begin() + 2, weight_shape->end()});
  const std::int64_t groups = node.attributes.Int("group", 1);
  const bool symmetric = w.begin == w.end;
  return [w, groups, symmetric, pads = TorchPads(w.begin, w.end)](OperatorCall& call) {
    const at::Tensor input = symmetric ? call.in[0] : at::constant_pad_nd(call.in[0], pads);
    const at::Tensor bias = call.in.size() > 2 ? call.in[2] : at::Tensor();
    const std::vector<std::int64_t> none(w.begin.size(), 0);
    call.out[0] = at::convolution(input, call.in[1], bias, w.strides, symmetric ? w.begin : none,
                                  w.dilations, /*transposed=*/false, none, groups);
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
    const bool has_bias = call.in.size() > 2 && call.in[2].defined();
    call.out[0] = has_bias ? at::addmm(call.in[2], a, b, beta, alpha)
                           : (alpha == 1.0F ? at::mm(a, b) : at::mm(a, b) * alpha);
  };
}

OperatorFn PrepareBatchNorm(const LayerGraph&, const Node& node) {
  const double epsilon = node.attributes.Float("epsilon", 1e-5F);
  // ONNX: running = running · momentum + batch · (1 − momentum); LibTorch has it the other way.
  const double momentum = 1.0 - node.attributes.Float("momentum", 0.9F);
  return [=](OperatorCall& call) {
    call.out[0] = at::batch_norm(call.in[0], call.in[1], call.in[2], call.in[3], call.in[4],
                                 call.training, momentum, epsilon, /*cudnn_enabled=*/true);
  };
}

OperatorFn PrepareRelu(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    call.out[0] = call.may_overwrite_first ? at::relu_(call.in[0]) : at::relu(call.in[0]);
  };
}

OperatorFn PrepareAdd(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    if (call.may_overwrite_first && call.in[0].sizes() == call.in[1].sizes() &&
        !at::GradMode::is_enabled()) {
      call.out[0] = call.in[0].add_(call.in[1]);
    } else {
      call.out[0] = at::add(call.in[0], call.in[1]);
    }
  };
}

OperatorFn PrepareGlobalAveragePool(const LayerGraph& graph, const Node& node) {
  std::vector<std::int64_t> axes(static_cast<std::size_t>(RankOf(graph, node, 0) - 2));
  std::iota(axes.begin(), axes.end(), 2);
  return [axes](OperatorCall& call) { call.out[0] = at::mean(call.in[0], axes, /*keepdim=*/true); };
}

OperatorFn PrepareAveragePool(const LayerGraph& graph, const Node& node) {
  Window w = WindowOf(graph, node, node.attributes.Ints("kernel_shape"));
  const bool ceil_mode = node.attributes.Int("ceil_mode", 0) != 0;
  const bool count_pad = node.attributes.Int("count_include_pad", 0) != 0;
  if (w.begin != w.end || w.kernel.size() != 2) {
    throw Unsupported(graph, node, "only symmetric padding in two dimensions");
  }
  return [=](OperatorCall& call) {
    call.out[0] = at::avg_pool2d(call.in[0], w.kernel, w.strides, w.begin, ceil_mode, count_pad);
  };
}

OperatorFn PrepareMaxPool(const LayerGraph& graph, const Node& node) {
  Window w = WindowOf(graph, node, node.attributes.Ints("kernel_shape"));
  const bool ceil_mode = node.attributes.Int("ceil_mode", 0) != 0;
  if (w.begin != w.end || w.kernel.size() != 2) {
    throw Unsupported(graph, node, "only symmetric padding in two dimensions");
  }
  return [=](OperatorCall& call) {
    call.out[0] =
        at::max_pool2d(call.in[0], w.kernel, w.strides, w.begin, w.dilations, ceil_mode);
  };
}

OperatorFn PrepareFlatten(const LayerGraph& graph, const Node& node) {
  std::int64_t axis = node.attributes.Int("axis", 1);
  if (axis < 0) axis += RankOf(graph, node, 0);
  return [axis](OperatorCall& call) {
    std::int64_t rows = 1;
    for (std::int64_t a = 0; a < axis; ++a) rows *= call.in[0].size(a);
    call.out[0] = call.in[0].reshape({rows, -1});
  };
}

OperatorFn PrepareReshape(const LayerGraph& graph, const Node& node) {
  const auto target = IntArgument(graph, node, 1, "shape", {});
  const bool allow_zero = node.attributes.Int("allowzero", 0) != 0;
  return [=](OperatorCall& call) {
    std::vector<std::int64_t> sizes = target;
    for (std::size_t a = 0; a < sizes.size(); ++a) {
      if (sizes[a] == 0 && !allow_zero) sizes[a] = call.in[0].size(static_cast<std::int64_t>(a));
    }
    call.out[0] = call.in[0].reshape(sizes);
  };
}

OperatorFn PrepareSlice(const LayerGraph& graph, const Node& node) {
  const auto starts = IntArgument(graph, node, 1, "starts", {});
  const auto ends = IntArgument(graph, node, 2, "ends", {});
  std::vector<std::int64_t> axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  axes = IntArgument(graph, node, 3, "axes", axes);
  const auto steps =
      IntArgument(graph, node, 4, "steps", std::vector<std::int64_t>(starts.size(), 1));
  for (const std::int64_t step : steps) {
    if (step < 1) throw Unsupported(graph, node, "negative steps");
  }
  return [=](OperatorCall& call) {
    at::Tensor value = call.in[0];
    for (std::size_t i = 0; i < starts.size(); ++i) {
      value = at::slice(value, axes[i], starts[i], ends[i], steps[i]);
    }
    call.out[0] = value;
  };
}

OperatorFn PreparePad(const LayerGraph& graph, const Node& node) {
  const auto pads = IntArgument(graph, node, 1, "pads", {});
  const float value = FloatArgument(graph, node, 2, "value", 0.0F);
  if (node.attributes.String("mode", "constant") != "constant") {
    throw Unsupported(graph, node, "only constant padding");
  }
  const auto half = static_cast<std::ptrdiff_t>(pads.size() / 2);
  const auto torch_pads =
      TorchPads({pads.begin(), pads.begin() + half}, {pads.begin() + half, pads.end()});
  return [=](OperatorCall& call) {
    call.out[0] = at::constant_pad_nd(call.in[0], torch_pads, value);
  };
}

OperatorFn PrepareIdentity(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) { call.out[0] = call.in[0]; };
}

using Prepare = OperatorFn (*)(const LayerGraph&, const Node&);

const std::map<std::string, Prepare>& Table() {
  static const std::map<std::string, Prepare> table = {
      {"Add", PrepareAdd},
      {"AveragePool", PrepareAveragePool},
      {"BatchNormalization", PrepareBatchNorm},
      {"Conv", PrepareConv},
      {"Dropout", PrepareIdentity},
      {"Flatten", PrepareFlatten},
      {"Gemm", PrepareGemm},
      {"GlobalAveragePool", PrepareGlobalAveragePool},
      {"Identity", PrepareIdentity},
      {"MaxPool", PrepareMaxPool},
      {"Pad", PreparePad},
      {"Relu", PrepareRelu},
      {"Reshape", PrepareReshape},
      {"Slice", PrepareSlice},
  };
  return table;
}

}  // namespace

OperatorFn PrepareOperator(const LayerGraph& graph, NodeIndex index) {
  const Node& node = graph.node(index);
  const auto entry = Table().find(node.op);
  if (entry == Table().end() || !(node.domain.empty() || node.domain == "ai.onnx")) {
    throw Unsupported(graph, node, "this operator cannot be executed");
  }
  return entry->second(graph, node);
}

std::vector<std::string> ExecutableOperators() {
  std::vector<std::string> names;
  for (const auto& [name, prepare] : Table()) names.push_back(name);
  return names;
}

}  // namespace bitsearch
