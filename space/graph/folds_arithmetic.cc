// Folding of arithmetic on constants: integers exactly in int64, floats in float32 as at run time.
// Must not depend on ONNX's types nor on LibTorch.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "space/graph/operator_functions.h"

namespace bitsearch::ops {
namespace {

bool IsFloat(DataType type) { return type == DataType::kFloat32; }
/// Types whose values fit int64 (uint64 too, for the sizes that occur).
bool IsInteger(DataType type) {
  switch (type) {
    case DataType::kUint8:
    case DataType::kInt8:
    case DataType::kUint16:
    case DataType::kInt16:
    case DataType::kInt32:
    case DataType::kInt64:
    case DataType::kUint32:
    case DataType::kUint64:
    case DataType::kBool:
      return true;
    default:
      return false;
  }
}

/// A tensor of an integer type from int64 values (truncated as a cast does).
TensorValue FromIntegers(DataType type, const Shape& shape,
                         const std::vector<std::int64_t>& values) {
  const std::size_t size = static_cast<std::size_t>(BitsOf(type)) / 8;
  std::vector<std::byte> bytes(values.size() * size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t value = type == DataType::kBool ? (values[i] != 0 ? 1 : 0) : values[i];
    // Little endian: the low bytes come first.
    std::memcpy(bytes.data() + i * size, &value, size);
  }
  return TensorValue(type, shape, std::move(bytes));
}

/// For each element of a result of shape `to`, the element of `from` that is broadcast to it.
std::vector<std::size_t> BroadcastIndices(const Shape& from, const Shape& to) {
  std::vector<std::size_t> indices(static_cast<std::size_t>(ElementCount(to)));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::size_t rest = i;
    std::size_t position = 0;
    std::size_t stride = 1;
    for (std::size_t d = to.size(); d-- > 0;) {
      const auto extent = static_cast<std::size_t>(to[d]);
      const std::size_t coordinate = rest % extent;
      rest /= extent;
      if (d + from.size() < to.size()) continue;
      const auto own = static_cast<std::size_t>(from[d + from.size() - to.size()]);
      position += own == 1 ? 0 : coordinate * stride;
      stride *= own;
    }
    indices[i] = position;
  }
  return indices;
}

template <typename T>
using Combine = std::function<T(T, T)>;

/// Applies `combine` from left to right over all inputs.
template <typename T, typename Read>
std::vector<T> Combined(const OperatorContext& context, const Shape& shape, const Read& read,
                        const Combine<T>& combine) {
  std::vector<T> result;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    const std::vector<T> values = read(context.Value(i));
    const std::vector<std::size_t> source = BroadcastIndices(context.Dims(i), shape);
    if (i == 0) result.resize(source.size());
    for (std::size_t k = 0; k < source.size(); ++k) {
      result[k] = i == 0 ? values[source[k]] : combine(result[k], values[source[k]]);
    }
  }
  return result;
}

std::int64_t WrappingPower(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : 0;
  std::uint64_t result = 1;
  auto factor = static_cast<std::uint64_t>(base);
  for (auto left = static_cast<std::uint64_t>(exponent); left > 0; left >>= 1) {
    if ((left & 1) != 0) result *= factor;
    factor *= factor;
  }
  return static_cast<std::int64_t>(result);
}

/// Integer arithmetic wraps around as two's complement does.
Combine<std::int64_t> IntegerOperation(const OperatorContext& context) {
  using I = std::int64_t;
  using U = std::uint64_t;
  const std::string& op = context.node().op;
  const auto wrap = [](U value) { return static_cast<I>(value); };
  if (op == "Add" || op == "Sum") return [=](I a, I b) { return wrap(U(a) + U(b)); };
  if (op == "Sub") return [=](I a, I b) { return wrap(U(a) - U(b)); };
  if (op == "Mul") return [=](I a, I b) { return wrap(U(a) * U(b)); };
  if (op == "Div") {
    return [&context](I a, I b) {
      if (b == 0) throw context.Fail("an integer is divided by 0");
      return b == -1 ? static_cast<I>(0 - U(a)) : a / b;
    };
  }
  if (op == "Mod") {
    const bool c_style = context.attributes().Int("fmod", 0) != 0;
    return [&context, c_style](I a, I b) {
      if (b == 0) throw context.Fail("an integer is divided by 0");
      if (b == -1) return I{0};
      const I rest = a % b;
      return !c_style && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    };
  }
  if (op == "Pow") return [](I a, I b) { return WrappingPower(a, b); };
  if (op == "Min") return [](I a, I b) { return std::min(a, b); };
  if (op == "Max") return [](I a, I b) { return std::max(a, b); };
  if (op == "Equal") return [](I a, I b) { return I{a == b}; };
  if (op == "Less") return [](I a, I b) { return I{a < b}; };
  if (op == "LessOrEqual") return [](I a, I b) { return I{a <= b}; };
  if (op == "Greater") return [](I a, I b) { return I{a > b}; };
  if (op == "GreaterOrEqual") return [](I a, I b) { return I{a >= b}; };
  if (op == "And") return [](I a, I b) { return I{a != 0 && b != 0}; };
  if (op == "Or") return [](I a, I b) { return I{a != 0 || b != 0}; };
  if (op == "Xor") return [](I a, I b) { return I{(a != 0) != (b != 0)}; };
  return {};
}

Combine<float> FloatOperation(const std::string& op) {
  if (op == "Add" || op == "Sum") return [](float a, float b) { return a + b; };
  if (op == "Sub") return [](float a, float b) { return a - b; };
  if (op == "Mul") return [](float a, float b) { return a * b; };
  if (op == "Div") return [](float a, float b) { return a / b; };
  if (op == "Pow") return [](float a, float b) { return std::pow(a, b); };
  if (op == "Min") return [](float a, float b) { return std::min(a, b); };
  if (op == "Max") return [](float a, float b) { return std::max(a, b); };
  if (op == "Equal") return [](float a, float b) { return a == b ? 1.0F : 0.0F; };
  if (op == "Less") return [](float a, float b) { return a < b ? 1.0F : 0.0F; };
  if (op == "LessOrEqual") return [](float a, float b) { return a <= b ? 1.0F : 0.0F; };
  if (op == "Greater") return [](float a, float b) { return a > b ? 1.0F : 0.0F; };
  if (op == "GreaterOrEqual") return [](float a, float b) { return a >= b ? 1.0F : 0.0F; };
  return {};
}

float (*FloatFunction(const std::string& op))(float) {
  if (op == "Neg") return [](float x) { return -x; };
  if (op == "Abs") return [](float x) { return std::abs(x); };
  if (op == "Sqrt") return [](float x) { return std::sqrt(x); };
  if (op == "Exp") return [](float x) { return std::exp(x); };
  if (op == "Log") return [](float x) { return std::log(x); };
  if (op == "Erf") return [](float x) { return std::erf(x); };
  if (op == "Tanh") return [](float x) { return std::tanh(x); };
  if (op == "Sin") return [](float x) { return std::sin(x); };
  if (op == "Cos") return [](float x) { return std::cos(x); };
  if (op == "Floor") return [](float x) { return std::floor(x); };
  if (op == "Ceil") return [](float x) { return std::ceil(x); };
  if (op == "Round") return [](float x) { return std::nearbyint(x); };
  if (op == "Reciprocal") return [](float x) { return 1.0F / x; };
  if (op == "Relu") return [](float x) { return x > 0.0F ? x : 0.0F; };
  if (op == "Sign") return [](float x) { return x > 0.0F ? 1.0F : (x < 0.0F ? -1.0F : 0.0F); };
  return nullptr;
}

std::vector<float> ReadFloats(const TensorValue& value) { return value.ToFloats(); }
std::vector<std::int64_t> ReadIntegers(const TensorValue& value) { return value.ToInt64s(); }

}  // namespace

std::vector<TensorValue> FoldCast(const OperatorContext& context) {
  const DataType type = context.outputs().front().type;
  const TensorValue& source = context.Value(0);
  if (source.type() == type) return {source};
  const Shape& shape = context.OutputDims(0);
  if (IsFloat(type)) return {TensorValue::FromFloats(shape, source.ToFloats())};
  if (!IsInteger(type)) return {};
  if (type == DataType::kBool && IsFloat(source.type())) {
    // 0.5 is true, so truncating first would be wrong.
    std::vector<std::int64_t> truth;
    for (const float value : source.Floats()) truth.push_back(value != 0.0F ? 1 : 0);
    return {FromIntegers(type, shape, truth)};
  }
  return {FromIntegers(type, shape, source.ToInt64s())};
}

std::vector<TensorValue> FoldBinary(const OperatorContext& context) {
  const DataType input = context.Type(0);
  // Pow alone may mix types; its base decides.
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    if (context.Type(i) != input && context.node().op != "Pow") return {};
  }
  const DataType type = context.outputs().front().type;
  const Shape& shape = context.OutputDims(0);
  if (IsFloat(input)) {
    const Combine<float> combine = FloatOperation(context.node().op);
    if (!combine) return {};
    const std::vector<float> values = Combined<float>(context, shape, ReadFloats, combine);
    if (IsFloat(type)) return {TensorValue::FromFloats(shape, values)};
    return {FromIntegers(type, shape, {values.begin(), values.end()})};
  }
  if (!IsInteger(input)) return {};
  const Combine<std::int64_t> combine = IntegerOperation(context);
  if (!combine) return {};
  return {FromIntegers(type, shape, Combined<std::int64_t>(context, shape, ReadIntegers, combine))};
}

std::vector<TensorValue> FoldUnary(const OperatorContext& context) {
  const TensorValue& source = context.Value(0);
  const std::string& op = context.node().op;
  if (IsFloat(source.type())) {
    float (*function)(float) = FloatFunction(op);
    if (function == nullptr) return {};
    std::vector<float> values = source.ToFloats();
    std::transform(values.begin(), values.end(), values.begin(), function);
    return {TensorValue::FromFloats(source.shape(), values)};
  }
  if (!IsInteger(source.type())) return {};
  std::vector<std::int64_t> values = source.ToInt64s();
  const auto negated = [](std::int64_t x) {
    return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(x));
  };
  for (std::int64_t& value : values) {
    if (op == "Neg") {
      value = negated(value);
    } else if (op == "Abs") {
      value = value < 0 ? negated(value) : value;
    } else if (op == "Not") {
      value = value == 0 ? 1 : 0;
    } else if (op == "Sign") {
      value = value > 0 ? 1 : (value < 0 ? -1 : 0);
    } else if (op == "Relu") {
      value = std::max<std::int64_t>(value, 0);
    } else {
      return {};
    }
  }
  return {FromIntegers(source.type(), source.shape(), values)};
}

std::vector<TensorValue> FoldWhere(const OperatorContext& context) {
  const DataType type = context.Type(1);
  const std::size_t size = static_cast<std::size_t>(BitsOf(type)) / 8;
  if (type != context.Type(2) || size == 0) return {};
  const Shape& shape = context.OutputDims(0);
  const std::vector<std::int64_t> condition = context.Ints(0);
  const std::vector<std::size_t> where = BroadcastIndices(context.Dims(0), shape);
  const std::vector<std::size_t> sources[] = {BroadcastIndices(context.Dims(1), shape),
                                              BroadcastIndices(context.Dims(2), shape)};
  std::vector<std::byte> bytes(where.size() * size);
  for (std::size_t i = 0; i < where.size(); ++i) {
    const std::size_t pick = condition[where[i]] != 0 ? 0 : 1;
    std::memcpy(bytes.data() + i * size,
                context.Value(1 + pick).bytes().data() + sources[pick][i] * size, size);
  }
  return {TensorValue(type, shape, std::move(bytes))};
}

std::vector<TensorValue> FoldRange(const OperatorContext& context) {
  const auto count = static_cast<std::size_t>(ElementCount(context.OutputDims(0)));
  if (IsFloat(context.Type(0))) {
    const float first = context.Floats(0)[0];
    const float delta = context.Floats(2)[0];
    std::vector<float> values;
    for (std::size_t i = 0; i < count; ++i) {
      values.push_back(first + static_cast<float>(i) * delta);
    }
    return {TensorValue::FromFloats(context.OutputDims(0), values)};
  }
  if (!IsInteger(context.Type(0))) return {};
  const std::int64_t start = context.Ints(0)[0];
  const std::int64_t delta = context.Ints(2)[0];
  std::vector<std::int64_t> values;
  for (std::size_t i = 0; i < count; ++i) {
    // Unsigned, since the terms wrap harmlessly where the sum does not.
    values.push_back(static_cast<std::int64_t>(
        static_cast<std::uint64_t>(start) + std::uint64_t{i} * static_cast<std::uint64_t>(delta)));
  }
  return {FromIntegers(context.Type(0), context.OutputDims(0), values)};
}

std::vector<TensorValue> FoldReduce(const OperatorContext& context) {
  // Integers only: what exporters compute from shapes.
  if (!IsInteger(context.Type(0))) return {};
  const Shape& shape = context.Dims(0);
  auto axes = AxesArgument(context, 1, context.Rank(0));
  if (!axes || axes->empty()) {
    if (context.attributes().Int("noop_with_empty_axes", 0) != 0) return {context.Value(0)};
    axes.emplace();
    for (std::int64_t axis = 0; axis < context.Rank(0); ++axis) axes->push_back(axis);
  }
  Shape kept = shape;
  for (const std::int64_t axis : *axes) kept[static_cast<std::size_t>(axis)] = 1;
  const std::string& op = context.node().op;
  std::vector<std::int64_t> result(static_cast<std::size_t>(ElementCount(kept)),
                                   op == "ReduceProd" ? 1 : 0);
  std::vector<bool> seen(result.size(), false);
  const std::vector<std::int64_t> values = context.Ints(0);
  const std::vector<std::size_t> target = BroadcastIndices(kept, shape);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::int64_t& sum = result[target[i]];
    const auto a = static_cast<std::uint64_t>(sum);
    const auto b = static_cast<std::uint64_t>(values[i]);
    if (op == "ReduceSum") sum = static_cast<std::int64_t>(a + b);
    if (op == "ReduceProd") sum = static_cast<std::int64_t>(a * b);
    if (op == "ReduceMax") sum = seen[target[i]] ? std::max(sum, values[i]) : values[i];
    if (op == "ReduceMin") sum = seen[target[i]] ? std::min(sum, values[i]) : values[i];
    seen[target[i]] = true;
  }
  return {FromIntegers(context.Type(0), context.OutputDims(0), result)};
}

}  // namespace bitsearch::ops
