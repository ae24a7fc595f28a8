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

/// An interval that holds the median of what the values are drawn from.
struct MedianInterval {
  double low = 0.0;
  double high = 0.0;
};

/// The narrowest pair of order statistics, as far from either end, that holds the median with a
/// probability of at least 95 % (exact, for any distribution); the extremes for less than six
/// values, which hold it less often; 0 for none.
MedianInterval MedianInterval95(std::vector<double> values);

}  // namespace bitsearch
