// Least feasible values by searches in which the resource takes the place of the loss, and the
// minimal sets that they tell apart.
#include "search/exact/conflicts.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "search/exact/graph_projection.h"
#include "search/exact/label_search.h"
#include "search/exact/layered_graph.h"
#include "search/exact/presolve.h"
#include "search/exact/reduced_limits.h"

namespace bitsearch {
namespace {

constexpr std::size_t kMostArcs = 3'000'000;

AssignmentProblem WithoutLosses(const AssignmentProblem& problem) {
  AssignmentProblem blind = problem;
  for (auto& row : blind.loss) std::fill(row.begin(), row.end(), 0.0);
  for (PairTerm& pair : blind.pairs) pair.loss.clear();
  return blind;
}

/// Least of an additive resource: its costs become the loss of the graph.
LeastValue LeastSum(const AssignmentProblem& unlimited, ResourceIndex resource,
                    const AnalysisLimits& limits) {
  LeastValue result;
  const ReducedProblem reduced =
      Presolve(WithoutLosses(unlimited), {.traded = {resource}, .allowed = {}});
  if (reduced.infeasible) {
    result.proved = true;
    return result;
  }
  LayeredGraph graph;
  if (!BuildLayeredGraph(reduced, LevelOrder::kNatural, kMostArcs, &graph)) return result;
  std::size_t own = 0;
  while (reduced.dimensions[own].resource != resource) ++own;
  std::vector<std::int64_t> capacity = CapacitiesOf(reduced);
  capacity.erase(capacity.begin() + static_cast<std::ptrdiff_t>(own));
  const LabelSearchResult found =
      LabelSearch(WithCostAsLoss(graph, own), capacity,
                  {.should_stop = limits.should_stop, .max_labels = limits.max_labels});
  result.proved = found.proved;
  result.feasible = found.found;
  if (found.found) result.value = reduced.dimensions[own].offset + found.loss;
  return result;
}

/// Least peak: bisection over the limit, each step a question of feasibility.
LeastValue LeastPeak(const AssignmentProblem& unlimited, ResourceIndex resource,
                     const AnalysisLimits& limits) {
  LeastValue result;
  const std::optional<bool> any = IsFeasible(unlimited, limits);
  result.proved = any.has_value();
  if (!any.value_or(false)) return result;
  result.feasible = true;
  for (const Cut& cut : unlimited.resources[resource.value].cuts) {
    std::int64_t total = 0;
    for (const CutMember& member : cut.members) {
      total += *std::max_element(member.cost.begin(), member.cost.end());
    }
    result.value = std::max(result.value, total);
  }
  std::int64_t low = -1;
  AssignmentProblem trial = unlimited;
  while (result.value - low > 1) {
    const std::int64_t middle = low + (result.value - low) / 2;
    trial.resources[resource.value].limit = middle;
    const std::optional<bool> feasible = IsFeasible(trial, limits);
    result.proved = feasible.has_value();
    if (!feasible) return result;
    (*feasible ? result.value : low) = middle;
  }
  return result;
}

std::optional<std::int64_t> ValueOf(const LeastValue& least) {
  if (!least.feasible) return std::nullopt;
  return least.value;
}

/// Lifts limits from a copy of the problem until nothing conflicts any more.
class Analysis {
 public:
  Analysis(const AssignmentProblem& problem, const AnalysisLimits& limits)
      : problem_(problem), limits_(limits), rest_(problem), free_(problem) {
    for (Resource& resource : free_.resources) resource.limit.reset();
  }

  ConflictAnalysis Run() {
    AddThoseThatFailAlone();
    // The problem as a whole has no answer: as long as no set is known, one is left.
    while (sets_ == 0 || IsFeasible(rest_, limits_) == std::optional<bool>(false)) {
      if (!AddMinimalSet()) break;
    }
    for (LimitConflict& conflict : result_.conflicts) SetLeastFeasible(&conflict);
    std::sort(result_.conflicts.begin(), result_.conflicts.end(),
              [](const LimitConflict& a, const LimitConflict& b) {
                return a.set != b.set ? a.set < b.set : a.resource < b.resource;
              });
    FindFeasibleLimits();
    return std::move(result_);
  }

 private:
  void Add(std::size_t r, int set, const LeastValue& alone, bool proved) {
    LimitConflict conflict;
    conflict.resource = ResourceIndex(r);
    conflict.set = set;
    conflict.least_alone = ValueOf(alone);
    conflict.proved = proved && alone.proved;
    result_.conflicts.push_back(conflict);
    rest_.resources[r].limit.reset();
  }

  void AddThoseThatFailAlone() {
    for (std::size_t r = 0; r < problem_.resources.size(); ++r) {
      if (!problem_.resources[r].limit) continue;
      const LeastValue alone = LeastFeasibleValue(free_, ResourceIndex(r), limits_);
      if (alone.proved && alone.feasible && alone.value > *problem_.resources[r].limit) {
        Add(r, ++sets_, alone, true);
      }
    }
  }

  /// False if no limit is left to blame.
  bool AddMinimalSet() {
    AssignmentProblem core = rest_;
    bool proved = true;
    std::vector<std::size_t> members;
    for (std::size_t r = 0; r < core.resources.size(); ++r) {
      if (!core.resources[r].limit) continue;
      const std::optional<std::int64_t> limit = std::exchange(core.resources[r].limit, {});
      const std::optional<bool> feasible = IsFeasible(core, limits_);
      if (feasible == std::optional<bool>(false)) continue;
      core.resources[r].limit = limit;
      members.push_back(r);
      proved = proved && feasible.has_value();
    }
    if (members.empty()) return false;
    ++sets_;
    for (std::size_t r : members) {
      Add(r, sets_, LeastFeasibleValue(free_, ResourceIndex(r), limits_), proved);
    }
    return true;
  }

  void SetLeastFeasible(LimitConflict* conflict) {
    // Where there is another set, it stays in the way.
    if (sets_ > 1) return;
    const LeastValue least = LeastFeasibleValue(problem_, conflict->resource, limits_);
    conflict->least_feasible = ValueOf(least);
    conflict->proved = conflict->proved && least.proved;
  }

  void FindFeasibleLimits() {
    AssignmentProblem kept = free_;
    for (std::size_t r = 0; r < problem_.resources.size(); ++r) {
      if (!problem_.resources[r].limit) continue;
      kept.resources[r].limit = problem_.resources[r].limit;
      if (IsFeasible(kept, limits_) != std::optional<bool>(true)) {
        const LeastValue least = LeastFeasibleValue(kept, ResourceIndex(r), limits_);
        if (!least.feasible || !least.proved) {
          result_.feasible_limits.clear();
          return;
        }
        kept.resources[r].limit = least.value;
      }
      result_.feasible_limits.push_back({ResourceIndex(r), *kept.resources[r].limit});
    }
  }

  const AssignmentProblem& problem_;
  const AnalysisLimits& limits_;
  AssignmentProblem rest_;  // without the limits of the sets found
  AssignmentProblem free_;  // without limits
  int sets_ = 0;
  ConflictAnalysis result_;
};

}  // namespace

std::optional<bool> IsFeasible(const AssignmentProblem& problem, const AnalysisLimits& limits) {
  const ReducedProblem reduced = Presolve(WithoutLosses(problem), {});
  if (reduced.infeasible) return false;
  LayeredGraph graph;
  if (!BuildLayeredGraph(reduced, LevelOrder::kNatural, kMostArcs, &graph)) return std::nullopt;
  LabelSearchSettings settings;
  settings.should_stop = limits.should_stop;
  settings.max_labels = limits.max_labels;
  settings.first_feasible = true;
  const LabelSearchResult found = LabelSearch(graph, CapacitiesOf(reduced), settings);
  if (!found.found && !found.proved) return std::nullopt;
  return found.found;
}

LeastValue LeastFeasibleValue(const AssignmentProblem& problem, ResourceIndex resource,
                              const AnalysisLimits& limits) {
  AssignmentProblem unlimited = problem;
  unlimited.resources[resource.value].limit.reset();
  return unlimited.resources[resource.value].is_peak() ? LeastPeak(unlimited, resource, limits)
                                                       : LeastSum(unlimited, resource, limits);
}

ConflictAnalysis FindConflicts(const AssignmentProblem& problem, const AnalysisLimits& limits) {
  return Analysis(problem, limits).Run();
}

Solution InfeasibleSolution(const AssignmentProblem& problem, const std::string& reason,
                            const AnalysisLimits& limits) {
  Solution solution;
  solution.status = SolveStatus::kInfeasible;
  solution.lower_bound = std::numeric_limits<double>::infinity();
  solution.message = reason;
  if (!reason.empty()) return solution;
  ConflictAnalysis analysis = FindConflicts(problem, limits);
  solution.conflicts = std::move(analysis.conflicts);
  solution.feasible_limits = std::move(analysis.feasible_limits);
  solution.message = solution.conflicts.empty() ? "no configuration keeps the limits"
                                                : "the limits cannot be kept together";
  return solution;
}

}  // namespace bitsearch
