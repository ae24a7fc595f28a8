// Reading a node's arguments in one form for every opset.
// Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/operator_context.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace bitsearch {

const TensorFact& OperatorContext::Fact(std::size_t slot) const {
  if (!HasInput(slot)) {
    throw Fail("input " + std::to_string(slot) + " is absent (it has " +
                   std::to_string(inputs_.size()) + " inputs)",
               "this operator needs it in this opset; export the model again");
  }
  return *inputs_[slot];
}

const Shape& OperatorContext::Dims(std::size_t slot) const {
  const TensorFact& fact = Fact(slot);
  if (!fact.shape) throw UnknownUntilRun{};
  return *fact.shape;
}

const TensorValue& OperatorContext::Value(std::size_t slot) const {
  const TensorFact& fact = Fact(slot);
  if (!fact.value) throw UnknownUntilRun{};
  return *fact.value;
}

void OperatorContext::SetOutput(std::size_t slot, DataType type, Shape shape) {
  if (slot >= outputs_.size()) return;
  for (const std::int64_t extent : shape) {
    if (extent > kLargestExtent) {
      throw Fail(
          "output " + std::to_string(slot) + " would have an extent of " + std::to_string(extent),
          "no tensor can be that large; the model file is damaged");
    }
    if (extent < 0) {
      throw Fail("output " + std::to_string(slot) + " would have a negative extent (" +
                     std::to_string(extent) + ")",
                 "the input is too small for this operator, or its attributes are wrong");
    }
  }
  outputs_[slot].type = type;
  outputs_[slot].shape = std::move(shape);
}

void OperatorContext::SetOutputType(std::size_t slot, DataType type) {
  if (slot < outputs_.size()) outputs_[slot].type = type;
}

const Shape& OperatorContext::OutputDims(std::size_t slot) const {
  if (slot >= outputs_.size() || !outputs_[slot].shape) throw UnknownUntilRun{};
  return *outputs_[slot].shape;
}

Error OperatorContext::Fail(const std::string& message, const std::string& hint) const {
  Error error(ErrorId::kModelShape,
              node_.op + " (opset " + std::to_string(opset_) + "): " + message);
  error.Key(node_.id);
  if (!hint.empty()) error.Hint(hint);
  return error;
}

std::int64_t NormalizedAxis(const OperatorContext& context, std::int64_t axis, std::int64_t rank) {
  if (axis < -rank || axis >= rank) {
    throw context.Fail(
        "axis " + std::to_string(axis) + " of a tensor of rank " + std::to_string(rank),
        "an axis lies in [-rank, rank)");
  }
  return axis < 0 ? axis + rank : axis;
}

std::optional<std::vector<std::int64_t>> IntsArgument(const OperatorContext& context,
                                                      std::size_t slot,
                                                      const std::string& attribute) {
  if (context.HasInput(slot)) return context.Ints(slot);
  if (context.attributes().Has(attribute)) return context.attributes().Ints(attribute);
  return std::nullopt;
}

std::optional<std::vector<std::int64_t>> AxesArgument(const OperatorContext& context,
                                                      std::size_t slot, std::int64_t rank) {
  std::optional<std::vector<std::int64_t>> axes = IntsArgument(context, slot, "axes");
  if (!axes) return std::nullopt;
  for (std::int64_t& axis : *axes) axis = NormalizedAxis(context, axis, rank);
  std::sort(axes->begin(), axes->end());
  if (std::adjacent_find(axes->begin(), axes->end()) != axes->end()) {
    throw context.Fail("an axis is listed twice in axes " + ToString(*axes));
  }
  return axes;
}

Shape Broadcast(const OperatorContext& context, const Shape& a, const Shape& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Shape result(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t left = i + a.size() >= rank ? a[i + a.size() - rank] : 1;
    const std::int64_t right = i + b.size() >= rank ? b[i + b.size() - rank] : 1;
    if (left != right && left != 1 && right != 1) {
      throw context.Fail("shapes " + ToString(a) + " and " + ToString(b) + " do not broadcast",
                         "extents must be equal or 1, compared from the last axis");
    }
    result[i] = left == 1 ? right : left;
  }
  return result;
}

std::vector<SliceRange> SliceRanges(const OperatorContext& context) {
  const Shape& shape = context.Dims(0);
  const auto rank = static_cast<std::int64_t>(shape.size());
  const bool by_input = context.opset() >= 10 || context.HasInput(1);
  const auto starts = by_input ? context.Ints(1) : context.attributes().Ints("starts");
  const auto ends = by_input ? context.Ints(2) : context.attributes().Ints("ends");
  std::optional<std::vector<std::int64_t>> axes = IntsArgument(context, 3, "axes");
  if (!axes) {
    axes.emplace(starts.size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  std::vector<std::int64_t> steps(starts.size(), 1);
  if (context.HasInput(4)) steps = context.Ints(4);
  if (ends.size() != starts.size() || axes->size() != starts.size() ||
      steps.size() != starts.size()) {
    throw context.Fail("starts, ends, axes and steps have " + std::to_string(starts.size()) + ", " +
                           std::to_string(ends.size()) + ", " + std::to_string(axes->size()) +
                           " and " + std::to_string(steps.size()) + " entries",
                       "they must be equally long");
  }
  std::vector<SliceRange> ranges(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) ranges[i].count = shape[i];
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t axis = NormalizedAxis(context, (*axes)[i], rank);
    const std::int64_t extent = shape[static_cast<std::size_t>(axis)];
    const std::int64_t step = steps[i];
    if (step == 0) throw context.Fail("a step of 0 along axis " + std::to_string(axis));
    // INT64_MAX and INT64_MIN stand for "to the end": clamp before adding.
    const auto clamp = [&](std::int64_t position, std::int64_t low, std::int64_t high) {
      if (position < 0) position = position < -extent ? low : position + extent;
      return std::clamp(position, low, high);
    };
    SliceRange& range = ranges[static_cast<std::size_t>(axis)];
    range.step = step;
    if (step > 0) {
      range.start = clamp(starts[i], 0, extent);
      const std::int64_t end = clamp(ends[i], 0, extent);
      range.count = end > range.start ? (end - range.start - 1) / step + 1 : 0;
    } else {
      range.start = clamp(starts[i], std::min<std::int64_t>(0, extent - 1), extent - 1);
      const std::int64_t end = clamp(ends[i], -1, extent - 1);
      // Written so that a step of INT64_MIN does not overflow when negated.
      range.count = range.start > end ? (end - range.start + 1) / step + 1 : 0;
    }
  }
  return ranges;
}

std::vector<std::int64_t> Permutation(const OperatorContext& context) {
  const auto rank = static_cast<std::size_t>(context.Rank(0));
  std::vector<std::int64_t> reversed(rank);
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  std::vector<std::int64_t> perm = context.attributes().Ints("perm", reversed);
  for (std::int64_t& axis : perm) {
    axis = NormalizedAxis(context, axis, static_cast<std::int64_t>(rank));
  }
  std::vector<std::int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != std::vector<std::int64_t>(reversed.rbegin(), reversed.rend())) {
    throw context.Fail("perm " + ToString(perm) + " is no permutation of the axes of " +
                       ToString(context.Dims(0)));
  }
  return perm;
}

std::vector<std::int64_t> SplitSizes(const OperatorContext& context, std::int64_t axis) {
  const std::int64_t extent = context.Dims(0)[static_cast<std::size_t>(axis)];
  const auto parts = static_cast<std::int64_t>(context.output_count());
  if (const auto sizes = IntsArgument(context, 1, "split")) {
    std::int64_t left = extent;
    bool fits = static_cast<std::int64_t>(sizes->size()) == parts;
    for (const std::int64_t size : *sizes) {
      if (size < 0 || size > left) fits = false;
      if (fits) left -= size;
    }
    if (!fits || left != 0) {
      throw context.Fail("split sizes " + ToString(*sizes) + " for " + std::to_string(parts) +
                         " outputs of an axis of " + std::to_string(extent));
    }
    return *sizes;
  }
  // Equal parts; from opset 18 the last may be smaller.
  const std::int64_t declared = context.attributes().Int("num_outputs", parts);
  if (declared != parts) {
    throw context.Fail("num_outputs is " + std::to_string(declared) + " but there are " +
                       std::to_string(parts) + " outputs");
  }
  const std::int64_t size = (extent + parts - 1) / parts;
  const std::int64_t last = extent - size * (parts - 1);
  if (last < 0 || (context.opset() < 18 && last != size)) {
    throw context.Fail("an axis of " + std::to_string(extent) + " does not split into " +
                       std::to_string(parts) + " equal parts");
  }
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(parts), size);
  sizes.back() = last;
  return sizes;
}

}  // namespace bitsearch
