#include "space/quantizer/codebook.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace bitsearch {
namespace {

// Distinct values ascending with their counts, and prefix sums for the cost of any interval.
class Intervals {
 public:
  explicit Intervals(std::span<const float> values) {
    std::vector<float> sorted(values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
    // Sums are taken about the middle value: it keeps the cancellation in Cost() small.
    const double shift = sorted.empty() ? 0.0 : sorted[sorted.size() / 2];
    count_ = sum_ = square_ = {0.0};
    for (std::size_t i = 0; i < sorted.size();) {
      std::size_t j = i;
      while (j < sorted.size() && sorted[j] == sorted[i]) ++j;
      const auto repeats = static_cast<double>(j - i);
      const double value = sorted[i] - shift;
      distinct.push_back(sorted[i]);
      count_.push_back(count_.back() + repeats);
      sum_.push_back(sum_.back() + repeats * value);
      square_.push_back(square_.back() + repeats * value * value);
      i = j;
    }
    shift_ = shift;
  }

  /// Squared error of distinct values [begin, end) about their mean.
  double Cost(std::size_t begin, std::size_t end) const {
    const double n = count_[end] - count_[begin];
    const double s = sum_[end] - sum_[begin];
    return std::max(0.0, square_[end] - square_[begin] - s * s / n);
  }
  double Mean(std::size_t begin, std::size_t end) const {
    return shift_ + (sum_[end] - sum_[begin]) / (count_[end] - count_[begin]);
  }

  std::vector<float> distinct;

 private:
  double shift_ = 0.0;
  std::vector<double> count_, sum_, square_;
};

// One row of the programme: best[end] = min over begin of before[begin] + Cost(begin, end), using
// that the best begin does not fall as end rises.
void FillRow(const Intervals& intervals, const std::vector<double>& before,
             std::vector<double>& best, std::vector<std::int32_t>& from, std::size_t end_low,
             std::size_t end_high, std::size_t begin_low, std::size_t begin_high) {
  if (end_low > end_high) return;
  const std::size_t end = end_low + (end_high - end_low) / 2;
  double least = std::numeric_limits<double>::infinity();
  std::size_t chosen = begin_low;
  for (std::size_t begin = begin_low; begin <= std::min(begin_high, end - 1); ++begin) {
    const double cost = before[begin] + intervals.Cost(begin, end);
    if (cost < least) {
      least = cost;
      chosen = begin;
    }
  }
  best[end] = least;
  from[end] = static_cast<std::int32_t>(chosen);
  FillRow(intervals, before, best, from, end_low, end - 1, begin_low, chosen);
  FillRow(intervals, before, best, from, end + 1, end_high, chosen, begin_high);
}

}  // namespace

Codebook OptimalCodebook(std::span<const float> values, int levels) {
  Codebook result;
  result.index.assign(values.size(), 0);
  if (values.empty()) return result;
  const Intervals intervals(values);
  const std::size_t n = intervals.distinct.size();
  const auto k = std::min<std::size_t>(static_cast<std::size_t>(levels), n);
  std::vector<double> before(n + 1, std::numeric_limits<double>::infinity());
  before[0] = 0.0;
  std::vector<std::vector<std::int32_t>> from(k, std::vector<std::int32_t>(n + 1, 0));
  for (std::size_t row = 0; row < k; ++row) {
    std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
    // With `row` clusters before, at least `row` values lie to the left of `begin`.
    FillRow(intervals, before, best, from[row], row + 1, n, row, n - 1);
    before = std::move(best);
  }
  result.squared_error = before[n];
  std::vector<std::size_t> bounds(k + 1, n);
  for (std::size_t row = k; row-- > 0;) {
    bounds[row] = static_cast<std::size_t>(from[row][bounds[row + 1]]);
  }
  for (std::size_t row = 0; row < k; ++row) {
    result.centroids.push_back(intervals.Mean(bounds[row], bounds[row + 1]));
  }
  std::vector<float> starts;
  for (std::size_t row = 0; row < k; ++row) starts.push_back(intervals.distinct[bounds[row]]);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto after = std::upper_bound(starts.begin(), starts.end(), values[i]);
    result.index[i] = static_cast<std::int32_t>(after - starts.begin()) - 1;
  }
  return result;
}

std::int64_t CodebookSizeBits(std::int64_t value_count, int bits) {
  return bits * value_count + (std::int64_t{32} << bits);
}

}  // namespace bitsearch
