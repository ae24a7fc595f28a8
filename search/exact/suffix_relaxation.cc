// Hulls once, running sums for each level.
#include "search/exact/suffix_relaxation.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace bitsearch {

SuffixRelaxation::SuffixRelaxation(const LayeredGraph& graph, std::vector<double> weight)
    : graph_(graph), weight_(std::move(weight)) {
  for (std::size_t k = 0; k < graph.levels.size(); ++k) AddHull(k);
  std::sort(all_.begin(), all_.end(), [](const Step& a, const Step& b) {
    if (a.saved_per_cost != b.saved_per_cost) return a.saved_per_cost > b.saved_per_cost;
    return a.level != b.level ? a.level < b.level : a.arc < b.arc;
  });
  double total = 0.0;
  for (const Step& step : all_) total += step.cost;
  rounding_ = total * std::numeric_limits<double>::epsilon() *
              static_cast<double>(all_.size() + 2 * graph.levels.size() + 16);
}

double SuffixRelaxation::SurrogateOf(std::size_t level, std::size_t arc) const {
  double sum = 0.0;
  for (std::size_t d = 0; d < graph_.dims; ++d) {
    sum += weight_[d] * static_cast<double>(graph_.levels[level].cost[arc * graph_.dims + d]);
  }
  return sum;
}

/// The lower convex hull of a level's (cost, loss) from the cheapest arc on.
void SuffixRelaxation::AddHull(std::size_t k) {
  const LayeredLevel& level = graph_.levels[k];
  std::vector<double> cost(level.arcs.size());
  for (std::size_t a = 0; a < cost.size(); ++a) cost[a] = SurrogateOf(k, a);
  std::vector<std::uint32_t> order(level.arcs.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    if (cost[a] != cost[b]) return cost[a] < cost[b];
    return level.arcs[a].loss != level.arcs[b].loss ? level.arcs[a].loss < level.arcs[b].loss
                                                    : a < b;
  });
  // Each entry is the step that leads to its arc; the first leads nowhere.
  std::vector<Step> hull(1);
  hull[0].arc = order[0];
  for (std::uint32_t arc : order) {
    while (true) {
      const std::uint32_t before = hull.back().arc;
      Step step;
      step.level = static_cast<std::uint32_t>(k);
      step.before = before;
      step.arc = arc;
      step.cost = cost[arc] - cost[before];
      step.saved = level.arcs[before].loss - level.arcs[arc].loss;
      if (step.saved <= 0) break;
      step.saved_per_cost = static_cast<double>(step.saved) / step.cost;
      if (hull.size() > 1 && step.saved_per_cost >= hull.back().saved_per_cost) {
        hull.pop_back();
        continue;
      }
      hull.push_back(step);
      break;
    }
  }
  cheapest_.push_back(order[0]);
  all_.insert(all_.end(), hull.begin() + 1, hull.end());
}

void SuffixRelaxation::MoveTo(std::size_t level) {
  level_ = level;
  const std::size_t dims = graph_.dims;
  std::vector<std::int64_t> cost(dims, 0);
  double surrogate = 0.0;
  std::int64_t loss = 0;
  for (std::size_t k = level; k < graph_.levels.size(); ++k) {
    for (std::size_t d = 0; d < dims; ++d)
      cost[d] += graph_.levels[k].cost[cheapest_[k] * dims + d];
    surrogate += SurrogateOf(k, cheapest_[k]);
    loss += graph_.levels[k].arcs[cheapest_[k]].loss;
  }
  steps_.clear();
  surrogate_.assign(1, surrogate);
  loss_.assign(1, loss);
  cost_ = cost;
  for (const Step& step : all_) {
    if (step.level < level) continue;
    steps_.push_back(step);
    surrogate_.push_back(surrogate += step.cost);
    loss_.push_back(loss -= step.saved);
    const std::vector<std::int64_t>& of_level = graph_.levels[step.level].cost;
    for (std::size_t d = 0; d < dims; ++d) {
      cost[d] += of_level[step.arc * dims + d] - of_level[step.before * dims + d];
    }
    cost_.insert(cost_.end(), cost.begin(), cost.end());
  }
}

double SuffixRelaxation::Bound(double room, std::size_t* steps) const {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  room += rounding_ + 8.0 * kEpsilon * room;
  if (room < surrogate_.front()) return std::numeric_limits<double>::infinity();
  const auto taken = static_cast<std::size_t>(
      std::upper_bound(surrogate_.begin(), surrogate_.end(), room) - surrogate_.begin() - 1);
  *steps = taken;
  const auto loss = static_cast<double>(loss_[taken]);
  if (taken == steps_.size()) return loss - kEpsilon * loss;
  const double fraction = steps_[taken].saved_per_cost * (room - surrogate_[taken]);
  return loss - fraction - 4.0 * kEpsilon * loss;
}

void SuffixRelaxation::AppendChoices(std::size_t steps,
                                     std::vector<std::uint32_t>* by_level) const {
  std::vector<std::uint32_t> arc(cheapest_.begin() + static_cast<std::ptrdiff_t>(level_),
                                 cheapest_.end());
  for (std::size_t i = 0; i < steps; ++i) arc[steps_[i].level - level_] = steps_[i].arc;
  for (std::size_t k = level_; k < graph_.levels.size(); ++k) {
    by_level->push_back(graph_.levels[k].arcs[arc[k - level_]].choice);
  }
}

}  // namespace bitsearch
