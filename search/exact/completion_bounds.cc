// Backward sweeps over a layered graph.
#include "search/exact/completion_bounds.h"

#include <algorithm>
#include <limits>

namespace bitsearch {

double LargestMargin(const std::vector<Completions>& completions, double loss_value) {
  double largest = 0.0;
  for (const Completions& completion : completions) {
    largest = std::max(largest, completion.Margin(loss_value));
  }
  return largest;
}

std::vector<std::vector<double>> MultipliersAround(const std::vector<double>& best, bool separable,
                                                   std::size_t* followed) {
  std::vector<std::vector<double>> result = {best};
  *followed = 1;
  const auto active =
      std::count_if(best.begin(), best.end(), [](double value) { return value > 0.0; });
  if (active == 0) return result;
  if (active > 1) {
    for (double tilt : {1.3, 2.5}) {
      for (std::size_t d = 0; d < best.size(); ++d) {
        if (best[d] <= 0.0) continue;
        result.push_back(best);
        result.back()[d] *= tilt;
      }
    }
  }
  // Where levels are independent, a pass follows each of these along its ray by itself.
  *followed = result.size();
  for (double factor : {0.85, 1.18}) {
    result.push_back(best);
    for (double& value : result.back()) value *= factor;
  }
  if (!separable) *followed = result.size();
  return result;
}

Completions CompletionsUnder(const Lagrangian& lagrangian,
                             const std::vector<double>& scaled_multipliers) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const LayeredGraph& graph = lagrangian.graph();
  const std::size_t levels = graph.levels.size();
  const std::size_t dims = graph.dims;
  Completions result;
  for (std::size_t d = 0; d < dims; ++d) {
    result.multiplier.push_back(scaled_multipliers[d] * lagrangian.LossScale() /
                                lagrangian.CostScale(d));
    if (result.multiplier[d] != 0.0) {
      result.credit += result.multiplier[d] * static_cast<double>(lagrangian.capacity()[d]);
    }
  }
  result.margin_per_unit =
      static_cast<double>(levels * (dims + 1) + 16) * std::numeric_limits<double>::epsilon();
  result.to_go.resize(levels + 1);
  result.second.resize(levels + 1);
  result.arc.resize(levels + 1);
  result.loss.resize(levels + 1);
  result.cost.resize(levels + 1);
  for (std::size_t k = levels + 1; k-- > 0;) {
    const std::size_t states = k == 0 ? 1 : graph.levels[k - 1].state_count;
    const double start = k == levels ? -result.credit : kInfinity;
    result.to_go[k].assign(states, start);
    result.second[k].assign(states, kInfinity);
    result.arc[k].assign(states, 0);
    result.loss[k].assign(states, 0);
    result.cost[k].assign(states * dims, 0);
    if (k == levels) continue;
    const LayeredLevel& level = graph.levels[k];
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      const LayeredArc& arc = level.arcs[a];
      double step = static_cast<double>(arc.loss);
      for (std::size_t d = 0; d < dims; ++d) {
        step += result.multiplier[d] * static_cast<double>(level.cost[a * dims + d]);
      }
      const double value = step + result.to_go[k + 1][arc.to];
      double& best = result.to_go[k][arc.from];
      double& second = result.second[k][arc.from];
      if (value < best) {
        second = std::min(second, best);
        best = value;
        result.arc[k][arc.from] = static_cast<std::uint32_t>(a);
      } else {
        second = std::min(second, value);
      }
    }
    for (std::size_t s = 0; s < states; ++s) {
      if (result.to_go[k][s] == kInfinity) continue;
      const std::size_t a = result.arc[k][s];
      const LayeredArc& arc = level.arcs[a];
      double step = static_cast<double>(arc.loss);
      result.loss[k][s] = arc.loss + result.loss[k + 1][arc.to];
      for (std::size_t d = 0; d < dims; ++d) {
        step += result.multiplier[d] * static_cast<double>(level.cost[a * dims + d]);
        result.cost[k][s * dims + d] =
            level.cost[a * dims + d] + result.cost[k + 1][arc.to * dims + d];
      }
      result.second[k][s] = std::min(result.second[k][s], step + result.second[k + 1][arc.to]);
    }
  }
  return result;
}

std::vector<std::vector<std::int64_t>> LeastCostToGo(const LayeredGraph& graph) {
  const std::size_t levels = graph.levels.size();
  const std::size_t dims = graph.dims;
  std::vector<std::vector<std::int64_t>> result(levels + 1);
  for (std::size_t k = levels + 1; k-- > 0;) {
    const std::size_t states = k == 0 ? 1 : graph.levels[k - 1].state_count;
    result[k].assign(states * dims, k == levels ? 0 : ReducedProblem::kUnlimited);
    if (k == levels) continue;
    const LayeredLevel& level = graph.levels[k];
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      const LayeredArc& arc = level.arcs[a];
      for (std::size_t d = 0; d < dims; ++d) {
        const std::int64_t onward = result[k + 1][arc.to * dims + d];
        if (onward == ReducedProblem::kUnlimited) continue;
        std::int64_t& least = result[k][arc.from * dims + d];
        least = std::min(least, level.cost[a * dims + d] + onward);
      }
    }
  }
  return result;
}

}  // namespace bitsearch
