// Shapes of operators that work element by element, with NumPy broadcasting.
// Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/operator_functions.h"

namespace bitsearch::ops {

std::int64_t Multiply(const OperatorContext& context, std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    throw context.Fail("an extent of " + std::to_string(a) + " times " + std::to_string(b) +
                       " is too large");
  }
  return product;
}

void SameShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  context.SetOutput(0, context.Type(0), context.Dims(0));
}

void SameShapeBool(OperatorContext& context) {
  context.SetOutputType(0, DataType::kBool);
  context.SetOutput(0, DataType::kBool, context.Dims(0));
}

namespace {

Shape BroadcastOfInputs(const OperatorContext& context) {
  Shape shape = context.Dims(0);
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    shape = Broadcast(context, shape, context.Dims(i));
  }
  return shape;
}

}  // namespace

void BroadcastShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  context.SetOutput(0, context.Type(0), BroadcastOfInputs(context));
}

void CompareShape(OperatorContext& context) {
  context.SetOutputType(0, DataType::kBool);
  context.SetOutput(0, DataType::kBool, BroadcastOfInputs(context));
}

void WhereShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(1));
  context.SetOutput(0, context.Type(1), BroadcastOfInputs(context));
}

void PReluShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& shape = context.Dims(0);
  const Shape& slope = context.Dims(1);
  if (Broadcast(context, shape, slope) != shape) {
    throw context.Fail("a slope of shape " + ToString(slope) + " does not fit an input of shape " +
                           ToString(shape),
                       "the slope must broadcast to the input, e.g. [C, 1, 1]");
  }
  context.SetOutput(0, context.Type(0), shape);
}

void CastShape(OperatorContext& context) {
  const auto type = static_cast<DataType>(context.attributes().Int("to", 0));
  if (BitsOf(type) == 0) {
    throw context.Fail("cannot cast to data type " +
                           std::to_string(static_cast<std::int32_t>(type)) + " (" +
                           std::string(NameOf(type)) + ")",
                       "casts between numbers and bool are supported");
  }
  context.SetOutputType(0, type);
  context.SetOutput(0, type, context.Dims(0));
}

void CastLikeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(1));
  context.SetOutput(0, context.Type(1), context.Dims(0));
}

void DropoutShape(OperatorContext& context) {
  SameShape(context);
  context.SetOutput(1, DataType::kBool, context.Dims(0));
}

namespace {

/// A scale is a scalar, one number per index of an axis, or (blocked) of the input's rank.
void CheckScale(const OperatorContext& context) {
  const Shape& shape = context.Dims(0);
  const Shape& scale = context.Dims(1);
  const std::int64_t count = ElementCount(scale);
  if (scale.size() == shape.size() && context.attributes().Int("block_size", 0) > 0) return;
  if (scale.size() <= 1 && count == 1) return;
  const std::int64_t axis = NormalizedAxis(context, context.attributes().Int("axis", 1),
                                           static_cast<std::int64_t>(shape.size()));
  if (scale.size() != 1 || count != shape[static_cast<std::size_t>(axis)]) {
    throw context.Fail("a scale of shape " + ToString(scale) + " for axis " + std::to_string(axis) +
                           " of " + ToString(shape),
                       "a scale is a scalar, or holds one number per index of the axis");
  }
}

}  // namespace

void QuantizeShape(OperatorContext& context) {
  auto type = static_cast<DataType>(context.attributes().Int("output_dtype", 0));
  if (context.HasInput(2)) type = context.Type(2);
  if (type == DataType::kUndefined) type = DataType::kUint8;
  context.SetOutputType(0, type);
  CheckScale(context);
  context.SetOutput(0, type, context.Dims(0));
}

void DequantizeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(1));
  CheckScale(context);
  context.SetOutput(0, context.Type(1), context.Dims(0));
}

}  // namespace bitsearch::ops
