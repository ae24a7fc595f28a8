#pragma once
// How much accuracy a configuration loses against the float network, with a one-sided bound.
// Knows evaluations, not configurations.

#include "space/choices/evaluator.h"

namespace bitsearch {

/// A drop of top-1 accuracy, in percentage points; negative where accuracy rose. Of records without
/// labels: the error of the outputs, Evaluation::output_error_percent.
struct DropEstimate {
  double drop_percent = 0.0;
  /// With the wanted confidence the true drop is at most this.
  double upper_bound_percent = 0.0;
};

/// The drop from `reference` (the float network) to `quantized` on the same samples. Both must be
/// measured with per-sample correctness, or both predicted.
///
/// Measured: matched pairs, the bound by Agresti and Min (2005): half a sample is added to each of
/// the four cells, then Wald's interval; so that it is no 0 where no sample differs.
/// Without labels: the mean of the samples' errors, the bound by Student's t.
/// Predicted: normal, from the standard deviations (0 where not given).
/// Throws Error(kUsage) where the two cannot be compared, or `confidence` is not in (0.5, 1).
DropEstimate EstimateDrop(const Evaluation& reference, const Evaluation& quantized,
                          double confidence);

}  // namespace bitsearch
