#pragma once
// A constant tensor: type, shape, immutable shared bytes. What initializers, attributes and folded
// constants are made of. Must not depend on ONNX's types nor on LibTorch.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bitsearch {

/// Element types, with the numbers that ONNX's TensorProto.DataType gives them.
enum class DataType : std::int32_t {
  kUndefined = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
  kUint4 = 21,
  kInt4 = 22,
  kUint2 = 25,
  kInt2 = 26,
};

/// ONNX's lower-case name ("float32", "int64", …).
std::string_view NameOf(DataType type);
/// Bits of one element; 0 for strings and unknown types.
int BitsOf(DataType type);

/// Least and greatest value of an integer type. Throws Error(kInternal) for other types and for
/// uint64, whose greatest value is none.
struct IntegerLimits {
  std::int64_t lowest = 0;
  std::int64_t highest = 0;
};
IntegerLimits LimitsOf(DataType type);

/// Extents of a tensor. −1 is an extent that is not known (a symbolic batch).
using Shape = std::vector<std::int64_t>;

/// No file may declare more along one axis; keeps arithmetic on extents far from overflow.
inline constexpr std::int64_t kLargestExtent = std::int64_t{1} << 40;

/// Number of elements; −1 if an extent is unknown. A scalar (empty shape) has one.
std::int64_t ElementCount(const Shape& shape);
/// "[1, 3, 32, 32]"; an unknown extent prints as "?".
std::string ToString(const Shape& shape);

/// An immutable tensor. Copies share the bytes. Row-major; element order as in ONNX's raw_data
/// (little endian; 4- and 2-bit types packed, low bits first).
class TensorValue {
 public:
  TensorValue() = default;
  /// `bytes` must hold exactly the elements of `shape`; throws Error(kInternal) otherwise.
  TensorValue(DataType type, Shape shape, std::vector<std::byte> bytes);

  static TensorValue FromFloats(Shape shape, std::span<const float> values);
  static TensorValue FromInt64s(Shape shape, std::span<const std::int64_t> values);

  /// Integers in the given type, packed where it is narrower than a byte. Throws Error(kInternal)
  /// for a type that is no integer or a value outside it.
  static TensorValue FromIntegers(DataType type, Shape shape, std::span<const std::int64_t> values);

  /// Floats stored as float16 or bfloat16, rounded half to even; beyond float16's range: infinity.
  static TensorValue FromFloatsAs(DataType type, Shape shape, std::span<const float> values);

  DataType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  std::int64_t element_count() const { return ElementCount(shape_); }
  std::span<const std::byte> bytes() const { return *bytes_; }

  /// The elements as they lie; throws Error(kInternal) unless the type is exactly float32 / int64.
  std::span<const float> Floats() const;
  std::span<const std::int64_t> Int64s() const;
  /// The elements converted; any integer, bool or floating type. Throws Error(kInternal) for
  /// others.
  std::vector<std::int64_t> ToInt64s() const;
  std::vector<float> ToFloats() const;

  /// The same bytes under another shape of equal element count.
  TensorValue Reshaped(Shape shape) const;

  /// Two values are the same tensor if they share the bytes (shared weights tie layers).
  bool SharesBytesWith(const TensorValue& other) const { return bytes_ == other.bytes_; }

 private:
  DataType type_ = DataType::kUndefined;
  Shape shape_;
  std::shared_ptr<const std::vector<std::byte>> bytes_ =
      std::make_shared<const std::vector<std::byte>>();
};

}  // namespace bitsearch
