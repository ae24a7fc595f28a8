// Shapes of operators that only move elements around.
// Must not depend on ONNX's types nor on LibTorch.
#include <algorithm>
#include <limits>

#include "space/graph/operator_functions.h"

namespace bitsearch::ops {

void ReshapeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& input = context.Dims(0);
  Shape output = context.Ints(1);
  const bool allow_zero = context.attributes().Int("allowzero", 0) != 0;
  const Shape wanted = output;
  const auto fail = [&] {
    return context.Fail("shape " + ToString(input) + " cannot become " + ToString(wanted),
                        "the element counts must agree; at most one extent is -1");
  };
  std::ptrdiff_t open = -1;
  std::int64_t known = 1;
  for (std::size_t i = 0; i < output.size(); ++i) {
    if (output[i] == 0 && !allow_zero) {
      if (i >= input.size()) throw fail();
      output[i] = input[i];
    }
    if (output[i] == -1) {
      if (open >= 0) throw fail();
      open = static_cast<std::ptrdiff_t>(i);
      continue;
    }
    if (output[i] < 0) throw fail();
    known = Multiply(context, known, output[i]);
  }
  const std::int64_t count = ElementCount(input);
  if (open >= 0) {
    if (known == 0 || count % known != 0) throw fail();
    output[static_cast<std::size_t>(open)] = count / known;
  } else if (known != count) {
    throw fail();
  }
  context.SetOutput(0, context.Type(0), output);
}

void FlattenShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& input = context.Dims(0);
  const std::int64_t rank = context.Rank(0);
  std::int64_t axis = context.attributes().Int("axis", 1);
  if (axis != rank) axis = NormalizedAxis(context, axis, rank);
  std::int64_t left = 1;
  std::int64_t right = 1;
  for (std::int64_t i = 0; i < rank; ++i) {
    std::int64_t& side = i < axis ? left : right;
    side = Multiply(context, side, input[static_cast<std::size_t>(i)]);
  }
  context.SetOutput(0, context.Type(0), {left, right});
}

void SqueezeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape shape = context.Dims(0);
  const auto axes = AxesArgument(context, 1, context.Rank(0));
  if (!axes) {
    std::erase(shape, 1);
  } else {
    for (auto axis = axes->rbegin(); axis != axes->rend(); ++axis) {
      if (shape[static_cast<std::size_t>(*axis)] != 1) {
        throw context.Fail("axis " + std::to_string(*axis) + " of " + ToString(context.Dims(0)) +
                           " is not 1");
      }
      shape.erase(shape.begin() + *axis);
    }
  }
  context.SetOutput(0, context.Type(0), shape);
}

void UnsqueezeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape shape = context.Dims(0);
  const auto listed = IntsArgument(context, 1, "axes");
  const std::int64_t added = listed ? static_cast<std::int64_t>(listed->size()) : 0;
  const auto axes = AxesArgument(context, 1, context.Rank(0) + added);
  if (!axes) throw context.Fail("no axes are given");
  for (const std::int64_t axis : *axes) shape.insert(shape.begin() + axis, 1);
  context.SetOutput(0, context.Type(0), shape);
}

void TransposeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape output;
  for (const std::int64_t axis : Permutation(context)) {
    output.push_back(context.Dims(0)[static_cast<std::size_t>(axis)]);
  }
  context.SetOutput(0, context.Type(0), output);
}

namespace {

std::int64_t BlockSize(const OperatorContext& context) {
  const std::int64_t block = context.attributes().Int("blocksize", 0);
  if (block < 1 || block > 4096 || context.Rank(0) != 4) {
    throw context.Fail("blocksize " + std::to_string(block) + " for an input of shape " +
                           ToString(context.Dims(0)),
                       "the input must be [N, C, H, W] and the block size positive");
  }
  return block;
}

}  // namespace

void DepthToSpaceShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const std::int64_t block = BlockSize(context);
  const Shape& in = context.Dims(0);
  if (in[1] % (block * block) != 0) {
    throw context.Fail(std::to_string(in[1]) + " channels are not a multiple of blocksize² = " +
                       std::to_string(block * block));
  }
  context.SetOutput(0, context.Type(0),
                    {in[0], in[1] / (block * block), Multiply(context, in[2], block),
                     Multiply(context, in[3], block)});
}

void SpaceToDepthShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const std::int64_t block = BlockSize(context);
  const Shape& in = context.Dims(0);
  if (in[2] % block != 0 || in[3] % block != 0) {
    throw context.Fail("shape " + ToString(in) + " does not split into blocks of " +
                       std::to_string(block));
  }
  context.SetOutput(0, context.Type(0),
                    {in[0], Multiply(context, in[1], block * block), in[2] / block, in[3] / block});
}

void ConcatShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape output = context.Dims(0);
  if (!context.attributes().Has("axis")) throw context.Fail("the attribute axis is missing");
  const auto axis = static_cast<std::size_t>(
      NormalizedAxis(context, context.attributes().Int("axis", 0), context.Rank(0)));
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    Shape other = context.Dims(i);
    bool fits = other.size() == output.size();
    for (std::size_t d = 0; fits && d < other.size(); ++d) {
      fits = d == axis || other[d] == output[d];
    }
    if (!fits) {
      throw context.Fail("input " + std::to_string(i) + " of shape " + ToString(other) +
                             " does not join " + ToString(context.Dims(0)) + " along axis " +
                             std::to_string(axis),
                         "all other extents must be equal");
    }
    if (__builtin_add_overflow(output[axis], other[axis], &output[axis])) {
      throw context.Fail("the joined extent is too large");
    }
  }
  context.SetOutput(0, context.Type(0), output);
}

void SliceShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape output;
  for (const SliceRange& range : SliceRanges(context)) output.push_back(range.count);
  context.SetOutput(0, context.Type(0), output);
}

void SplitShape(OperatorContext& context) {
  for (std::size_t i = 0; i < context.output_count(); ++i) {
    context.SetOutputType(i, context.Type(0));
  }
  const std::int64_t axis =
      NormalizedAxis(context, context.attributes().Int("axis", 0), context.Rank(0));
  const std::vector<std::int64_t> sizes = SplitSizes(context, axis);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Shape part = context.Dims(0);
    part[static_cast<std::size_t>(axis)] = sizes[i];
    context.SetOutput(i, context.Type(0), part);
  }
}

void PadShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape output = context.Dims(0);
  const auto pads = IntsArgument(context, 1, "pads");
  if (!pads) throw context.Fail("no pads are given");
  std::vector<std::int64_t> axes;
  if (context.HasInput(3)) {
    axes = context.Ints(3);
    for (std::int64_t& axis : axes) axis = NormalizedAxis(context, axis, context.Rank(0));
  } else {
    for (std::int64_t axis = 0; axis < context.Rank(0); ++axis) axes.push_back(axis);
  }
  if (pads->size() != 2 * axes.size()) {
    throw context.Fail(std::to_string(pads->size()) + " pads for " + std::to_string(axes.size()) +
                           " axes of shape " + ToString(output),
                       "pads list the begins of all axes, then the ends");
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    std::int64_t& extent = output[static_cast<std::size_t>(axes[i])];
    if (__builtin_add_overflow(extent, (*pads)[i], &extent) ||
        __builtin_add_overflow(extent, (*pads)[i + axes.size()], &extent)) {
      throw context.Fail("pads " + ToString(*pads) + " are too large");
    }
  }
  context.SetOutput(0, context.Type(0), output);
}

void ExpandShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  context.SetOutput(0, context.Type(0), Broadcast(context, context.Dims(0), context.Ints(1)));
}

void TileShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape output = context.Dims(0);
  const std::vector<std::int64_t> repeats = context.Ints(1);
  if (repeats.size() != output.size()) {
    throw context.Fail(std::to_string(repeats.size()) + " repeats for an input of shape " +
                       ToString(output));
  }
  for (std::size_t i = 0; i < output.size(); ++i) {
    if (repeats[i] < 0) throw context.Fail("repeats " + ToString(repeats) + " are negative");
    output[i] = Multiply(context, output[i], repeats[i]);
  }
  context.SetOutput(0, context.Type(0), output);
}

}  // namespace bitsearch::ops
