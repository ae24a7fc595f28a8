#pragma once
// The fused mixture of roundings as one differentiable LibTorch operation: what the DNAS supernet,
// learned-step training (K = 1) and their gradients share. Include only from torch targets.

#include <torch/torch.h>

#include <vector>

#include "space/quantizer/rounding_mixture.h"

namespace bitsearch {

/// Σ_k p_k Q_k(x) in one pass; nothing but `x` is kept for the backward pass, which rounds again.
///
/// `x`: float32. `probabilities`: [K] on the CPU; undefined means K = 1 and p = 1. `scales`: on the
/// CPU, [K] (one per tensor) or [K, C] (one per slice of x along axis 0); entries of identity and
/// zero levels are not read. Gradients reach x (straight-through: g·Σ p_k·[x inside range k]),
/// probabilities (Σ g·Q_k) and scales (LSQ, times each level's scale_gradient).
/// On other devices than the CPU plain LibTorch operations compute the same, keeping no copies
/// either. Not twice differentiable.
at::Tensor MixRoundings(const at::Tensor& x, const at::Tensor& probabilities,
                        const at::Tensor& scales, const std::vector<RoundingLevels>& levels);

}  // namespace bitsearch
