#pragma once
// The inverse question of a run: from the exact frontier of predicted loss against the resource to
// minimise, to the cheapest configuration whose measured accuracy drop, or output error, keeps the
// limit.

#include <string>

#include "experiments/experiment.h"
#include "experiments/network_problem.h"
#include "search/goal/least_cost.h"

namespace bitsearch {

/// What a walk found.
struct GoalOutcome {
  BitConfig config;
  /// Greedy fallback's: from every layer at its most harmful candidate, one layer after the other
  /// back to its most accurate one, by predicted loss, until the limit is kept.
  BitConfig fallback;
  std::string json;  ///< `bitsearch/goal/1`: every measurement, the choice and its confirmation.
};

/// What a goal's JSON says, in a few lines for a terminal.
std::string GoalText(const std::string& json);

/// `named` has its losses. The references are the float network's evaluations on the two splits.
/// Throws Error(kBudgetInfeasible) if even the most accurate candidate loses too much, and
/// Error(kInterrupted).
GoalOutcome WalkToGoal(const NetworkProblem& network, const NamedProblem& named,
                       const GoalSection& goal, GoalSplit search, GoalSplit report,
                       const RunContext& context);

}  // namespace bitsearch
