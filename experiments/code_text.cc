#include "experiments/code_text.h"

#include <string_view>

namespace bitsearch {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr int kCharacterBits = 6;

}  // namespace

std::string PackCodes(std::span<const std::int32_t> codes, int bits, std::int32_t lowest) {
  std::string text;
  std::uint32_t pending = 0;
  int filled = 0;
  for (const std::int32_t code : codes) {
    pending |= static_cast<std::uint32_t>(code - lowest) << filled;
    for (filled += bits; filled >= kCharacterBits; filled -= kCharacterBits) {
      text += kAlphabet[pending % kAlphabet.size()];
      pending >>= kCharacterBits;
    }
  }
  if (filled > 0) text += kAlphabet[pending % kAlphabet.size()];
  return text;
}

std::optional<std::vector<std::int32_t>> UnpackCodes(const std::string& text, std::size_t count,
                                                     int bits, std::int32_t lowest) {
  const auto width = static_cast<std::size_t>(bits);
  if (text.size() != (count * width + kCharacterBits - 1) / kCharacterBits) return std::nullopt;
  std::vector<std::int32_t> codes;
  codes.reserve(count);
  std::uint32_t pending = 0;
  int filled = 0;
  for (const char character : text) {
    const std::size_t value = kAlphabet.find(character);
    if (value == std::string_view::npos) return std::nullopt;
    pending |= static_cast<std::uint32_t>(value) << filled;
    filled += kCharacterBits;
    for (; filled >= bits && codes.size() < count; filled -= bits) {
      codes.push_back(static_cast<std::int32_t>(pending & ((1U << width) - 1U)) + lowest);
      pending >>= width;
    }
  }
  return codes;
}

}  // namespace bitsearch
