// Evaluations by one sweep over the levels, and the cutting-plane maximisation of the dual.
// Independent of what the bounds are used for.
#include "search/exact/lagrangian.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

Lagrangian::Lagrangian(const LayeredGraph& graph, std::vector<std::int64_t> capacity)
    : graph_(graph), capacity_(std::move(capacity)) {
  const std::size_t dims = graph_.dims;
  double total_loss = 0.0;
  std::vector<double> total_cost(dims, 0.0);
  for (const LayeredLevel& level : graph_.levels) {
    std::int64_t largest = 0;
    std::vector<std::int64_t> largest_cost(dims, 0);
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      largest = std::max(largest, level.arcs[a].loss);
      for (std::size_t d = 0; d < dims; ++d) {
        largest_cost[d] = std::max(largest_cost[d], level.cost[a * dims + d]);
      }
    }
    total_loss += static_cast<double>(largest);
    for (std::size_t d = 0; d < dims; ++d) total_cost[d] += static_cast<double>(largest_cost[d]);
    if (level.arcs.empty()) has_path_ = false;
  }
  loss_scale_ = std::max(1.0, total_loss);
  inverse_loss_ = 1.0 / loss_scale_;
  for (std::size_t d = 0; d < dims; ++d) {
    cost_scale_.push_back(std::max(1.0, total_cost[d]));
    inverse_cost_.push_back(1.0 / cost_scale_[d]);
    scaled_capacity_.push_back(ScaledCost(d, capacity_[d]));
  }
  for (const LayeredLevel& level : graph_.levels) {
    std::vector<double> loss(level.arcs.size());
    std::vector<double> cost(level.arcs.size() * dims);
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      loss[a] = ScaledLoss(level.arcs[a].loss);
      for (std::size_t d = 0; d < dims; ++d) {
        cost[a * dims + d] = ScaledCost(d, level.cost[a * dims + d]);
      }
    }
    loss_.push_back(std::move(loss));
    cost_.push_back(std::move(cost));
  }
  if (has_path_) has_path_ = ToGo(std::vector<double>(dims, 0.0)).front().front() < kInfinity;
}

std::vector<std::vector<double>> Lagrangian::ToGo(const std::vector<double>& multipliers) const {
  const std::size_t levels = graph_.levels.size();
  const std::size_t dims = graph_.dims;
  std::vector<std::vector<double>> result(levels + 1);
  result[levels].assign(levels == 0 ? 1 : graph_.levels[levels - 1].state_count, 0.0);
  for (std::size_t k = levels; k-- > 0;) {
    const LayeredLevel& level = graph_.levels[k];
    result[k].assign(k == 0 ? 1 : graph_.levels[k - 1].state_count, kInfinity);
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      double value = loss_[k][a];
      for (std::size_t d = 0; d < dims; ++d) value += multipliers[d] * cost_[k][a * dims + d];
      value += result[k + 1][level.arcs[a].to];
      double& best = result[k][level.arcs[a].from];
      best = std::min(best, value);
    }
  }
  return result;
}

std::vector<std::vector<double>> Lagrangian::FromStart(
    const std::vector<double>& multipliers) const {
  const std::size_t levels = graph_.levels.size();
  const std::size_t dims = graph_.dims;
  std::vector<std::vector<double>> result(levels + 1);
  result[0].assign(1, 0.0);
  for (std::size_t k = 0; k < levels; ++k) {
    const LayeredLevel& level = graph_.levels[k];
    result[k + 1].assign(level.state_count, kInfinity);
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      double value = loss_[k][a];
      for (std::size_t d = 0; d < dims; ++d) value += multipliers[d] * cost_[k][a * dims + d];
      value += result[k][level.arcs[a].from];
      double& best = result[k + 1][level.arcs[a].to];
      best = std::min(best, value);
    }
  }
  return result;
}

LagrangianPath Lagrangian::Evaluate(const std::vector<double>& multipliers) const {
  LagrangianPath path;
  path.cost.assign(graph_.dims, 0);
  const std::vector<std::vector<double>> to_go = ToGo(multipliers);
  path.value = to_go[0][0] - Credit(multipliers);
  if (to_go[0][0] == kInfinity) return path;
  std::size_t state = 0;
  for (std::size_t k = 0; k < graph_.levels.size(); ++k) {
    const LayeredLevel& level = graph_.levels[k];
    double best = kInfinity;
    std::size_t best_arc = 0;
    for (std::size_t a = 0; a < level.arcs.size(); ++a) {
      if (level.arcs[a].from != state) continue;
      double value = loss_[k][a];
      for (std::size_t d = 0; d < graph_.dims; ++d) {
        value += multipliers[d] * cost_[k][a * graph_.dims + d];
      }
      value += to_go[k + 1][level.arcs[a].to];
      if (value < best) {
        best = value;
        best_arc = a;
      }
    }
    const LayeredArc& arc = level.arcs[best_arc];
    path.by_level.push_back(arc.choice);
    path.loss += arc.loss;
    for (std::size_t d = 0; d < graph_.dims; ++d) {
      path.cost[d] += level.cost[best_arc * graph_.dims + d];
    }
    state = arc.to;
  }
  return path;
}

double Lagrangian::Credit(const std::vector<double>& multipliers) const {
  double credit = 0.0;
  for (std::size_t d = 0; d < graph_.dims; ++d) {
    if (multipliers[d] != 0.0) credit += multipliers[d] * scaled_capacity_[d];
  }
  return credit;
}

double Lagrangian::Margin(double scaled_loss, const std::vector<double>& multipliers) const {
  const double additions = static_cast<double>(graph_.levels.size() * (graph_.dims + 1) + 16);
  return additions * std::numeric_limits<double>::epsilon() *
         (std::abs(scaled_loss) + 2.0 * Credit(multipliers));
}

namespace {

/// The master problem: convex combinations of the columns met so far, limits in scaled units.
/// Rows: one per limit (Σ α·excess ≤ 0), and convexity (Σ α = 1). Starts from an artificial column
/// of excess 0 and a loss above every loss there is.
class Master {
 public:
  explicit Master(std::size_t limits) : rows_(limits + 1) {
    inverse_.assign(rows_ * rows_, 0.0);
    for (std::size_t i = 0; i < rows_; ++i) {
      inverse_[i * rows_ + i] = 1.0;
      basis_.push_back(i < limits ? Column{0.0, Unit(i)} : Column{kArtificialLoss, Unit(limits)});
    }
    value_.assign(rows_, 0.0);
    value_[limits] = 1.0;
    UpdateDuals();
  }

  static constexpr double kArtificialLoss = 2.0;

  const std::vector<double>& multipliers() const { return multipliers_; }
  /// Value of the master: an upper bound of the dual function.
  double value() const { return theta_; }

  /// Adds the column of a path and pivots until no stored column prices out.
  void Add(double loss, const std::vector<double>& excess) {
    Column column{loss, excess};
    column.entry.push_back(1.0);
    stored_.push_back(std::move(column));
    for (int pivots = 0; pivots < 200; ++pivots) {
      const Column* entering = MostNegative();
      if (entering == nullptr || !Pivot(*entering)) break;
      UpdateDuals();
    }
  }

 private:
  struct Column {
    double loss = 0.0;
    std::vector<double> entry;
  };

  std::vector<double> Unit(std::size_t i) const {
    std::vector<double> entry(rows_, 0.0);
    entry[i] = 1.0;
    return entry;
  }

  void UpdateDuals() {
    std::vector<double> y(rows_, 0.0);
    for (std::size_t i = 0; i < rows_; ++i) {
      for (std::size_t j = 0; j < rows_; ++j) y[j] += basis_[i].loss * inverse_[i * rows_ + j];
    }
    multipliers_.assign(rows_ - 1, 0.0);
    for (std::size_t d = 0; d + 1 < rows_; ++d) multipliers_[d] = std::max(0.0, -y[d]);
    theta_ = y[rows_ - 1];
    y_ = std::move(y);
  }

  const Column* MostNegative() {
    const Column* best = nullptr;
    double best_price = -1e-13;
    for (const Column& column : stored_) {
      double price = column.loss;
      double size = std::abs(column.loss);
      for (std::size_t i = 0; i < rows_; ++i) {
        price -= y_[i] * column.entry[i];
        size += std::abs(y_[i] * column.entry[i]);
      }
      if (price < best_price * std::max(1e-6, size)) {
        best_price = price / std::max(1e-6, size);
        best = &column;
      }
    }
    for (std::size_t d = 0; d + 1 < rows_; ++d) {
      // A slack column's price is −y_d.
      if (-y_[d] < best_price) {
        best_price = -y_[d];
        slack_ = Column{0.0, Unit(d)};
        best = &slack_;
      }
    }
    return best;
  }

  bool Pivot(const Column& entering) {
    std::vector<double> direction(rows_, 0.0);
    for (std::size_t i = 0; i < rows_; ++i) {
      for (std::size_t j = 0; j < rows_; ++j) {
        direction[i] += inverse_[i * rows_ + j] * entering.entry[j];
      }
    }
    std::size_t leaving = rows_;
    double best_ratio = kInfinity;
    double best_size = 0.0;
    for (std::size_t i = 0; i < rows_; ++i) {
      if (direction[i] <= 1e-14) continue;
      const double ratio = std::max(0.0, value_[i]) / direction[i];
      if (ratio < best_ratio - 1e-15 || (ratio <= best_ratio && direction[i] > best_size)) {
        best_ratio = ratio;
        best_size = direction[i];
        leaving = i;
      }
    }
    if (leaving == rows_) return false;
    const double pivot = direction[leaving];
    for (std::size_t j = 0; j < rows_; ++j) inverse_[leaving * rows_ + j] /= pivot;
    value_[leaving] /= pivot;
    for (std::size_t i = 0; i < rows_; ++i) {
      if (i == leaving || direction[i] == 0.0) continue;
      for (std::size_t j = 0; j < rows_; ++j) {
        inverse_[i * rows_ + j] -= direction[i] * inverse_[leaving * rows_ + j];
      }
      value_[i] -= direction[i] * value_[leaving];
    }
    basis_[leaving] = entering;
    return true;
  }

  std::size_t rows_;
  std::vector<Column> basis_;
  std::vector<double> inverse_;
  std::vector<double> value_;
  std::vector<Column> stored_;
  Column slack_;
  std::vector<double> y_;
  std::vector<double> multipliers_;
  double theta_ = 0.0;
};

}  // namespace

DualResult MaximizeDual(const Lagrangian& lagrangian, int max_iterations) {
  DualResult result;
  const std::size_t dims = lagrangian.dims();
  std::vector<std::size_t> limited;
  for (std::size_t d = 0; d < dims; ++d) {
    if (lagrangian.capacity()[d] != ReducedProblem::kUnlimited) limited.push_back(d);
  }
  const auto spread = [&](const std::vector<double>& of_limits) {
    std::vector<double> multipliers(dims, 0.0);
    for (std::size_t i = 0; i < limited.size(); ++i) multipliers[limited[i]] = of_limits[i];
    return multipliers;
  };
  Master master(limited.size());
  std::vector<double> best(limited.size(), 0.0);
  result.value = -kInfinity;
  result.multipliers = spread(best);

  // Evaluates at a point, keeps the path, tightens the master. Returns the dual function's value.
  const auto evaluate = [&](const std::vector<double>& at) {
    ++result.iterations;
    LagrangianPath path = lagrangian.Evaluate(spread(at));
    const double value = path.value;
    if (value > result.value) {
      result.value = value;
      best = at;
      result.multipliers = spread(at);
    }
    std::vector<double> excess;
    for (std::size_t d : limited) {
      excess.push_back(lagrangian.ScaledCost(d, path.cost[d]) - lagrangian.scaled_capacity(d));
    }
    master.Add(lagrangian.ScaledLoss(path.loss), excess);
    result.paths.push_back(std::move(path));
    return value;
  };

  evaluate(best);
  const double smoothing = limited.size() > 1 ? 0.4 : 0.0;
  while (result.iterations < max_iterations && !limited.empty()) {
    const double upper = master.value();
    if (upper - result.value <= 1e-12 * std::max(std::abs(upper), 1e-9)) break;
    std::vector<double> target = master.multipliers();
    if (smoothing > 0.0) {
      std::vector<double> between(target);
      for (std::size_t i = 0; i < between.size(); ++i) {
        between[i] = smoothing * best[i] + (1.0 - smoothing) * target[i];
      }
      evaluate(between);
      if (master.value() < upper - 1e-3 * (upper - result.value)) continue;
      target = master.multipliers();
    }
    const double before_value = result.value;
    const double before_upper = master.value();
    evaluate(target);
    // A degenerate master can move without falling: only the same point again is the end.
    if (result.value <= before_value && master.value() >= before_upper &&
        master.multipliers() == target) {
      break;
    }
  }
  result.proves_infeasible = result.value - lagrangian.Margin(1.0, result.multipliers) > 1.0 + 1e-9;
  return result;
}

}  // namespace bitsearch
