// ComputeFrontier: presolve, layered graph, sweep, and the points in the caller's order.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "search/exact/conflicts.h"
#include "search/exact/frontier_sweep.h"
#include "search/exact/layered_graph.h"
#include "search/exact/presolve.h"
#include "search/exact/reduced_limits.h"
#include "search/frontier.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::size_t kMostArcs = 3'000'000;

/// What the decoder of a frontier keeps alive.
struct Memory {
  ReducedProblem reduced;
  LayeredGraph graph;
  std::shared_ptr<const FrontierTrace> trace;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> ends;  ///< Of each point: word, parent.
};

/// One point before conversion: costs in the order of the request.
struct Draft {
  std::vector<std::int64_t> cost;
  std::int64_t loss = 0;
  std::uint64_t word = 0;
  std::uint32_t parent = 0;
};

class FrontierBuilder {
 public:
  FrontierBuilder(const AssignmentProblem& problem, const FrontierOptions& options,
                  const RunContext& context)
      : problem_(problem), options_(options), context_(context) {}

  Frontier Run() {
    memory_ = std::make_shared<Memory>();
    memory_->reduced = Presolve(problem_, {.traded = options_.resources, .allowed = {}});
    start_ = std::chrono::steady_clock::now();
    if (memory_->reduced.infeasible) return Infeasible(memory_->reduced.reason);
    if (!BuildLayeredGraph(memory_->reduced, LevelOrder::kAscendingCost, kMostArcs,
                           &memory_->graph)) {
      throw Error(ErrorId::kSolverUnsupported,
                  "too many layers depend on each other for an exact frontier")
          .Hint("leave out pair terms between distant layers, or ask for single limits");
    }
    Prepare();
    switch (columns_) {
      case 1:
        return Sweep<1>();
      case 2:
        return Sweep<2>();
      case 3:
        return Sweep<3>();
      case 4:
        return Sweep<4>();
      case 5:
        return Sweep<5>();
      case 6:
        return Sweep<6>();
      default:
        throw Error(ErrorId::kSolverUnsupported,
                    "a frontier over more than six traded or limited resources")
            .Hint("leave out limits that cannot bind");
    }
  }

 private:
  static Frontier Empty(SolveStatus status) {
    return Frontier(
        {}, [](std::size_t) { return std::vector<ChoiceIndex>(); }, status, 0.0);
  }

  Frontier Infeasible(const std::string& reason) const {
    Solution solution =
        InfeasibleSolution(problem_, reason, {.should_stop = [this] { return OutOfTime(); }});
    Frontier frontier = Empty(SolveStatus::kInfeasible);
    frontier.message = std::move(solution.message);
    frontier.conflicts = std::move(solution.conflicts);
    frontier.feasible_limits = std::move(solution.feasible_limits);
    return frontier;
  }

  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  bool OutOfTime() const {
    return context_.stop.StopRequested() || Seconds() > options_.time_limit_s;
  }

  /// Columns of a label: the reduced problem's dimensions, then the traded peaks.
  void Prepare() {
    const ReducedProblem& reduced = memory_->reduced;
    settings_.capacity = CapacitiesOf(reduced);
    for (std::size_t p = 0; p < reduced.peaks.size(); ++p) {
      if (!Traded(reduced.peaks[p].resource)) continue;
      settings_.traded_peaks.push_back(p);
      std::int64_t floor = 0;
      for (const ReducedCut& cut : reduced.cuts) {
        if (cut.peak == p && cut.members.empty()) floor = std::max(floor, cut.base);
      }
      settings_.peak_floor.push_back(floor);
    }
    columns_ = reduced.dims() + settings_.traded_peaks.size();
    for (ResourceIndex resource : options_.resources) {
      for (std::size_t d = 0; d < reduced.dims(); ++d) {
        if (reduced.dimensions[d].resource == resource) {
          column_of_.push_back(d);
          offset_.push_back(reduced.dimensions[d].offset);
        }
      }
      for (std::size_t p = 0; p < settings_.traded_peaks.size(); ++p) {
        if (reduced.peaks[settings_.traded_peaks[p]].resource == resource) {
          column_of_.push_back(reduced.dims() + p);
          offset_.push_back(0);
        }
      }
    }
    settings_.max_points =
        columns_ == 1 ? options_.max_points : std::max<std::int64_t>(1, options_.max_points / 20);
    settings_.error_budget = static_cast<std::int64_t>(
        std::min(4e18, options_.epsilon * static_cast<double>(LossRange())));
    if (options_.epsilon > 0.0)
      settings_.error_budget = std::max<std::int64_t>(1, settings_.error_budget);
    settings_.should_stop = [this] { return OutOfTime(); };
    settings_.time_used = [this] { return Seconds() / std::max(1e-9, options_.time_limit_s); };
  }

  bool Traded(ResourceIndex resource) const {
    return std::find(options_.resources.begin(), options_.resources.end(), resource) !=
           options_.resources.end();
  }

  /// At most the range of the losses on the frontier: from the loss of the cheapest configuration
  /// in some traded resource (least loss among equals) down to the least loss; limits apart.
  std::int64_t LossRange() const {
    std::int64_t largest = 0;
    const std::size_t dims = memory_->graph.dims;
    for (std::size_t column : column_of_) {
      if (column < dims) largest = std::max(largest, LexicographicLoss(column));
    }
    return std::max<std::int64_t>(0, largest - LexicographicLoss(dims));
  }

  /// Loss of the path of least (cost of dimension `d`, loss); of least loss for d = dims.
  std::int64_t LexicographicLoss(std::size_t d) const {
    using Value = std::pair<std::int64_t, std::int64_t>;
    constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max() / 2;
    const LayeredGraph& graph = memory_->graph;
    std::vector<Value> best(1, {0, 0});
    for (const LayeredLevel& level : graph.levels) {
      std::vector<Value> next(level.state_count, {kFar, 0});
      for (std::size_t a = 0; a < level.arcs.size(); ++a) {
        const LayeredArc& arc = level.arcs[a];
        Value value = best[arc.from];
        if (value.first == kFar) continue;
        value.first += d < graph.dims ? level.cost[a * graph.dims + d] : 0;
        value.second += arc.loss;
        next[arc.to] = std::min(next[arc.to], value);
      }
      best = std::move(next);
    }
    return best.empty() || best[0].first == kFar ? 0 : best[0].second;
  }

  template <int D>
  Frontier Sweep() {
    FrontierSweep<D> sweep(memory_->graph, settings_);
    if (!sweep.Run()) {
      Frontier frontier = Empty(SolveStatus::kInterrupted);
      frontier.labels = sweep.labels_made();
      frontier.message = "stopped before the frontier was complete";
      return frontier;
    }
    if (sweep.size() == 0) return Infeasible("");
    std::vector<Draft> drafts(sweep.size());
    for (std::size_t i = 0; i < drafts.size(); ++i) {
      const FrontierLabel<D>& label = sweep.labels()[i];
      for (std::size_t c = 0; c < column_of_.size(); ++c) {
        drafts[i].cost.push_back(offset_[c] + label.cost[column_of_[c]]);
      }
      drafts[i].loss = label.loss;
      drafts[i].word = label.word;
      drafts[i].parent = label.parent;
    }
    memory_->trace = sweep.trace();
    Frontier frontier = Finish(std::move(drafts), sweep.error_used());
    frontier.labels = sweep.labels_made();
    return frontier;
  }

  Frontier Finish(std::vector<Draft> drafts, std::int64_t error_used) {
    const bool sorted = columns_ == 1;
    if (!sorted) {
      std::stable_sort(drafts.begin(), drafts.end(), [](const Draft& a, const Draft& b) {
        return a.cost != b.cost ? a.cost < b.cost : a.loss < b.loss;
      });
      if (columns_ > column_of_.size() || columns_ > 2) KeepNonDominated(&drafts);
    }
    const ReducedProblem& reduced = memory_->reduced;
    std::vector<FrontierPoint> points(drafts.size());
    std::int64_t least = drafts.front().loss;
    std::int64_t largest = least;
    memory_->ends.reserve(drafts.size());
    for (std::size_t i = 0; i < drafts.size(); ++i) {
      points[i].objective = reduced.grid.FromGrid(reduced.loss_offset + drafts[i].loss);
      points[i].resources = std::move(drafts[i].cost);
      least = std::min(least, drafts[i].loss);
      largest = std::max(largest, drafts[i].loss);
      memory_->ends.emplace_back(drafts[i].word, drafts[i].parent);
    }
    double epsilon = 0.0;
    if (error_used > 0) {
      const auto range =
          static_cast<double>(std::max<std::int64_t>(1, largest - least - error_used));
      epsilon = static_cast<double>(error_used) / range;
    }
    Frontier::Decoder decoder = [memory = memory_](std::size_t point) {
      const auto& [word, parent] = memory->ends[point];
      return memory->reduced.Expand(memory->graph.ByDecision(memory->trace->Decode(word, parent)));
    };
    return Frontier(std::move(points), std::move(decoder), SolveStatus::kOptimal, epsilon);
  }

  /// `drafts` in ascending order: what is dominated is dominated by an earlier one.
  static void KeepNonDominated(std::vector<Draft>* drafts) {
    std::size_t kept = 0;
    const std::size_t width = drafts->front().cost.size();
    Staircase staircase;
    for (std::size_t i = 0; i < drafts->size(); ++i) {
      Draft& draft = (*drafts)[i];
      bool covered = false;
      if (width <= 2) {
        const std::int64_t second = width == 2 ? draft.cost[1] : 0;
        covered = staircase.Covers(second, draft.loss);
        if (!covered) staircase.Add(second, draft.loss);
      } else {
        for (std::size_t j = kept; j-- > 0 && !covered;) {
          const Draft& other = (*drafts)[j];
          covered = other.loss <= draft.loss;
          for (std::size_t d = 0; d < width && covered; ++d) {
            covered = other.cost[d] <= draft.cost[d];
          }
        }
      }
      if (covered) continue;
      if (kept != i) (*drafts)[kept] = std::move(draft);
      ++kept;
    }
    drafts->resize(kept);
  }

  const AssignmentProblem& problem_;
  const FrontierOptions& options_;
  const RunContext& context_;
  std::chrono::steady_clock::time_point start_;
  FrontierSweepSettings settings_;
  std::size_t columns_ = 0;
  std::vector<std::size_t> column_of_;  // of each requested resource
  std::vector<std::int64_t> offset_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace

Frontier ComputeFrontier(const AssignmentProblem& problem, const FrontierOptions& options,
                         const RunContext& context) {
  std::string error;
  if (!options.IsValid(&error)) throw Error(ErrorId::kUsage, error);
  problem.Validate();
  for (ResourceIndex resource : options.resources) {
    if (resource.value >= problem.resources.size()) {
      throw Error(ErrorId::kUsage, "a frontier names a resource that the problem does not have");
    }
  }
  return FrontierBuilder(problem, options, context).Run();
}

}  // namespace bitsearch
