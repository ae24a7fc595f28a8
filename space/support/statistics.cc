#include "space/support/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "space/support/error.h"

namespace bitsearch {
namespace {

// Pairs among runs of equal values in a sorted sequence.
template <typename Equal>
double TiedPairs(std::size_t count, Equal equal) {
  double pairs = 0.0;
  for (std::size_t begin = 0; begin < count;) {
    std::size_t end = begin + 1;
    while (end < count && equal(begin, end)) ++end;
    const auto run = static_cast<double>(end - begin);
    pairs += run * (run - 1) / 2;
    begin = end;
  }
  return pairs;
}

// Sorts `values` and counts the inversions that this takes.
double SortCountingInversions(std::vector<double>& values, std::vector<double>& scratch,
                              std::size_t begin, std::size_t end) {
  if (end - begin < 2) return 0.0;
  const std::size_t middle = begin + (end - begin) / 2;
  double inversions = SortCountingInversions(values, scratch, begin, middle) +
                      SortCountingInversions(values, scratch, middle, end);
  std::size_t left = begin;
  std::size_t right = middle;
  for (std::size_t out = begin; out < end; ++out) {
    if (right == end || (left < middle && values[left] <= values[right])) {
      scratch[out] = values[left++];
    } else {
      inversions += static_cast<double>(middle - left);
      scratch[out] = values[right++];
    }
  }
  std::copy(scratch.begin() + static_cast<std::ptrdiff_t>(begin),
            scratch.begin() + static_cast<std::ptrdiff_t>(end),
            values.begin() + static_cast<std::ptrdiff_t>(begin));
  return inversions;
}

}  // namespace

double McNemarExactPValue(std::int64_t only_first, std::int64_t only_second) {
  const std::int64_t differing = only_first + only_second;
  if (differing == 0) return 1.0;
  const boost::math::binomial coin(static_cast<double>(differing), 0.5);
  const double tail =
      boost::math::cdf(coin, static_cast<double>(std::min(only_first, only_second)));
  return std::min(1.0, 2.0 * tail);
}

double McNemarExactPValue(const std::vector<bool>& first, const std::vector<bool>& second) {
  if (first.size() != second.size()) {
    throw Error(ErrorId::kInternal, "paired outcomes differ in number");
  }
  std::int64_t only_first = 0;
  std::int64_t only_second = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    only_first += first[i] && !second[i] ? 1 : 0;
    only_second += second[i] && !first[i] ? 1 : 0;
  }
  return McNemarExactPValue(only_first, only_second);
}

double KendallTau(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) throw Error(ErrorId::kInternal, "paired values differ in number");
  const std::size_t n = a.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t i, std::size_t j) { return a[i] != a[j] ? a[i] < a[j] : b[i] < b[j]; });
  std::vector<double> sorted_b(n);
  for (std::size_t i = 0; i < n; ++i) sorted_b[i] = b[order[i]];
  const double pairs = static_cast<double>(n) * (static_cast<double>(n) - 1) / 2;
  const double tied_a =
      TiedPairs(n, [&](std::size_t i, std::size_t j) { return a[order[i]] == a[order[j]]; });
  const double tied_both = TiedPairs(n, [&](std::size_t i, std::size_t j) {
    return a[order[i]] == a[order[j]] && b[order[i]] == b[order[j]];
  });
  std::vector<double> scratch(n);
  const double discordant = SortCountingInversions(sorted_b, scratch, 0, n);
  const double tied_b =
      TiedPairs(n, [&](std::size_t i, std::size_t j) { return sorted_b[i] == sorted_b[j]; });
  const double scale = std::sqrt((pairs - tied_a) * (pairs - tied_b));
  if (!(scale > 0.0)) return std::numeric_limits<double>::quiet_NaN();
  const double concordant = pairs - tied_a - tied_b + tied_both - discordant;
  return (concordant - discordant) / scale;
}

double StudentQuantile(double probability, double degrees) {
  return boost::math::quantile(boost::math::students_t(degrees), probability);
}

double CorrectedResampledPValue(std::span<const double> differences, double tested_to_trained) {
  const auto count = static_cast<double>(differences.size());
  if (count < 2) throw Error(ErrorId::kInternal, "a comparison needs two splits at least");
  const double mean = std::accumulate(differences.begin(), differences.end(), 0.0) / count;
  double variance = 0.0;
  for (const double value : differences) variance += (value - mean) * (value - mean) / (count - 1);
  if (mean == 0.0) return 1.0;
  if (variance == 0.0) return 0.0;
  const double t = mean / std::sqrt((1.0 / count + tested_to_trained) * variance);
  const boost::math::students_t student(count - 1);
  return 2.0 * boost::math::cdf(boost::math::complement(student, std::abs(t)));
}

}  // namespace bitsearch
