#pragma once
// PairIncumbent: the best configuration of a problem with many pair terms, and the local searches
// that look for a better one. Must not know bounds.

#include <cstdint>
#include <functional>
#include <vector>

#include "search/evolution/configuration_state.h"
#include "search/exact/presolve.h"

namespace bitsearch {

/// Keeps the best configuration within the limits that it is offered. Deterministic in `seed`.
class PairIncumbent {
 public:
  /// `problem` must outlive this and hold at least one decision for the searches.
  PairIncumbent(const ReducedProblem& problem, std::uint64_t seed,
                std::function<bool()> should_stop);

  bool found() const { return found_; }
  std::int64_t loss() const { return loss_; }
  const std::vector<std::uint32_t>& choice() const { return choice_; }

  void Offer(const ConfigurationState& state);
  /// Repairs and improves `choice` by single moves, and offers what comes of it.
  void OfferRepaired(const std::vector<std::uint32_t>& choice);
  /// Descents from the least losses, from random configurations, and from near the best.
  void LocalSearch(int starts);
  /// What restarts of descents miss where many terms nearly cancel.
  void Anneal(int starts);
  /// Descents from configurations drawn from marginal distributions, [decision][choice].
  void Round(const std::vector<std::vector<double>>& marginals);

 private:
  void Descend(ConfigurationState* state);
  bool ImproveByPairs(ConfigurationState* state);

  const ReducedProblem& problem_;
  std::uint64_t seed_;
  std::function<bool()> should_stop_;
  bool found_ = false;
  std::int64_t loss_ = 0;
  std::vector<std::uint32_t> choice_;
  std::uint64_t rounds_ = 0;
};

}  // namespace bitsearch
