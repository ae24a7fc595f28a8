#pragma once
// Removal of dominated labels: a label goes if another is no worse in loss and in every cost.
// On full equality the one that comes first stays. A header because it is a template on the number
// of costs; knows labels only through their fields `loss` and `cost`.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

namespace bitsearch {

/// Staircase of (second cost, loss) pairs, losses falling; used while sweeping the first cost.
class Staircase {
 public:
  void Clear() {
    cost_.clear();
    loss_.clear();
  }
  /// True if some pair is no worse in both.
  bool Covers(std::int64_t cost, std::int64_t loss) const {
    const auto it = std::upper_bound(cost_.begin(), cost_.end(), cost);
    return it != cost_.begin() && loss_[static_cast<std::size_t>(it - cost_.begin()) - 1] <= loss;
  }
  /// Adds a pair that is not covered, and removes those it covers.
  void Add(std::int64_t cost, std::int64_t loss) {
    const auto first = static_cast<std::size_t>(
        std::lower_bound(cost_.begin(), cost_.end(), cost) - cost_.begin());
    std::size_t last = first;
    while (last < loss_.size() && loss_[last] >= loss) ++last;
    const auto at = static_cast<std::ptrdiff_t>(first);
    if (last == first) {
      cost_.insert(cost_.begin() + at, cost);
      loss_.insert(loss_.begin() + at, loss);
      return;
    }
    cost_[first] = cost;
    loss_[first] = loss;
    cost_.erase(cost_.begin() + at + 1, cost_.begin() + static_cast<std::ptrdiff_t>(last));
    loss_.erase(loss_.begin() + at + 1, loss_.begin() + static_cast<std::ptrdiff_t>(last));
  }

 private:
  std::vector<std::int64_t> cost_;
  std::vector<std::int64_t> loss_;
};

/// Sorts `labels` by (cost, loss) and erases dominated ones. With three and more costs the test is
/// against the most recent survivors only: what remains may hold dominated labels, never fewer than
/// the non-dominated ones. Deterministic.
template <int D, typename Label>
void RemoveDominated(std::vector<Label>* labels) {
  std::sort(labels->begin(), labels->end(), [](const Label& a, const Label& b) {
    for (int d = 0; d < D; ++d) {
      if (a.cost[d] != b.cost[d]) return a.cost[d] < b.cost[d];
    }
    if (a.loss != b.loss) return a.loss < b.loss;
    return a.order < b.order;
  });
  std::size_t kept = 0;
  if constexpr (D == 1) {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (std::size_t i = 0; i < labels->size(); ++i) {
      if ((*labels)[i].loss >= least) continue;
      least = (*labels)[i].loss;
      (*labels)[kept++] = (*labels)[i];
    }
  } else if constexpr (D == 2) {
    Staircase staircase;
    for (std::size_t i = 0; i < labels->size(); ++i) {
      const Label label = (*labels)[i];
      if (staircase.Covers(label.cost[1], label.loss)) continue;
      staircase.Add(label.cost[1], label.loss);
      (*labels)[kept++] = label;
    }
  } else {
    constexpr std::size_t kWindow = 512;
    for (std::size_t i = 0; i < labels->size(); ++i) {
      const Label label = (*labels)[i];
      bool dominated = false;
      const std::size_t first = kept > kWindow ? kept - kWindow : 0;
      for (std::size_t j = kept; j-- > first && !dominated;) {
        const Label& other = (*labels)[j];
        dominated = other.loss <= label.loss;
        for (int d = 1; d < D && dominated; ++d) dominated = other.cost[d] <= label.cost[d];
      }
      if (!dominated) (*labels)[kept++] = label;
    }
  }
  labels->resize(kept);
}

}  // namespace bitsearch
