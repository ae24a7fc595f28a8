#pragma once
// Which limits cannot be kept together, and the least value of each that would help.

#include <functional>
#include <vector>

#include "search/assignment_problem.h"
#include "search/solution.h"

namespace bitsearch {

/// `problem` must have no feasible configuration, but keep its ties and pins with some. Returns a
/// smallest set of limits that conflict (a deletion filter: drop a limit while the rest still
/// conflict), each with its least feasible value. `should_stop` ends the analysis early; what is
/// proved by then is returned.
std::vector<LimitConflict> FindConflicts(const AssignmentProblem& problem,
                                         const std::function<bool()>& should_stop);

/// The least value of a resource when the other limits of the problem hold (its own does not).
struct LeastValue {
  bool feasible = false;
  bool proved = false;
  std::int64_t value = 0;
};
LeastValue LeastFeasibleValue(const AssignmentProblem& problem, ResourceIndex resource,
                              const std::function<bool()>& should_stop);

}  // namespace bitsearch
