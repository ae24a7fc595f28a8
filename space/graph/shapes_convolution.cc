// Shapes and costs of operators with a sliding window, 1-D to 3-D, and of resizing.
// Must not depend on ONNX's types nor on LibTorch.
#include <algorithm>
#include <cmath>

#include "space/graph/operator_functions.h"

namespace bitsearch::ops {
namespace {

constexpr std::int64_t kLargestAttribute = std::int64_t{1} << 20;

struct Window {
  std::vector<std::int64_t> kernel;
  std::vector<std::int64_t> strides;
  std::vector<std::int64_t> dilations;
  std::vector<std::int64_t> pads;  ///< Begins, then ends.
  std::string auto_pad;
};

std::vector<std::int64_t> WindowAttribute(const OperatorContext& context, const std::string& name,
                                          std::size_t count, std::int64_t fallback,
                                          std::int64_t least) {
  std::vector<std::int64_t> values = context.attributes().Ints(name);
  if (values.empty()) values.assign(count, fallback);
  bool valid = values.size() == count;
  for (const std::int64_t value : values) valid &= value >= least && value <= kLargestAttribute;
  if (!valid) {
    throw context.Fail("attribute " + name + " is " + ToString(values) + ", expected " +
                       std::to_string(count) + " numbers of at least " + std::to_string(least));
  }
  return values;
}

/// `kernel` empty: taken from the attribute kernel_shape.
Window ReadWindow(const OperatorContext& context, const Shape& input,
                  std::vector<std::int64_t> kernel) {
  if (input.size() < 3) {
    throw context.Fail("an input of shape " + ToString(input) + " has no spatial axes",
                       "the input must be [N, C, …] with one to three spatial axes");
  }
  const std::size_t spatial = input.size() - 2;
  Window window;
  if (kernel.empty()) {
    window.kernel = WindowAttribute(context, "kernel_shape", spatial, 0, 1);
  } else {
    window.kernel = std::move(kernel);
    const auto declared = context.attributes().Ints("kernel_shape", window.kernel);
    if (declared != window.kernel) {
      throw context.Fail("kernel_shape is " + ToString(declared) + " but the weight's kernel is " +
                         ToString(window.kernel));
    }
  }
  window.strides = WindowAttribute(context, "strides", spatial, 1, 1);
  window.dilations = WindowAttribute(context, "dilations", spatial, 1, 1);
  window.pads = WindowAttribute(context, "pads", 2 * spatial, 0, -kLargestAttribute);
  window.auto_pad = context.attributes().String("auto_pad", "NOTSET");
  static constexpr std::string_view kAllowed[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
  if (std::find(std::begin(kAllowed), std::end(kAllowed), window.auto_pad) == std::end(kAllowed)) {
    throw context.Fail("auto_pad is '" + window.auto_pad + "'",
                       "allowed: NOTSET, VALID, SAME_UPPER, SAME_LOWER");
  }
  if (window.auto_pad == "VALID") window.pads.assign(2 * spatial, 0);
  return window;
}

std::int64_t WindowSpan(const Window& window, std::size_t axis) {
  return (window.kernel[axis] - 1) * window.dilations[axis] + 1;
}

std::int64_t WindowOutput(const OperatorContext& context, const Window& window, std::size_t axis,
                          std::int64_t extent, bool ceil_mode) {
  const std::int64_t stride = window.strides[axis];
  if (window.auto_pad == "SAME_UPPER" || window.auto_pad == "SAME_LOWER") {
    return (extent + stride - 1) / stride;
  }
  const std::int64_t begin = window.pads[axis];
  const std::int64_t end = window.pads[axis + window.kernel.size()];
  const std::int64_t room = extent + begin + end - WindowSpan(window, axis);
  if (room < 0) {
    throw context.Fail("a window of " + std::to_string(WindowSpan(window, axis)) +
                           " does not fit an extent of " + std::to_string(extent) +
                           " with padding " + std::to_string(begin) + " and " + std::to_string(end),
                       "the input is too small for this network, or the pads are wrong");
  }
  if (!ceil_mode) return room / stride + 1;
  std::int64_t count = (room + stride - 1) / stride + 1;
  // A window that would start in the end padding is left out, as runtimes do.
  if ((count - 1) * stride >= extent + begin) --count;
  return count;
}

}  // namespace

void ConvShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& input = context.Dims(0);
  const Shape& weight = context.Dims(1);
  if (weight.size() != input.size() || input.size() < 3) {
    throw context.Fail(
        "an input of shape " + ToString(input) + " with a weight of shape " + ToString(weight),
        "input [N, C, …] and weight [M, C/group, …] have equal rank, at least 3");
  }
  const std::int64_t group = context.attributes().Int("group", 1);
  if (group < 1 || Multiply(context, weight[1], group) != input[1] || weight[0] % group != 0) {
    throw context.Fail("an input with " + std::to_string(input[1]) + " channels, a weight " +
                           ToString(weight) + " and " + std::to_string(group) + " groups",
                       "input channels must be weight[1] × group, and weight[0] divisible by it");
  }
  if (context.HasInput(2) && context.Dims(2) != Shape{weight[0]}) {
    throw context.Fail("a bias of shape " + ToString(context.Dims(2)) + ", expected [" +
                       std::to_string(weight[0]) + "]");
  }
  const Window window = ReadWindow(context, input, {weight.begin() + 2, weight.end()});
  Shape output = {input[0], weight[0]};
  for (std::size_t i = 2; i < input.size(); ++i) {
    output.push_back(WindowOutput(context, window, i - 2, input[i], false));
  }
  context.SetOutput(0, context.Type(0), output);
}

std::int64_t ConvMacs(const OperatorContext& context) {
  const Shape& weight = context.Dims(1);
  std::int64_t per_output = 1;
  for (std::size_t i = 1; i < weight.size(); ++i) {
    per_output = Multiply(context, per_output, weight[i]);
  }
  return Multiply(context, ElementCount(context.OutputDims(0)), per_output);
}

void ConvTransposeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& input = context.Dims(0);
  const Shape& weight = context.Dims(1);
  const std::int64_t group = context.attributes().Int("group", 1);
  if (weight.size() != input.size() || input.size() < 3 || group < 1 || weight[0] != input[1] ||
      weight[0] % group != 0) {
    throw context.Fail("an input of shape " + ToString(input) + ", a weight of shape " +
                           ToString(weight) + " and " + std::to_string(group) + " groups",
                       "input [N, C, …] and weight [C, M/group, …] must agree in C");
  }
  const std::int64_t channels = Multiply(context, weight[1], group);
  if (context.HasInput(2) && context.Dims(2) != Shape{channels}) {
    throw context.Fail("a bias of shape " + ToString(context.Dims(2)) + ", expected [" +
                       std::to_string(channels) + "]");
  }
  const std::size_t spatial = input.size() - 2;
  const Window window = ReadWindow(context, input, {weight.begin() + 2, weight.end()});
  const auto extra = WindowAttribute(context, "output_padding", spatial, 0, 0);
  const bool sized = context.attributes().Has("output_shape");
  const bool same = window.auto_pad == "SAME_UPPER" || window.auto_pad == "SAME_LOWER";
  std::vector<std::int64_t> fixed;
  if (sized) {
    fixed = context.attributes().Ints("output_shape");
    if (fixed.size() == input.size()) fixed.erase(fixed.begin(), fixed.begin() + 2);
    if (fixed.size() != spatial) throw context.Fail("output_shape is " + ToString(fixed));
  }
  Shape output = {input[0], channels};
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t extent = input[i + 2];
    if (sized) {
      output.push_back(fixed[i]);
    } else if (same) {
      output.push_back(Multiply(context, extent, window.strides[i]));
    } else {
      output.push_back(Multiply(context, extent - 1, window.strides[i]) + extra[i] +
                       WindowSpan(window, i) - window.pads[i] - window.pads[i + spatial]);
    }
  }
  context.SetOutput(0, context.Type(0), output);
}

std::int64_t ConvTransposeMacs(const OperatorContext& context) {
  const Shape& weight = context.Dims(1);
  std::int64_t per_input = 1;
  for (std::size_t i = 1; i < weight.size(); ++i) {
    per_input = Multiply(context, per_input, weight[i]);
  }
  return Multiply(context, ElementCount(context.Dims(0)), per_input);
}

void PoolShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  context.SetOutputType(1, DataType::kInt64);
  const Shape& input = context.Dims(0);
  const Window window = ReadWindow(context, input, {});
  const bool ceil_mode = context.attributes().Int("ceil_mode", 0) != 0;
  Shape output = {input[0], input[1]};
  for (std::size_t i = 2; i < input.size(); ++i) {
    output.push_back(WindowOutput(context, window, i - 2, input[i], ceil_mode));
  }
  context.SetOutput(0, context.Type(0), output);
  context.SetOutput(1, DataType::kInt64, output);
}

void GlobalPoolShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape shape = context.Dims(0);
  if (shape.size() < 3) {
    throw context.Fail("an input of shape " + ToString(shape) + " has no spatial axes");
  }
  std::fill(shape.begin() + 2, shape.end(), 1);
  context.SetOutput(0, context.Type(0), shape);
}

namespace {

std::int64_t Scaled(const OperatorContext& context, std::int64_t extent, double scale) {
  const double size = std::floor(static_cast<double>(extent) * scale);
  if (!(scale > 0.0) || !(size < 1e12)) {
    throw context.Fail(
        "a scale of " + std::to_string(scale) + " for an extent of " + std::to_string(extent),
        "scales are positive");
  }
  return static_cast<std::int64_t>(size);
}

Shape ScaledShape(const OperatorContext& context, const std::vector<float>& scales,
                  const std::vector<std::int64_t>& axes) {
  Shape shape = context.Dims(0);
  if (scales.size() != axes.size()) {
    throw context.Fail(std::to_string(scales.size()) + " scales for " +
                       std::to_string(axes.size()) + " axes");
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    std::int64_t& extent = shape[static_cast<std::size_t>(axes[i])];
    extent = Scaled(context, extent, double{scales[i]});
  }
  return shape;
}

std::vector<std::int64_t> AllAxes(const OperatorContext& context) {
  std::vector<std::int64_t> axes;
  for (std::int64_t axis = 0; axis < context.Rank(0); ++axis) axes.push_back(axis);
  return axes;
}

/// An absent optional input may also come as an empty tensor.
bool HasElements(const OperatorContext& context, std::size_t slot) {
  return context.HasInput(slot) && ElementCount(context.Dims(slot)) > 0;
}

}  // namespace

void ResizeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const std::size_t scales_slot = context.opset() >= 11 ? 2 : 1;
  std::vector<std::int64_t> axes = AllAxes(context);
  if (context.attributes().Has("axes")) {
    axes = context.attributes().Ints("axes");
    for (std::int64_t& axis : axes) axis = NormalizedAxis(context, axis, context.Rank(0));
  }
  if (HasElements(context, scales_slot)) {
    context.SetOutput(0, context.Type(0), ScaledShape(context, context.Floats(scales_slot), axes));
    return;
  }
  if (context.opset() < 11 || !HasElements(context, 3)) {
    throw context.Fail("neither scales nor sizes are given");
  }
  const std::vector<std::int64_t> sizes = context.Ints(3);
  if (sizes.size() != axes.size()) {
    throw context.Fail(std::to_string(sizes.size()) + " sizes for " + std::to_string(axes.size()) +
                       " axes");
  }
  Shape shape = context.Dims(0);
  const std::string policy = context.attributes().String("keep_aspect_ratio_policy", "stretch");
  double scale = policy == "not_larger" ? 1e30 : 0.0;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto extent = static_cast<double>(shape[static_cast<std::size_t>(axes[i])]);
    const double ratio = static_cast<double>(sizes[i]) / std::max(extent, 1.0);
    scale = policy == "not_larger" ? std::min(scale, ratio) : std::max(scale, ratio);
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    std::int64_t& extent = shape[static_cast<std::size_t>(axes[i])];
    if (policy == "stretch") {
      extent = sizes[i];
    } else {
      extent = static_cast<std::int64_t>(
          std::floor(std::min(static_cast<double>(extent) * scale, 1e12) + 0.5));
    }
  }
  context.SetOutput(0, context.Type(0), shape);
}

void UpsampleShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const std::vector<float> scales =
      context.HasInput(1) ? context.Floats(1) : context.attributes().Floats("scales");
  context.SetOutput(0, context.Type(0), ScaledShape(context, scales, AllAxes(context)));
}

}  // namespace bitsearch::ops
