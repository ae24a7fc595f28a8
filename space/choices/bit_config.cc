#include "space/choices/bit_config.h"

#include <cstdint>

namespace bitsearch {

std::string BitConfig::Canonical() const {
  std::string text;
  for (const BitChoice& choice : choices) {
    if (!text.empty()) text += ',';
    text += choice.weight.ToString() + '/' + choice.activation.ToString();
  }
  return text;
}

std::string BitConfig::Hash() const {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : Canonical()) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, hash >>= 4) text[static_cast<std::size_t>(i)] = kDigits[hash & 15];
  return text;
}

BitConfig BitConfig::Uniform(std::size_t layer_count, BitChoice choice) {
  return BitConfig{std::vector<BitChoice>(layer_count, choice)};
}

}  // namespace bitsearch
