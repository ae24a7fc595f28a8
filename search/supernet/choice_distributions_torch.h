#pragma once
// The distributions a supernet learns, and the masks that a step draws from them: softmax, Gumbel
// softmax (soft or hard), single paths. Include only from torch targets.

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "search/supernet/architecture_space.h"
#include "search/supernet/dnas.h"
#include "space/support/random.h"

namespace bitsearch {

/// What one training step uses.
struct DrawnMasks {
  /// [groups, widest]: rows sum to 1, 0 beyond a group's candidates. What costs are computed from.
  at::Tensor masks;
  /// The same given that no block is skipped (0 at skip candidates): what weights are mixed with.
  at::Tensor mixtures;
  /// Single path: log-probability of what was drawn, differentiable; else undefined.
  at::Tensor log_probability;
};

/// θ of all groups in one [groups, widest] matrix (entries beyond a group's candidates are −∞ in
/// effect), so that a step costs a handful of small operations whatever the number of layers.
class ChoiceDistributions {
 public:
  /// All candidates equally likely.
  explicit ChoiceDistributions(const ArchitectureSpace& space);

  /// The leaf that an optimiser changes.
  const at::Tensor& theta() const { return theta_; }
  /// softmax(θ), [groups, widest], differentiable.
  at::Tensor Probabilities() const;
  /// [group][candidate].
  std::vector<std::vector<double>> ProbabilityRows() const;

  /// Masks for one step. m = softmax((θ + g)/τ) with g ~ Gumbel(0, 1) for the Gumbel modes (hard:
  /// one-hot in the forward, the soft gradient in the backward pass); softmax(θ) for kComposite;
  /// a one-hot draw from softmax(θ) for kSinglePath. `random` is not read by kComposite.
  DrawnMasks Draw(SupernetMode mode, double temperature, RandomStream& random) const;

 private:
  at::Tensor theta_;
  at::Tensor valid_;     ///< [groups, widest]: 0, or −1e30 beyond a group's candidates.
  at::Tensor not_skip_;  ///< The same with −1e30 at skip candidates; undefined without any.
  std::vector<std::size_t> candidate_counts_;
};

}  // namespace bitsearch
