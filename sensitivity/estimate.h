#pragma once
// A value with its standard error, and how both come from repeated observations. Torch-free.

#include <span>

namespace bitsearch {

/// What an estimator says: `standard_error` is NaN where it is not known.
struct Estimate {
  double value = 0.0;
  double standard_error = 0.0;
};

/// Mean of independent observations with its standard error (sample standard deviation / √n; NaN
/// for fewer than two). `observations` must not be empty.
Estimate MeanOf(std::span<const double> observations);

}  // namespace bitsearch
