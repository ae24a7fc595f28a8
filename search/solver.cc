// The checks that every solve begins with, and the list of solvers by name.
#include "search/solver.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "search/evolution/heuristic_solvers.h"
#include "search/exact/exact_solver.h"
#include "search/exact/explain.h"
#include "search/exact/shortest_path_solver.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Solver> (*make)();
};

constexpr Entry kSolvers[] = {
    {"auto", MakeAutoSolver},
    {"label_setting", MakeLabelSettingSolver},
    {"shortest_path", MakeShortestPathSolver},
    {"branch_and_bound", MakeBranchAndBoundSolver},
    {"greedy", MakeGreedySolver},
    {"evolution", MakeEvolutionSolver},
    {"annealing", MakeAnnealingSolver},
    {"random", MakeRandomSolver},
};

/// Explaining may take as long as solving, and a little more.
constexpr double kLeastExplainSeconds = 10.0;

}  // namespace

bool SolverOptions::IsValid(std::string* error) const {
  if (!(time_limit_s >= 0.0)) {
    *error = fmt::format("time limit {} s (allowed: 0 or more)", time_limit_s);
  } else if (!(gap >= 0.0)) {
    *error = fmt::format("gap {} (allowed: 0 or more)", gap);
  } else if (max_labels < 1) {
    *error = fmt::format("max_labels {} (allowed: 1 or more)", max_labels);
  } else if (evaluations < 1) {
    *error = fmt::format("evaluations {} (allowed: 1 or more)", evaluations);
  } else {
    return true;
  }
  return false;
}

Solution Solver::Solve(const AssignmentProblem& problem, const SolverOptions& options,
                       const RunContext& context) const {
  std::string error;
  if (!options.IsValid(&error)) throw Error(ErrorId::kUsage, error);
  problem.Validate();
  Solution solution = DoSolve(problem, options, context);
  solution.solver = name();
  // A bound that reaches the objective is a proof, whatever ended the search.
  if (solution.has_choice() && solution.lower_bound >= solution.objective) {
    solution.status = SolveStatus::kOptimal;
  }
  if (options.explain && solution.has_choice()) {
    const auto start = std::chrono::steady_clock::now();
    const double limit = std::max(kLeastExplainSeconds, options.time_limit_s);
    solution.explanation = Explain(problem, solution, [&] {
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
      return context.stop.StopRequested() || passed.count() > limit;
    });
  }
  return solution;
}

const std::vector<std::string>& SolverNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Entry& entry : kSolvers) list.emplace_back(entry.name);
    return list;
  }();
  return names;
}

std::unique_ptr<Solver> MakeSolver(std::string_view name) {
  for (const Entry& entry : kSolvers) {
    if (name == entry.name) return entry.make();
  }
  std::string all;
  for (const std::string& known : SolverNames()) all += (all.empty() ? "" : ", ") + known;
  const std::string nearest = NearestName(name, SolverNames());
  throw Error(ErrorId::kSolverUnknown, fmt::format("no solver is called '{}'", name))
      .Hint((nearest.empty() ? "" : "did you mean '" + nearest + "'? ") + "known: " + all);
}

}  // namespace bitsearch
