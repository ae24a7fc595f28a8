#pragma once
// Solvers without a proof: what peers use, and what the exact ones are compared with.

#include <memory>

#include "search/solver.h"

namespace bitsearch {

/// "greedy": from the least loss, the move that loses least per unit of excess until all limits
/// hold, then moves that lower the loss (the path that AIMET and Quark walk).
std::unique_ptr<Solver> MakeGreedySolver();

/// "random": the best of SolverOptions::evaluations random configurations.
std::unique_ptr<Solver> MakeRandomSolver();

/// "evolution": a population of 64 with tournament selection, uniform crossover, mutation and
/// repair, as once-for-all and APQ search; SolverOptions::evaluations configurations.
std::unique_ptr<Solver> MakeEvolutionSolver();

/// "annealing": simulated annealing over single and paired moves, geometric cooling, excess of the
/// limits as a penalty; SolverOptions::evaluations sweeps' worth of moves.
std::unique_ptr<Solver> MakeAnnealingSolver();

}  // namespace bitsearch
