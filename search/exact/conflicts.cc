// Least feasible values by searches in which the resource takes the place of the loss.
// Knows the label search, not the solvers.
#include "search/exact/conflicts.h"

#include <algorithm>

#include "search/exact/label_search.h"
#include "search/exact/layered_graph.h"
#include "search/exact/presolve.h"

namespace bitsearch {
namespace {

constexpr std::size_t kMostArcs = 3'000'000;

AssignmentProblem WithoutLimit(const AssignmentProblem& problem, ResourceIndex resource) {
  AssignmentProblem result = problem;
  result.resources[resource.value].limit.reset();
  return result;
}

/// Least of an additive resource: its costs become the loss of the graph.
LeastValue LeastSum(const AssignmentProblem& unlimited, ResourceIndex resource,
                    const std::function<bool()>& should_stop) {
  LeastValue result;
  AssignmentProblem blind = unlimited;
  for (auto& row : blind.loss) std::fill(row.begin(), row.end(), 0.0);
  for (PairTerm& pair : blind.pairs) pair.loss.clear();
  const ReducedProblem reduced = Presolve(blind, {.traded = {resource}, .allowed = {}});
  if (reduced.infeasible) {
    result.proved = true;
    return result;
  }
  LayeredGraph graph;
  if (!BuildLayeredGraph(reduced, LevelOrder::kNatural, kMostArcs, &graph)) return result;
  std::size_t own = 0;
  while (reduced.dimensions[own].resource != resource) ++own;
  std::vector<std::int64_t> capacity;
  for (std::size_t d = 0; d < reduced.dims(); ++d) {
    if (d != own) capacity.push_back(reduced.dimensions[d].capacity);
  }
  for (LayeredLevel& level : graph.levels) {
    std::vector<std::int64_t> rest;
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      level.arcs[a].loss = level.cost[a * graph.dims + own];
      for (std::size_t d = 0; d < graph.dims; ++d) {
        if (d != own) rest.push_back(level.cost[a * graph.dims + d]);
      }
    }
    level.cost = std::move(rest);
  }
  --graph.dims;
  LabelSearchSettings settings;
  settings.should_stop = should_stop;
  const LabelSearchResult found = LabelSearch(graph, capacity, settings);
  result.proved = found.proved;
  result.feasible = found.found;
  if (found.found) result.value = reduced.dimensions[own].offset + found.loss;
  return result;
}

bool Feasible(const AssignmentProblem& problem, const std::function<bool()>& should_stop,
              bool* proved) {
  AssignmentProblem blind = problem;
  for (auto& row : blind.loss) std::fill(row.begin(), row.end(), 0.0);
  for (PairTerm& pair : blind.pairs) pair.loss.clear();
  const ReducedProblem reduced = Presolve(blind, {});
  *proved = true;
  if (reduced.infeasible) return false;
  LayeredGraph graph;
  *proved = BuildLayeredGraph(reduced, LevelOrder::kNatural, kMostArcs, &graph);
  if (!*proved) return false;
  std::vector<std::int64_t> capacity;
  for (const ReducedDimension& dimension : reduced.dimensions) {
    capacity.push_back(dimension.capacity);
  }
  LabelSearchSettings settings;
  settings.should_stop = should_stop;
  settings.first_feasible = true;
  const LabelSearchResult found = LabelSearch(graph, capacity, settings);
  *proved = found.found || found.proved;
  return found.found;
}

/// Least peak: bisection over the limit, each step a question of feasibility.
LeastValue LeastPeak(const AssignmentProblem& unlimited, ResourceIndex resource,
                     const std::function<bool()>& should_stop) {
  LeastValue result;
  if (!Feasible(unlimited, should_stop, &result.proved)) return result;
  std::int64_t high = 0;
  for (const Cut& cut : unlimited.resources[resource.value].cuts) {
    std::int64_t total = 0;
    for (const CutMember& member : cut.members) {
      total += *std::max_element(member.cost.begin(), member.cost.end());
    }
    high = std::max(high, total);
  }
  std::int64_t low = -1;
  AssignmentProblem trial = unlimited;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    trial.resources[resource.value].limit = middle;
    const bool feasible = Feasible(trial, should_stop, &result.proved);
    if (!result.proved) return result;
    (feasible ? high : low) = middle;
  }
  result.feasible = true;
  result.value = high;
  return result;
}

}  // namespace

LeastValue LeastFeasibleValue(const AssignmentProblem& problem, ResourceIndex resource,
                              const std::function<bool()>& should_stop) {
  const AssignmentProblem unlimited = WithoutLimit(problem, resource);
  return unlimited.resources[resource.value].is_peak() ? LeastPeak(unlimited, resource, should_stop)
                                                       : LeastSum(unlimited, resource, should_stop);
}

std::vector<LimitConflict> FindConflicts(const AssignmentProblem& problem,
                                         const std::function<bool()>& should_stop) {
  std::vector<LimitConflict> conflicts;
  // A limit that fails on its own is named whatever the others say.
  AssignmentProblem none = problem;
  for (Resource& resource : none.resources) resource.limit.reset();
  for (std::size_t r = 0; r < problem.resources.size(); ++r) {
    if (!problem.resources[r].limit) continue;
    const LeastValue alone = LeastFeasibleValue(none, ResourceIndex(r), should_stop);
    if (!alone.proved || !alone.feasible || alone.value <= *problem.resources[r].limit) continue;
    const LeastValue least = LeastFeasibleValue(problem, ResourceIndex(r), should_stop);
    const bool helps = least.proved && least.feasible;
    conflicts.push_back({ResourceIndex(r), helps ? least.value : alone.value});
  }
  if (!conflicts.empty()) return conflicts;
  AssignmentProblem core = problem;
  for (std::size_t r = 0; r < core.resources.size(); ++r) {
    if (!core.resources[r].limit) continue;
    const std::optional<std::int64_t> limit = core.resources[r].limit;
    core.resources[r].limit.reset();
    bool proved = false;
    if (Feasible(core, should_stop, &proved) || !proved) core.resources[r].limit = limit;
  }
  for (std::size_t r = 0; r < core.resources.size(); ++r) {
    if (!core.resources[r].limit) continue;
    LeastValue least = LeastFeasibleValue(problem, ResourceIndex(r), should_stop);
    if (!least.feasible) least = LeastFeasibleValue(core, ResourceIndex(r), should_stop);
    if (least.feasible) conflicts.push_back({ResourceIndex(r), least.value});
  }
  return conflicts;
}

}  // namespace bitsearch
