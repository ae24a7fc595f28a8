#pragma once
// What a set of learned distributions looks like: entropy, margin, argmax, and warnings when a
// search has collapsed or learned nothing. Plain numbers; must not depend on LibTorch.

#include <string>
#include <vector>

#include "search/supernet/architecture_space.h"

namespace bitsearch {

/// One distribution in figures.
struct DistributionFigures {
  double entropy_nats = 0.0;
  /// Entropy over log K: 1 is flat, 0 decided; 0 where there is one candidate.
  double relative_entropy = 0.0;
  /// Largest probability minus the second largest; 1 where there is one candidate.
  double margin = 1.0;
  std::size_t argmax = 0;  ///< The first of equal ones.
};

/// `probabilities` sum to 1.
DistributionFigures FiguresOf(const std::vector<double>& probabilities);
std::vector<DistributionFigures> FiguresOf(const std::vector<std::vector<double>>& probabilities);

/// Sentences for the user; empty when nothing is wrong. A search has collapsed when every group
/// with a choice prefers its cheapest (or its dearest) candidate, by bits; it has learned nothing
/// when nine tenths of them are nearly flat (relative entropy above 0.98).
std::vector<std::string> DistributionWarnings(const ArchitectureSpace& space,
                                              const std::vector<DistributionFigures>& figures);

}  // namespace bitsearch
