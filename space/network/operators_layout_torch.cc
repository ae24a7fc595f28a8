// Operators that move, pick, join or make elements.

#include <algorithm>
#include <numeric>

#include "space/network/network_torch.h"
#include "space/network/operator_builders_torch.h"

namespace bitsearch {
namespace {

std::int64_t Positive(std::int64_t axis, std::int64_t rank) { return axis < 0 ? axis + rank : axis; }

OperatorFn PrepareIdentity(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) { call.out[0] = call.in[0]; };
}

OperatorFn PrepareConstant(const LayerGraph& graph, const Node& node) {
  const TensorValue* value = node.attributes.Tensor("value");
  if (value == nullptr) throw UnsupportedOperator(graph, node, "a constant without a tensor");
  return [tensor = ToTorch(*value, at::kCPU)](OperatorCall& call) { call.out[0] = tensor; };
}

OperatorFn PrepareConstantOfShape(const LayerGraph& graph, const Node& node) {
  const IntsArgument shape(graph, node, 0, nullptr);
  const TensorValue* value = node.attributes.Tensor("value");
  const at::Tensor fill =
      value != nullptr ? ToTorch(*value, at::kCPU).view({1}) : at::zeros({1}, at::kFloat);
  return [=](OperatorCall& call) { call.out[0] = fill.expand(shape.Get(call)).clone(); };
}

OperatorFn PrepareConcat(const LayerGraph&, const Node& node) {
  return [axis = node.attributes.Int("axis", 0)](OperatorCall& call) {
    call.out[0] = at::cat(call.in, axis);
  };
}

OperatorFn PrepareFlatten(const LayerGraph&, const Node& node) {
  return [axis = node.attributes.Int("axis", 1)](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    std::int64_t rows = 1;
    for (std::int64_t a = 0; a < Positive(axis, x.dim()); ++a) rows *= x.size(a);
    call.out[0] = x.reshape({rows, rows == 0 ? 0 : x.numel() / rows});
  };
}

OperatorFn PrepareReshape(const LayerGraph& graph, const Node& node) {
  const IntsArgument target(graph, node, 1, "shape");
  const bool allow_zero = node.attributes.Int("allowzero", 0) != 0;
  return [=](OperatorCall& call) {
    std::vector<std::int64_t> sizes = target.Get(call);
    for (std::size_t a = 0; a < sizes.size(); ++a) {
      if (sizes[a] == 0 && !allow_zero) sizes[a] = call.in[0].size(static_cast<std::int64_t>(a));
    }
    call.out[0] = call.in[0].reshape(sizes);
  };
}

OperatorFn PrepareExpand(const LayerGraph& graph, const Node& node) {
  const IntsArgument target(graph, node, 1, "shape");
  return [=](OperatorCall& call) {
    // An extent of 1 in the target keeps the input's: ONNX broadcasts both ways.
    std::vector<std::int64_t> sizes = target.Get(call);
    const at::Tensor& x = call.in[0];
    for (std::int64_t a = 0; a < x.dim() && a < static_cast<std::int64_t>(sizes.size()); ++a) {
      auto& size = sizes[sizes.size() - 1 - static_cast<std::size_t>(a)];
      if (size == 1) size = x.size(x.dim() - 1 - a);
    }
    while (static_cast<std::int64_t>(sizes.size()) < x.dim()) {
      sizes.insert(sizes.begin(), x.size(x.dim() - 1 - static_cast<std::int64_t>(sizes.size())));
    }
    call.out[0] = x.expand(sizes);
  };
}

OperatorFn PrepareTile(const LayerGraph& graph, const Node& node) {
  const IntsArgument repeats(graph, node, 1, "repeats");
  return [=](OperatorCall& call) { call.out[0] = call.in[0].repeat(repeats.Get(call)); };
}

OperatorFn PrepareTranspose(const LayerGraph&, const Node& node) {
  return [order = node.attributes.Ints("perm")](OperatorCall& call) {
    std::vector<std::int64_t> axes = order;
    if (axes.empty()) {
      axes.resize(static_cast<std::size_t>(call.in[0].dim()));
      std::iota(axes.rbegin(), axes.rend(), 0);
    }
    call.out[0] = call.in[0].permute(axes);
  };
}

OperatorFn PrepareSqueeze(const LayerGraph& graph, const Node& node) {
  const IntsArgument axes(graph, node, 1, "axes");
  return [=](OperatorCall& call) {
    std::vector<std::int64_t> gone = axes.Get(call);
    if (gone.empty()) {
      call.out[0] = at::squeeze(call.in[0]);
      return;
    }
    for (std::int64_t& axis : gone) axis = Positive(axis, call.in[0].dim());
    std::sort(gone.rbegin(), gone.rend());
    call.out[0] = call.in[0];
    for (const std::int64_t axis : gone) call.out[0] = at::squeeze(call.out[0], axis);
  };
}

OperatorFn PrepareUnsqueeze(const LayerGraph& graph, const Node& node) {
  const IntsArgument axes(graph, node, 1, "axes");
  return [=](OperatorCall& call) {
    std::vector<std::int64_t> added = axes.Get(call);
    const std::int64_t rank = call.in[0].dim() + static_cast<std::int64_t>(added.size());
    for (std::int64_t& axis : added) axis = Positive(axis, rank);
    std::sort(added.begin(), added.end());
    call.out[0] = call.in[0];
    for (const std::int64_t axis : added) call.out[0] = at::unsqueeze(call.out[0], axis);
  };
}

OperatorFn PrepareSlice(const LayerGraph& graph, const Node& node) {
  const IntsArgument starts(graph, node, 1, "starts");
  const IntsArgument ends(graph, node, 2, "ends");
  const IntsArgument axes(graph, node, 3, "axes");
  const IntsArgument steps(graph, node, 4, nullptr);
  return [=](OperatorCall& call) {
    const auto start = starts.Get(call);
    const auto end = ends.Get(call);
    auto axis = axes.Get(call);
    auto step = steps.Get(call);
    if (axis.empty()) {
      axis.resize(start.size());
      std::iota(axis.begin(), axis.end(), 0);
    }
    if (step.empty()) step.assign(start.size(), 1);
    at::Tensor value = call.in[0];
    for (std::size_t i = 0; i < start.size(); ++i) {
      if (step[i] > 0) {
        value = at::slice(value, axis[i], start[i], end[i], step[i]);
        continue;
      }
      // Backwards: the picked positions one by one.
      const std::int64_t size = value.size(axis[i]);
      std::int64_t from = std::min(start[i] < 0 ? start[i] + size : start[i], size - 1);
      const std::int64_t to = std::max<std::int64_t>(end[i] < 0 ? end[i] + size : end[i], -1);
      std::vector<std::int64_t> picked;
      for (; from > to; from += step[i]) picked.push_back(from);
      value = at::index_select(value, axis[i], at::tensor(picked, at::kLong).to(value.device()));
    }
    call.out[0] = value;
  };
}

OperatorFn PrepareSplit(const LayerGraph& graph, const Node& node) {
  const IntsArgument lengths(graph, node, 1, "split");
  const std::int64_t axis = node.attributes.Int("axis", 0);
  const auto parts = static_cast<std::int64_t>(node.outputs.size());
  return [=](OperatorCall& call) {
    std::vector<std::int64_t> sizes = lengths.Get(call);
    if (sizes.empty()) {
      const std::int64_t size = call.in[0].size(axis);
      const std::int64_t each = (size + parts - 1) / parts;
      for (std::int64_t i = 0; i < parts; ++i) {
        sizes.push_back(std::clamp<std::int64_t>(size - i * each, 0, each));
      }
    }
    call.out = at::split_with_sizes(call.in[0], sizes, axis);
  };
}

OperatorFn PreparePad(const LayerGraph& graph, const Node& node) {
  const IntsArgument amounts(graph, node, 1, "pads");
  const FloatArgument value(graph, node, 2, "value", 0.0);
  const IntsArgument axes(graph, node, 3, nullptr);
  const std::string mode = node.attributes.String("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge") {
    throw UnsupportedOperator(graph, node, "mode '" + mode + "'");
  }
  return [=](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    const std::vector<std::int64_t> given = amounts.Get(call);
    const std::size_t half = given.size() / 2;
    std::vector<std::int64_t> begin(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(half));
    std::vector<std::int64_t> end(given.begin() + static_cast<std::ptrdiff_t>(half), given.end());
    const std::vector<std::int64_t> named = axes.Get(call);
    if (!named.empty()) {
      std::vector<std::int64_t> all_begin(static_cast<std::size_t>(x.dim()), 0);
      std::vector<std::int64_t> all_end = all_begin;
      for (std::size_t i = 0; i < named.size(); ++i) {
        const auto axis = static_cast<std::size_t>(Positive(named[i], x.dim()));
        all_begin[axis] = begin[i];
        all_end[axis] = end[i];
      }
      begin = all_begin;
      end = all_end;
    }
    if (mode == "constant") {
      call.out[0] = at::constant_pad_nd(x, TorchPads(begin, end), value.Get(call));
      return;
    }
    // Reflected and repeated edges: axis by axis, by index.
    at::Tensor padded = x;
    for (std::size_t a = 0; a < begin.size(); ++a) {
      if (begin[a] == 0 && end[a] == 0) continue;
      const std::int64_t size = x.size(static_cast<std::int64_t>(a));
      std::vector<std::int64_t> picked;
      for (std::int64_t i = -begin[a]; i < size + end[a]; ++i) {
        std::int64_t place = std::clamp<std::int64_t>(i, 0, size - 1);
        if (mode == "reflect") place = i < 0 ? -i : (i >= size ? 2 * (size - 1) - i : i);
        picked.push_back(place);
      }
      padded = at::index_select(padded, static_cast<std::int64_t>(a),
                                at::tensor(picked, at::kLong).to(x.device()));
    }
    call.out[0] = padded;
  };
}

OperatorFn PrepareGather(const LayerGraph&, const Node& node) {
  return [axis = node.attributes.Int("axis", 0)](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    const std::int64_t along = Positive(axis, x.dim());
    at::Tensor index = call.in[1].to(at::kLong);
    index = at::where(index.lt(0), index + x.size(along), index);
    std::vector<std::int64_t> sizes(x.sizes().begin(), x.sizes().begin() + along);
    sizes.insert(sizes.end(), index.sizes().begin(), index.sizes().end());
    sizes.insert(sizes.end(), x.sizes().begin() + along + 1, x.sizes().end());
    call.out[0] = at::index_select(x, along, index.reshape({-1})).reshape(sizes);
  };
}

OperatorFn PrepareGatherElements(const LayerGraph&, const Node& node) {
  return [axis = node.attributes.Int("axis", 0)](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    const at::Tensor index = call.in[1].to(at::kLong);
    call.out[0] = at::gather(x, axis, at::where(index.lt(0), index + x.size(axis), index));
  };
}

OperatorFn PrepareShape(const LayerGraph&, const Node& node) {
  const std::int64_t start = node.attributes.Int("start", 0);
  const bool has_end = node.attributes.Has("end");
  const std::int64_t end = node.attributes.Int("end", 0);
  return [=](OperatorCall& call) {
    const std::int64_t rank = call.in[0].dim();
    const auto clamp = [&](std::int64_t axis) {
      return std::clamp<std::int64_t>(Positive(axis, rank), 0, rank);
    };
    const std::vector<std::int64_t> sizes = call.in[0].sizes().vec();
    const std::int64_t last = has_end ? clamp(end) : rank;
    const std::int64_t first = std::min(clamp(start), last);
    call.out[0] = at::tensor(
        std::vector<std::int64_t>(sizes.begin() + first, sizes.begin() + last), at::kLong);
  };
}

OperatorFn PrepareSize(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) { call.out[0] = at::scalar_tensor(call.in[0].numel(), at::kLong); };
}

OperatorFn PrepareRange(const LayerGraph&, const Node&) {
  return [](OperatorCall& call) {
    call.out[0] = at::arange(call.in[0].item(), call.in[1].item(), call.in[2].item(),
                             at::TensorOptions(call.in[0].scalar_type()));
  };
}

OperatorFn PrepareOneHot(const LayerGraph&, const Node& node) {
  return [axis = node.attributes.Int("axis", -1)](OperatorCall& call) {
    const auto depth = call.in[1].to(at::kLong).view({-1})[0].item<std::int64_t>();
    const at::Tensor raw = call.in[0].to(at::kLong);
    const at::Tensor index = at::where(raw.lt(0), raw + depth, raw);
    const std::int64_t along = Positive(axis, index.dim() + 1);
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(index.dim() + 1), 1);
    sizes[static_cast<std::size_t>(along)] = depth;
    const at::Tensor hit = at::unsqueeze(index, along).eq(at::arange(depth).view(sizes));
    call.out[0] = at::where(hit, call.in[2][1], call.in[2][0]);
  };
}

OperatorFn PrepareTrilu(const LayerGraph& graph, const Node& node) {
  const IntsArgument diagonal(graph, node, 1, nullptr, {0});
  const bool upper = node.attributes.Int("upper", 1) != 0;
  return [=](OperatorCall& call) {
    const std::int64_t k = diagonal.Get(call)[0];
    call.out[0] = upper ? at::triu(call.in[0], k) : at::tril(call.in[0], k);
  };
}

OperatorFn PrepareDepthToSpace(const LayerGraph&, const Node& node) {
  const std::int64_t block = node.attributes.Int("blocksize", 1);
  const bool crd = node.attributes.String("mode", "DCR") == "CRD";
  return [=](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    const std::int64_t n = x.size(0);
    const std::int64_t c = x.size(1) / (block * block);
    const std::int64_t h = x.size(2);
    const std::int64_t w = x.size(3);
    const at::Tensor parts = crd ? x.reshape({n, c, block, block, h, w}).permute({0, 1, 4, 2, 5, 3})
                                 : x.reshape({n, block, block, c, h, w}).permute({0, 3, 4, 1, 5, 2});
    call.out[0] = parts.reshape({n, c, h * block, w * block});
  };
}

OperatorFn PrepareSpaceToDepth(const LayerGraph&, const Node& node) {
  return [block = node.attributes.Int("blocksize", 1)](OperatorCall& call) {
    const at::Tensor& x = call.in[0];
    const std::int64_t h = x.size(2) / block;
    const std::int64_t w = x.size(3) / block;
    call.out[0] = x.reshape({x.size(0), x.size(1), h, block, w, block})
                      .permute({0, 3, 5, 1, 2, 4})
                      .reshape({x.size(0), x.size(1) * block * block, h, w});
  };
}

// Resize along one axis at a time. A position in the output maps to a coordinate in the input by
// the node's transformation; nearest picks one neighbour, linear mixes two.
struct ResizeRule {
  std::string transformation;
  std::string nearest;
  bool linear = false;
};

at::Tensor ResizeAxis(const at::Tensor& x, std::int64_t axis, std::int64_t target, double scale,
                      const ResizeRule& rule) {
  const std::int64_t size = x.size(axis);
  std::vector<std::int64_t> low(static_cast<std::size_t>(target));
  std::vector<std::int64_t> high(low.size());
  std::vector<float> fraction(low.size());
  for (std::int64_t i = 0; i < target; ++i) {
    const auto position = static_cast<double>(i);
    double from = (position + 0.5) / scale - 0.5;
    if (rule.transformation == "asymmetric") from = position / scale;
    if (rule.transformation == "align_corners") {
      from = target > 1 ? position * static_cast<double>(size - 1) / static_cast<double>(target - 1)
                        : 0.0;
    }
    if (rule.transformation == "pytorch_half_pixel" && target == 1) from = 0.0;
    double base = std::floor(from);
    if (!rule.linear) {
      if (rule.nearest == "round_prefer_floor") base = std::ceil(from - 0.5);
      if (rule.nearest == "round_prefer_ceil") base = std::floor(from + 0.5);
      if (rule.nearest == "ceil") base = std::ceil(from);
    }
    const auto slot = static_cast<std::size_t>(i);
    low[slot] = std::clamp<std::int64_t>(static_cast<std::int64_t>(base), 0, size - 1);
    high[slot] = std::clamp<std::int64_t>(static_cast<std::int64_t>(base) + 1, 0, size - 1);
    fraction[slot] = static_cast<float>(from - base);
  }
  const auto pick = [&](const std::vector<std::int64_t>& places) {
    return at::index_select(x, axis, at::tensor(places, at::kLong).to(x.device()));
  };
  if (!rule.linear) return pick(low);
  std::vector<std::int64_t> spread(static_cast<std::size_t>(x.dim()), 1);
  spread[static_cast<std::size_t>(axis)] = target;
  const at::Tensor weight = at::tensor(fraction, at::kFloat).view(spread).to(x.device());
  return at::lerp(pick(low), pick(high), weight.expand_as(pick(low)));
}

OperatorFn PrepareResize(const LayerGraph& graph, const Node& node) {
  const bool upsample = node.op == "Upsample";
  const bool opset10 = upsample || graph.opset < 11;
  ResizeRule rule;
  rule.transformation = opset10 ? "asymmetric"
                                : node.attributes.String("coordinate_transformation_mode",
                                                         "half_pixel");
  rule.nearest =
      opset10 ? "floor" : node.attributes.String("nearest_mode", "round_prefer_floor");
  const std::string mode = node.attributes.String("mode", "nearest");
  rule.linear = mode == "linear";
  if (mode != "nearest" && !rule.linear) {
    throw UnsupportedOperator(graph, node, "mode '" + mode + "'");
  }
  if (rule.transformation == "tf_crop_and_resize" || node.attributes.Has("axes") ||
      node.attributes.Int("antialias", 0) != 0) {
    throw UnsupportedOperator(graph, node, "tf_crop_and_resize, axes and antialias");
  }
  const std::size_t scale_slot = opset10 ? 1 : 2;
  std::vector<float> constant_scales;
  const bool has_scales = HasInput(node, scale_slot);
  if (has_scales) {
    const Tensor& tensor = graph.tensor(*node.inputs[scale_slot]);
    if (tensor.constant) constant_scales = tensor.constant->ToFloats();
  }
  const IntsArgument sizes(graph, node, opset10 ? -1 : 3, nullptr);
  return [=](OperatorCall& call) {
    at::Tensor x = call.in[0];
    const std::vector<std::int64_t> target = sizes.Get(call);
    std::vector<float> scales = constant_scales;
    if (target.empty() && scales.empty()) {
      const at::Tensor given = call.in[scale_slot].contiguous();
      scales.assign(given.data_ptr<float>(), given.data_ptr<float>() + given.numel());
    }
    for (std::int64_t a = 0; a < x.dim(); ++a) {
      const auto slot = static_cast<std::size_t>(a);
      const auto size = static_cast<double>(x.size(a));
      const double scale =
          target.empty() ? scales[slot] : static_cast<double>(target[slot]) / size;
      const std::int64_t extent = target.empty()
                                      ? static_cast<std::int64_t>(std::floor(size * scale))
                                      : target[slot];
      if (extent != x.size(a)) x = ResizeAxis(x, a, extent, scale, rule);
    }
    call.out[0] = x;
  };
}

}  // namespace

OperatorSection LayoutOperators() {
  return {
      {"Concat", PrepareConcat},
      {"Constant", PrepareConstant},
      {"ConstantOfShape", PrepareConstantOfShape},
      {"DepthToSpace", PrepareDepthToSpace},
      {"Dropout", PrepareIdentity},
      {"Expand", PrepareExpand},
      {"Flatten", PrepareFlatten},
      {"Gather", PrepareGather},
      {"GatherElements", PrepareGatherElements},
      {"Identity", PrepareIdentity},
      {"OneHot", PrepareOneHot},
      {"Pad", PreparePad},
      {"Range", PrepareRange},
      {"Reshape", PrepareReshape},
      {"Resize", PrepareResize},
      {"Shape", PrepareShape},
      {"Size", PrepareSize},
      {"Slice", PrepareSlice},
      {"SpaceToDepth", PrepareSpaceToDepth},
      {"Split", PrepareSplit},
      {"Squeeze", PrepareSqueeze},
      {"Tile", PrepareTile},
      {"Transpose", PrepareTranspose},
      {"Trilu", PrepareTrilu},
      {"Unsqueeze", PrepareUnsqueeze},
      {"Upsample", PrepareResize},
  };
}

}  // namespace bitsearch
