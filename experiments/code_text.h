#pragma once
// Many small integers as text, a few characters each: how a configuration file holds the integers
// that learned rounding chose. Must not depend on LibTorch.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace bitsearch {

/// `codes` minus `lowest`, `bits` bits each (1 to 16), one after another, low bits first; six bits
/// a character of base64's alphabet (A–Z, a–z, 0–9, +, /), the first bit lowest.
std::string PackCodes(std::span<const std::int32_t> codes, int bits, std::int32_t lowest);

/// The `count` codes of such a text; nothing if it is of another length or has other characters.
std::optional<std::vector<std::int32_t>> UnpackCodes(const std::string& text, std::size_t count,
                                                     int bits, std::int32_t lowest);

}  // namespace bitsearch
