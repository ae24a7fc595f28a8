#pragma once
// All K roundings of one tensor in one pass: Σ p_k Q_k(x), and its gradients recomputed from x.
// What supernets and quantization-aware training spend their time in. Torch-free: works on plain
// memory.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "space/choices/bit_choice.h"
#include "space/quantizer/affine.h"

namespace bitsearch {

/// One rounding: Q(x) = (clamp(round(x·inverse_scale + offset), lowest, highest) − offset)·scale.
/// An affine grid has offset 0, one bit (±α) has offset −½ and levels −1, 0; ternary has levels
/// −1, 0, 1 with a scale of its own.
struct Rounding {
  float inverse_scale = 1.0F;
  float scale = 1.0F;
  float offset = 0.0F;
  float lowest = 0.0F;
  float highest = 0.0F;
  /// The gradient passes straight through for x in [pass_low, pass_high] and is 0 outside.
  float pass_low = -std::numeric_limits<float>::infinity();
  float pass_high = std::numeric_limits<float>::infinity();
  bool operator==(const Rounding&) const = default;
};

/// The integer levels of a format, which together with a scale make a Rounding. The zero point is
/// part of the bounds (an asymmetric grid has levels −Z … 2^b − 1 − Z).
struct RoundingLevels {
  enum class Kind : std::uint8_t {
    kAffine,    ///< Equal steps of one scale; the scale has a gradient.
    kSign,      ///< ±scale.
    kIdentity,  ///< Left as it is (fp32; fp16 and bf16 count as such in training).
    kZero,      ///< Contributes nothing (a skipped block).
  };
  Kind kind = Kind::kAffine;
  float lowest = 0.0F;
  float highest = 0.0F;
  /// Factor on the gradient of the scale: 1, or LSQ's 1/sqrt(N·Qp).
  float scale_gradient = 1.0F;

  /// Signed levels of a weight format: integers of b ≥ 2 bits have −2^(b−1) (+1 if `narrow`) …
  /// 2^(b−1) − 1, ternary −1, 0, 1 (rounded to the nearest, as learned steps want it).
  static RoundingLevels ForWeight(NumberFormat format, bool narrow);
  /// Levels −zero_point … 2^b − 1 − zero_point of an activation format. Throws Error(kUsage) for
  /// ternary.
  static RoundingLevels ForActivation(NumberFormat format, int zero_point);
};

/// The rounding of `levels` at `scale` (values ≤ 0 count as a tiny one). Sign passes the gradient
/// everywhere, affine inside its range. Not for kIdentity and kZero.
Rounding MakeRounding(const RoundingLevels& levels, float scale);

/// Sums over all elements that the gradients of probabilities and scales are made of.
struct RoundingSums {
  double output = 0.0;  ///< Σ g·(q − offset): Σ g·Q = scale · this.
  double inside = 0.0;  ///< Σ g·x over the x inside [pass_low, pass_high].

  void Add(const RoundingSums& other) {
    output += other.output;
    inside += other.inside;
  }
};

/// Σ g·Q(x): what the gradient of a rounding's weight is.
double WeightGradient(const Rounding& rounding, const RoundingSums& sums);
/// Σ g·dQ/d(scale): affine Σ g·(q − [inside]·x/scale) (LSQ, Esser et al. 2020), sign Σ g·sign(x).
double ScaleGradient(const RoundingLevels& levels, const Rounding& rounding,
                     const RoundingSums& sums);

/// out[i] = identity·in[i] + Σ_k weights[k]·Q_k(in[i]). Roundings of weight 0 cost nothing. `in`
/// and `out` may be the same memory. The result does not depend on the machine's vector width.
void MixRoundings(std::span<const float> in, std::span<float> out,
                  std::span<const Rounding> roundings, std::span<const float> weights,
                  float identity);

/// Which sums a backward pass is to compute; empty `roundings` means all.
struct WantedSums {
  std::vector<bool> roundings;
  bool identity = true;
};

/// The gradients: grad_in[i] = g[i]·(identity + Σ_k weights[k]·[x inside range k]); `sums` is
/// overwritten (0 where not wanted), and Σ g·x is returned (the gradient of `identity`, 0 if not
/// wanted). `gradient` and `grad_in` may be the same memory.
double MixRoundingsBackward(std::span<const float> in, std::span<const float> gradient,
                            std::span<float> grad_in, std::span<const Rounding> roundings,
                            std::span<const float> weights, float identity,
                            const WantedSums& wanted, std::span<RoundingSums> sums);

}  // namespace bitsearch
