#pragma once
// The curvature of cross-entropy at the logits, G = diag(p) − p pᵀ: what Gauss–Newton traces and
// interactions are weighted with. Torch-free.

#include <cstdint>
#include <span>
#include <vector>

namespace bitsearch {

/// Vectors z_1 … z_{C−1} with G = Σ z_i z_iᵀ, longest first: √λ_i·(eigenvector i) of G, the null
/// vector (1, …, 1) left out. `probabilities`: C of them, summing to 1. Row-major (C − 1) × C.
/// Cost O(C³).
std::vector<double> SoftmaxCurvatureFactors(std::span<const double> probabilities);

/// uᵀ G v.
double SoftmaxCurvatureProduct(std::span<const double> probabilities, std::span<const double> u,
                               std::span<const double> v);

}  // namespace bitsearch
