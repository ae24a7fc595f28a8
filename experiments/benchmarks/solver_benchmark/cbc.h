#pragma once
// The same problem solved by CBC, the peers' solver, through its C interface.

#include "search/assignment_problem.h"

namespace bitsearch {

struct CbcAnswer {
  bool available = false;  ///< False: built without CBC.
  bool optimal = false;    ///< Proved within the gap and the time.
  double objective = 0.0;
  double cpu_seconds = 0.0;  ///< Of the solve alone, model building apart.
};

/// Solves a problem without pair terms, ties and peaks. The objective is scaled so that `optimum`,
/// a value near the optimum, becomes 1e5: CBC takes differences below 1e-5 for nothing.
CbcAnswer SolveWithCbc(const AssignmentProblem& problem, double optimum, double relative_gap,
                       double time_limit_s);

}  // namespace bitsearch
