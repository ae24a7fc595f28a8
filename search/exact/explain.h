#pragma once
// Why a solution is what it is: shadow prices of the limits and each layer's runner-up.

#include <functional>

#include "search/assignment_problem.h"
#include "search/solution.h"

namespace bitsearch {

/// Explains `solution`, which must have a configuration. Shadow prices are the multipliers at the
/// dual optimum (for a peak limit: the loss saved per unit on the way to where it no longer binds).
/// Runner-ups come from one search per layer with the chosen candidate left out, where layers and
/// states are few; else from reduced costs, which bound them from below. Problems whose pair terms
/// are too dense for a layered graph get no explanation (empty lists).
Explanation Explain(const AssignmentProblem& problem, const Solution& solution,
                    const std::function<bool()>& should_stop);

}  // namespace bitsearch
