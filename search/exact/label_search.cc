// The search around the passes: dual bound, first incumbents, an order of levels that decides the
// doubtful ones first, removal of arcs that no better configuration uses, passes of growing width.
#include "search/exact/label_search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>

#include "search/exact/arc_filter.h"
#include "search/exact/budget_branching.h"
#include "search/exact/core_moves.h"
#include "search/exact/graph_projection.h"
#include "search/exact/label_pass.h"
#include "search/exact/lagrangian.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kDualIterations = 400;
/// Work on branching per label of the passes: fixing a few levels mostly settles what a pass of 64
/// labels does not.
constexpr std::int64_t kBranchingShare = 16;

class Search {
 public:
  Search(const LayeredGraph& graph, const std::vector<std::int64_t>& capacity,
         const LabelSearchSettings& settings)
      : original_(graph), capacity_(capacity), settings_(settings) {
    state_.best_loss = settings.cutoff;
    state_.slack = [this](std::int64_t best) {
      // A little less than allowed, so that rounding does not exceed it.
      return state_.found ? settings_.gap * (1.0 - 1e-6) *
                                std::abs(static_cast<double>(best + settings_.loss_offset))
                          : 1.0;
    };
  }

  LabelSearchResult Run() {
    graph_ = original_;
    level_of_.resize(graph_.levels.size());
    std::iota(level_of_.begin(), level_of_.end(), std::size_t{0});
    if (!PathsExist()) return Nothing();
    const Lagrangian relaxation(graph_, capacity_);
    for (std::size_t d = 0; d < graph_.dims; ++d) {
      const CorePath path = CheapestPath(graph_, least_, d);
      TryPath(path.by_level, path.loss, path.cost);
    }
    DualResult dual = MaximizeDual(relaxation, kDualIterations);
    result_.counters.dual_iterations = dual.iterations;
    for (const LagrangianPath& path : dual.paths) TryPath(path.by_level, path.loss, path.cost);
    if (dual.proves_infeasible && !state_.found) return Nothing();
    result_.lower_bound =
        relaxation.LossScale() * (dual.value - relaxation.Margin(dual.value, dual.multipliers));
    for (std::size_t d = 0; d < graph_.dims; ++d) {
      result_.multipliers.push_back(dual.multipliers[d] * relaxation.LossScale() /
                                    relaxation.CostScale(d));
    }
    multipliers_ = MultipliersAround(dual.multipliers, graph_.separable(), &followed_);
    if (graph_.separable()) {
      const CorePath path = BestNearRelaxation(relaxation, dual.multipliers, state_.best_loss,
                                               std::max(1.0, state_.slack(state_.best_loss)));
      TryPath(path.by_level, path.loss, path.cost);
      Reorder(relaxation, dual.multipliers);
    }
    SolveWithTheBindingLimitAlone(dual.multipliers);
    Passes();
    return Finish();
  }

 private:
  /// There is no path within the capacities.
  LabelSearchResult Nothing() {
    result_.found = false;
    result_.proved = true;
    result_.lower_bound = kInfinity;
    result_.multipliers.assign(graph_.dims, 0.0);
    return result_;
  }

  bool PathsExist() {
    least_ = LeastCostToGo(graph_);
    for (const LayeredLevel& level : graph_.levels) {
      if (level.arcs.empty()) return false;
    }
    for (std::size_t d = 0; d < graph_.dims; ++d) {
      if (least_[0][d] == ReducedProblem::kUnlimited || least_[0][d] > capacity_[d]) return false;
    }
    return graph_.dims > 0 || Lagrangian(graph_, capacity_).has_path();
  }

  void TryPath(const std::vector<std::uint32_t>& by_level, std::int64_t loss,
               const std::vector<std::int64_t>& cost) {
    if (by_level.size() != graph_.levels.size() || loss >= state_.best_loss) return;
    for (std::size_t d = 0; d < cost.size(); ++d) {
      if (cost[d] > capacity_[d]) return;
    }
    state_.best_loss = loss;
    state_.found = true;
    state_.by_level = by_level;
  }

  /// Where only one limit has a price, the problem with that limit alone is often the whole
  /// problem, and much smaller: labels are dominated sooner. Its optimum is a bound, and a
  /// candidate.
  void SolveWithTheBindingLimitAlone(const std::vector<double>& best) {
    if (graph_.dims < 2 || settings_.first_feasible) return;
    std::vector<std::size_t> binding;
    for (std::size_t d = 0; d < best.size(); ++d) {
      if (best[d] > 0.0) binding.push_back(d);
    }
    if (binding.size() != 1 || Done()) return;
    const std::size_t d = binding.front();
    LabelSearchSettings settings = settings_;
    settings.cutoff = state_.best_loss;
    settings.max_labels = std::min<std::int64_t>(settings.max_labels, 4096);
    settings.report = nullptr;
    const LabelSearchResult inner =
        LabelSearch(WithDimensionAlone(graph_, d), {capacity_[d]}, settings);
    result_.counters.labels += inner.counters.labels;
    result_.counters.dual_iterations += inner.counters.dual_iterations;
    result_.counters.nodes += inner.counters.nodes;
    if (inner.found) AdoptPath(inner.by_level);
    // Nothing below the cutoff: the incumbent, or nothing at all, is best.
    const double bound = std::min(inner.lower_bound,
                                  static_cast<double>(inner.found ? inner.loss : settings.cutoff));
    result_.lower_bound = std::max(result_.lower_bound, bound);
  }

  /// Separable problems: levels in doubt first.
  void Reorder(const Lagrangian& relaxation, const std::vector<double>& multipliers) {
    std::vector<std::size_t> order = OrderByDoubt(relaxation, multipliers);
    LayeredGraph ordered;
    ordered.dims = graph_.dims;
    ordered.peaks = graph_.peaks;
    std::vector<std::uint32_t> by_level;
    for (std::size_t k : order) {
      ordered.levels.push_back(std::move(graph_.levels[k]));
      if (state_.found) by_level.push_back(state_.by_level[k]);
    }
    state_.by_level = std::move(by_level);
    graph_ = std::move(ordered);
    level_of_ = std::move(order);
  }

  void ComputeBounds() {
    const Lagrangian relaxation(graph_, capacity_);
    completions_.clear();
    // Multipliers are kept in grid units per unit of cost, because filtering changes the scales.
    for (const std::vector<double>& raw : raw_multipliers_) {
      std::vector<double> scaled(raw);
      for (std::size_t d = 0; d < scaled.size(); ++d) {
        scaled[d] *= relaxation.CostScale(d) / relaxation.LossScale();
      }
      completions_.push_back(CompletionsUnder(relaxation, scaled));
    }
    least_ = LeastCostToGo(graph_);
  }

  /// Removes arcs that no configuration better than the incumbent uses.
  void FilterArcs() {
    if (!state_.found && settings_.cutoff == LabelSearchSettings().cutoff) return;
    const double best = static_cast<double>(state_.best_loss);
    const double slack = std::max(1.0, state_.slack(state_.best_loss));
    const double threshold = best - slack + LargestMargin(completions_, best);
    const double removed = RemoveArcsAbove(threshold, completions_, &graph_);
    state_.pruned_bound = std::min(state_.pruned_bound, removed);
    if (removed < kInfinity) ComputeBounds();
  }

  void Passes() {
    const Lagrangian relaxation(graph_, capacity_);
    for (const std::vector<double>& scaled : multipliers_) {
      std::vector<double> raw(scaled);
      for (std::size_t d = 0; d < raw.size(); ++d) {
        raw[d] *= relaxation.LossScale() / relaxation.CostScale(d);
      }
      raw_multipliers_.push_back(std::move(raw));
    }
    ComputeBounds();
    std::int64_t width = std::min<std::int64_t>(64, settings_.max_labels);
    while (true) {
      if (Done()) return;
      FilterArcs();
      if (std::any_of(graph_.levels.begin(), graph_.levels.end(),
                      [](const LayeredLevel& level) { return level.arcs.empty(); })) {
        // Every path was priced out: the incumbent (or nothing below the cutoff) is best.
        RaiseBound(state_.pruned_bound);
        result_.proved = true;
        return;
      }
      state_.dropped_bound = kInfinity;
      RunPass(width);
      if (state_.stopped) return;
      RaiseBound(std::min(state_.dropped_bound, state_.pruned_bound));
      if (settings_.report) {
        const double best = static_cast<double>(state_.best_loss);
        settings_.report(state_.best_loss, std::min(result_.lower_bound, best), state_.labels);
      }
      if (state_.dropped_bound == kInfinity) {
        result_.proved = true;
        return;
      }
      if (BranchOnLevels()) return;
      if (width >= settings_.max_labels) return;
      if (!state_.found && width >= 1024 && !tried_feasibility_ && !SearchFeasible()) return;
      width = std::min(width * 16, settings_.max_labels);
    }
  }

  /// A tree of fixed levels, with work in proportion to that of the passes so far. True if that
  /// settles it.
  bool BranchOnLevels() {
    if (!settings_.branch || !state_.found || settings_.first_feasible || !graph_.separable() ||
        graph_.dims == 0) {
      return false;
    }
    if (!branching_) branching_.emplace(graph_, capacity_, settings_);
    branching_->Run(kBranchingShare * state_.labels, &state_);
    result_.lower_bound = std::max(result_.lower_bound, branching_->bound());
    if (settings_.report) {
      const double best = static_cast<double>(state_.best_loss);
      settings_.report(state_.best_loss, std::min(result_.lower_bound, best),
                       state_.labels + branching_->counters().labels);
    }
    if (!branching_->exhausted()) return false;
    // Without slack nothing better was left out, however the bound was rounded.
    if (state_.slack(state_.best_loss) > 1.0) {
      state_.pruned_bound = std::min(state_.pruned_bound, branching_->bound());
    }
    result_.proved = true;
    return true;
  }

  void RunPass(std::int64_t width) {
    switch (graph_.dims) {
      case 0:
      case 1:
        return RunPassOf<1>(width);
      case 2:
        return RunPassOf<2>(width);
      case 3:
        return RunPassOf<3>(width);
      case 4:
        return RunPassOf<4>(width);
      default:
        break;
    }
    if (graph_.dims <= 8) return RunPassOf<8>(width);
    if (graph_.dims <= 16) return RunPassOf<16>(width);
    throw Error(ErrorId::kSolverUnsupported, "more than 16 limits at once")
        .Hint("leave out limits that cannot bind");
  }

  template <int D>
  void RunPassOf(std::int64_t width) {
    LabelPass<D>(graph_, capacity_, completions_, followed_, least_)
        .Run(width, settings_.first_feasible, settings_.should_stop, &state_);
  }

  /// Nothing within the limits is known: minimise one limited cost under the other limits. False if
  /// that proves that nothing exists or was stopped.
  bool SearchFeasible() {
    tried_feasibility_ = true;
    std::size_t d = 0;
    while (d < graph_.dims && capacity_[d] == ReducedProblem::kUnlimited) ++d;
    if (d == graph_.dims) return true;
    std::vector<std::int64_t> rest = capacity_;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(d));
    LabelSearchSettings settings = settings_;
    settings.cutoff = capacity_[d] + 1;
    settings.first_feasible = true;
    settings.gap = 0.0;
    settings.report = nullptr;
    const LabelSearchResult inner = LabelSearch(WithCostAsLoss(graph_, d), rest, settings);
    result_.counters.labels += inner.counters.labels;
    result_.counters.dual_iterations += inner.counters.dual_iterations;
    if (inner.found) {
      AdoptPath(inner.by_level);
      return true;
    }
    if (!inner.proved) return !settings_.should_stop();
    result_.proved = true;
    result_.lower_bound = kInfinity;
    return false;
  }

  void AdoptPath(const std::vector<std::uint32_t>& by_level) {
    std::int64_t loss = 0;
    std::vector<std::int64_t> cost(graph_.dims, 0);
    std::size_t state = 0;
    for (std::size_t k = 0; k < graph_.levels.size(); ++k) {
      const LayeredLevel& level = graph_.levels[k];
      for (std::size_t a = 0; a < level.arcs.size(); ++a) {
        if (level.arcs[a].from != state || level.arcs[a].choice != by_level[k]) continue;
        loss += level.arcs[a].loss;
        for (std::size_t d = 0; d < graph_.dims; ++d) cost[d] += level.cost[a * graph_.dims + d];
        state = level.arcs[a].to;
        break;
      }
    }
    TryPath(by_level, loss, cost);
  }

  /// `bound` as computed under completions_, rounding not yet taken off.
  void RaiseBound(double bound) {
    if (bound < kInfinity) {
      bound -= LargestMargin(completions_, static_cast<double>(state_.best_loss));
    }
    result_.lower_bound = std::max(result_.lower_bound, bound);
  }

  bool Done() {
    if (!state_.found) return settings_.should_stop();
    // What is proved is said before what stops the search.
    const double best = static_cast<double>(state_.best_loss);
    // Losses can exceed 2^53, where best - 1.0 is best.
    if (result_.lower_bound >= best || result_.lower_bound > best - 1.0) {
      result_.proved = true;
      return true;
    }
    if (settings_.first_feasible || settings_.should_stop()) return true;
    return best - result_.lower_bound <= state_.slack(state_.best_loss);
  }

  LabelSearchResult Finish() {
    if (!settings_.branch && !result_.proved) {
      result_.remaining.resize(level_of_.size());
      for (std::size_t k = 0; k < level_of_.size(); ++k) {
        for (const LayeredArc& arc : graph_.levels[k].arcs) {
          result_.remaining[level_of_[k]].push_back(arc.choice);
        }
      }
    }
    result_.counters.labels += state_.labels;
    if (branching_) {
      result_.counters.labels += branching_->counters().labels;
      result_.counters.dual_iterations += branching_->counters().dual_iterations;
      result_.counters.nodes += branching_->counters().nodes;
    }
    result_.found = state_.found;
    if (!state_.found) {
      if (result_.proved) result_.lower_bound = kInfinity;
      return result_;
    }
    result_.loss = state_.best_loss;
    result_.by_level.assign(level_of_.size(), 0);
    for (std::size_t k = 0; k < level_of_.size(); ++k) {
      result_.by_level[level_of_[k]] = state_.by_level[k];
    }
    const double best = static_cast<double>(state_.best_loss);
    // Nothing was left out but labels that cannot be better by a whole unit, or, with a gap
    // allowed, by more than the gap.
    const bool within_gap = state_.pruned_bound <= best - 1.0;
    if (result_.proved && !within_gap) result_.lower_bound = best;
    result_.lower_bound = std::min(result_.lower_bound, best);
    result_.proved = result_.proved && !within_gap;
    return result_;
  }

  const LayeredGraph& original_;
  const std::vector<std::int64_t>& capacity_;
  const LabelSearchSettings& settings_;
  LayeredGraph graph_;
  std::vector<std::size_t> level_of_;  // graph_'s level k is the original's level level_of_[k]
  std::vector<std::vector<double>> multipliers_;
  std::vector<std::vector<double>> raw_multipliers_;
  std::vector<Completions> completions_;
  std::size_t followed_ = 0;  // the first so many completions bound labels, all of them arcs
  std::vector<std::vector<std::int64_t>> least_;
  LabelPassState state_;
  std::optional<BudgetBranching> branching_;
  LabelSearchResult result_;
  bool tried_feasibility_ = false;
};

}  // namespace

LabelSearchResult LabelSearch(const LayeredGraph& graph, const std::vector<std::int64_t>& capacity,
                              const LabelSearchSettings& settings) {
  return Search(graph, capacity, settings).Run();
}

}  // namespace bitsearch
