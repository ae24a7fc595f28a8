#pragma once
// Non-uniform quantization: the k centroids that minimise Σ (w − c(w))² over one tensor. In one
// dimension optimal clusters are intervals of the sorted values, so dynamic programming is exact.
// Torch-free.

#include <cstdint>
#include <span>
#include <vector>

namespace bitsearch {

/// An optimal codebook and the assignment of values to it.
struct Codebook {
  std::vector<double> centroids;     ///< Ascending; fewer than asked for if there are fewer values.
  std::vector<std::int32_t> index;   ///< By value, into `centroids`.
  double squared_error = 0.0;
};

/// Exact 1-D k-means with `levels` ≥ 1 centroids (Wang and Song 2011; divide and conquer over the
/// monotone split points: O(levels · n log n) after sorting). Equal values are merged first.
Codebook OptimalCodebook(std::span<const float> values, int levels);

/// Storage of a tensor under a codebook of 2^bits centroids: bits·n + 32·2^bits.
std::int64_t CodebookSizeBits(std::int64_t value_count, int bits);

}  // namespace bitsearch
