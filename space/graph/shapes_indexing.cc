// Shapes of operators that pick elements by index, and of those that make constants or tell shapes.
// Must not depend on ONNX's types nor on LibTorch.
#include <algorithm>
#include <cmath>

#include "space/graph/operator_functions.h"

namespace bitsearch::ops {

void GatherShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& data = context.Dims(0);
  const Shape& indices = context.Dims(1);
  const std::int64_t axis =
      NormalizedAxis(context, context.attributes().Int("axis", 0), context.Rank(0));
  Shape output(data.begin(), data.begin() + axis);
  output.insert(output.end(), indices.begin(), indices.end());
  output.insert(output.end(), data.begin() + axis + 1, data.end());
  context.SetOutput(0, context.Type(0), output);
}

void GatherElementsShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  NormalizedAxis(context, context.attributes().Int("axis", 0), context.Rank(0));
  if (context.Rank(0) != context.Rank(1)) {
    throw context.Fail("data " + ToString(context.Dims(0)) + " and indices " +
                       ToString(context.Dims(1)) + " differ in rank");
  }
  context.SetOutput(0, context.Type(0), context.Dims(1));
}

void GatherNdShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  const Shape& data = context.Dims(0);
  const Shape& indices = context.Dims(1);
  const std::int64_t batch = context.attributes().Int("batch_dims", 0);
  const std::int64_t depth = indices.empty() ? 0 : indices.back();
  if (indices.empty() || batch < 0 || batch >= context.Rank(1) || depth < 0 ||
      depth > context.Rank(0) - batch) {
    throw context.Fail("data " + ToString(data) + " cannot be indexed by " + ToString(indices));
  }
  Shape output(indices.begin(), indices.end() - 1);
  output.insert(output.end(), data.begin() + batch + depth, data.end());
  context.SetOutput(0, context.Type(0), output);
}

void ShapeShape(OperatorContext& context) {
  context.SetOutputType(0, DataType::kInt64);
  const std::int64_t rank = context.Rank(0);
  const auto clamp = [&](std::int64_t position) {
    return std::clamp<std::int64_t>(position < 0 ? position + rank : position, 0, rank);
  };
  const std::int64_t start = clamp(context.attributes().Int("start", 0));
  const std::int64_t end = clamp(context.attributes().Int("end", rank));
  context.SetOutput(0, DataType::kInt64, {std::max<std::int64_t>(end - start, 0)});
}

void SizeShape(OperatorContext& context) { context.SetOutput(0, DataType::kInt64, {}); }

TensorValue ConstantValue(const OperatorContext& context) {
  const Attributes& attributes = context.attributes();
  if (const TensorValue* tensor = attributes.Tensor("value")) return *tensor;
  if (attributes.Has("value_float")) {
    const float value = attributes.Float("value_float", 0.0F);
    return TensorValue::FromFloats({}, {&value, 1});
  }
  if (attributes.Has("value_int")) {
    const std::int64_t value = attributes.Int("value_int", 0);
    return TensorValue::FromInt64s({}, {&value, 1});
  }
  if (attributes.Has("value_floats")) {
    const std::vector<float> values = attributes.Floats("value_floats");
    return TensorValue::FromFloats({static_cast<std::int64_t>(values.size())}, values);
  }
  if (attributes.Has("value_ints")) {
    const std::vector<std::int64_t> values = attributes.Ints("value_ints");
    return TensorValue::FromInt64s({static_cast<std::int64_t>(values.size())}, values);
  }
  throw Error(ErrorId::kModelAttribute, "a Constant without a numeric value")
      .Key(context.node().id)
      .Hint("supported: value, value_float, value_floats, value_int, value_ints");
}

void ConstantShape(OperatorContext& context) {
  const TensorValue value = ConstantValue(context);
  context.SetOutput(0, value.type(), value.shape());
}

void ConstantOfShapeShape(OperatorContext& context) {
  const TensorValue* value = context.attributes().Tensor("value");
  const DataType type = value != nullptr ? value->type() : DataType::kFloat32;
  context.SetOutputType(0, type);
  context.SetOutput(0, type, context.Ints(0));
}

void RangeShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(0));
  double bounds[3] = {};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::vector<float> value = context.Floats(i);
    if (value.size() != 1) throw context.Fail("start, limit and delta must be scalars");
    // Integers beyond 2^24 lose digits as floats; read those exactly.
    bounds[i] = context.Type(i) == DataType::kFloat32 ? static_cast<double>(value[0])
                                                      : static_cast<double>(context.Ints(i)[0]);
  }
  const double count = std::max(std::ceil((bounds[1] - bounds[0]) / bounds[2]), 0.0);
  if (!(count < 1e9)) {
    throw context.Fail("a range of " + std::to_string(count) + " elements", "delta must not be 0");
  }
  context.SetOutput(0, context.Type(0), {static_cast<std::int64_t>(count)});
}

void NonZeroShape(OperatorContext& context) {
  context.SetOutputType(0, DataType::kInt64);
  const TensorValue& value = context.Value(0);
  const std::vector<float> elements = value.ToFloats();
  const auto count = std::count_if(elements.begin(), elements.end(),
                                   [](float element) { return element != 0.0F; });
  context.SetOutput(0, DataType::kInt64, {context.Rank(0), count});
}

void OneHotShape(OperatorContext& context) {
  context.SetOutputType(0, context.Type(2));
  Shape shape = context.Dims(0);
  const std::vector<std::int64_t> depth = context.Ints(1);
  if (depth.size() != 1) throw context.Fail("depth must be one number");
  const std::int64_t axis =
      NormalizedAxis(context, context.attributes().Int("axis", -1), context.Rank(0) + 1);
  shape.insert(shape.begin() + axis, depth.front());
  context.SetOutput(0, context.Type(2), shape);
}

}  // namespace bitsearch::ops
