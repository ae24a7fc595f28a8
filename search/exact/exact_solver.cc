// Presolve, then label search on the layered graph or branch and bound on the pair terms; repeated
// on a finer grid where one huge loss had made the first too coarse.
#include "search/exact/exact_solver.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "search/exact/conflicts.h"
#include "search/exact/label_search.h"
#include "search/exact/layered_graph.h"
#include "search/exact/pair_search.h"
#include "search/exact/presolve.h"
#include "search/exact/reduced_limits.h"
#include "search/exact/solve_log.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::size_t kMostArcs = 3'000'000;

/// What one solve is given.
struct Task {
  const AssignmentProblem& problem;
  const SolverOptions& options;
  const RunContext& context;
  const std::function<bool()>& should_stop;
  SolveLog& log;
};

Solution Infeasible(const Task& task, const std::string& reason) {
  return InfeasibleSolution(task.problem, reason, {.should_stop = task.should_stop});
}

/// Fills status, objective and bound from what a search on the reduced problem found.
void Conclude(const Task& task, const ReducedProblem& reduced, bool proved,
              std::vector<ChoiceIndex> choice, double lower_bound, Solution* solution) {
  solution->lower_bound = ObjectiveOf(reduced, lower_bound) - GridError(task.problem, reduced);
  if (!choice.empty() || task.problem.layer_count() == 0) {
    const Assessment assessment = task.problem.Assess(choice);
    solution->choice = std::move(choice);
    solution->objective = assessment.objective;
    solution->resources = assessment.resources;
    if (proved) solution->lower_bound = solution->objective;
    solution->lower_bound = std::min(solution->lower_bound, solution->objective);
    solution->status = SolveStatus::kFeasible;
    if (task.context.stop.StopRequested()) solution->status = SolveStatus::kInterrupted;
    if (proved) solution->status = SolveStatus::kOptimal;
  } else {
    solution->status = SolveStatus::kInterrupted;
    solution->message = "stopped before any configuration within the limits was found";
  }
  task.log.Line(NameOf(solution->status), solution->objective, solution->lower_bound,
                solution->counters.labels + solution->counters.nodes);
}

/// Label search; nothing if the layered graph would be too large.
std::optional<Solution> SolveByLabels(const Task& task, const PresolveOptions& presolve) {
  Solution solution;
  const ReducedProblem reduced = Presolve(task.problem, presolve);
  if (reduced.infeasible) return Infeasible(task, reduced.reason);
  LayeredGraph graph;
  if (!BuildLayeredGraph(reduced, LevelOrder::kNatural, kMostArcs, &graph)) return std::nullopt;
  LabelSearchSettings settings;
  settings.should_stop = task.should_stop;
  settings.gap = task.options.gap;
  settings.loss_offset = reduced.loss_offset;
  const auto levels = static_cast<std::int64_t>(std::max<std::size_t>(1, graph.levels.size()));
  settings.max_labels = std::max<std::int64_t>(1024, task.options.max_labels / levels);
  settings.report = [&](std::int64_t best, double bound, std::int64_t labels) {
    const bool known = best < LabelSearchSettings().cutoff;
    task.log.Line("pass", known ? ObjectiveOf(reduced, static_cast<double>(best)) : INFINITY,
                  ObjectiveOf(reduced, bound), labels);
  };
  const LabelSearchResult found = LabelSearch(graph, CapacitiesOf(reduced), settings);
  if (!found.found && found.proved) {
    solution = Infeasible(task, "");
    solution.counters = found.counters;
    return solution;
  }
  solution.counters = found.counters;
  std::vector<ChoiceIndex> choice;
  if (found.found) choice = reduced.Expand(graph.ByDecision(found.by_level));
  Conclude(task, reduced, found.proved, std::move(choice), found.lower_bound, &solution);
  return solution;
}

std::optional<Solution> SolveByPairs(const Task& task, const PresolveOptions& presolve) {
  Solution solution;
  const ReducedProblem reduced = Presolve(task.problem, presolve);
  if (reduced.infeasible) return Infeasible(task, reduced.reason);
  PairSearchSettings settings;
  settings.should_stop = task.should_stop;
  settings.gap = task.options.gap;
  settings.seed = task.context.root_seed;
  settings.report = [&](const char* what, std::int64_t best, double bound, std::int64_t nodes) {
    const bool known = best != std::numeric_limits<std::int64_t>::max();
    task.log.Line(what, known ? ObjectiveOf(reduced, static_cast<double>(best)) : INFINITY,
                  ObjectiveOf(reduced, bound), nodes);
  };
  const PairSearchResult found = SearchPairs(reduced, settings);
  if (!found.found && found.proved) {
    solution = Infeasible(task, "");
    solution.counters = found.counters;
    return solution;
  }
  solution.counters = found.counters;
  std::vector<ChoiceIndex> choice;
  if (found.found) choice = reduced.Expand(found.choice);
  Conclude(task, reduced, found.proved, std::move(choice), found.lower_bound, &solution);
  return solution;
}

using Method = std::optional<Solution> (*)(const Task& task, const PresolveOptions& presolve);

/// Tries its methods in turn until one can take the problem.
class ExactSolver : public Solver {
 public:
  ExactSolver(std::string_view name, std::vector<Method> methods)
      : name_(name), methods_(std::move(methods)) {}
  std::string_view name() const override { return name_; }
  bool exact() const override { return true; }

 protected:
  Solution DoSolve(const AssignmentProblem& problem, const SolverOptions& options,
                   const RunContext& context) const override {
    SolveLog log(context, name_);
    const std::function<bool()> should_stop = [&] {
      return context.stop.StopRequested() || log.Seconds() > options.time_limit_s;
    };
    const Task task{problem, options, context, should_stop, log};
    for (Method method : methods_) {
      PresolveOptions presolve;
      std::optional<Solution> solution;
      for (int round = 0; round < 4; ++round) {
        solution = method(task, presolve);
        if (!solution || !solution->has_choice() || should_stop() ||
            !RefineGrid(problem, *solution, options.gap, &presolve)) {
          break;
        }
      }
      if (solution) return *solution;
    }
    throw Error(ErrorId::kSolverUnsupported,
                "too many layers depend on each other for dynamic programming over the network's "
                "cuts")
        .Hint("use the solver 'auto' or 'branch_and_bound'");
  }

 private:
  std::string_view name_;
  std::vector<Method> methods_;
};

}  // namespace

std::unique_ptr<Solver> MakeAutoSolver() {
  return std::make_unique<ExactSolver>("auto", std::vector<Method>{SolveByLabels, SolveByPairs});
}

std::unique_ptr<Solver> MakeLabelSettingSolver() {
  return std::make_unique<ExactSolver>("label_setting", std::vector<Method>{SolveByLabels});
}

std::unique_ptr<Solver> MakeBranchAndBoundSolver() {
  return std::make_unique<ExactSolver>("branch_and_bound", std::vector<Method>{SolveByPairs});
}

}  // namespace bitsearch
