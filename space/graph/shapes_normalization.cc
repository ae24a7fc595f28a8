// Shapes of normalisations, softmax and reductions.
// Must not depend on ONNX's types nor on LibTorch.
#include <algorithm>
#include <numeric>

#include "space/graph/operator_functions.h"

namespace bitsearch::ops {
namespace {

std::int64_t Channels(const OperatorContext& context) {
  if (context.Rank(0) < 2) {
    throw context.Fail("an input of shape " + ToString(context.Dims(0)) + " has no channel axis",
                       "the input must be [N, C, …]");
  }
  return context.Dims(0)[1];
}

/// Inputs `first`..`last` must hold one number per channel.
void CheckPerChannel(const OperatorContext& context, std::size_t first, std::size_t last,
                     std::int64_t channels) {
  for (std::size_t slot = first; slot <= last; ++slot) {
    if (context.Dims(slot) != Shape{channels}) {
      throw context.Fail("input " + std::to_string(slot) + " has shape " +
                         ToString(context.Dims(slot)) + ", expected [" + std::to_string(channels) +
                         "], one number per channel");
    }
  }
}

}  // namespace

void BatchNormalizationShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  // Rank 1 and 2 are [N] and [N, C]; a rank-1 input counts as one channel.
  const std::int64_t channels = context.Rank(0) == 1 ? 1 : Channels(context);
  CheckPerChannel(context, 1, 4, channels);
  context.SetOutput(0, context.Type(0), context.Dims(0));
  for (std::size_t slot = 1; slot < context.output_count(); ++slot) {
    context.SetOutput(slot, context.Type(0), {channels});
  }
}

void InstanceNormalizationShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  CheckPerChannel(context, 1, 2, Channels(context));
  context.SetOutput(0, context.Type(0), context.Dims(0));
}

void LayerNormalizationShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& shape = context.Dims(0);
  const std::int64_t axis =
      NormalizedAxis(context, context.attributes().Int("axis", -1), context.Rank(0));
  for (std::size_t slot = 1; slot < context.input_count(); ++slot) {
    if (!context.HasInput(slot)) continue;
    if (Broadcast(context, shape, context.Dims(slot)) != shape) {
      throw context.Fail("input " + std::to_string(slot) + " of shape " +
                         ToString(context.Dims(slot)) + " does not fit an input of shape " +
                         ToString(shape));
    }
  }
  context.SetOutput(0, context.Type(0), shape);
  Shape statistics = shape;
  std::fill(statistics.begin() + axis, statistics.end(), 1);
  context.SetOutput(1, DataType::kFloat32, statistics);
  context.SetOutput(2, DataType::kFloat32, statistics);
}

void GroupNormalizationShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const std::int64_t channels = Channels(context);
  const std::int64_t groups = context.attributes().Int("num_groups", 0);
  if (groups <= 0 || channels % groups != 0) {
    throw context.Fail(std::to_string(channels) + " channels do not form " +
                       std::to_string(groups) + " groups");
  }
  // Opset 18 scaled per group; opset 21 corrected that to per channel.
  CheckPerChannel(context, 1, 2, context.opset() >= 21 ? channels : groups);
  context.SetOutput(0, context.Type(0), context.Dims(0));
}

void SoftmaxShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const std::int64_t rank = context.Rank(0);
  const std::int64_t axis = context.attributes().Int("axis", context.opset() >= 13 ? -1 : 1);
  // Before opset 13 the axis splits the shape in two and may equal the rank.
  if (!(context.opset() < 13 && axis == rank)) NormalizedAxis(context, axis, rank);
  context.SetOutput(0, context.Type(0), context.Dims(0));
}

void ReduceShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  Shape shape = context.Dims(0);
  std::optional<std::vector<std::int64_t>> axes = AxesArgument(context, 1, context.Rank(0));
  if (!axes || axes->empty()) {
    axes.emplace();
    if (context.attributes().Int("noop_with_empty_axes", 0) == 0) {
      axes->resize(shape.size());
      std::iota(axes->begin(), axes->end(), 0);
    }
  }
  const bool keep = context.attributes().Int("keepdims", 1) != 0;
  for (auto axis = axes->rbegin(); axis != axes->rend(); ++axis) {
    if (keep) {
      shape[static_cast<std::size_t>(*axis)] = 1;
    } else {
      shape.erase(shape.begin() + *axis);
    }
  }
  context.SetOutput(0, context.Type(0), shape);
}

void ArgReduceShape(OperatorContext& context) {
  context.SetOutputType(0, DataType::kInt64);
  Shape shape = context.Dims(0);
  const std::int64_t axis =
      NormalizedAxis(context, context.attributes().Int("axis", 0), context.Rank(0));
  if (context.attributes().Int("keepdims", 1) != 0) {
    shape[static_cast<std::size_t>(axis)] = 1;
  } else {
    shape.erase(shape.begin() + axis);
  }
  context.SetOutput(0, DataType::kInt64, shape);
}

void TopKShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  context.SetOutputType(1, DataType::kInt64);
  Shape shape = context.Dims(0);
  const std::int64_t axis =
      NormalizedAxis(context, context.attributes().Int("axis", -1), context.Rank(0));
  // One number as an attribute before opset 10, a list of one as an input since.
  const auto k = context.attributes().Has("k")
                     ? std::optional(std::vector{context.attributes().Int("k", 0)})
                     : IntsArgument(context, 1, "k");
  if (!k || k->size() != 1) throw context.Fail("k must be one number");
  std::int64_t& extent = shape[static_cast<std::size_t>(axis)];
  if (k->front() < 0 || (extent >= 0 && k->front() > extent)) {
    throw context.Fail("k is " + std::to_string(k->front()) + " of " + std::to_string(extent));
  }
  extent = k->front();
  context.SetOutput(0, context.Type(0), shape);
  context.SetOutput(1, DataType::kInt64, shape);
}

void CumSumShape(OperatorContext& context) { SameShape(context); }

}  // namespace bitsearch::ops
