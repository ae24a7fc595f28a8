#include "space/quantizer/ranges.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace bitsearch {
namespace {

// The order statistic at a fractional position; reorders.
float Quantile(std::vector<float>& values, double fraction) {
  const double position = fraction * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::ptrdiff_t>(std::floor(position));
  std::nth_element(values.begin(), values.begin() + below, values.end());
  const float low = values[static_cast<std::size_t>(below)];
  if (below + 1 >= static_cast<std::ptrdiff_t>(values.size())) return low;
  const float high = *std::min_element(values.begin() + below + 1, values.end());
  return static_cast<float>(low + (position - static_cast<double>(below)) *
                                      (static_cast<double>(high) - low));
}

// KL of the clipped histogram (what lies outside is put into its last bin) to the same counts
// spread evenly over the occupied bins of each of `levels` levels.
double ClippedDivergence(std::span<const double> kept, double outside, std::size_t levels) {
  const double total = std::accumulate(kept.begin(), kept.end(), outside);
  double divergence = 0.0;
  double kept_total = total - outside;
  for (std::size_t level = 0; level < levels; ++level) {
    const std::size_t begin = level * kept.size() / levels;
    const std::size_t end = (level + 1) * kept.size() / levels;
    double sum = 0.0;
    double occupied = 0.0;
    for (std::size_t bin = begin; bin < end; ++bin) {
      sum += kept[bin];
      occupied += kept[bin] > 0.0 ? 1.0 : 0.0;
    }
    for (std::size_t bin = begin; bin < end; ++bin) {
      const double clipped = kept[bin] + (bin + 1 == kept.size() ? outside : 0.0);
      if (clipped <= 0.0) continue;
      // An occupied last bin of an empty level: as unlikely as half a count.
      const double even = kept[bin] > 0.0 ? sum / occupied : 0.5;
      divergence += clipped / total * std::log(clipped / total / (even / kept_total));
    }
  }
  return divergence;
}

}  // namespace

Range MinMaxRange(std::span<const float> values) {
  if (values.empty()) return {};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high};
}

Range PercentileRange(std::vector<float>& values, double percentile) {
  if (values.empty()) return {};
  return {Quantile(values, 1.0 - percentile / 100.0), Quantile(values, percentile / 100.0)};
}

Range MseRange(std::span<const float> values, int bits, bool symmetric, bool narrow) {
  const Range full = MinMaxRange(values);
  Range best = full;
  double least = std::numeric_limits<double>::infinity();
  for (int step = 100; step >= 20; --step) {
    const float shrink = static_cast<float>(step) / 100.0F;
    const Range range{full.low * shrink, full.high * shrink};
    const AffineGrid grid =
        symmetric ? SymmetricGrid(range, bits, narrow) : AsymmetricGrid(range, bits);
    const double error = SquaredError(values, grid);
    if (error < least) {
      least = error;
      best = range;
    }
  }
  return best;
}

Range MovingAverageRange(std::span<const float> values, std::size_t batch_size) {
  constexpr float kOld = 0.9F;
  Range average;
  for (std::size_t start = 0; start < values.size(); start += batch_size) {
    const Range batch =
        MinMaxRange(values.subspan(start, std::min(batch_size, values.size() - start)));
    average = start == 0 ? batch
                         : Range{kOld * average.low + (1.0F - kOld) * batch.low,
                                 kOld * average.high + (1.0F - kOld) * batch.high};
  }
  return average;
}

Range KlRange(std::span<const float> values, int bits) {
  constexpr std::size_t kBins = 2048;
  const Range full = MinMaxRange(values);
  const double largest = std::max(std::fabs(full.low), std::fabs(full.high));
  const bool both_signs = full.low < 0.0F && full.high > 0.0F;
  const std::size_t levels = std::size_t{1} << std::max(1, both_signs ? bits - 1 : bits);
  if (largest == 0.0 || levels >= kBins) return full;
  std::vector<double> histogram(kBins, 0.0);
  for (const float value : values) {
    const auto bin = static_cast<std::size_t>(std::fabs(value) / largest * kBins);
    histogram[std::min(bin, kBins - 1)] += 1.0;
  }
  double least = std::numeric_limits<double>::infinity();
  std::size_t best = kBins;
  double outside = std::accumulate(histogram.begin() + static_cast<std::ptrdiff_t>(levels),
                                   histogram.end(), 0.0);
  for (std::size_t kept = levels; kept <= kBins; ++kept) {
    if (kept > levels) outside -= histogram[kept - 1];
    const double divergence = ClippedDivergence({histogram.data(), kept}, outside, levels);
    if (divergence < least) {
      least = divergence;
      best = kept;
    }
  }
  const auto clip = static_cast<float>(largest * static_cast<double>(best) / kBins);
  return {std::max(full.low, -clip), std::min(full.high, clip)};
}

}  // namespace bitsearch
