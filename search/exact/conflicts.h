#pragma once
// Which limits cannot be kept together, and the values that could. Knows the label search, not the
// solvers.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "search/solution.h"

namespace bitsearch {

/// What an analysis may cost.
struct AnalysisLimits {
  std::function<bool()> should_stop = [] { return false; };
  /// As LabelSearchSettings::max_labels, of each of its searches.
  std::int64_t max_labels = 4'000'000;
};

/// What stands in the way of a problem, and limits that would not; see Solution.
struct ConflictAnalysis {
  std::vector<LimitConflict> conflicts;
  std::vector<FeasibleLimit> feasible_limits;
};

/// `problem` must have no feasible configuration, but keep its ties and pins with some. A limit
/// that fails on its own is a set by itself; the others come from deletion filters (drop a limit
/// while the rest still conflicts). `should_stop` ends the analysis early; see
/// LimitConflict::proved.
ConflictAnalysis FindConflicts(const AssignmentProblem& problem, const AnalysisLimits& limits);

/// An infeasible Solution: `reason` where ties or pins are to blame, else (empty) the conflicts.
Solution InfeasibleSolution(const AssignmentProblem& problem, const std::string& reason,
                            const AnalysisLimits& limits);

/// Whether any configuration keeps limits, ties and pins; nothing where that stayed open.
std::optional<bool> IsFeasible(const AssignmentProblem& problem, const AnalysisLimits& limits);

/// The least value of a resource when the other limits of the problem hold (its own does not).
struct LeastValue {
  bool feasible = false;  ///< A configuration of this value was found.
  bool proved = false;    ///< There is none of a smaller one (or none at all).
  std::int64_t value = 0;
};
LeastValue LeastFeasibleValue(const AssignmentProblem& problem, ResourceIndex resource,
                              const AnalysisLimits& limits);

}  // namespace bitsearch
