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

}  // namespace
}  // namespace bitsearch
