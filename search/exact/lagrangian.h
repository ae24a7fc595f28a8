#pragma once
// Lagrangian relaxation of the limits on a layered graph: bounds for whole problems and for
// completions of partial ones. Doubles, with a stated margin for their rounding.

#include <cstdint>
#include <vector>

#include "search/exact/layered_graph.h"

namespace bitsearch {

/// One evaluation: the path that is cheapest when each unit of a cost is charged its multiplier.
struct LagrangianPath {
  double value = 0.0;                     ///< loss + Σ λ_d (cost_d − capacity_d): a lower bound.
  std::vector<std::uint32_t> by_level;    ///< Choices along the path; empty: no path at all.
  std::int64_t loss = 0;
  std::vector<std::int64_t> cost;
};

/// The relaxation of one graph. Holds doubles scaled to about 1; multipliers are in scaled units.
/// Const calls may come from any thread.
class Lagrangian {
 public:
  /// `capacity` per dimension of the graph; kUnlimited dimensions are not relaxed (multiplier 0).
  Lagrangian(const LayeredGraph& graph, std::vector<std::int64_t> capacity);

  const LayeredGraph& graph() const { return graph_; }
  std::size_t dims() const { return graph_.dims; }
  const std::vector<std::int64_t>& capacity() const { return capacity_; }
  /// False if every path is cut off (peak limits, forbidden pairs).
  bool has_path() const { return has_path_; }

  LagrangianPath Evaluate(const std::vector<double>& multipliers) const;
  /// Least value of loss + λ·cost (scaled) from each state to the end: [level][state], level 0
  /// being before the first decision; +∞ where no path leads on.
  std::vector<std::vector<double>> ToGo(const std::vector<double>& multipliers) const;
  /// The same over the way from the start to each state.
  std::vector<std::vector<double>> FromStart(const std::vector<double>& multipliers) const;

  /// Loss in scaled units, and back.
  double ScaledLoss(std::int64_t loss) const { return static_cast<double>(loss) * inverse_loss_; }
  double LossScale() const { return loss_scale_; }
  double ScaledCost(std::size_t d, std::int64_t cost) const {
    return static_cast<double>(cost) * inverse_cost_[d];
  }
  double CostScale(std::size_t d) const { return cost_scale_[d]; }
  double scaled_capacity(std::size_t d) const { return scaled_capacity_[d]; }
  /// λ·capacity in scaled units.
  double Credit(const std::vector<double>& multipliers) const;
  /// What rounding can have added to a bound that is compared with `scaled_loss` under
  /// `multipliers`.
  double Margin(double scaled_loss, const std::vector<double>& multipliers) const;

  double arc_loss(std::size_t level, std::size_t arc) const { return loss_[level][arc]; }
  double arc_cost(std::size_t level, std::size_t arc, std::size_t d) const {
    return cost_[level][arc * graph_.dims + d];
  }

 private:
  const LayeredGraph& graph_;
  std::vector<std::int64_t> capacity_;
  double loss_scale_ = 1.0;
  double inverse_loss_ = 1.0;
  std::vector<double> cost_scale_;
  std::vector<double> inverse_cost_;
  std::vector<double> scaled_capacity_;
  std::vector<std::vector<double>> loss_;
  std::vector<std::vector<double>> cost_;
  bool has_path_ = true;
};

/// The best multipliers found, and every path met on the way.
struct DualResult {
  std::vector<double> multipliers;     ///< Scaled, ≥ 0.
  double value = 0.0;                  ///< Scaled lower bound of the loss.
  bool proves_infeasible = false;      ///< The bound exceeds the largest loss there is.
  std::vector<LagrangianPath> paths;   ///< Candidates for a first configuration.
  int iterations = 0;
};

/// Maximises the Lagrangian function by cutting planes (Kelley 1960), whose small master problem is
/// solved by a primal simplex with one row per limit.
DualResult MaximizeDual(const Lagrangian& lagrangian, int max_iterations);

}  // namespace bitsearch
