// The oracle: Boost.Graph's resource-constrained shortest paths on the layered graph, with the same
// completion bounds. Independent of LabelSearch: another label-setting engine, another order
// (best first), another dominance.
#include "search/exact/shortest_path_solver.h"

#include <algorithm>
#include <array>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/r_c_shortest_paths.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "search/exact/completion_bounds.h"
#include "search/exact/conflicts.h"
#include "search/exact/layered_graph.h"
#include "search/exact/presolve.h"
#include "search/exact/reduced_limits.h"
#include "search/exact/solve_log.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::size_t kMostDims = 16;
constexpr std::size_t kMostArcs = 3'000'000;
constexpr double kNoCutoff = std::numeric_limits<double>::infinity();

struct Vertex {
  int number = 0;
};
struct Edge {
  int number = 0;
  std::uint32_t level = 0;
  std::uint32_t arc = 0;
};
using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, Vertex, Edge>;

/// What a label has consumed, and the bound by which labels are ordered.
struct Consumption {
  std::int64_t loss = 0;
  std::array<std::int64_t, kMostDims> cost{};
  double bound = 0.0;

  bool operator==(const Consumption& other) const {
    return loss == other.loss && cost == other.cost;
  }
  bool operator<(const Consumption& other) const {
    if (bound != other.bound) return bound < other.bound;
    if (loss != other.loss) return loss < other.loss;
    return cost < other.cost;
  }
};

/// Everything an extension needs to know.
struct Search {
  const LayeredGraph& layered;
  std::vector<std::int64_t> capacity;
  std::vector<Completions> completions;  ///< One of them with multipliers 0.
  std::vector<std::vector<std::int64_t>> least;
  double margin = 0.0;  ///< What rounding can have added to any bound.
  double cutoff = kNoCutoff;

  /// No completion of a label loses less than this.
  double Bound(std::size_t level, std::size_t state, const Consumption& label) const {
    double largest = -std::numeric_limits<double>::infinity();
    for (const Completions& completion : completions) {
      double value = static_cast<double>(label.loss) + completion.to_go[level][state];
      for (std::size_t d = 0; d < layered.dims; ++d) {
        value += completion.multiplier[d] * static_cast<double>(label.cost[d]);
      }
      largest = std::max(largest, value);
    }
    return largest - margin;
  }
};

class Extend {
 public:
  explicit Extend(const Search* search) : search_(search) {}

  bool operator()(const Graph& graph, Consumption& to, const Consumption& from,
                  boost::graph_traits<Graph>::edge_descriptor edge) const {
    const Edge& place = graph[edge];
    const LayeredLevel& level = search_->layered.levels[place.level];
    const LayeredArc& arc = level.arcs[place.arc];
    const std::size_t dims = search_->layered.dims;
    to.loss = from.loss + arc.loss;
    for (std::size_t d = 0; d < dims; ++d) {
      to.cost[d] = from.cost[d] + level.cost[place.arc * dims + d];
      const std::int64_t onward = search_->least[place.level + 1][arc.to * dims + d];
      if (onward == ReducedProblem::kUnlimited || to.cost[d] + onward > search_->capacity[d]) {
        return false;
      }
    }
    if (place.level + 1 == search_->layered.levels.size()) {
      // Boost stops when the best label of the target is taken from its queue, and then returns
      // the first label in the target's list. Without costs one label dominates all others there.
      to.cost = {};
      to.bound = static_cast<double>(to.loss);
    } else {
      to.bound = search_->Bound(place.level + 1, arc.to, to);
    }
    return to.bound <= search_->cutoff;
  }

 private:
  const Search* search_;
};

struct Dominates {
  bool operator()(const Consumption& a, const Consumption& b) const {
    if (a.loss > b.loss) return false;
    for (std::size_t d = 0; d < kMostDims; ++d) {
      if (a.cost[d] > b.cost[d]) return false;
    }
    return true;
  }
};

/// Counts labels, follows the bound, stops on request.
struct Watch {
  const std::function<bool()>* should_stop;
  double* bound;
  std::int64_t* labels;
  bool* stopped;

  template <typename Label, typename G>
  void on_label_popped(const Label& label, const G&) {
    *bound = std::max(*bound, label.cumulated_resource_consumption.bound);
  }
  template <typename Label, typename G>
  void on_label_feasible(const Label&, const G&) {
    ++*labels;
  }
  template <typename Label, typename G>
  void on_label_not_feasible(const Label&, const G&) {}
  template <typename Label, typename G>
  void on_label_dominated(const Label&, const G&) {}
  template <typename Label, typename G>
  void on_label_not_dominated(const Label&, const G&) {}
  template <typename Queue, typename G>
  bool on_enter_loop(const Queue&, const G&) {
    if ((*labels & 255) != 0 || !(*should_stop)()) return true;
    *stopped = true;
    return false;
  }
};

struct PathAnswer {
  bool found = false;
  bool stopped = false;
  std::vector<std::uint32_t> by_level;
  double bound = -std::numeric_limits<double>::infinity();
  std::int64_t labels = 0;
};

PathAnswer FindPath(const Search& search, const std::function<bool()>& should_stop) {
  const LayeredGraph& layered = search.layered;
  Graph graph;
  std::vector<std::size_t> first_vertex = {0};
  int number = 0;
  boost::add_vertex(Vertex{number++}, graph);
  for (const LayeredLevel& level : layered.levels) {
    first_vertex.push_back(static_cast<std::size_t>(number));
    for (std::size_t s = 0; s < level.state_count; ++s) boost::add_vertex(Vertex{number++}, graph);
  }
  int edge_number = 0;
  for (std::size_t k = 0; k < layered.levels.size(); ++k) {
    for (std::size_t a = 0; a < layered.levels[k].arcs.size(); ++a) {
      const LayeredArc& arc = layered.levels[k].arcs[a];
      boost::add_edge(
          first_vertex[k] + arc.from, first_vertex[k + 1] + arc.to,
          Edge{edge_number++, static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(a)}, graph);
    }
  }
  PathAnswer answer;
  std::vector<boost::graph_traits<Graph>::edge_descriptor> path;
  Consumption start;
  start.bound = search.Bound(0, 0, start);
  Consumption end;
  const std::size_t target = first_vertex.back();
  boost::r_c_shortest_paths(graph, boost::get(&Vertex::number, graph),
                            boost::get(&Edge::number, graph), std::size_t{0}, target, path, end,
                            start, Extend(&search), Dominates(),
                            std::allocator<boost::r_c_shortest_paths_label<Graph, Consumption>>(),
                            Watch{&should_stop, &answer.bound, &answer.labels, &answer.stopped});
  answer.found = !path.empty();
  answer.by_level.assign(layered.levels.size(), 0);
  for (const auto& edge : path) {
    answer.by_level[graph[edge].level] =
        layered.levels[graph[edge].level].arcs[graph[edge].arc].choice;
  }
  return answer;
}

class ShortestPathSolver : public Solver {
 public:
  std::string_view name() const override { return "shortest_path"; }
  bool exact() const override { return true; }

 protected:
  Solution DoSolve(const AssignmentProblem& problem, const SolverOptions& options,
                   const RunContext& context) const override {
    SolveLog log(context, name());
    const std::function<bool()> should_stop = [&] {
      return context.stop.StopRequested() || log.Seconds() > options.time_limit_s;
    };
    PresolveOptions presolve;
    Solution solution;
    for (int round = 0; round < 4; ++round) {
      solution = SolveOnce(problem, presolve, context, should_stop, &log);
      if (!solution.has_choice() || !RefineGrid(problem, solution, 0.0, &presolve)) break;
    }
    log.Line(NameOf(solution.status), solution.objective, solution.lower_bound,
             solution.counters.labels);
    return solution;
  }

 private:
  static Solution SolveOnce(const AssignmentProblem& problem, const PresolveOptions& presolve,
                            const RunContext& context, const std::function<bool()>& should_stop,
                            SolveLog* log) {
    Solution solution;
    const ReducedProblem reduced = Presolve(problem, presolve);
    if (reduced.infeasible)
      return InfeasibleSolution(problem, reduced.reason, {.should_stop = should_stop});
    LayeredGraph graph;
    if (reduced.dims() > kMostDims ||
        !BuildLayeredGraph(reduced, LevelOrder::kNatural, kMostArcs, &graph)) {
      throw Error(ErrorId::kSolverUnsupported,
                  "too many limits, or too many layers that depend on each other, for paths")
          .Hint("use the solver 'auto'");
    }
    if (graph.levels.empty()) return Adopt(problem, reduced.Expand({}));
    const Lagrangian relaxation(graph, CapacitiesOf(reduced));
    if (!relaxation.has_path())
      return InfeasibleSolution(problem, "", {.should_stop = should_stop});
    const DualResult dual = MaximizeDual(relaxation, 200);
    Search search{graph, CapacitiesOf(reduced), {}, LeastCostToGo(graph), 0.0, kNoCutoff};
    search.completions.push_back(
        CompletionsUnder(relaxation, std::vector<double>(graph.dims, 0.0)));
    search.completions.push_back(CompletionsUnder(relaxation, dual.multipliers));
    search.margin = LargestMargin(search.completions, relaxation.LossScale());
    const LagrangianPath* incumbent = BestWithin(dual.paths, search.capacity);
    if (incumbent != nullptr) search.cutoff = static_cast<double>(incumbent->loss);
    const PathAnswer answer = FindPath(search, should_stop);
    log->Line("paths", incumbent == nullptr ? kNoCutoff : ObjectiveOf(reduced, search.cutoff),
              ObjectiveOf(reduced, answer.bound), answer.labels);
    if (answer.found && !answer.stopped) {
      solution = Adopt(problem, reduced.Expand(graph.ByDecision(answer.by_level)));
    } else if (answer.stopped) {
      if (incumbent != nullptr) {
        solution = Adopt(problem, reduced.Expand(graph.ByDecision(incumbent->by_level)));
        solution.status = SolveStatus::kFeasible;
      }
      if (incumbent == nullptr || context.stop.StopRequested()) {
        solution.status = SolveStatus::kInterrupted;
        solution.message = context.stop.StopRequested() ? "stopped by request" : "time limit";
      }
      solution.lower_bound = std::min(
          solution.objective, ObjectiveOf(reduced, answer.bound) - GridError(problem, reduced));
    } else {
      return InfeasibleSolution(problem, "", {.should_stop = should_stop});
    }
    solution.counters.labels = answer.labels;
    solution.counters.dual_iterations = dual.iterations;
    return solution;
  }

  /// The path of least loss among those within `capacity`; null if there is none.
  static const LagrangianPath* BestWithin(const std::vector<LagrangianPath>& paths,
                                          const std::vector<std::int64_t>& capacity) {
    const LagrangianPath* best = nullptr;
    for (const LagrangianPath& path : paths) {
      bool fits = !path.by_level.empty();
      for (std::size_t d = 0; d < path.cost.size(); ++d) {
        fits = fits && path.cost[d] <= capacity[d];
      }
      if (fits && (best == nullptr || path.loss < best->loss)) best = &path;
    }
    return best;
  }

  static Solution Adopt(const AssignmentProblem& problem, std::vector<ChoiceIndex> choice) {
    Solution solution;
    const Assessment assessment = problem.Assess(choice);
    solution.status = SolveStatus::kOptimal;
    solution.choice = std::move(choice);
    solution.objective = assessment.objective;
    solution.lower_bound = assessment.objective;
    solution.resources = assessment.resources;
    return solution;
  }
};

}  // namespace

std::unique_ptr<Solver> MakeShortestPathSolver() { return std::make_unique<ShortestPathSolver>(); }

}  // namespace bitsearch
