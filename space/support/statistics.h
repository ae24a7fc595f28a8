#pragma once
// The few statistical tests that result tables rest on. Distributions come from Boost.Math.

#include <cstdint>
#include <span>
#include <vector>

namespace bitsearch {

/// Two-sided exact McNemar test (binomial with p = ½) of paired right/wrong outcomes.
/// `only_first` and `only_second` count the samples that exactly one of the two gets right.
/// Returns the p-value; 1 where they never differ.
double McNemarExactPValue(std::int64_t only_first, std::int64_t only_second);
/// The same from per-sample correctness; both must be of equal length.
double McNemarExactPValue(const std::vector<bool>& first, const std::vector<bool>& second);

/// Kendall's τ-b of paired values, in [−1, 1]; ties are corrected for. NaN if one side is constant.
/// O(n log n) (Knight 1966).
double KendallTau(std::span<const double> a, std::span<const double> b);

/// Quantile of Student's t: P(T ≤ result) = `probability` with `degrees` > 0 degrees of freedom.
double StudentQuantile(double probability, double degrees);

/// Two-sided p-value that paired differences over repeated random splits have mean 0, by the
/// corrected resampled t-test (Nadeau and Bengio 2003): splits overlap, so their variance is
/// multiplied by 1/J + `tested_to_trained` instead of 1/J. Needs 2 differences at least; 1 where
/// all are 0.
double CorrectedResampledPValue(std::span<const double> differences, double tested_to_trained);

}  // namespace bitsearch
