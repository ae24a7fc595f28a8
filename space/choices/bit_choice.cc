#include "space/choices/bit_choice.h"

#include <charconv>

namespace bitsearch {

std::optional<NumberFormat> NumberFormat::Parse(std::string_view text) {
  if (text == "ternary") return Ternary();
  if (text == "fp16") return Float16();
  if (text == "bf16") return Bfloat16();
  if (text == "fp32" || text == "32") return Float32();
  int bits = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  if (bits == 0) return Skip();
  if (bits < 1 || bits > 16) return std::nullopt;
  return Integer(bits);
}

std::string NumberFormat::ToString() const {
  switch (kind_) {
    case Kind::kSkip:
      return "0";
    case Kind::kInteger:
      return std::to_string(bits_);
    case Kind::kTernary:
      return "ternary";
    case Kind::kFloat16:
      return "fp16";
    case Kind::kBfloat16:
      return "bf16";
    case Kind::kFloat32:
      return "fp32";
  }
  return "?";
}

std::string BitChoice::ToString() const {
  return "W" + weight.ToString() + "A" + activation.ToString();
}

}  // namespace bitsearch
