#pragma once
// Small questions about a reduced problem that every exact solver asks.

#include <cstdint>
#include <vector>

#include "search/exact/presolve.h"
#include "search/solution.h"

namespace bitsearch {

/// The capacity of each dimension.
std::vector<std::int64_t> CapacitiesOf(const ReducedProblem& reduced);

/// The objective that a loss of the reduced problem (grid units) stands for.
double ObjectiveOf(const ReducedProblem& reduced, double loss_units);

/// What rounding losses to the grid can have changed in an objective; 0 on an exact grid.
double GridError(const AssignmentProblem& problem, const ReducedProblem& reduced);

/// If the grid was too coarse for `solution`'s objective (one loss far above all others), forbids in
/// `presolve` the choices whose loss alone exceeds it, so that the next grid is finer. False if the
/// grid was fine enough (beside the gap that is allowed), or nothing can be forbidden.
bool RefineGrid(const AssignmentProblem& problem, const Solution& solution, double allowed_gap,
                PresolveOptions* presolve);

}  // namespace bitsearch
