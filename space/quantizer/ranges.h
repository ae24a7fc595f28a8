#pragma once
// Static ranges of a tensor: min-max, percentile, least squared error. Torch-free.

#include <span>
#include <vector>

#include "space/quantizer/affine.h"
#include "space/choices/quantization_spec.h"

namespace bitsearch {

/// Least and largest value; {0, 0} for no values.
Range MinMaxRange(std::span<const float> values);

/// Two-sided percentile with linear interpolation (NumPy's default). Reorders `values`.
/// `percentile` in (50, 100].
Range PercentileRange(std::vector<float>& values, double percentile);

/// Of the ranges that shrink [min, max] towards zero by 1.00, 0.99, …, 0.20, the one whose `bits`
/// grid has the least squared error on `values`.
Range MseRange(std::span<const float> values, int bits, bool symmetric, bool narrow);

}  // namespace bitsearch
