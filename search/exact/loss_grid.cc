// Shortest decimals of doubles, and the grid they fit on.
// Independent of the problem's structure: it sees rows of numbers.
#include "search/exact/loss_grid.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace bitsearch {
namespace {

/// value = mantissa · 10^exponent, without trailing zeros in the mantissa.
struct ShortDecimal {
  std::int64_t mantissa = 0;
  int exponent = 0;
};

ShortDecimal Shortest(double value) {
  if (value == 0.0) return {};
  char text[40];
  const auto end =
      std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  ShortDecimal result;
  const char* p = text;
  const bool negative = *p == '-';
  if (negative) ++p;
  int fraction_digits = 0;
  for (bool fraction = false; p != end && *p != 'e'; ++p) {
    if (*p == '.') {
      fraction = true;
      continue;
    }
    result.mantissa = result.mantissa * 10 + (*p - '0');
    if (fraction) ++fraction_digits;
  }
  int exponent = 0;
  if (p != end) {
    ++p;
    const bool negative_exponent = *p == '-';
    if (*p == '-' || *p == '+') ++p;
    for (; p != end; ++p) exponent = exponent * 10 + (*p - '0');
    if (negative_exponent) exponent = -exponent;
  }
  result.exponent = exponent - fraction_digits;
  while (result.mantissa % 10 == 0) {
    result.mantissa /= 10;
    ++result.exponent;
  }
  if (negative) result.mantissa = -result.mantissa;
  return result;
}

constexpr std::int64_t kPowers[] = {1,
                                    10,
                                    100,
                                    1000,
                                    10000,
                                    100000,
                                    1000000,
                                    10000000,
                                    100000000,
                                    1000000000,
                                    10000000000,
                                    100000000000,
                                    1000000000000,
                                    10000000000000,
                                    100000000000000,
                                    1000000000000000,
                                    10000000000000000,
                                    100000000000000000,
                                    1000000000000000000};

/// mantissa · 10^shift, rounded half to even.
std::int64_t Scaled(std::int64_t mantissa, int shift) {
  if (shift >= 0) return mantissa * kPowers[std::min(shift, 18)];
  if (shift < -18) return 0;
  const std::int64_t divisor = kPowers[-shift];
  std::int64_t quotient = mantissa / divisor;
  const std::int64_t twice = 2 * std::abs(mantissa % divisor);
  if (twice > divisor || (twice == divisor && (quotient & 1) != 0))
    quotient += mantissa < 0 ? -1 : 1;
  return quotient;
}

/// Sums stay below this, so that differences and doubled values fit 63 bits.
constexpr double kLargestSum = 1.0e18;

}  // namespace

LossGrid LossGrid::ForSumsOf(const std::vector<const std::vector<double>*>& rows) {
  double total = 0.0;
  int finest = 0;
  for (const std::vector<double>* row : rows) {
    double largest = 0.0;
    for (double value : *row) {
      largest = std::max(largest, std::abs(value));
      finest = std::max(finest, -Shortest(value).exponent);
    }
    total += largest;
  }
  LossGrid grid;
  int affordable = 400;
  if (total > 0.0)
    affordable = static_cast<int>(std::floor(std::log10(kLargestSum) - std::log10(total)));
  grid.decimals_ = std::min(finest, affordable);
  grid.exact_ = finest <= affordable;
  return grid;
}

std::int64_t LossGrid::ToGrid(double value) const {
  const ShortDecimal decimal = Shortest(value);
  return Scaled(decimal.mantissa, decimal.exponent + decimals_);
}

double LossGrid::FromGrid(std::int64_t units) const {
  // Division by an exact power of ten rounds once; that is the double nearest to the decimal.
  if (decimals_ >= 0 && decimals_ <= 22) {
    return static_cast<double>(static_cast<long double>(units) / std::pow(10.0L, decimals_));
  }
  return static_cast<double>(static_cast<long double>(units) * std::pow(10.0L, -decimals_));
}

double LossGrid::unit() const { return std::pow(10.0, -decimals_); }

}  // namespace bitsearch
