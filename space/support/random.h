#pragma once
// Reproducible randomness: every stream is derived from (root seed, component, index), so a result
// does not depend on the order in which components draw, nor on the number of threads.

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

namespace bitsearch {

/// A 64-bit pseudo-random stream (xoshiro256**, Blackman and Vigna 2018; seeded by splitmix64 over
/// an FNV-1a hash of the component's name). Satisfies UniformRandomBitGenerator, but prefer the
/// members below: the standard distributions differ between standard libraries.
class RandomStream {
 public:
  using result_type = std::uint64_t;

  RandomStream(std::uint64_t root_seed, std::string_view component, std::uint64_t index = 0);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()();

  /// Uniform in [0, 1), 53 random bits.
  double Uniform();
  /// Uniform integer in [0, bound); `bound` > 0. Unbiased (Lemire's method).
  std::uint64_t Below(std::uint64_t bound);
  /// Standard normal (Box–Muller, both values used).
  double Normal();
  /// −1 or +1 with equal probability.
  int Sign() { return ((*this)() >> 63) != 0 ? 1 : -1; }

 private:
  std::array<std::uint64_t, 4> state_;
  double spare_normal_ = 0.0;
  bool has_spare_ = false;
};

}  // namespace bitsearch
