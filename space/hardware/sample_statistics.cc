// Medians. See sample_statistics.h.
#include "space/hardware/sample_statistics.h"

#include <algorithm>
#include <cmath>

namespace bitsearch {
namespace {

constexpr double kNormalPerDeviation = 1.4826;

std::int64_t MedianOf(std::vector<std::int64_t> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return values[middle - 1] + (values[middle] - values[middle - 1]) / 2;
}

}  // namespace

SampleSummary Summarize(std::span<const std::int64_t> samples_ns) {
  SampleSummary summary;
  summary.samples = static_cast<std::int64_t>(samples_ns.size());
  summary.median_ns = MedianOf({samples_ns.begin(), samples_ns.end()});
  std::vector<std::int64_t> deviations;
  deviations.reserve(samples_ns.size());
  for (const std::int64_t sample : samples_ns) {
    deviations.push_back(std::abs(sample - summary.median_ns));
  }
  summary.spread_ns =
      std::llround(kNormalPerDeviation * static_cast<double>(MedianOf(std::move(deviations))));
  return summary;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

MedianInterval MedianInterval95(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  // P(fewer than k of n values lie below the median) is a sum of binomial terms.
  double term = std::pow(0.5, static_cast<double>(n));
  double below = 0.0;
  std::size_t rank = 0;
  for (std::size_t k = 0; k < n / 2; ++k) {
    below += term;
    if (below > 0.025) break;
    rank = k;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1);
  }
  return {values[rank], values[n - 1 - rank]};
}

}  // namespace bitsearch
