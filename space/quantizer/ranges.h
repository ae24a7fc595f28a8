#pragma once
// Static ranges of a tensor: min-max, percentile, least squared error, entropy, moving average.
// Torch-free.

#include <span>
#include <vector>

#include "space/choices/quantization_spec.h"
#include "space/quantizer/affine.h"

namespace bitsearch {

/// Least and largest value; {0, 0} for no values.
Range MinMaxRange(std::span<const float> values);

/// Two-sided percentile with linear interpolation (NumPy's default). Reorders `values`.
/// `percentile` in (50, 100].
Range PercentileRange(std::vector<float>& values, double percentile);

/// Of the ranges that shrink [min, max] towards zero by 1.00, 0.99, …, 0.20, the one whose `bits`
/// grid has the least squared error on `values`.
Range MseRange(std::span<const float> values, int bits, bool symmetric, bool narrow);

/// Entropy calibration (Migacz, 2017): of the ranges that clip a histogram of magnitudes (2048
/// bins) at its bins, the one whose 2^bits levels (half of them a side for values of both signs)
/// lose least information, KL(clipped ‖ quantized). Zero stays inside.
Range KlRange(std::span<const float> values, int bits);

/// Exponential average, 0.9 old and 0.1 new, of the minima and maxima of batches of `batch_size`
/// consecutive values.
Range MovingAverageRange(std::span<const float> values, std::size_t batch_size);

}  // namespace bitsearch
