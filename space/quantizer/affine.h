#pragma once
// The affine map q = clamp(round(x/S) + Z, qmin, qmax), x' = S (q − Z), and the fused kernel that
// applies it. Rounds half to even. Torch-free: works on plain memory.

#include <cstdint>
#include <span>

#include "space/choices/bit_choice.h"

namespace bitsearch {

/// Grid of one scale. Zero is always exactly on the grid.
struct AffineGrid {
  float scale = 1.0F;
  std::int32_t zero_point = 0;
  std::int32_t qmin = 0;
  std::int32_t qmax = 255;

  bool operator==(const AffineGrid&) const = default;

  float lowest() const { return scale * static_cast<float>(qmin - zero_point); }
  float highest() const { return scale * static_cast<float>(qmax - zero_point); }
};

/// Closed interval of values.
struct Range {
  float low = 0.0F;
  float high = 0.0F;
};

/// Symmetric grid: Z = 0, S = max(|low|, |high|)/qmax. Signed levels, `narrow` leaves −2^(b−1) out.
/// `bits` in [2, 16] (one bit and ternary are not affine; see weight_quantizer.h).
AffineGrid SymmetricGrid(Range range, int bits, bool narrow);

/// Asymmetric grid over the range extended to hold zero: qmin = 0, qmax = 2^bits − 1,
/// S = (high − low)/qmax, Z = round(−low/S) clamped to the grid. `bits` in [1, 16].
AffineGrid AsymmetricGrid(Range range, int bits);

/// out[i] = dequantize(quantize(in[i])), one pass, vectorised; `in` and `out` may be the same
/// memory. NaN becomes the grid's lowest value.
void FakeQuantize(std::span<const float> in, std::span<float> out, const AffineGrid& grid);

/// out[i] = quantize(in[i]) − zero point, as floats; times the scale it is FakeQuantize's result.
void QuantizeToSteps(std::span<const float> in, std::span<float> out, const AffineGrid& grid);

/// The integers themselves.
void QuantizeToIntegers(std::span<const float> in, std::span<std::int32_t> out,
                        const AffineGrid& grid);

/// Σ (in − dequantize(quantize(in)))².
double SquaredError(std::span<const float> in, const AffineGrid& grid);

/// Rounds to fp16 or bf16 and back (round to nearest even, overflow to infinity); fp32 copies.
void RoundToFloatFormat(std::span<const float> in, std::span<float> out, NumberFormat format);

}  // namespace bitsearch
