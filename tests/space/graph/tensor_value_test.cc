// Constants: element types, packing, shapes.
#include "space/graph/tensor_value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "space/support/error.h"

namespace bitsearch {
namespace {

std::vector<std::byte> Bytes(const std::vector<int>& values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(ElementCount, KnowsScalarsUnknownsAndOverflow) {
  EXPECT_EQ(ElementCount({}), 1);
  EXPECT_EQ(ElementCount({2, 3}), 6);
  EXPECT_EQ(ElementCount({-1, 3}), -1);
  EXPECT_EQ(ElementCount({0, std::int64_t{1} << 62, 8}), 0);
  EXPECT_EQ(ElementCount({std::int64_t{1} << 62, 8}), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(ToString({1, -1, 5}), "[1, ?, 5]");
}

TEST(TensorValue, UnpacksFourAndTwoBitIntegersLowBitsFirst) {
  // 0x8F: low nibble 15 = −1, high nibble 8 = −8.
  const TensorValue int4(DataType::kInt4, {3}, Bytes({0x8F, 0x07}));
  EXPECT_EQ(int4.ToInt64s(), (std::vector<std::int64_t>{-1, -8, 7}));
  const TensorValue uint4(DataType::kUint4, {3}, Bytes({0x8F, 0x07}));
  EXPECT_EQ(uint4.ToInt64s(), (std::vector<std::int64_t>{15, 8, 7}));
  const TensorValue int2(DataType::kInt2, {4}, Bytes({0b11100100}));
  EXPECT_EQ(int2.ToInt64s(), (std::vector<std::int64_t>{0, 1, -2, -1}));
}

TEST(TensorValue, ConvertsHalfPrecision) {
  // 1.0, −2.5, smallest subnormal 2^-24, +infinity.
  const TensorValue half(DataType::kFloat16, {4},
                         Bytes({0x00, 0x3C, 0x00, 0xC1, 0x01, 0x00, 0x00, 0x7C}));
  const std::vector<float> values = half.ToFloats();
  EXPECT_EQ(values[0], 1.0F);
  EXPECT_EQ(values[1], -2.5F);
  EXPECT_EQ(values[2], std::ldexp(1.0F, -24));
  EXPECT_TRUE(std::isinf(values[3]));
  const TensorValue bfloat(DataType::kBfloat16, {1}, Bytes({0x80, 0x3F}));
  EXPECT_EQ(bfloat.ToFloats()[0], 1.0F);
}

TEST(TensorValue, RefusesWrongSizes) {
  EXPECT_THROW(TensorValue(DataType::kFloat32, {2}, Bytes({0, 0, 0, 0})), Error);
  EXPECT_THROW(TensorValue(DataType::kFloat32, {-1}, {}), Error);
  EXPECT_THROW(TensorValue(DataType::kString, {0}, {}), Error);
  const std::vector<float> six(6, 1.0F);
  EXPECT_THROW(TensorValue::FromFloats({6}, six).Reshaped({4}), Error);
  EXPECT_THROW(TensorValue::FromFloats({6}, six).Int64s(), Error);
}

TEST(TensorValue, ReshapingSharesTheBytes) {
  const std::vector<float> six(6, 1.0F);
  const TensorValue value = TensorValue::FromFloats({6}, six);
  EXPECT_TRUE(value.Reshaped({2, 3}).SharesBytesWith(value));
  EXPECT_FALSE(TensorValue::FromFloats({6}, six).SharesBytesWith(value));
}

TEST(TensorValue, SaturatesFloatsAsIntegers) {
  const std::vector<float> values = {1e30F, -1e30F, std::nanf(""), -1.9F};
  EXPECT_EQ(TensorValue::FromFloats({4}, values).ToInt64s(),
            (std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::max(),
                                       std::numeric_limits<std::int64_t>::min(), 0, -1}));
}

TEST(TensorValue, PacksEveryIntegerTypeAndReadsItBack) {
  for (const DataType type :
       {DataType::kInt2, DataType::kUint2, DataType::kInt4, DataType::kUint4, DataType::kInt8,
        DataType::kUint8, DataType::kInt16, DataType::kUint16, DataType::kInt32}) {
    const IntegerLimits limits = LimitsOf(type);
    // An odd number of elements, so that the last byte of a packed type is not full.
    const std::vector<std::int64_t> values = {limits.lowest, limits.highest, 0, 1, limits.lowest};
    const TensorValue packed = TensorValue::FromIntegers(type, {5}, values);
    EXPECT_EQ(packed.ToInt64s(), values) << NameOf(type);
    const std::vector<std::int64_t> beyond = {limits.highest + 1};
    EXPECT_THROW(TensorValue::FromIntegers(type, {1}, beyond), Error) << NameOf(type);
  }
  // ONNX: the first of two 4-bit elements is in the low half of the byte.
  const std::vector<std::int64_t> two = {1, -2};
  EXPECT_EQ(std::to_integer<int>(TensorValue::FromIntegers(DataType::kInt4, {2}, two).bytes()[0]),
            0xE1);
}

TEST(TensorValue, RoundsToHalfTheNearestAndTiesToEven) {
  // Every finite half is itself; between neighbours the nearer one wins, the even one at the
  // middle.
  for (int bits = 0; bits < 0x7bff; ++bits) {
    const TensorValue pair(DataType::kFloat16, {2},
                           Bytes({bits & 0xff, bits >> 8, (bits + 1) & 0xff, (bits + 1) >> 8}));
    const float low = pair.ToFloats()[0];
    const float high = pair.ToFloats()[1];
    const float middle = 0.5F * (low + high);
    const float even = bits % 2 == 0 ? low : high;
    const std::vector<float> values = {low, std::nextafter(middle, low), middle,
                                       std::nextafter(middle, high), -high};
    const std::vector<float> expected = {low, low, even, high, -high};
    ASSERT_EQ(TensorValue::FromFloatsAs(DataType::kFloat16, {5}, values).ToFloats(), expected)
        << bits;
  }
  const std::vector<float> large = {65519.0F, 65520.0F, -1e30F};
  const std::vector<float> as_half =
      TensorValue::FromFloatsAs(DataType::kFloat16, {3}, large).ToFloats();
  EXPECT_EQ(as_half[0], 65504.0F);
  EXPECT_TRUE(std::isinf(as_half[1]) && std::isinf(as_half[2]));
  const std::vector<float> tie = {1.00390625F};  // between 1 and 1 + 2^-7
  EXPECT_EQ(TensorValue::FromFloatsAs(DataType::kBfloat16, {1}, tie).ToFloats()[0], 1.0F);
}

}  // namespace
}  // namespace bitsearch
