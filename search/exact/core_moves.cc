// Enumerates single moves, pairs and triples by ascending reduced cost.
#include "search/exact/core_moves.h"

#include <algorithm>
#include <limits>

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMostTests = 100'000;

/// Another arc at one level: what it changes beside the cheapest.
struct Move {
  double reduced = 0.0;  ///< Grid units, ≥ 0.
  std::uint32_t level = 0;
  std::uint32_t arc = 0;
  std::int64_t loss = 0;
};

class CoreSearch {
 public:
  CoreSearch(const Lagrangian& relaxation, const std::vector<double>& multipliers,
             std::int64_t best_loss, double slack)
      : graph_(relaxation.graph()),
        capacity_(relaxation.capacity()),
        best_loss_(best_loss),
        slack_(slack),
        base_cost_(graph_.dims, 0) {
    double value = -relaxation.Credit(multipliers);
    for (std::size_t k = 0; k < graph_.levels.size(); ++k) {
      const LayeredLevel& level = graph_.levels[k];
      std::vector<double> price(level.arcs.size());
      for (std::size_t a = 0; a < price.size(); ++a) {
        price[a] = relaxation.arc_loss(k, a);
        for (std::size_t d = 0; d < graph_.dims; ++d) {
          price[a] += multipliers[d] * relaxation.arc_cost(k, a, d);
        }
      }
      const auto least =
          static_cast<std::size_t>(std::min_element(price.begin(), price.end()) - price.begin());
      value += price[least];
      base_.push_back(static_cast<std::uint32_t>(least));
      base_loss_ += level.arcs[least].loss;
      for (std::size_t d = 0; d < graph_.dims; ++d) base_cost_[d] += Cost(k, least, d);
      for (std::size_t a = 0; a < price.size(); ++a) {
        if (a == least) continue;
        moves_.push_back({(price[a] - price[least]) * relaxation.LossScale(),
                          static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(a),
                          level.arcs[a].loss - level.arcs[least].loss});
      }
    }
    bound_ = value * relaxation.LossScale();
    const double room = Room();
    std::erase_if(moves_, [room](const Move& move) { return move.reduced > room; });
    std::sort(moves_.begin(), moves_.end(), [](const Move& a, const Move& b) {
      if (a.reduced != b.reduced) return a.reduced < b.reduced;
      return a.level != b.level ? a.level < b.level : a.arc < b.arc;
    });
  }

  CorePath Run() {
    Try({}, base_loss_);
    const std::size_t count = moves_.size();
    for (std::size_t i = 0; i < count && moves_[i].reduced <= Room(); ++i) {
      const Move& first = moves_[i];
      Try({&first}, base_loss_ + first.loss);
      for (std::size_t j = i + 1; j < count; ++j) {
        const Move& second = moves_[j];
        const double pair = first.reduced + second.reduced;
        if (pair > Room() || tests_ > kMostTests) break;
        if (second.level == first.level) continue;
        const std::int64_t loss = base_loss_ + first.loss + second.loss;
        Try({&first, &second}, loss);
        for (std::size_t k = j + 1; k < count; ++k) {
          const Move& third = moves_[k];
          if (pair + third.reduced > Room() || tests_ > kMostTests) break;
          if (third.level == first.level || third.level == second.level) continue;
          Try({&first, &second, &third}, loss + third.loss);
        }
      }
    }
    return std::move(best_);
  }

 private:
  std::int64_t Cost(std::size_t level, std::size_t arc, std::size_t d) const {
    return graph_.levels[level].cost[arc * graph_.dims + d];
  }

  /// Reduced costs that still can pay.
  double Room() const {
    const double gap = static_cast<double>(best_loss_) - bound_;
    return gap <= slack_ ? -1.0 : gap;
  }

  void Try(std::initializer_list<const Move*> moves, std::int64_t loss) {
    ++tests_;
    if (loss >= best_loss_) return;
    for (std::size_t d = 0; d < graph_.dims; ++d) {
      std::int64_t cost = base_cost_[d];
      for (const Move* move : moves) {
        cost += Cost(move->level, move->arc, d) - Cost(move->level, base_[move->level], d);
      }
      if (cost > capacity_[d]) return;
    }
    best_loss_ = loss;
    std::vector<std::uint32_t> arcs = base_;
    for (const Move* move : moves) arcs[move->level] = move->arc;
    best_.loss = loss;
    best_.by_level.clear();
    best_.cost.assign(graph_.dims, 0);
    for (std::size_t k = 0; k < arcs.size(); ++k) {
      best_.by_level.push_back(graph_.levels[k].arcs[arcs[k]].choice);
      for (std::size_t d = 0; d < graph_.dims; ++d) best_.cost[d] += Cost(k, arcs[k], d);
    }
  }

  const LayeredGraph& graph_;
  const std::vector<std::int64_t>& capacity_;
  std::int64_t best_loss_;
  double slack_;
  double bound_ = -kInfinity;
  std::vector<std::uint32_t> base_;  // arc of each level
  std::int64_t base_loss_ = 0;
  std::vector<std::int64_t> base_cost_;
  std::vector<Move> moves_;
  int tests_ = 0;
  CorePath best_;
};

}  // namespace

CorePath CheapestPath(const LayeredGraph& graph,
                      const std::vector<std::vector<std::int64_t>>& least_to_go, std::size_t d) {
  const std::size_t dims = graph.dims;
  CorePath path;
  path.cost.assign(dims, 0);
  std::size_t state = 0;
  for (std::size_t k = 0; k < graph.levels.size(); ++k) {
    const LayeredLevel& level = graph.levels[k];
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      const LayeredArc& arc = level.arcs[a];
      const std::int64_t onward = least_to_go[k + 1][arc.to * dims + d];
      if (arc.from != state || onward == ReducedProblem::kUnlimited ||
          level.cost[a * dims + d] + onward != least_to_go[k][state * dims + d]) {
        continue;
      }
      path.by_level.push_back(arc.choice);
      path.loss += arc.loss;
      for (std::size_t e = 0; e < dims; ++e) path.cost[e] += level.cost[a * dims + e];
      state = arc.to;
      break;
    }
  }
  return path;
}

CorePath BestNearRelaxation(const Lagrangian& relaxation,
                            const std::vector<double>& scaled_multipliers, std::int64_t best_loss,
                            double slack) {
  return CoreSearch(relaxation, scaled_multipliers, best_loss, slack).Run();
}

}  // namespace bitsearch
