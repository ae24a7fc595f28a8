#pragma once
// The exact solvers: presolve, layered graph, label search; conflicts where nothing is feasible.

#include <memory>

#include "search/solver.h"

namespace bitsearch {

/// "auto": label setting where the state of the network's cuts is small enough, else branch and
/// bound.
std::unique_ptr<Solver> MakeAutoSolver();

/// "label_setting": dynamic programming over the frontier-state graph with Lagrangian completion
/// bounds, in passes of growing width.
std::unique_ptr<Solver> MakeLabelSettingSolver();

/// "branch_and_bound": for many pair terms; local search, a semidefinite bound, best-first tree.
/// Takes any problem, but knows no dynamic programming.
std::unique_ptr<Solver> MakeBranchAndBoundSolver();

}  // namespace bitsearch
