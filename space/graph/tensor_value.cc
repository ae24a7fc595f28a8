// Bytes of constant tensors and their conversion to the two types that the program computes with.
// Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/tensor_value.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

struct DataTypeInfo {
  DataType type;
  std::string_view name;
  int bits;
};

constexpr DataTypeInfo kDataTypes[] = {
    {DataType::kUndefined, "undefined", 0}, {DataType::kFloat32, "float32", 32},
    {DataType::kUint8, "uint8", 8},         {DataType::kInt8, "int8", 8},
    {DataType::kUint16, "uint16", 16},      {DataType::kInt16, "int16", 16},
    {DataType::kInt32, "int32", 32},        {DataType::kInt64, "int64", 64},
    {DataType::kString, "string", 0},       {DataType::kBool, "bool", 8},
    {DataType::kFloat16, "float16", 16},    {DataType::kFloat64, "float64", 64},
    {DataType::kUint32, "uint32", 32},      {DataType::kUint64, "uint64", 64},
    {DataType::kBfloat16, "bfloat16", 16},  {DataType::kUint4, "uint4", 4},
    {DataType::kInt4, "int4", 4},           {DataType::kUint2, "uint2", 2},
    {DataType::kInt2, "int2", 2},
};

template <typename T>
T LoadAt(std::span<const std::byte> bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

float HalfToFloat(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const int exponent = (half >> 10) & 0x1f;
  const std::uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | static_cast<std::uint32_t>(exponent + 112) << 23 |
                              (mantissa << 13));
}

float BfloatToFloat(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

std::uint16_t FloatToHalf(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7e00u;
  constexpr float kLeastInfinite = 65520.0F;  // halfway between the largest half and 2^16
  if (magnitude >= kLeastInfinite) return sign | 0x7c00u;
  constexpr float kLeastNormal = 6.103515625e-05F;  // 2^-14
  if (magnitude < kLeastNormal) {
    return sign | static_cast<std::uint16_t>(std::nearbyint(std::ldexp(magnitude, 24)));
  }
  // Adding just under half of the last kept place, and one more for odd ones, rounds half to even;
  // a carry into the exponent is right too.
  const std::uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + ((bits >> 13) & 1u);
  return sign | static_cast<std::uint16_t>((rounded >> 13) - (112u << 10));
}

std::uint16_t FloatToBfloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// An element of a packed type, low bits first.
int UnpackAt(std::span<const std::byte> bytes, std::size_t index, int bits, bool is_signed) {
  const std::size_t per_byte = static_cast<std::size_t>(8 / bits);
  const int shift = static_cast<int>(index % per_byte) * bits;
  const int raw = (std::to_integer<int>(bytes[index / per_byte]) >> shift) & ((1 << bits) - 1);
  return is_signed && raw >= (1 << (bits - 1)) ? raw - (1 << bits) : raw;
}

std::int64_t Saturate(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 9223372036854775807.0) return std::numeric_limits<std::int64_t>::max();
  if (value <= -9223372036854775808.0) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(value);
}

/// Calls `store(index, element)` for each element, widened to int64, uint64 or double.
template <typename Store>
void VisitElements(DataType type, std::span<const std::byte> bytes, std::size_t count,
                   const Store& store) {
  const auto each = [&](auto&& load) {
    for (std::size_t i = 0; i < count; ++i) store(i, load(i));
  };
  using I64 = std::int64_t;
  switch (type) {
    case DataType::kFloat32:
      return each([&](std::size_t i) { return double{LoadAt<float>(bytes, i)}; });
    case DataType::kFloat64:
      return each([&](std::size_t i) { return LoadAt<double>(bytes, i); });
    case DataType::kFloat16:
      return each(
          [&](std::size_t i) { return double{HalfToFloat(LoadAt<std::uint16_t>(bytes, i))}; });
    case DataType::kBfloat16:
      return each(
          [&](std::size_t i) { return double{BfloatToFloat(LoadAt<std::uint16_t>(bytes, i))}; });
    case DataType::kUint8:
      return each([&](std::size_t i) { return I64{LoadAt<std::uint8_t>(bytes, i)}; });
    case DataType::kBool:
      return each([&](std::size_t i) { return I64{LoadAt<std::uint8_t>(bytes, i) != 0}; });
    case DataType::kInt8:
      return each([&](std::size_t i) { return I64{LoadAt<std::int8_t>(bytes, i)}; });
    case DataType::kUint16:
      return each([&](std::size_t i) { return I64{LoadAt<std::uint16_t>(bytes, i)}; });
    case DataType::kInt16:
      return each([&](std::size_t i) { return I64{LoadAt<std::int16_t>(bytes, i)}; });
    case DataType::kInt32:
      return each([&](std::size_t i) { return I64{LoadAt<std::int32_t>(bytes, i)}; });
    case DataType::kUint32:
      return each([&](std::size_t i) { return I64{LoadAt<std::uint32_t>(bytes, i)}; });
    case DataType::kInt64:
      return each([&](std::size_t i) { return LoadAt<I64>(bytes, i); });
    case DataType::kUint64:
      return each([&](std::size_t i) { return LoadAt<std::uint64_t>(bytes, i); });
    case DataType::kUint4:
    case DataType::kInt4:
    case DataType::kUint2:
    case DataType::kInt2: {
      const bool is_signed = type == DataType::kInt4 || type == DataType::kInt2;
      return each([&](std::size_t i) { return I64{UnpackAt(bytes, i, BitsOf(type), is_signed)}; });
    }
    case DataType::kUndefined:
    case DataType::kString:
      break;
  }
  throw Error(ErrorId::kInternal,
              "a constant of type " + std::string(NameOf(type)) + " has no numeric elements");
}

/// Bytes that `count` elements take; sub-byte types round up.
std::int64_t ByteCount(DataType type, std::int64_t count) {
  const int bits = BitsOf(type);
  if (bits >= 8) {
    const std::int64_t size = bits / 8;
    if (count > std::numeric_limits<std::int64_t>::max() / size) {
      return std::numeric_limits<std::int64_t>::max();
    }
    return count * size;
  }
  if (bits == 0) return 0;
  const std::int64_t per_byte = 8 / bits;
  return count / per_byte + (count % per_byte != 0 ? 1 : 0);
}

}  // namespace

std::string_view NameOf(DataType type) {
  for (const DataTypeInfo& info : kDataTypes) {
    if (info.type == type) return info.name;
  }
  return "unknown";
}

int BitsOf(DataType type) {
  for (const DataTypeInfo& info : kDataTypes) {
    if (info.type == type) return info.bits;
  }
  return 0;
}

IntegerLimits LimitsOf(DataType type) {
  switch (type) {
    case DataType::kUint2:
    case DataType::kUint4:
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
      return {0, (std::int64_t{1} << BitsOf(type)) - 1};
    case DataType::kInt2:
    case DataType::kInt4:
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32: {
      const std::int64_t half = std::int64_t{1} << (BitsOf(type) - 1);
      return {-half, half - 1};
    }
    case DataType::kInt64:
      return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
    default:
      throw Error(ErrorId::kInternal, std::string(NameOf(type)) + " is not an integer type");
  }
}

std::int64_t ElementCount(const Shape& shape) {
  bool overflow = false;
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) return -1;
    if (extent == 0) {
      // One empty axis makes the tensor empty, however large the others are.
      return std::any_of(shape.begin(), shape.end(), [](std::int64_t e) { return e < 0; }) ? -1 : 0;
    }
    if (count > std::numeric_limits<std::int64_t>::max() / extent) {
      overflow = true;
      count = 1;
    }
    count *= extent;
  }
  return overflow ? std::numeric_limits<std::int64_t>::max() : count;
}

std::string ToString(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] < 0 ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}

TensorValue::TensorValue(DataType type, Shape shape, std::vector<std::byte> bytes)
    : type_(type),
      shape_(std::move(shape)),
      bytes_(std::make_shared<const std::vector<std::byte>>(std::move(bytes))) {
  const std::int64_t count = ElementCount(shape_);
  const std::int64_t expected = count < 0 ? -1 : ByteCount(type_, count);
  if (BitsOf(type_) == 0 || expected != static_cast<std::int64_t>(bytes_->size())) {
    throw Error(ErrorId::kInternal, "a constant of type " + std::string(NameOf(type_)) +
                                        " and shape " + ToString(shape_) + " got " +
                                        std::to_string(bytes_->size()) + " bytes");
  }
}

TensorValue TensorValue::FromFloats(Shape shape, std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return TensorValue(DataType::kFloat32, std::move(shape), {bytes.begin(), bytes.end()});
}

TensorValue TensorValue::FromInt64s(Shape shape, std::span<const std::int64_t> values) {
  const auto bytes = std::as_bytes(values);
  return TensorValue(DataType::kInt64, std::move(shape), {bytes.begin(), bytes.end()});
}

TensorValue TensorValue::FromIntegers(DataType type, Shape shape,
                                      std::span<const std::int64_t> values) {
  const IntegerLimits limits = LimitsOf(type);
  const auto bits = static_cast<std::size_t>(BitsOf(type));
  std::vector<std::byte> bytes((values.size() * bits + 7) / 8);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < limits.lowest || values[i] > limits.highest) {
      throw Error(ErrorId::kInternal,
                  std::to_string(values[i]) + " does not fit " + std::string(NameOf(type)));
    }
    const auto raw = static_cast<std::uint64_t>(values[i]);
    if (bits < 8) {
      const std::uint64_t kept = raw & ((std::uint64_t{1} << bits) - 1);
      bytes[i * bits / 8] |= static_cast<std::byte>(kept << (i * bits % 8));
    } else {
      std::memcpy(bytes.data() + i * bits / 8, &raw, bits / 8);  // little endian
    }
  }
  return TensorValue(type, std::move(shape), std::move(bytes));
}

TensorValue TensorValue::FromFloatsAs(DataType type, Shape shape, std::span<const float> values) {
  if (type != DataType::kFloat16 && type != DataType::kBfloat16) {
    throw Error(ErrorId::kInternal, std::string(NameOf(type)) + " is no narrow floating type");
  }
  std::vector<std::uint16_t> narrow(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    narrow[i] = type == DataType::kFloat16 ? FloatToHalf(values[i]) : FloatToBfloat(values[i]);
  }
  const auto bytes = std::as_bytes(std::span(narrow));
  return TensorValue(type, std::move(shape), {bytes.begin(), bytes.end()});
}

std::span<const float> TensorValue::Floats() const {
  if (type_ != DataType::kFloat32) {
    throw Error(ErrorId::kInternal,
                "expected a float32 constant, got " + std::string(NameOf(type_)));
  }
  // operator new aligns for any scalar type, so the bytes can be read in place.
  return {reinterpret_cast<const float*>(bytes_->data()), bytes_->size() / sizeof(float)};
}

std::span<const std::int64_t> TensorValue::Int64s() const {
  if (type_ != DataType::kInt64) {
    throw Error(ErrorId::kInternal,
                "expected an int64 constant, got " + std::string(NameOf(type_)));
  }
  return {reinterpret_cast<const std::int64_t*>(bytes_->data()),
          bytes_->size() / sizeof(std::int64_t)};
}

std::vector<std::int64_t> TensorValue::ToInt64s() const {
  std::vector<std::int64_t> values(static_cast<std::size_t>(element_count()));
  VisitElements(type_, *bytes_, values.size(), [&](std::size_t i, auto element) {
    if constexpr (std::is_same_v<decltype(element), double>) {
      values[i] = Saturate(element);
    } else {
      values[i] = static_cast<std::int64_t>(element);
    }
  });
  return values;
}

std::vector<float> TensorValue::ToFloats() const {
  std::vector<float> values(static_cast<std::size_t>(element_count()));
  VisitElements(type_, *bytes_, values.size(),
                [&](std::size_t i, auto element) { values[i] = static_cast<float>(element); });
  return values;
}

TensorValue TensorValue::Reshaped(Shape shape) const {
  if (ElementCount(shape) != element_count()) {
    throw Error(ErrorId::kInternal,
                "cannot view a constant of shape " + ToString(shape_) + " as " + ToString(shape));
  }
  TensorValue view = *this;
  view.shape_ = std::move(shape);
  return view;
}

}  // namespace bitsearch
