#pragma once
// ConfigurationState: one configuration of a reduced problem that changes by single moves, with its
// loss, costs and violations kept up to date. What every local search and population method uses.

#include <cstdint>
#include <vector>

#include "search/exact/presolve.h"
#include "space/support/random.h"

namespace bitsearch {

/// What a change of one decision would do.
struct MoveEffect {
  std::int64_t loss = 0;      ///< Change of the loss, grid units.
  double violation = 0.0;     ///< Change of ConfigurationState::violation().
};

/// Refers to a ReducedProblem that must outlive it and hold at least one decision.
class ConfigurationState {
 public:
  explicit ConfigurationState(const ReducedProblem& problem);

  /// Takes a whole configuration, one choice per decision.
  void Assign(const std::vector<std::uint32_t>& choice);
  const std::vector<std::uint32_t>& choice() const { return choice_; }
  const ReducedProblem& problem() const { return problem_; }
  std::int64_t loss() const { return loss_; }
  /// Sum over limits of the excess relative to the limit's scale, plus one for each forbidden pair;
  /// 0: feasible.
  double violation() const { return violation_; }
  bool feasible() const { return violation_ == 0.0; }

  MoveEffect Effect(std::size_t decision, std::uint32_t to) const;
  void Apply(std::size_t decision, std::uint32_t to);

  std::vector<std::uint32_t> RandomChoice(RandomStream& random) const;

  /// Lowers the violation by the moves that lose least per unit of it, until feasible or stuck.
  bool Repair();
  /// Single moves that keep feasible and lower the loss, best first, until none is left.
  void Improve();

 private:
  struct Link {
    std::size_t pair;
    std::size_t partner;
    bool first;  ///< The owner is the pair's first decision.
  };
  struct CutLink {
    std::size_t cut;
    std::size_t member;
  };

  std::size_t Entry(const Link& link, std::uint32_t own, std::uint32_t other) const;
  double ExcessOf(std::size_t d, std::int64_t total) const;
  double CutExcess(std::size_t cut, std::int64_t live) const;
  void Recompute();

  const ReducedProblem& problem_;
  std::vector<std::vector<Link>> links_;
  std::vector<std::vector<CutLink>> cuts_;
  std::vector<double> scale_;
  std::vector<std::uint32_t> choice_;
  std::int64_t loss_ = 0;
  std::vector<std::int64_t> cost_;
  std::vector<std::int64_t> live_;
  std::int64_t forbidden_ = 0;
  double violation_ = 0.0;
};

}  // namespace bitsearch
