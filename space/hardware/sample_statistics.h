#pragma once
// Robust summaries of timing samples: medians survive the odd pre-empted run, means do not.
// Depends on nothing.

#include <cstdint>
#include <span>
#include <vector>

namespace bitsearch {

/// Median and spread of timing samples.
struct SampleSummary {
  std::int64_t median_ns = 0;
  /// 1.4826 · median absolute deviation: the standard deviation of one sample, were the noise
  /// normal, without the outliers that pre-emption makes.
  std::int64_t spread_ns = 0;
  std::int64_t samples = 0;
};

/// The median of an even number of samples is the mean of the middle two, rounded down. All zero
/// for no samples.
SampleSummary Summarize(std::span<const std::int64_t> samples_ns);

/// Median of any numbers; 0 for none.
double Median(std::vector<double> values);

}  // namespace bitsearch
