// Dominance, the archive, fast non-dominated sorting and crowding distances.
#include "search/evolution/pareto_archive.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace bitsearch {
namespace {

/// −1: a dominates, +1: b dominates, 0: neither, 2: equal.
int Compare(const ParetoPoint& a, const ParetoPoint& b) {
  bool a_better = a.accuracy > b.accuracy;
  bool b_better = b.accuracy > a.accuracy;
  for (std::size_t i = 0; i < a.costs.size(); ++i) {
    a_better |= a.costs[i] < b.costs[i];
    b_better |= b.costs[i] < a.costs[i];
  }
  if (a_better) return b_better ? 0 : -1;
  return b_better ? 1 : 2;
}

/// Adds to `distance` each member's normalised gap to its neighbours in one objective.
template <typename Value>
void AddCrowding(std::vector<std::size_t>& front, std::vector<double>& distance, Value&& value) {
  std::stable_sort(front.begin(), front.end(),
                   [&](std::size_t a, std::size_t b) { return value(a) < value(b); });
  const double range = value(front.back()) - value(front.front());
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  distance[front.front()] = kInfinity;
  distance[front.back()] = kInfinity;
  if (range <= 0.0) return;
  for (std::size_t i = 1; i + 1 < front.size(); ++i) {
    distance[front[i]] += (value(front[i + 1]) - value(front[i - 1])) / range;
  }
}

}  // namespace

bool Dominates(const ParetoPoint& a, const ParetoPoint& b) { return Compare(a, b) == -1; }

bool ParetoArchive::Offer(ParetoPoint point) {
  for (const ParetoPoint& kept : points_) {
    const int order = Compare(kept, point);
    if (order == -1 || order == 2) return false;
  }
  std::erase_if(points_, [&point](const ParetoPoint& kept) { return Dominates(point, kept); });
  points_.push_back(std::move(point));
  return true;
}

std::vector<std::size_t> RankByDominance(std::span<const ParetoPoint> points) {
  const std::size_t count = points.size();
  std::vector<std::vector<std::size_t>> dominated(count);
  std::vector<std::size_t> dominators(count, 0);
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = a + 1; b < count; ++b) {
      const int order = Compare(points[a], points[b]);
      if (order == -1) {
        dominated[a].push_back(b);
        ++dominators[b];
      } else if (order == 1) {
        dominated[b].push_back(a);
        ++dominators[a];
      }
    }
  }
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < count; ++i) {
    if (dominators[i] == 0) front.push_back(i);
  }
  std::vector<std::size_t> ranked;
  while (!front.empty()) {
    std::vector<std::size_t> next;
    for (const std::size_t a : front) {
      for (const std::size_t b : dominated[a]) {
        if (--dominators[b] == 0) next.push_back(b);
      }
    }
    std::vector<double> distance(count, 0.0);
    std::vector<std::size_t> order = front;
    AddCrowding(order, distance, [&](std::size_t i) { return points[i].accuracy; });
    for (std::size_t k = 0; k < points[front.front()].costs.size(); ++k) {
      AddCrowding(order, distance,
                  [&](std::size_t i) { return static_cast<double>(points[i].costs[k]); });
    }
    std::sort(front.begin(), front.end(), [&](std::size_t a, std::size_t b) {
      return distance[a] != distance[b] ? distance[a] > distance[b] : a < b;
    });
    ranked.insert(ranked.end(), front.begin(), front.end());
    std::sort(next.begin(), next.end());
    front = std::move(next);
  }
  return ranked;
}

}  // namespace bitsearch
