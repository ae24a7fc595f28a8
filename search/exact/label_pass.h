#pragma once
// LabelPass: one sweep of label setting over the levels, at most `width` labels a level. The inner
// loop of LabelSearch, a template on the number of costs. Must not know where its bounds come from.

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "search/exact/completion_bounds.h"
#include "search/exact/dominance.h"
#include "search/exact/layered_graph.h"
#include "search/exact/suffix_relaxation.h"

namespace bitsearch {

/// What a pass knows of the search and gives back to it.
struct LabelPassState {
  std::int64_t best_loss = 0;  ///< Loss of the incumbent, or the cutoff.
  bool found = false;
  std::vector<std::uint32_t> by_level;  ///< The incumbent.
  /// Labels whose bound exceeds best_loss − slack are not followed (1: only better ones are).
  std::function<double(std::int64_t best_loss)> slack;
  double pruned_bound = std::numeric_limits<double>::infinity();  ///< Least bound not followed.
  double dropped_bound =
      std::numeric_limits<double>::infinity();  ///< Least bound beyond the width.
  bool stopped = false;
  std::int64_t labels = 0;
};

template <int D>
class LabelPass {
 public:
  /// Labels are bounded by the first `followed` of `completions`.
  LabelPass(const LayeredGraph& graph, const std::vector<std::int64_t>& capacity,
            const std::vector<Completions>& completions, std::size_t followed,
            const std::vector<std::vector<std::int64_t>>& least_cost_to_go)
      : graph_(graph), completions_(completions), least_(least_cost_to_go) {
    for (int d = 0; d < D; ++d) {
      capacity_[d] =
          d < Dims() ? capacity[static_cast<std::size_t>(d)] : ReducedProblem::kUnlimited;
    }
    for (std::size_t j = 0; j < followed; ++j) {
      const Completions& completion = completions_[j];
      std::array<double, D> multiplier{};
      for (int d = 0; d < Dims(); ++d) {
        multiplier[d] = completion.multiplier[static_cast<std::size_t>(d)];
      }
      multipliers_.push_back(multiplier);
    }
    if (!graph.separable()) return;
    for (std::size_t j = 0; j < followed; ++j) {
      if (completions_[j].credit > 0.0) suffixes_.emplace_back(graph, completions_[j].multiplier);
    }
  }

  /// Sweeps once. The state's incumbent improves in place.
  void Run(std::int64_t width, bool first_feasible, const std::function<bool()>& should_stop,
           LabelPassState* state) {
    state_ = state;
    UpdateThreshold();
    trace_.assign(graph_.levels.size(), {});
    std::vector<Label> labels(1);
    std::vector<std::size_t> begin = {0, 1};
    for (std::size_t k = 0; k < graph_.levels.size() && !labels.empty(); ++k) {
      if (should_stop() || (first_feasible && state_->found)) {
        state_->stopped = true;
        return;
      }
      std::vector<Label> next;
      std::vector<std::size_t> next_begin;
      // The relaxation is worth its sums where labels are many.
      follow_suffixes_ = labels.size() > kFewLabels;
      if (follow_suffixes_) {
        for (SuffixRelaxation& suffix : suffixes_) suffix.MoveTo(k + 1);
      }
      Extend(k, labels, begin, &next, &next_begin);
      state_->labels += static_cast<std::int64_t>(next.size());
      if (static_cast<std::int64_t>(next.size()) > width) Thin(width, &next, &next_begin);
      trace_[k].reserve(next.size());
      for (const Label& label : next) trace_[k].push_back({label.parent, label.choice});
      labels = std::move(next);
      begin = std::move(next_begin);
    }
  }

 private:
  struct Label {
    std::int64_t loss = 0;
    std::array<std::int64_t, D> cost{};
    double bound = 0.0;
    std::uint32_t parent = 0;
    std::uint32_t choice = 0;
    std::uint32_t order = 0;
  };
  struct Step {
    std::uint32_t parent = 0;
    std::uint32_t choice = 0;
  };

  int Dims() const { return static_cast<int>(graph_.dims); }

  void UpdateThreshold() {
    const double best = static_cast<double>(state_->best_loss);
    const double slack = std::max(1.0, state_->slack(state_->best_loss));
    threshold_ = best - slack + LargestMargin(completions_, best);
  }

  void Extend(std::size_t k, const std::vector<Label>& labels,
              const std::vector<std::size_t>& begin, std::vector<Label>* next,
              std::vector<std::size_t>* next_begin) {
    const LayeredLevel& level = graph_.levels[k];
    std::vector<Label> bucket;
    std::size_t a = 0;
    for (std::size_t s = 0; s < level.state_count; ++s) {
      next_begin->push_back(next->size());
      bucket.clear();
      for (; a < level.arcs.size() && level.arcs[a].to == s; ++a) {
        Follow(k, a, labels, begin, &bucket);
      }
      if (bucket.size() > 1) RemoveDominated<D>(&bucket);
      next->insert(next->end(), bucket.begin(), bucket.end());
    }
    next_begin->push_back(next->size());
  }

  /// All labels that arc `a` of level `k` makes.
  void Follow(std::size_t k, std::size_t a, const std::vector<Label>& labels,
              const std::vector<std::size_t>& begin, std::vector<Label>* bucket) {
    const LayeredLevel& level = graph_.levels[k];
    const LayeredArc& arc = level.arcs[a];
    if (completions_[0].to_go[k + 1][arc.to] == std::numeric_limits<double>::infinity()) return;
    std::array<std::int64_t, D> arc_cost{};
    std::array<std::int64_t, D> room{};
    for (int d = 0; d < D; ++d) {
      room[d] = capacity_[d];
      if (d >= Dims()) continue;
      arc_cost[d] = level.cost[a * graph_.dims + static_cast<std::size_t>(d)];
      room[d] -= least_[k + 1][arc.to * graph_.dims + static_cast<std::size_t>(d)];
    }
    for (std::size_t i = begin[arc.from]; i < begin[arc.from + 1]; ++i) {
      Label label;
      label.loss = labels[i].loss + arc.loss;
      bool fits = true;
      for (int d = 0; d < D; ++d) {
        label.cost[d] = labels[i].cost[d] + arc_cost[d];
        fits = fits && label.cost[d] <= room[d];
      }
      if (!fits) continue;
      label.parent = static_cast<std::uint32_t>(i);
      label.choice = arc.choice;
      label.order = static_cast<std::uint32_t>(bucket->size());
      if (Worthwhile(k + 1, arc.to, &label)) bucket->push_back(label);
    }
  }

  /// Tries the cheapest completions of a label; false if nothing else can come of it.
  bool Worthwhile(std::size_t k, std::size_t s, Label* label) {
    const double loss = static_cast<double>(label->loss);
    std::array<double, D> cost;
    for (int d = 0; d < D; ++d) cost[d] = static_cast<double>(label->cost[d]);
    double largest = -std::numeric_limits<double>::infinity();
    for (std::size_t j = 0; j < multipliers_.size(); ++j) {
      double value = loss;
      for (int d = 0; d < D; ++d) value += multipliers_[j][d] * cost[d];
      const double bound = value + completions_[j].to_go[k][s];
      if (bound > threshold_) {
        state_->pruned_bound = std::min(state_->pruned_bound, bound);
        return false;
      }
      largest = std::max(largest, value + completions_[j].second[k][s]);
    }
    for (std::size_t j = 0; j < multipliers_.size(); ++j) TryCompletion(j, k, s, *label);
    if (follow_suffixes_) {
      for (const SuffixRelaxation& suffix : suffixes_) {
        if (largest > threshold_) break;
        largest = std::max(largest, FollowSuffix(suffix, k, *label));
      }
    }
    label->bound = largest;
    if (largest > threshold_) {
      state_->pruned_bound = std::min(state_->pruned_bound, largest);
      return false;
    }
    return true;
  }

  void TryCompletion(std::size_t j, std::size_t k, std::size_t s, const Label& label) {
    const Completions& completion = completions_[j];
    const std::int64_t loss = label.loss + completion.loss[k][s];
    if (loss >= state_->best_loss) return;
    for (int d = 0; d < Dims(); ++d) {
      if (label.cost[d] + completion.cost[k][s * graph_.dims + static_cast<std::size_t>(d)] >
          capacity_[d]) {
        return;
      }
    }
    AdoptPrefix(k, label, loss);
    std::size_t from = s;
    for (std::size_t level = k; level < graph_.levels.size(); ++level) {
      const LayeredArc& arc = graph_.levels[level].arcs[completion.arc[level][from]];
      state_->by_level.push_back(arc.choice);
      from = arc.to;
    }
  }

  /// The label's bound by a linear relaxation; adopts its rounded-down completion if that is best.
  double FollowSuffix(const SuffixRelaxation& suffix, std::size_t k, const Label& label) {
    double room = 0.0;
    for (int d = 0; d < Dims(); ++d) {
      const double weight = suffix.weight(static_cast<std::size_t>(d));
      if (weight != 0.0) room += weight * static_cast<double>(capacity_[d] - label.cost[d]);
    }
    std::size_t steps = 0;
    const double onward = suffix.Bound(room, &steps);
    if (onward == std::numeric_limits<double>::infinity()) return onward;
    const std::int64_t loss = label.loss + suffix.LossAfter(steps);
    if (loss < state_->best_loss && Fits(suffix, steps, label)) {
      AdoptPrefix(k, label, loss);
      suffix.AppendChoices(steps, &state_->by_level);
    }
    return static_cast<double>(label.loss) + onward;
  }

  bool Fits(const SuffixRelaxation& suffix, std::size_t steps, const Label& label) const {
    for (int d = 0; d < Dims(); ++d) {
      const std::int64_t onward = suffix.CostAfter(steps, static_cast<std::size_t>(d));
      if (label.cost[d] + onward > capacity_[d]) return false;
    }
    return true;
  }

  /// A new incumbent: the first `k` levels are the label's, the caller appends the others.
  void AdoptPrefix(std::size_t k, const Label& label, std::int64_t loss) {
    state_->best_loss = loss;
    state_->found = true;
    UpdateThreshold();
    std::vector<std::uint32_t>& path = state_->by_level;
    path.assign(k, 0);
    path[k - 1] = label.choice;
    std::uint32_t at = label.parent;
    for (std::size_t level = k - 1; level-- > 0;) {
      path[level] = trace_[level][at].choice;
      at = trace_[level][at].parent;
    }
  }

  /// Keeps the `width` labels of least bound, in their order.
  void Thin(std::int64_t width, std::vector<Label>* labels, std::vector<std::size_t>* begin) {
    std::vector<std::pair<double, std::uint32_t>> ranked(labels->size());
    for (std::size_t i = 0; i < labels->size(); ++i) {
      ranked[i] = {(*labels)[i].bound, static_cast<std::uint32_t>(i)};
    }
    const auto cut = ranked.begin() + width;
    std::nth_element(ranked.begin(), cut, ranked.end());
    std::vector<std::uint8_t> keep(labels->size(), 0);
    for (auto it = ranked.begin(); it != cut; ++it) keep[it->second] = 1;
    for (auto it = cut; it != ranked.end(); ++it) {
      state_->dropped_bound = std::min(state_->dropped_bound, it->first);
    }
    std::size_t to = 0;
    std::size_t from = 0;
    for (std::size_t s = 0; s + 1 < begin->size(); ++s) {
      const std::size_t end = (*begin)[s + 1];
      (*begin)[s] = to;
      for (; from < end; ++from) {
        if (keep[from]) (*labels)[to++] = (*labels)[from];
      }
    }
    begin->back() = to;
    labels->resize(to);
  }

  const LayeredGraph& graph_;
  const std::vector<Completions>& completions_;
  const std::vector<std::vector<std::int64_t>>& least_;
  std::array<std::int64_t, D> capacity_{};
  std::vector<std::array<double, D>> multipliers_;
  static constexpr std::size_t kFewLabels = 16;
  std::vector<SuffixRelaxation> suffixes_;  // of independent levels only
  bool follow_suffixes_ = false;
  double threshold_ = 0.0;
  std::vector<std::vector<Step>> trace_;
  LabelPassState* state_ = nullptr;
};

}  // namespace bitsearch
