// Folding of operators that move elements: any element type of whole bytes, element by element.
// Must not depend on ONNX's types nor on LibTorch.
#include <algorithm>
#include <cstring>

#include "space/graph/operator_functions.h"

namespace bitsearch::ops {
namespace {

/// Row-major strides in elements.
std::vector<std::int64_t> StridesOf(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

std::size_t ElementBytes(DataType type) { return static_cast<std::size_t>(BitsOf(type)) / 8; }

/// An output of `shape` whose element at index i is the source's at offset + Σ i[d]·strides[d].
TensorValue Strided(const TensorValue& source, const Shape& shape, std::int64_t offset,
                    const std::vector<std::int64_t>& strides) {
  const std::size_t size = ElementBytes(source.type());
  const auto count = static_cast<std::size_t>(ElementCount(shape));
  std::vector<std::byte> bytes(count * size);
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t position = offset;
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(bytes.data() + i * size,
                source.bytes().data() + static_cast<std::size_t>(position) * size, size);
    for (std::size_t d = shape.size(); d-- > 0;) {
      position += strides[d];
      if (++index[d] < shape[d]) break;
      position -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return TensorValue(source.type(), shape, std::move(bytes));
}

/// Packed types are left alone.
bool WholeBytes(const OperatorContext& context) { return BitsOf(context.Value(0).type()) >= 8; }

TensorValue Broadcasted(const TensorValue& source, const Shape& shape) {
  const std::vector<std::int64_t> own = StridesOf(source.shape());
  std::vector<std::int64_t> strides(shape.size(), 0);
  const std::size_t skipped = shape.size() - source.shape().size();
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (source.shape()[i] != 1) strides[i + skipped] = own[i];
  }
  return Strided(source, shape, 0, strides);
}

}  // namespace

std::vector<TensorValue> FoldView(const OperatorContext& context) {
  return {context.Value(0).Reshaped(context.OutputDims(0))};
}

std::vector<TensorValue> FoldTranspose(const OperatorContext& context) {
  if (!WholeBytes(context)) return {};
  const TensorValue& source = context.Value(0);
  const std::vector<std::int64_t> own = StridesOf(source.shape());
  std::vector<std::int64_t> strides;
  for (const std::int64_t axis : Permutation(context)) {
    strides.push_back(own[static_cast<std::size_t>(axis)]);
  }
  return {Strided(source, context.OutputDims(0), 0, strides)};
}

std::vector<TensorValue> FoldSlice(const OperatorContext& context) {
  if (!WholeBytes(context)) return {};
  const TensorValue& source = context.Value(0);
  std::vector<std::int64_t> strides = StridesOf(source.shape());
  std::int64_t offset = 0;
  const std::vector<SliceRange> ranges = SliceRanges(context);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    offset += ranges[i].start * strides[i];
    // A single step may be as large as INT64_MAX; then it is never taken.
    strides[i] = ranges[i].count > 1 ? strides[i] * ranges[i].step : 0;
  }
  return {Strided(source, context.OutputDims(0), offset, strides)};
}

std::vector<TensorValue> FoldSplit(const OperatorContext& context) {
  if (!WholeBytes(context)) return {};
  const TensorValue& source = context.Value(0);
  const std::vector<std::int64_t> strides = StridesOf(source.shape());
  const std::int64_t axis =
      NormalizedAxis(context, context.attributes().Int("axis", 0), context.Rank(0));
  std::vector<TensorValue> parts;
  std::int64_t start = 0;
  for (std::size_t i = 0; i < context.output_count(); ++i) {
    const Shape& shape = context.OutputDims(i);
    parts.push_back(
        Strided(source, shape, start * strides[static_cast<std::size_t>(axis)], strides));
    start += shape[static_cast<std::size_t>(axis)];
  }
  return parts;
}

std::vector<TensorValue> FoldConcat(const OperatorContext& context) {
  if (!WholeBytes(context)) return {};
  const Shape& shape = context.OutputDims(0);
  const auto axis = static_cast<std::size_t>(
      NormalizedAxis(context, context.attributes().Int("axis", 0), context.Rank(0)));
  const std::size_t size = ElementBytes(context.Value(0).type());
  std::int64_t rows = 1;
  for (std::size_t i = 0; i < axis; ++i) rows *= shape[i];
  std::vector<std::byte> bytes;
  bytes.reserve(static_cast<std::size_t>(ElementCount(shape)) * size);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < context.input_count(); ++i) {
      const TensorValue& part = context.Value(i);
      if (part.type() != context.Value(0).type()) return {};
      const std::size_t length = part.bytes().size() / static_cast<std::size_t>(rows);
      const std::byte* begin = part.bytes().data() + static_cast<std::size_t>(row) * length;
      bytes.insert(bytes.end(), begin, begin + length);
    }
  }
  return {TensorValue(context.Value(0).type(), shape, std::move(bytes))};
}

std::vector<TensorValue> FoldGather(const OperatorContext& context) {
  if (!WholeBytes(context)) return {};
  const TensorValue& source = context.Value(0);
  const auto axis = static_cast<std::size_t>(
      NormalizedAxis(context, context.attributes().Int("axis", 0), context.Rank(0)));
  const std::int64_t extent = source.shape()[axis];
  std::size_t rows = 1;
  for (std::size_t i = 0; i < axis; ++i) rows *= static_cast<std::size_t>(source.shape()[i]);
  if (rows == 0) return {};
  std::size_t length = ElementBytes(source.type());
  for (std::size_t i = axis + 1; i < source.shape().size(); ++i) {
    length *= static_cast<std::size_t>(source.shape()[i]);
  }
  const std::vector<std::int64_t> indices = context.Ints(1);
  std::vector<std::byte> bytes;
  for (std::size_t row = 0; row < rows; ++row) {
    for (const std::int64_t index : indices) {
      if (index < -extent || index >= extent) {
        throw context.Fail("index " + std::to_string(index) + " of an axis of " +
                           std::to_string(extent));
      }
      const auto place = static_cast<std::size_t>(index < 0 ? index + extent : index);
      const std::byte* begin =
          source.bytes().data() + (row * static_cast<std::size_t>(extent) + place) * length;
      bytes.insert(bytes.end(), begin, begin + length);
    }
  }
  return {TensorValue(source.type(), context.OutputDims(0), std::move(bytes))};
}

std::vector<TensorValue> FoldExpand(const OperatorContext& context) {
  if (!WholeBytes(context)) return {};
  return {Broadcasted(context.Value(0), context.OutputDims(0))};
}

std::vector<TensorValue> FoldTile(const OperatorContext& context) {
  if (!WholeBytes(context)) return {};
  // Viewed as [1, d0, 1, d1, …] and broadcast to [r0, d0, r1, d1, …].
  const TensorValue& source = context.Value(0);
  const std::vector<std::int64_t> repeats = context.Ints(1);
  Shape narrow;
  Shape wide;
  for (std::size_t i = 0; i < source.shape().size(); ++i) {
    narrow.insert(narrow.end(), {1, source.shape()[i]});
    wide.insert(wide.end(), {repeats[i], source.shape()[i]});
  }
  return {Broadcasted(source.Reshaped(narrow), wide).Reshaped(context.OutputDims(0))};
}

std::vector<TensorValue> FoldShape(const OperatorContext& context) {
  const std::int64_t rank = context.Rank(0);
  std::int64_t start = context.attributes().Int("start", 0);
  start = std::clamp<std::int64_t>(start < 0 ? start + rank : start, 0, rank);
  const auto first = context.Dims(0).begin() + start;
  const Shape part(first, first + context.OutputDims(0)[0]);
  return {TensorValue::FromInt64s(context.OutputDims(0), part)};
}

std::vector<TensorValue> FoldSize(const OperatorContext& context) {
  const std::int64_t count = ElementCount(context.Dims(0));
  return {TensorValue::FromInt64s({}, {&count, 1})};
}

std::vector<TensorValue> FoldConstant(const OperatorContext& context) {
  return {ConstantValue(context)};
}

std::vector<TensorValue> FoldConstantOfShape(const OperatorContext& context) {
  const TensorValue* value = context.attributes().Tensor("value");
  const float zero = 0.0F;
  const TensorValue fill = value != nullptr ? *value : TensorValue::FromFloats({1}, {&zero, 1});
  if (fill.element_count() != 1) throw context.Fail("the attribute value must hold one element");
  if (BitsOf(fill.type()) < 8) return {};
  return {Broadcasted(fill.Reshaped({}), context.OutputDims(0))};
}

std::vector<TensorValue> FoldNonZero(const OperatorContext& context) {
  const std::vector<float> elements = context.Value(0).ToFloats();
  const std::vector<std::int64_t> strides = StridesOf(context.Value(0).shape());
  std::vector<std::int64_t> indices;
  for (std::size_t axis = 0; axis < strides.size(); ++axis) {
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (elements[i] == 0.0F) continue;
      indices.push_back(static_cast<std::int64_t>(i) / strides[axis] %
                        context.Value(0).shape()[axis]);
    }
  }
  return {TensorValue::FromInt64s(context.OutputDims(0), indices)};
}

}  // namespace bitsearch::ops
