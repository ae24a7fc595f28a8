#pragma once
// Solver: AssignmentProblem → Solution. One interface for exact solvers, baselines and heuristics,
// so that they can be swapped, compared and held to one conformance suite.

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "search/assignment_problem.h"
#include "search/solution.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// What the caller wants of a solve.
struct SolverOptions {
  /// Seconds of wall clock after which the best answer so far is returned with its gap. Results are
  /// reproducible only if this is not what ends the search.
  double time_limit_s = std::numeric_limits<double>::infinity();
  /// Relative gap at which to stop; 0: prove the optimum.
  double gap = 0.0;
  /// Most partial configurations held at once (about 50 bytes each). When it is not enough the
  /// answer comes with a gap instead of a proof.
  std::int64_t max_labels = 20'000'000;
  /// Fill Solution::explanation (shadow prices and runner-ups; a solve per layer on small problems).
  bool explain = false;
  /// Budget of the heuristics that have one (random, evolution, annealing): configurations tried.
  std::int64_t evaluations = 100'000;

  /// True if the options make sense; otherwise says in `error` what does not.
  bool IsValid(std::string* error) const;
};

/// Finds a configuration of least loss. Stateless: one object may solve from several threads.
class Solver {
 public:
  virtual ~Solver() = default;
  /// The name by which users choose it (`solver: shortest_path`).
  virtual std::string_view name() const = 0;
  /// Whether an answer of status kOptimal comes without a limit on time (no heuristic).
  virtual bool exact() const = 0;
  /// Solves. Throws Error(kProblemInvalid), Error(kUsage) for invalid options, and
  /// Error(kSolverUnsupported) where the problem is not of this solver's kind; infeasible, out of
  /// time and interrupted are a status.
  Solution Solve(const AssignmentProblem& problem, const SolverOptions& options,
                 const RunContext& context) const;

 protected:
  /// `problem` and `options` are valid.
  virtual Solution DoSolve(const AssignmentProblem& problem, const SolverOptions& options,
                           const RunContext& context) const = 0;
};

/// A solver by name; throws Error(kSolverUnknown) with the nearest name.
std::unique_ptr<Solver> MakeSolver(std::string_view name);
/// All names that MakeSolver takes; "auto" first.
const std::vector<std::string>& SolverNames();

}  // namespace bitsearch
