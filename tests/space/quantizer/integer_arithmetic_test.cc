// The integer engine's arithmetic against exact rational numbers.
#include "space/quantizer/integer_arithmetic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace bitsearch {
namespace {

__extension__ typedef __int128 Wide;

// round(value·mantissa/2^shift), halves up, in 128 bits.
std::int64_t ExactHalfUp(std::int64_t value, DyadicMultiplier m) {
  const Wide scaled = Wide{value} * m.mantissa * 2 + (Wide{1} << m.shift);
  const Wide divisor = Wide{1} << (m.shift + 1);
  Wide quotient = scaled / divisor;
  if (scaled % divisor != 0 && scaled < 0) --quotient;
  return static_cast<std::int64_t>(quotient);
}

TEST(Dyadic, IsTheNearestNumberOf31Bits) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> exponent(-31.0, 30.0);
  for (int i = 0; i < 20000; ++i) {
    const double real = std::exp2(exponent(random));
    const DyadicMultiplier m = ToDyadic(real);
    const double back = std::ldexp(static_cast<double>(m.mantissa), -m.shift);
    ASSERT_GE(m.mantissa, 1 << 30) << real;
    ASSERT_LE(std::fabs(back - real), std::ldexp(0.5, -m.shift)) << real;
  }
  EXPECT_EQ(ToDyadic(0.0).mantissa, 0);
  EXPECT_EQ(ToDyadic(1e-12).mantissa, 0);
  EXPECT_EQ(ToDyadic(1e12).mantissa, std::numeric_limits<std::int32_t>::max());
  // Rounds up to a power of two.
  const DyadicMultiplier almost_one = ToDyadic(1.0 - 1e-12);
  EXPECT_EQ(std::ldexp(almost_one.mantissa, -almost_one.shift), 1.0);
}

TEST(Dyadic, CommonShiftKeepsTheLargestExactAndTheOthersWithinHalfAUnit) {
  const std::vector<double> reals = {0.37, 1.9, 1e-4};
  const std::vector<DyadicMultiplier> m = ToCommonDyadic(reals);
  EXPECT_EQ(m[1].mantissa, ToDyadic(1.9).mantissa);
  for (std::size_t i = 0; i < reals.size(); ++i) {
    EXPECT_EQ(m[i].shift, m[1].shift);
    EXPECT_LE(std::fabs(std::ldexp(m[i].mantissa, -m[i].shift) - reals[i]),
              std::ldexp(0.5, -m[i].shift));
  }
}

TEST(ShiftRounded, HalvesGoUpOrToEven) {
  for (const auto& [value, up, even] :
       std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>>{{2, 1, 0},
                                                                         {6, 2, 2},
                                                                         {10, 3, 2},
                                                                         {-2, 0, 0},
                                                                         {-6, -1, -2},
                                                                         {-10, -2, -2},
                                                                         {5, 1, 1},
                                                                         {7, 2, 2},
                                                                         {-5, -1, -1},
                                                                         {-7, -2, -2},
                                                                         {8, 2, 2}}) {
    EXPECT_EQ(ShiftRounded(value, 2, DyadicRounding::kHalfUp), up) << value;
    EXPECT_EQ(ShiftRounded(value, 2, DyadicRounding::kHalfEven), even) << value;
  }
  EXPECT_EQ(ShiftRounded(-3, 0, DyadicRounding::kHalfEven), -3);
}

// Any accumulator and multiplier: exactly round(m·acc/2^n), and within one code of the real
// product.
TEST(Requantize, EqualsExactRationalArithmetic) {
  std::mt19937_64 random(2);
  const AffineGrid grid{1.0F, 120, 0, 255};
  const int low = grid.qmin - grid.zero_point;
  const int high = grid.qmax - grid.zero_point;
  std::int64_t unclamped = 0;
  for (int i = 0; i < 2000; ++i) {
    const double real = std::exp2(std::uniform_real_distribution<double>(-24.0, 1.0)(random));
    // Accumulators of the size that the multiplier brings onto the grid, and some far outside.
    const auto reach = static_cast<std::int64_t>(std::min(2147483000.0, 200.0 / real));
    std::uniform_int_distribution<std::int64_t> accumulator(-reach / 2, reach / 2);
    const auto bias = static_cast<std::int32_t>(accumulator(random));
    const DyadicMultiplier m = ToDyadic(real);
    std::vector<double> wide;
    std::vector<float> narrow;
    for (int k = 0; k < 67; ++k) {
      wide.push_back(static_cast<double>(accumulator(random)));
      narrow.push_back(static_cast<float>(accumulator(random) % (1 << 24)));
    }
    std::vector<float> from_wide(wide.size());
    std::vector<float> from_narrow(narrow.size());
    Requantize(wide, from_wide, bias, m, grid);
    Requantize(narrow, from_narrow, bias, m, grid);
    const auto check = [&](double value, float got) {
      const std::int64_t sum = static_cast<std::int64_t>(value) + bias;
      const std::int64_t exact = ExactHalfUp(sum, m);
      ASSERT_EQ(got, static_cast<float>(std::clamp<std::int64_t>(exact, low, high)));
      ASSERT_EQ(exact, ShiftRounded(sum * m.mantissa, m.shift, DyadicRounding::kHalfUp));
      const double real_code = static_cast<double>(sum) * real;
      if (real_code > low && real_code < high) {
        ASSERT_LE(std::fabs(static_cast<double>(got) - std::nearbyint(real_code)), 1.0);
        ++unclamped;
      }
    };
    for (std::size_t k = 0; k < wide.size(); ++k) {
      check(wide[k], from_wide[k]);
      check(static_cast<double>(narrow[k]), from_narrow[k]);
    }
  }
  EXPECT_GT(unclamped, 100000);
}

TEST(ShiftToGrid, AddsSeveralTensorsOverOneShift) {
  std::mt19937_64 random(4);
  std::uniform_int_distribution<int> step(-200, 200);
  const AffineGrid grid{0.05F, 100, 0, 255};
  const std::vector<DyadicMultiplier> m = ToCommonDyadic(std::vector{0.31, 0.75});
  std::vector<float> a(133);
  std::vector<float> b(133);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<float>(step(random));
    b[i] = static_cast<float>(step(random));
  }
  std::vector<std::int64_t> left(a.size());
  std::vector<std::int64_t> right(b.size());
  Multiply(a, left, m[0]);
  Multiply(b, right, m[1]);
  for (std::size_t i = 0; i < a.size(); ++i) left[i] += right[i];
  for (const DyadicRounding rounding : {DyadicRounding::kHalfUp, DyadicRounding::kHalfEven}) {
    std::vector<float> sums(a.size());
    ShiftToGrid(left, sums, m[0].shift, rounding, grid);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double real = 0.31 * static_cast<double>(a[i]) + 0.75 * static_cast<double>(b[i]);
      EXPECT_LE(std::fabs(static_cast<double>(sums[i]) - std::clamp(real, -100.0, 155.0)), 0.5001);
      EXPECT_EQ(sums[i], static_cast<float>(std::clamp<std::int64_t>(
                             ShiftRounded(left[i], m[0].shift, rounding), -100, 155)));
    }
  }
}

TEST(IntegerWeight, StepsTimesScaleAreTheQuantizedValues) {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  const Shape shape = {3, 4, 5};
  std::vector<float> values(60);
  for (float& value : values) value = normal(random);
  for (const int axis : {0, 1, 2}) {
    for (const bool symmetric : {true, false}) {
      for (const auto& format :
           {NumberFormat::Integer(2), NumberFormat::Integer(8), NumberFormat::Integer(16),
            NumberFormat::Ternary(), NumberFormat::Integer(1)}) {
        for (const Granularity granularity : {Granularity::kPerTensor, Granularity::kPerChannel}) {
          WeightQuantizerSpec spec;
          spec.symmetric = symmetric;
          spec.granularity = granularity;
          const QuantizedWeight quantized = QuantizeWeight(values, shape, axis, format, spec);
          const IntegerWeight integers = ToIntegers(quantized, shape, axis);
          std::size_t inner = 1;
          for (std::size_t a = static_cast<std::size_t>(axis) + 1; a < 3; ++a) {
            inner *= static_cast<std::size_t>(shape[a]);
          }
          const auto channels = static_cast<std::size_t>(shape[static_cast<std::size_t>(axis)]);
          std::vector<double> sums(channels);
          for (std::size_t i = 0; i < values.size(); ++i) {
            const std::size_t channel = i / inner % channels;
            const float scale = integers.scale[integers.scale.size() == 1 ? 0 : channel];
            EXPECT_EQ(integers.steps[i] * scale, quantized.values[i]);
            EXPECT_EQ(integers.steps[i], std::nearbyint(integers.steps[i]));
            sums[channel] += std::fabs(static_cast<double>(integers.steps[i]));
          }
          EXPECT_EQ(static_cast<double>(integers.largest_sum),
                    *std::max_element(sums.begin(), sums.end()));
        }
      }
    }
  }
  const std::vector<float> zeros(60);
  const QuantizedWeight nothing =
      QuantizeWeight(zeros, shape, 0, NumberFormat::Ternary(), WeightQuantizerSpec{});
  EXPECT_EQ(ToIntegers(nothing, shape, 0).largest_sum, 0);
}

TEST(QuantizeBias, RoundsAndSaturates) {
  EXPECT_EQ(QuantizeBias(0.26, 0.1), 3);
  EXPECT_EQ(QuantizeBias(-0.26, 0.1), -3);
  EXPECT_EQ(QuantizeBias(1e6, 1e-9), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(QuantizeBias(-1e6, 1e-9), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(QuantizeBias(1.0, 0.0), 0);
}

}  // namespace
}  // namespace bitsearch
