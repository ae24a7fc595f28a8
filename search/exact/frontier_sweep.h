#pragma once
// FrontierSweep: all non-dominated labels of a layered graph, level by level, thinned within a
// stated error where they become too many. A template on the number of costs; one cost takes the
// fast path of sorted merges. Knows graphs, not problems.

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "search/exact/completion_bounds.h"
#include "search/exact/dominance.h"
#include "search/exact/frontier_merge.h"
#include "search/exact/frontier_trace.h"
#include "search/exact/layered_graph.h"

namespace bitsearch {

/// What a sweep needs to know beside the graph.
struct FrontierSweepSettings {
  std::vector<std::int64_t> capacity;  ///< Per dimension of the graph.
  std::vector<std::size_t>
      traded_peaks;                      ///< Peaks of the graph that are costs too, after the dims.
  std::vector<std::int64_t> peak_floor;  ///< Of each traded peak: what cuts without decisions hold.
  /// Total error in loss (grid units) that thinning may add up to.
  std::int64_t error_budget = 0;
  std::int64_t max_points = 1'000'000;
  std::function<bool()> should_stop = [] { return false; };
  /// Share of the time limit that is used up. Past a half, fewer points are kept, so that the sweep
  /// ends with a wider error rather than with nothing.
  std::function<double()> time_used = [] { return 0.0; };
};

template <int D>
class FrontierSweep {
 public:
  using Label = FrontierLabel<D>;

  FrontierSweep(const LayeredGraph& graph, const FrontierSweepSettings& settings)
      : graph_(graph), settings_(settings), least_(LeastCostToGo(graph)) {
    std::vector<std::size_t> counts;
    for (const LayeredLevel& level : graph.levels) {
      std::size_t count = 0;
      for (const LayeredArc& arc : level.arcs) count = std::max<std::size_t>(count, arc.choice + 1);
      counts.push_back(count);
    }
    trace_ = std::make_shared<FrontierTrace>(counts);
  }

  /// Runs all levels; false if stopped. Then labels() holds the frontier, ascending.
  bool Run() {
    std::vector<Run1> lists(1);
    Label start{};
    for (std::size_t p = 0; p < settings_.traded_peaks.size(); ++p) {
      start.cost[graph_.dims + p] = settings_.peak_floor[p];
    }
    lists[0].Reserve(2)[0] = start;
    lists[0].size = 1;
    for (std::size_t k = 0; k < graph_.levels.size(); ++k) {
      if (settings_.should_stop()) return false;
      if (trace_->NeedsTable(k)) WriteTable(&lists);
      Extend(k, &lists);
      std::size_t total = 0;
      for (const Run1& list : lists) total += list.size;
      labels_made_ += static_cast<std::int64_t>(total);
      Thin(k, total, &lists);
    }
    final_ = std::move(lists[0]);
    return true;
  }

  const Label* labels() const { return final_.data(); }
  std::size_t size() const { return final_.size; }
  std::shared_ptr<const FrontierTrace> trace() const { return trace_; }
  /// Error that thinning added up to, in grid units.
  std::int64_t error_used() const { return error_used_; }
  std::int64_t labels_made() const { return labels_made_; }

 private:
  using Run1 = RawBuffer<Label>;

  std::size_t SumDims() const { return graph_.dims; }
  bool Plain() const { return D == 1 && settings_.traded_peaks.empty(); }

  void WriteTable(std::vector<Run1>* lists) {
    trace_->BeginTable();
    for (Run1& list : *lists) {
      Label* labels = list.data();
      for (std::size_t i = 0; i < list.size; ++i) {
        const auto row = static_cast<std::uint32_t>(trace_->RowCount());
        trace_->AddRow(labels[i].word, labels[i].parent);
        labels[i].word = 0;
        labels[i].parent = row;
      }
    }
  }

  /// Largest sum of cost `d` from which the end can be reached within the capacity.
  std::int64_t Room(std::size_t k, std::size_t state, std::size_t d) const {
    const std::int64_t onward = least_[k][state * graph_.dims + d];
    if (onward == ReducedProblem::kUnlimited) return -1;
    return settings_.capacity[d] - onward;
  }

  void Extend(std::size_t k, std::vector<Run1>* lists) {
    const LayeredLevel& level = graph_.levels[k];
    std::vector<Run1> next(level.state_count);
    std::size_t a = 0;
    for (std::size_t s = 0; s < level.state_count; ++s) {
      const std::size_t first = a;
      while (a < level.arcs.size() && level.arcs[a].to == s) ++a;
      if constexpr (D == 1) {
        if (Plain()) {
          MergeInto(k, first, a, *lists, &next[s]);
          continue;
        }
      }
      GatherInto(k, first, a, *lists, &next[s]);
    }
    *lists = std::move(next);
  }

  // --- one cost: sorted merges ------------------------------------------------------------------

  void MergeInto(std::size_t k, std::size_t first, std::size_t last, const std::vector<Run1>& lists,
                 Run1* out) {
    const LayeredLevel& level = graph_.levels[k];
    std::vector<FrontierRun> runs;
    for (std::size_t a = first; a < last; ++a) {
      const LayeredArc& arc = level.arcs[a];
      const Run1& list = lists[arc.from];
      FrontierRun run;
      run.first = reinterpret_cast<const FrontierLabel<1>*>(list.data());
      run.cost = level.cost[a];
      run.loss = arc.loss;
      run.word = trace_->Tag(k, arc.choice);
      const std::int64_t room = Room(k + 1, arc.to, 0) - run.cost;
      run.count = list.size;
      if (list.size > 0 && list.data()[list.size - 1].cost[0] > room) {
        run.count = static_cast<std::size_t>(
            std::partition_point(list.data(), list.data() + list.size,
                                 [room](const Label& label) { return label.cost[0] <= room; }) -
            list.data());
      }
      if (run.count > 0) runs.push_back(run);
    }
    Merge(runs, out);
  }

  /// Merges runs pair by pair, the shortest first, so that each label moves few times.
  void Merge(std::vector<FrontierRun> runs, Run1* out) {
    static const FrontierLabel<1> kNothing{};
    if (runs.empty()) return;
    if (runs.size() == 1) runs.push_back({&kNothing, 0, 0, 0, 0});
    std::vector<RawBuffer<FrontierLabel<1>>> buffers(runs.size());
    std::size_t used = 0;
    while (runs.size() > 2) {
      std::vector<FrontierRun> merged;
      for (std::size_t i = 0; i + 1 < runs.size(); i += 2) {
        RawBuffer<FrontierLabel<1>>& buffer = buffers[used++];
        FrontierLabel<1>* to = buffer.Reserve(runs[i].count + runs[i + 1].count + 1);
        const std::size_t kept = MergeRuns(runs[i], runs[i + 1], to);
        EndRun(to + kept);
        merged.push_back({to, kept, 0, 0, 0});
      }
      if (runs.size() % 2 == 1) merged.push_back(runs.back());
      runs = std::move(merged);
    }
    auto* to = reinterpret_cast<FrontierLabel<1>*>(out->Reserve(runs[0].count + runs[1].count + 1));
    out->size = MergeRuns(runs[0], runs[1], to);
    EndRun(to + out->size);
  }

  // --- several costs, or peaks: gather, sort, sweep ---------------------------------------------

  void GatherInto(std::size_t k, std::size_t first, std::size_t last,
                  const std::vector<Run1>& lists, Run1* out) {
    const LayeredLevel& level = graph_.levels[k];
    const std::size_t sums = SumDims();
    gathered_.clear();
    for (std::size_t a = first; a < last; ++a) {
      const LayeredArc& arc = level.arcs[a];
      std::array<std::int64_t, D> room{};
      for (std::size_t d = 0; d < sums; ++d) room[d] = Room(k + 1, arc.to, d);
      const Run1& list = lists[arc.from];
      const std::uint64_t tag = trace_->Tag(k, arc.choice);
      for (std::size_t i = 0; i < list.size; ++i) {
        Label label = list.data()[i];
        bool fits = true;
        for (std::size_t d = 0; d < sums; ++d) {
          label.cost[d] += level.cost[a * sums + d];
          fits = fits && label.cost[d] <= room[d];
        }
        if (!fits) continue;
        for (std::size_t p = 0; p < settings_.traded_peaks.size(); ++p) {
          label.cost[sums + p] = std::max(label.cost[sums + p],
                                          level.peak[a * graph_.peaks + settings_.traded_peaks[p]]);
        }
        label.loss += arc.loss;
        label.word += tag;
        label.order = static_cast<std::uint32_t>(gathered_.size());
        gathered_.push_back(label);
      }
    }
    RemoveDominated<D>(&gathered_);
    Label* to = out->Reserve(gathered_.size() + 1);
    std::copy(gathered_.begin(), gathered_.end(), to);
    out->size = gathered_.size();
  }

  // --- thinning ---------------------------------------------------------------------------------

  /// Drops labels that a kept one matches in every cost and within `error` in loss.
  static std::size_t KeepWithin(std::int64_t error, Label* labels, std::size_t size, bool commit) {
    std::size_t kept = 0;
    if constexpr (D == 1) {
      std::int64_t covered = std::numeric_limits<std::int64_t>::max();
      for (std::size_t i = 0; i < size; ++i) {
        if (labels[i].loss >= covered) continue;
        covered = labels[i].loss - error;
        if (commit) labels[kept] = labels[i];
        ++kept;
      }
    } else if constexpr (D == 2) {
      Staircase staircase;
      for (std::size_t i = 0; i < size; ++i) {
        if (staircase.Covers(labels[i].cost[1], labels[i].loss + error)) continue;
        staircase.Add(labels[i].cost[1], labels[i].loss);
        if (commit) labels[kept] = labels[i];
        ++kept;
      }
    } else {
      std::vector<std::size_t> survivors;
      for (std::size_t i = 0; i < size; ++i) {
        bool covered = false;
        const std::size_t from = survivors.size() > 512 ? survivors.size() - 512 : 0;
        for (std::size_t j = survivors.size(); j-- > from && !covered;) {
          const Label& other = labels[commit ? j : survivors[j]];
          covered = other.loss <= labels[i].loss + error;
          for (int d = 1; d < D && covered; ++d) covered = other.cost[d] <= labels[i].cost[d];
        }
        if (covered) continue;
        if (commit) labels[kept] = labels[i];
        survivors.push_back(i);
        ++kept;
      }
    }
    return kept;
  }

  void Thin(std::size_t k, std::size_t total, std::vector<Run1>* lists) {
    if (settings_.error_budget == 0) return;
    auto limit = static_cast<std::size_t>(settings_.max_points);
    const double time_used = settings_.time_used();
    if (time_used > 0.5) limit = limit / (time_used > 0.75 ? 64 : 8) + 1;
    if (total <= limit) return;
    const auto levels_left = static_cast<std::int64_t>(graph_.levels.size() - k);
    std::int64_t error =
        std::max<std::int64_t>(1, (settings_.error_budget - error_used_) / levels_left);
    // Costs are never traded away, so some sizes cannot be reached whatever the error.
    constexpr std::int64_t kLargestError = std::int64_t{1} << 60;
    while (error < kLargestError && Count(error, lists) > 4 * limit) error *= 2;
    for (Run1& list : *lists) list.size = KeepWithin(error, list.data(), list.size, true);
    error_used_ += error;
  }

  static std::size_t Count(std::int64_t error, std::vector<Run1>* lists) {
    std::size_t count = 0;
    for (Run1& list : *lists) count += KeepWithin(error, list.data(), list.size, false);
    return count;
  }

  const LayeredGraph& graph_;
  const FrontierSweepSettings& settings_;
  std::vector<std::vector<std::int64_t>> least_;
  std::shared_ptr<FrontierTrace> trace_;
  std::vector<Label> gathered_;
  Run1 final_;
  std::int64_t error_used_ = 0;
  std::int64_t labels_made_ = 0;
};

}  // namespace bitsearch
