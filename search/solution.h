#pragma once
// Solution: what a solver answers. Starts pessimistic, so that a solver that is cut short never
// claims more than it has proved. Must not depend on any solver.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "search/assignment_problem.h"

namespace bitsearch {

/// What a search established.
enum class SolveStatus : std::uint8_t {
  kOptimal,      ///< Proved: no configuration within the limits has a smaller loss.
  kFeasible,     ///< A configuration and a bound; stopped by time, by the gap, or by memory.
  kInfeasible,   ///< Proved: no configuration keeps the limits, ties and pins.
  kInterrupted,  ///< Stopped before anything was found, or by request.
};

/// "optimal", "feasible", "infeasible", "interrupted".
std::string_view NameOf(SolveStatus status);

/// One of the limits that cannot be kept together.
struct LimitConflict {
  ResourceIndex resource;
  /// Conflicts of one number form a minimal set: they cannot be kept together, but without any one
  /// of them the others can. Sets share no limit, and without all of them the rest can be kept.
  int set = 1;
  /// The least value of this limit with which the problem has an answer while all its other limits
  /// stay; none if no value helps, because the others cannot be kept together either.
  std::optional<std::int64_t> least_feasible;
  /// The least value of this limit if no other limit held.
  std::optional<std::int64_t> least_alone;
  /// False where the analysis was stopped: a value is then one that would do, perhaps not the
  /// least, or unknown, and the set may hold limits that do not belong to it.
  bool proved = true;
};

/// A limit that can be kept beside others.
struct FeasibleLimit {
  ResourceIndex resource;
  std::int64_t value = 0;
};

/// What a unit of a limit is worth: how much loss one more unit (of the resource's integer grid)
/// would save, at the optimum of the Lagrangian relaxation.
struct ShadowPrice {
  ResourceIndex resource;
  double loss_per_unit = 0.0;  ///< ≥ 0; 0 where the limit does not bind.
};

/// The best alternative to a layer's choice, everything else free to follow.
struct RunnerUp {
  LayerIndex layer;
  ChoiceIndex choice;
  double loss_increase = 0.0;  ///< Over the solution's objective.
  bool exact = false;          ///< False: a lower bound of the increase, from reduced costs.
};

/// Why the solution is what it is; filled on request (SolverOptions::explain).
struct Explanation {
  std::vector<ShadowPrice> shadow_prices;  ///< One per limit.
  std::vector<RunnerUp> runner_ups;        ///< Layers without an alternative are left out.
};

/// Work done; equal from run to run and for any number of threads (no times here).
struct SolveCounters {
  std::int64_t labels = 0;           ///< Partial configurations looked at.
  std::int64_t dual_iterations = 0;  ///< Evaluations of the Lagrangian function.
  std::int64_t nodes = 0;            ///< Nodes of a branch and bound, moves of a local search.
};

/// A solver's answer.
struct Solution {
  SolveStatus status = SolveStatus::kInterrupted;
  std::string solver;               ///< Name of the solver that answered.
  std::vector<ChoiceIndex> choice;  ///< Per layer; empty if nothing was found.
  double objective = std::numeric_limits<double>::infinity();
  /// Never above the optimum, up to rounding in the last digits of a double.
  double lower_bound = -std::numeric_limits<double>::infinity();
  std::vector<std::int64_t> resources;   ///< Of `choice`, in the problem's order.
  std::vector<LimitConflict> conflicts;  ///< Only if infeasible, and not for ties.
  /// Only with conflicts: limits that can be kept together. In the problem's order, each is the
  /// problem's own where it can be kept beside those before it, else the least that can. Empty if
  /// the analysis was stopped.
  std::vector<FeasibleLimit> feasible_limits;
  std::string message;  ///< One sentence for the user where there is more to say.
  SolveCounters counters;
  std::optional<Explanation> explanation;

  bool has_choice() const { return !choice.empty(); }
  /// (objective − lower_bound) / max(|objective|, 1e-12); infinite without a configuration.
  double gap() const;
};

}  // namespace bitsearch
