#pragma once
// The second half of presolve: makes a reduced problem smaller without losing an optimum or a
// non-dominated point. Must not know the problem it came from.

#include "search/exact/presolve.h"

namespace bitsearch {

struct SimplifyOptions {
  bool traded_peaks = false;    ///< Cuts are kept although no limit needs them.
  bool keep_dominated = false;  ///< As PresolveOptions::keep_dominated.
};

/// Shifts, drops and folds until nothing changes. Sets `infeasible` where no choice is left.
void SimplifyReduction(const SimplifyOptions& options, ReducedProblem* reduced);

}  // namespace bitsearch
