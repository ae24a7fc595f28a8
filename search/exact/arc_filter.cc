// One forward sweep for each multiplier vector.
#include "search/exact/arc_filter.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::uint32_t kRemoved = 0xffffffffu;

void Compact(std::size_t dims, LayeredLevel* level) {
  std::size_t to = 0;
  for (std::size_t a = 0; a < level->arcs.size(); ++a) {
    if (level->arcs[a].choice == kRemoved) continue;
    level->arcs[to] = level->arcs[a];
    for (std::size_t d = 0; d < dims; ++d) level->cost[to * dims + d] = level->cost[a * dims + d];
    ++to;
  }
  level->arcs.resize(to);
  level->cost.resize(to * dims);
  level->peak.clear();
}

}  // namespace

double RemoveArcsAbove(double threshold, const std::vector<Completions>& completions,
                       LayeredGraph* graph) {
  const std::size_t dims = graph->dims;
  double least = kInfinity;
  for (const Completions& completion : completions) {
    std::vector<double> from_start(1, 0.0);
    for (std::size_t k = 0; k < graph->levels.size(); ++k) {
      LayeredLevel& level = graph->levels[k];
      std::vector<double> next(level.state_count, kInfinity);
      for (std::size_t a = 0; a < level.arcs.size(); ++a) {
        LayeredArc& arc = level.arcs[a];
        double value = from_start[arc.from] + static_cast<double>(arc.loss);
        for (std::size_t d = 0; d < dims; ++d) {
          value += completion.multiplier[d] * static_cast<double>(level.cost[a * dims + d]);
        }
        next[arc.to] = std::min(next[arc.to], value);
        const double bound = value + completion.to_go[k + 1][arc.to];
        if (bound > threshold && arc.choice != kRemoved) {
          least = std::min(least, bound);
          arc.choice = kRemoved;
        }
      }
      from_start = std::move(next);
    }
  }
  if (least == kInfinity) return least;
  for (LayeredLevel& level : graph->levels) Compact(dims, &level);
  return least;
}

std::vector<std::size_t> OrderByDoubt(const Lagrangian& relaxation,
                                      const std::vector<double>& scaled_multipliers) {
  const LayeredGraph& graph = relaxation.graph();
  std::vector<double> doubt;
  for (std::size_t k = 0; k < graph.levels.size(); ++k) {
    double least = kInfinity;
    double second = kInfinity;
    for (std::size_t a = 0; a < graph.levels[k].arcs.size(); ++a) {
      double value = relaxation.arc_loss(k, a);
      for (std::size_t d = 0; d < graph.dims; ++d) {
        value += scaled_multipliers[d] * relaxation.arc_cost(k, a, d);
      }
      if (value < least) {
        second = least;
        least = value;
      } else {
        second = std::min(second, value);
      }
    }
    doubt.push_back(second - least);
  }
  std::vector<std::size_t> order(doubt.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&doubt](std::size_t a, std::size_t b) { return doubt[a] < doubt[b]; });
  return order;
}

}  // namespace bitsearch
