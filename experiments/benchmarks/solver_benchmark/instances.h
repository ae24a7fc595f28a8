#pragma once
// Random assignment problems as layers of real networks make them, from a seed alone. Must not know
// what is measured on them.

#include <cstdint>
#include <string>

#include "search/assignment_problem.h"

namespace bitsearch {

/// Resources in this order in every problem.
inline constexpr std::size_t kSize = 0;     ///< bits
inline constexpr std::size_t kLatency = 1;  ///< ns
inline constexpr std::size_t kBops = 2;

/// Layer l: parameters P = exp(N(10, 1.5)), MACs M = P·exp(N(4, 1)), sensitivity t =
/// exp(N(0, 1.5)); loss t·√P·(4^−w·u + 4^−a·u'), u, u' uniform in [0.5, 1.5] per layer and choice;
/// size P·w, latency M·max(w, a)·v with v uniform in [0.8, 1.2], BOPs M·w·a. 4 choices: w = a ∈ {2,
/// 4, 6, 8}; 9, 16, 25: weights × activations from the first 3, 4, 5 of {2, 8, 4, 6, 3}. Odd seeds
/// draw from 8 distinct (P, M) only. No limits.
AssignmentProblem LayerProblem(std::size_t layers, int choices, std::uint64_t seed);

/// Sets the limit of `resource` half way between the sums of the layers' smallest and largest
/// costs.
void LimitHalfWay(std::size_t resource, AssignmentProblem* problem);

/// All pairs of layers interact, as in CLADO (arXiv 2307.05657): the loss is ½‖Σ_l g_l[c_l]‖²,
/// where g_l[c] is a random vector in 128 dimensions whose length falls as 2^−bits. Choices: 2, 3,
/// … bits; one limit on size, half way.
AssignmentProblem PairProblem(std::size_t layers, int choices, std::uint64_t seed);

/// HAQ's table of MobileNetV2 (a JSON file) with a random additive sensitivity, limited to 0.6 ×
/// the sum at 8 bits.
AssignmentProblem HaqProblem(const std::string& path, std::uint64_t seed);

}  // namespace bitsearch
