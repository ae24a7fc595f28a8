// Greedy, random, evolution and annealing on the reduced problem, so that ties and pins always
// hold.
#include "search/evolution/heuristic_solvers.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "search/evolution/annealing.h"
#include "search/evolution/configuration_state.h"
#include "search/exact/conflicts.h"
#include "search/exact/presolve.h"
#include "search/exact/reduced_limits.h"
#include "search/exact/solve_log.h"

namespace bitsearch {
namespace {

/// Labels of the exact searches that say why nothing was found: no more work than the heuristic's.
constexpr std::int64_t kAnalysisLabels = 2000;

/// The best feasible configuration met so far.
struct Best {
  bool found = false;
  std::int64_t loss = std::numeric_limits<std::int64_t>::max();
  std::vector<std::uint32_t> choice;
  std::int64_t tried = 0;

  void Offer(const ConfigurationState& state) {
    ++tried;
    if (!state.feasible() || state.loss() >= loss) return;
    found = true;
    loss = state.loss();
    choice = state.choice();
  }
};

/// What a heuristic is given.
struct Task {
  const ReducedProblem& reduced;
  std::int64_t evaluations;
  std::uint64_t seed;
  std::function<bool()> should_stop;
};

/// The frame that all heuristics share.
class HeuristicSolver : public Solver {
 public:
  HeuristicSolver(std::string_view name, std::function<void(const Task&, Best*)> search)
      : name_(name), search_(std::move(search)) {}
  std::string_view name() const override { return name_; }
  bool exact() const override { return false; }

 protected:
  Solution DoSolve(const AssignmentProblem& problem, const SolverOptions& options,
                   const RunContext& context) const override {
    SolveLog log(context, name_);
    const std::function<bool()> should_stop = [&] {
      return context.stop.StopRequested() || log.Seconds() > options.time_limit_s;
    };
    const AnalysisLimits limits{should_stop, kAnalysisLabels};
    Solution solution;
    const ReducedProblem reduced = Presolve(problem, {});
    if (reduced.infeasible) return InfeasibleSolution(problem, reduced.reason, limits);
    Best best;
    const ConfigurationState start(reduced);
    best.Offer(start);
    if (!reduced.decisions.empty()) {
      search_({reduced, options.evaluations, context.root_seed, should_stop}, &best);
    }
    solution.counters.nodes = best.tried;
    // Losses of the reduced problem are ≥ 0.
    solution.lower_bound = ObjectiveOf(reduced, 0.0) - GridError(problem, reduced);
    if (best.found) {
      solution.choice = reduced.Expand(best.choice);
      const Assessment assessment = problem.Assess(solution.choice);
      solution.objective = assessment.objective;
      solution.resources = assessment.resources;
      solution.lower_bound = std::min(solution.lower_bound, solution.objective);
      solution.status = SolveStatus::kFeasible;
      if (best.loss == 0) {
        solution.status = SolveStatus::kOptimal;
        solution.lower_bound = solution.objective;
      }
    } else {
      // What to say needs an exact search, though not of the least loss.
      const std::optional<bool> feasible = IsFeasible(problem, limits);
      if (feasible == std::optional<bool>(false)) {
        return InfeasibleSolution(problem, "", limits);
      }
      solution.message = feasible ? "found no configuration within the limits, though there is one"
                                  : "found no configuration within the limits (there may be one)";
    }
    log.Line(NameOf(solution.status), solution.objective, solution.lower_bound, best.tried);
    return solution;
  }

 private:
  std::string_view name_;
  std::function<void(const Task&, Best*)> search_;
};

std::vector<std::uint32_t> LeastLossChoices(const ReducedProblem& reduced) {
  std::vector<std::uint32_t> choice;
  for (const ReducedDecision& decision : reduced.decisions) {
    choice.push_back(static_cast<std::uint32_t>(
        std::min_element(decision.loss.begin(), decision.loss.end()) - decision.loss.begin()));
  }
  return choice;
}

void Greedy(const Task& task, Best* best) {
  ConfigurationState state(task.reduced);
  state.Assign(LeastLossChoices(task.reduced));
  if (!state.Repair()) return;
  state.Improve();
  best->Offer(state);
}

void RandomSearch(const Task& task, Best* best) {
  RandomStream random(task.seed, "search/random");
  ConfigurationState state(task.reduced);
  for (std::int64_t n = 0; n < task.evaluations && !task.should_stop(); ++n) {
    state.Assign(state.RandomChoice(random));
    best->Offer(state);
  }
}

/// One member of a population: feasible ones by loss, then infeasible ones by violation.
struct Member {
  std::vector<std::uint32_t> choice;
  std::int64_t loss = 0;
  double violation = 0.0;
  bool operator<(const Member& other) const {
    if (violation != other.violation) return violation < other.violation;
    return loss < other.loss;
  }
};

void Evolution(const Task& task, Best* best) {
  constexpr std::size_t kPopulation = 64;
  RandomStream random(task.seed, "search/evolution");
  ConfigurationState state(task.reduced);
  const auto measure = [&](const std::vector<std::uint32_t>& choice) {
    state.Assign(choice);
    best->Offer(state);
    return Member{state.choice(), state.loss(), state.violation()};
  };
  std::vector<Member> population;
  for (std::size_t i = 0; i < kPopulation; ++i)
    population.push_back(measure(state.RandomChoice(random)));
  const std::size_t layers = task.reduced.decisions.size();
  const auto parent = [&]() -> const Member& {
    const Member& a = population[random.Below(kPopulation)];
    const Member& b = population[random.Below(kPopulation)];
    return b < a ? b : a;
  };
  while (best->tried < task.evaluations && !task.should_stop()) {
    std::vector<Member> next;
    std::sort(population.begin(), population.end());
    next.assign(population.begin(), population.begin() + 4);
    while (next.size() < kPopulation) {
      std::vector<std::uint32_t> child = parent().choice;
      if (random.Uniform() < 0.7) {
        const Member& other = parent();
        for (std::size_t l = 0; l < layers; ++l) {
          if (random.Below(2) == 0) child[l] = other.choice[l];
        }
      }
      for (std::size_t l = 0; l < layers; ++l) {
        if (random.Uniform() * static_cast<double>(layers) >= 1.5) continue;
        child[l] = static_cast<std::uint32_t>(random.Below(task.reduced.decisions[l].count));
      }
      next.push_back(measure(child));
    }
    population = std::move(next);
  }
}

void Annealing(const Task& task, Best* best) {
  RandomStream random(task.seed, "search/annealing");
  ConfigurationState state(task.reduced);
  state.Assign(LeastLossChoices(task.reduced));
  if (state.Repair()) {
    state.Improve();
    best->Offer(state);
  }
  Anneal(
      task.evaluations, random, task.should_stop,
      [best](const ConfigurationState& met) { best->Offer(met); }, &state);
}

}  // namespace

std::unique_ptr<Solver> MakeGreedySolver() {
  return std::make_unique<HeuristicSolver>("greedy", Greedy);
}
std::unique_ptr<Solver> MakeRandomSolver() {
  return std::make_unique<HeuristicSolver>("random", RandomSearch);
}
std::unique_ptr<Solver> MakeEvolutionSolver() {
  return std::make_unique<HeuristicSolver>("evolution", Evolution);
}
std::unique_ptr<Solver> MakeAnnealingSolver() {
  return std::make_unique<HeuristicSolver>("annealing", Annealing);
}

}  // namespace bitsearch
