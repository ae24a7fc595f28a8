#include "experiments/code_text.h"

#include <gtest/gtest.h>

#include "space/support/random.h"

namespace bitsearch {
namespace {

TEST(CodeTextTest, EveryWidthComesBack) {
  for (int bits = 1; bits <= 16; ++bits) {
    const std::int32_t lowest = bits % 2 == 0 ? -(1 << (bits - 1)) : 0;
    RandomStream random(static_cast<std::uint64_t>(bits), "codes");
    std::vector<std::int32_t> codes = {lowest, lowest + (1 << bits) - 1};
    for (int i = 0; i < 37; ++i) {
      codes.push_back(lowest + static_cast<std::int32_t>(random.Below(std::uint64_t{1} << bits)));
    }
    const std::string text = PackCodes(codes, bits, lowest);
    EXPECT_EQ(text.size(), (codes.size() * static_cast<std::size_t>(bits) + 5) / 6);
    EXPECT_EQ(UnpackCodes(text, codes.size(), bits, lowest), codes) << bits;
  }
  EXPECT_EQ(PackCodes({}, 4, -8), "");
}

TEST(CodeTextTest, TextsOfAnotherLengthOrAlphabetAreNone) {
  const std::string text = PackCodes(std::vector<std::int32_t>{-8, 7, 0}, 4, -8);
  // Codes 0, 15 and 8, lowest bits first: 0000 1111 0001, read in sixes 000011 and 110001.
  EXPECT_EQ(text, "wj");
  EXPECT_FALSE(UnpackCodes(text + "A", 3, 4, -8));
  EXPECT_FALSE(UnpackCodes(text, 5, 4, -8));
  EXPECT_FALSE(UnpackCodes("A*", 3, 4, -8));
}

}  // namespace
}  // namespace bitsearch
