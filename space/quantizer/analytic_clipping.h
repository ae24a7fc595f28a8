#pragma once
// ACIQ (Banner, Nahshan, Soudry, NeurIPS 2019): clipping values that minimise the expected squared
// error of a Laplace or normal tensor, per-channel bit allocation, and how far a quantized weight's
// spread is off. Torch-free; formulas in terms of plain numbers.

#include <cstdint>
#include <span>
#include <vector>

#include "space/quantizer/affine.h"

namespace bitsearch {

enum class TensorShapeFamily : std::uint8_t { kLaplace, kNormal };

/// Expected squared error of clipping at ±`alpha` and rounding to 2^bits levels.
/// Laplace of scale b: 2b²·e^(−α/b) + α²/(3·4^M). Normal of deviation σ:
/// (α²+σ²)·erfc(α/(√2σ)) − √(2/π)·α·σ·e^(−α²/(2σ²)) + α²/(3·4^M).
double ClippingError(TensorShapeFamily family, double spread, double alpha, int bits);

/// The α/spread with the least ClippingError, found numerically to 1e-10. `bits` in [1, 16].
double OptimalClipping(TensorShapeFamily family, int bits);

/// Fit of a tensor: centre and spread of either family, and which fits better (by likelihood).
struct TensorFit {
  TensorShapeFamily family = TensorShapeFamily::kLaplace;
  double centre = 0.0;  ///< Mean (normal) or mean too for Laplace, as ACIQ takes it.
  double spread = 0.0;  ///< σ, or b = mean |x − centre|.
};
TensorFit FitTensor(std::span<const float> values);
/// The same under a given family.
TensorFit FitTensor(std::span<const float> values, TensorShapeFamily family);

/// The clipped range centre ± α. A non-negative tensor (behind ReLU) is half of a symmetric
/// density: fitted about 0 over |x|, clipped to [0, α] with one bit more in the table (row M + 1).
Range AnalyticRange(std::span<const float> values, int bits, bool non_negative);

/// Bits of each channel such that their mean is `mean_bits`: bins_i ∝ α_i^(2/3), M_i =
/// clip(round(log2 bins_i), 0, 8), the target corrected until the mean is met as nearly as whole
/// bits allow. `alpha`: clipping value of each channel, ≥ 0.
std::vector<int> AllocateChannelBits(std::span<const double> alpha, int mean_bits);

/// ξ: the deviation of `original` over that of `quantized`; 1 where either has none.
double SpreadRatio(std::span<const float> original, std::span<const float> quantized);

}  // namespace bitsearch
