#pragma once
// Takes choices out of every table of a reduced problem. Knows nothing of why they go.

#include <cstdint>
#include <vector>

#include "search/exact/presolve.h"

namespace bitsearch {

/// Removes the choices that `keep`, [decision][choice], marks 0. Sets `infeasible`, and changes
/// nothing else, where a decision would have none left.
void RemoveChoices(const std::vector<std::vector<std::uint8_t>>& keep, ReducedProblem* problem);

}  // namespace bitsearch
