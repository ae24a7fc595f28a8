#pragma once
// The first half of presolve: decisions from layers and ties, pair terms and cuts in their
// integers. Nothing is simplified yet. Must not know solvers.

#include "search/exact/presolve.h"

namespace bitsearch {

/// The reduced problem as the ties make it. `infeasible` and `reason` are set where ties and pins
/// leave a layer without a choice; then nothing else is filled in.
ReducedProblem BuildReduction(const AssignmentProblem& problem, const PresolveOptions& options);

}  // namespace bitsearch
