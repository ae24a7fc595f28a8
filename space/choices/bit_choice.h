#pragma once
// Number formats and one layer's choice of them. Plain values; the vocabulary of every room.

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace bitsearch {

/// A number format: integers of 1–16 bits, ternary, fp16, bf16, fp32, or "skip" (0 bits: the block
/// is left out). A bits column of a file holds its text form.
class NumberFormat {
 public:
  enum class Kind : std::uint8_t { kSkip, kInteger, kTernary, kFloat16, kBfloat16, kFloat32 };

  constexpr NumberFormat() = default;
  /// `bits` in [1, 16].
  static constexpr NumberFormat Integer(int bits) {
    return NumberFormat(Kind::kInteger, static_cast<std::uint8_t>(bits));
  }
  static constexpr NumberFormat Skip() { return NumberFormat(Kind::kSkip, 0); }
  static constexpr NumberFormat Ternary() { return NumberFormat(Kind::kTernary, 2); }
  static constexpr NumberFormat Float16() { return NumberFormat(Kind::kFloat16, 16); }
  static constexpr NumberFormat Bfloat16() { return NumberFormat(Kind::kBfloat16, 16); }
  static constexpr NumberFormat Float32() { return NumberFormat(Kind::kFloat32, 32); }

  /// Reads "1".."16", "ternary", "fp16", "bf16", "fp32", "32" (fp32) and "0" (skip).
  static std::optional<NumberFormat> Parse(std::string_view text);
  /// The canonical text: "4", "ternary", "fp32", "0", …
  std::string ToString() const;

  constexpr Kind kind() const { return kind_; }
  constexpr bool is_integer() const { return kind_ == Kind::kInteger; }
  /// True for fp16, bf16 and fp32.
  constexpr bool is_float() const {
    return kind_ == Kind::kFloat16 || kind_ == Kind::kBfloat16 || kind_ == Kind::kFloat32;
  }
  /// Bits of storage per element: ternary counts 2, skip 0, fp32 32.
  constexpr int bits() const { return bits_; }

  constexpr auto operator<=>(const NumberFormat&) const = default;

 private:
  constexpr NumberFormat(Kind kind, std::uint8_t bits) : kind_(kind), bits_(bits) {}
  Kind kind_ = Kind::kFloat32;
  std::uint8_t bits_ = 32;
};

/// One layer's choice: format of its weights and of its input activation.
struct BitChoice {
  NumberFormat weight;
  NumberFormat activation;
  constexpr auto operator<=>(const BitChoice&) const = default;
  /// "W4A8"; formats other than integers by name: "W4Afp32".
  std::string ToString() const;
};

}  // namespace bitsearch
