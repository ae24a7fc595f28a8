// The semidefinite bound. Matrices are (1 + number of choices) square; row and column 0 stand for
// the constant. Y = V R Vᵀ, where V spans the vectors that satisfy "one choice per decision", so
// marginalisation holds by construction.
#include "search/exact/pair_relaxation.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace bitsearch {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Index = Eigen::Index;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double LossScaleOf(const ReducedProblem& problem) {
  double total = 0.0;
  double terms = 1.0;
  for (const ReducedDecision& decision : problem.decisions) {
    for (std::int64_t value : decision.loss) total += std::abs(static_cast<double>(value));
    terms += static_cast<double>(decision.count);
  }
  for (const ReducedPair& pair : problem.pairs) {
    for (std::int64_t value : pair.loss) total += std::abs(static_cast<double>(value));
    terms += static_cast<double>(pair.loss.size());
  }
  return std::max(1.0, total / terms);
}

/// Projects onto {x ≥ 0, Σ x = total} (Held, Wolfe, Crowder 1974).
void ProjectOnSimplex(std::vector<double>* values, double total, std::vector<double>* sorted) {
  *sorted = *values;
  std::sort(sorted->begin(), sorted->end(), std::greater<>());
  double sum = 0.0;
  double shift = 0.0;
  for (std::size_t i = 0; i < sorted->size(); ++i) {
    sum += (*sorted)[i];
    const double candidate = (sum - total) / static_cast<double>(i + 1);
    if ((*sorted)[i] - candidate > 0.0) shift = candidate;
  }
  for (double& value : *values) value = std::max(0.0, value - shift);
}

}  // namespace

PairwiseBound PlainBound(const ReducedProblem& problem) {
  PairwiseBound bound;
  bound.decisions = problem.decisions.size();
  bound.scale = LossScaleOf(problem);
  for (const ReducedDecision& decision : problem.decisions) {
    bound.count.push_back(decision.count);
    std::vector<double> row;
    for (std::int64_t value : decision.loss)
      row.push_back(static_cast<double>(value) / bound.scale);
    bound.unary.push_back(std::move(row));
  }
  bound.pair.resize(bound.decisions * bound.decisions);
  double size = 0.0;
  for (const ReducedPair& pair : problem.pairs) {
    std::vector<double>& matrix = bound.pair[pair.first * bound.decisions + pair.second];
    for (std::size_t e = 0; e < pair.loss.size(); ++e) {
      const bool forbidden = !pair.forbidden.empty() && pair.forbidden[e];
      matrix.push_back(forbidden ? kInfinity : static_cast<double>(pair.loss[e]) / bound.scale);
      if (!forbidden) size = std::max(size, std::abs(matrix.back()));
    }
  }
  bound.margin =
      1e-14 * size * static_cast<double>(problem.pairs.size() + problem.decisions.size());
  return bound;
}

struct PairRelaxation::State {
  explicit State(const ReducedProblem& reduced) : problem(reduced) {}

  const ReducedProblem& problem;
  std::size_t layers = 0;
  std::vector<Index> offset;  ///< Of each decision's first choice; row 0 is the constant.
  Index size = 0;
  Matrix cost;  ///< C: the objective.
  Matrix face;  ///< V, orthonormal columns.
  Matrix y;
  Matrix r_full;  ///< V R Vᵀ
  Matrix z;
  double beta = 1.0;
  /// Limits: scaled cost per choice and right-hand side, for each dimension without pair costs.
  struct Limit {
    Vector cost;        ///< [row of Y]; entry 0 is −capacity.
    Vector multiplier;  ///< ≥ 0 per row ic ≥ 1.
  };
  std::vector<Limit> limits;
  /// Dimensions with pair costs: one aggregate row each.
  struct Aggregate {
    Matrix cost;
    double multiplier = 0.0;
  };
  std::vector<Aggregate> aggregates;
  std::vector<std::vector<std::uint8_t>> forbidden;  ///< Of each pair block, by [i·layers+j], i<j.
  PairwiseBound best;
  double best_value = -kInfinity;
  std::vector<std::vector<double>> marginals;
  int iteration = 0;
  Eigen::SelfAdjointEigenSolver<Matrix> eigen;

  void Build();
  void BuildFace();
  void BuildLimits();
  Matrix Charged() const;
  void ProjectY(const Matrix& target);
  void Step();
  void UpdateMultipliers();
  void EvaluateBound();
  void ReadMarginals();
};

void PairRelaxation::State::Build() {
  layers = problem.decisions.size();
  size = 1;
  for (const ReducedDecision& decision : problem.decisions) {
    offset.push_back(size);
    size += static_cast<Index>(decision.count);
  }
  best = PlainBound(problem);
  cost = Matrix::Zero(size, size);
  for (std::size_t i = 0; i < layers; ++i) {
    for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
      cost(offset[i] + static_cast<Index>(c), offset[i] + static_cast<Index>(c)) = best.unary[i][c];
    }
  }
  forbidden.resize(layers * layers);
  for (const ReducedPair& pair : problem.pairs) {
    forbidden[pair.first * layers + pair.second] = pair.forbidden;
    const std::size_t columns = problem.decisions[pair.second].count;
    for (std::size_t e = 0; e < pair.loss.size(); ++e) {
      const Index row = offset[pair.first] + static_cast<Index>(e / columns);
      const Index column = offset[pair.second] + static_cast<Index>(e % columns);
      const double value = 0.5 * static_cast<double>(pair.loss[e]) / best.scale;
      cost(row, column) = value;
      cost(column, row) = value;
    }
  }
  BuildFace();
  BuildLimits();
  // Start from the uniform product distribution.
  Vector x(size);
  x(0) = 1.0;
  for (std::size_t i = 0; i < layers; ++i) {
    const auto count = static_cast<double>(problem.decisions[i].count);
    for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
      x(offset[i] + static_cast<Index>(c)) = 1.0 / count;
    }
  }
  y = x * x.transpose();
  for (std::size_t i = 0; i < layers; ++i) {
    const auto count = static_cast<Index>(problem.decisions[i].count);
    y.block(offset[i], offset[i], count, count) = Matrix(x.segment(offset[i], count).asDiagonal());
  }
  r_full = y;
  z = Matrix::Zero(size, size);
  beta = std::max(1e-3, cost.norm() / std::max(1.0, y.norm()));
  eigen = Eigen::SelfAdjointEigenSolver<Matrix>(face.cols());
}

void PairRelaxation::State::BuildFace() {
  Matrix constraints = Matrix::Zero(size, static_cast<Index>(layers));
  for (std::size_t i = 0; i < layers; ++i) {
    const auto column = static_cast<Index>(i);
    constraints(0, column) = 1.0;
    for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
      constraints(offset[i] + static_cast<Index>(c), column) = -1.0;
    }
  }
  const Eigen::HouseholderQR<Matrix> qr(constraints);
  const Matrix q = qr.householderQ() * Matrix::Identity(size, size);
  face = q.rightCols(size - static_cast<Index>(layers));
}

void PairRelaxation::State::BuildLimits() {
  const std::size_t dims = problem.dims();
  for (std::size_t d = 0; d < dims; ++d) {
    if (problem.dimensions[d].capacity == ReducedProblem::kUnlimited) continue;
    double total = 1.0;
    bool in_pairs = false;
    for (const ReducedDecision& decision : problem.decisions) {
      std::int64_t largest = 0;
      for (std::size_t c = 0; c < decision.count; ++c) {
        largest = std::max(largest, decision.cost[c * dims + d]);
      }
      total += static_cast<double>(largest);
    }
    for (const ReducedPair& pair : problem.pairs) {
      for (std::size_t e = 0; e < pair.loss.size() && !pair.cost.empty(); ++e) {
        in_pairs = in_pairs || pair.cost[e * dims + d] != 0;
      }
    }
    // Scaled so that a typical choice costs about 1.
    const double scale = static_cast<double>(layers) / total;
    Limit limit;
    limit.cost = Vector::Zero(size);
    limit.cost(0) = -static_cast<double>(problem.dimensions[d].capacity) * scale;
    for (std::size_t i = 0; i < layers; ++i) {
      for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
        limit.cost(offset[i] + static_cast<Index>(c)) =
            static_cast<double>(problem.decisions[i].cost[c * dims + d]) * scale;
      }
    }
    limit.multiplier = Vector::Zero(size);
    if (!in_pairs) {
      limits.push_back(std::move(limit));
      continue;
    }
    Aggregate aggregate;
    aggregate.cost = Matrix::Zero(size, size);
    aggregate.cost(0, 0) = limit.cost(0);
    for (Index k = 1; k < size; ++k) aggregate.cost(k, k) = limit.cost(k);
    for (const ReducedPair& pair : problem.pairs) {
      const std::size_t columns = problem.decisions[pair.second].count;
      for (std::size_t e = 0; e < pair.loss.size() && !pair.cost.empty(); ++e) {
        const Index row = offset[pair.first] + static_cast<Index>(e / columns);
        const Index column = offset[pair.second] + static_cast<Index>(e % columns);
        const double value = 0.5 * scale * static_cast<double>(pair.cost[e * dims + d]);
        aggregate.cost(row, column) += value;
        aggregate.cost(column, row) += value;
      }
    }
    aggregates.push_back(std::move(aggregate));
  }
}

/// The objective with the limits charged: C + Σ μ_k·½(e_k aᵀ + a e_kᵀ) + Σ λ·A.
Matrix PairRelaxation::State::Charged() const {
  Matrix charged = cost;
  for (const Limit& limit : limits) {
    const Matrix outer = 0.5 * limit.multiplier * limit.cost.transpose();
    charged += outer + outer.transpose();
  }
  for (const Aggregate& aggregate : aggregates) charged += aggregate.multiplier * aggregate.cost;
  return charged;
}

/// y ← the nearest matrix whose blocks are distributions and whose diagonal equals row 0.
void PairRelaxation::State::ProjectY(const Matrix& target) {
  y.setZero();
  y(0, 0) = 1.0;
  std::vector<double> values;
  std::vector<double> sorted;
  for (std::size_t i = 0; i < layers; ++i) {
    const std::size_t count = problem.decisions[i].count;
    values.assign(count, 0.0);
    for (std::size_t c = 0; c < count; ++c) {
      const Index k = offset[i] + static_cast<Index>(c);
      values[c] = (2.0 * target(0, k) + target(k, k)) / 3.0;
    }
    ProjectOnSimplex(&values, 1.0, &sorted);
    for (std::size_t c = 0; c < count; ++c) {
      const Index k = offset[i] + static_cast<Index>(c);
      y(0, k) = y(k, 0) = y(k, k) = values[c];
    }
    for (std::size_t j = i + 1; j < layers; ++j) {
      const std::size_t columns = problem.decisions[j].count;
      const std::vector<std::uint8_t>& out = forbidden[i * layers + j];
      values.clear();
      for (std::size_t e = 0; e < count * columns; ++e) {
        if (!out.empty() && out[e]) continue;
        values.push_back(target(offset[i] + static_cast<Index>(e / columns),
                                offset[j] + static_cast<Index>(e % columns)));
      }
      ProjectOnSimplex(&values, 1.0, &sorted);
      std::size_t at = 0;
      for (std::size_t e = 0; e < count * columns; ++e) {
        if (!out.empty() && out[e]) continue;
        const Index row = offset[i] + static_cast<Index>(e / columns);
        const Index column = offset[j] + static_cast<Index>(e % columns);
        y(row, column) = y(column, row) = values[at++];
      }
    }
  }
}

void PairRelaxation::State::Step() {
  constexpr double kRelax = 0.9;
  // R: nearest to Vᵀ(Y + Z/β)V among positive semidefinite matrices of trace layers + 1.
  const Matrix inner = face.transpose() * (y + z / beta) * face;
  eigen.compute(inner);
  std::vector<double> values(eigen.eigenvalues().data(),
                             eigen.eigenvalues().data() + eigen.eigenvalues().size());
  std::vector<double> sorted;
  ProjectOnSimplex(&values, static_cast<double>(layers) + 1.0, &sorted);
  // Only the positive part matters: V·(eigenvectors with a positive value).
  Index positive = 0;
  for (double value : values) positive += value > 0.0 ? 1 : 0;
  Matrix root(face.cols(), positive);
  Index at = 0;
  for (Index k = 0; k < face.cols(); ++k) {
    const double value = values[static_cast<std::size_t>(k)];
    if (value > 0.0) root.col(at++) = eigen.eigenvectors().col(k) * std::sqrt(value);
  }
  const Matrix tall = face * root;
  r_full.noalias() = tall * tall.transpose();
  z += kRelax * beta * (y - r_full);
  const Matrix before = y;
  ProjectY(r_full - (Charged() + z) / beta);
  z += kRelax * beta * (y - r_full);
  UpdateMultipliers();
  ++iteration;
  if (iteration % 20 == 0) {
    // Keep the two residuals of one size.
    const double primal = (y - r_full).norm();
    const double dual = beta * (y - before).norm();
    if (primal > 4.0 * dual) beta *= 1.4;
    if (dual > 4.0 * primal) beta /= 1.4;
  }
}

void PairRelaxation::State::UpdateMultipliers() {
  for (Limit& limit : limits) {
    // Row k: Σ a·Y_k − capacity·Y_k0, times a step that respects the penalty.
    const Vector excess = y * limit.cost;
    const double step = beta / std::max(1.0, limit.cost.squaredNorm());
    for (Index k = 1; k < size; ++k) {
      limit.multiplier(k) = std::max(0.0, limit.multiplier(k) + step * excess(k));
    }
  }
  for (Aggregate& aggregate : aggregates) {
    const double excess = aggregate.cost.cwiseProduct(y).sum();
    const double step = beta / std::max(1.0, aggregate.cost.squaredNorm());
    aggregate.multiplier = std::max(0.0, aggregate.multiplier + step * excess);
  }
}

/// Turns the current multipliers into a pairwise bound, and keeps it if it is the best.
void PairRelaxation::State::EvaluateBound() {
  Matrix m = Charged() + z;
  const Matrix inner = face.transpose() * z * face;
  Eigen::SelfAdjointEigenSolver<Matrix> values(inner, Eigen::EigenvaluesOnly);
  const double largest = values.eigenvalues()(values.eigenvalues().size() - 1);
  PairwiseBound bound = best;
  bound.constant = m(0, 0) - (static_cast<double>(layers) + 1.0) * largest;
  double value = bound.constant;
  for (std::size_t i = 0; i < layers; ++i) {
    double least = kInfinity;
    for (std::size_t c = 0; c < bound.count[i]; ++c) {
      const Index k = offset[i] + static_cast<Index>(c);
      bound.unary[i][c] = 2.0 * m(0, k) + m(k, k);
      least = std::min(least, bound.unary[i][c]);
    }
    value += least;
    for (std::size_t j = i + 1; j < layers; ++j) {
      std::vector<double>& matrix = bound.pair[i * layers + j];
      const std::size_t columns = bound.count[j];
      matrix.resize(bound.count[i] * columns);
      const std::vector<std::uint8_t>& out = forbidden[i * layers + j];
      double least_pair = kInfinity;
      for (std::size_t e = 0; e < matrix.size(); ++e) {
        matrix[e] = !out.empty() && out[e] ? kInfinity
                                           : 2.0 * m(offset[i] + static_cast<Index>(e / columns),
                                                     offset[j] + static_cast<Index>(e % columns));
        least_pair = std::min(least_pair, matrix[e]);
      }
      value += least_pair;
    }
  }
  bound.margin = 1e-13 * static_cast<double>(size) * (z.norm() + m.norm() + 1.0);
  if (value - bound.margin > best_value) {
    best_value = value - bound.margin;
    best = std::move(bound);
  }
}

void PairRelaxation::State::ReadMarginals() {
  marginals.assign(layers, {});
  for (std::size_t i = 0; i < layers; ++i) {
    for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
      marginals[i].push_back(r_full(0, offset[i] + static_cast<Index>(c)));
    }
  }
}

PairRelaxation::PairRelaxation(const ReducedProblem& problem)
    : state_(std::make_unique<State>(problem)) {
  state_->Build();
  state_->EvaluateBound();
  state_->ReadMarginals();
}

PairRelaxation::~PairRelaxation() = default;

double PairRelaxation::Run(int iterations, const std::function<bool()>& should_stop) {
  for (int n = 0; n < iterations && !should_stop(); ++n) {
    state_->Step();
    if (n % 20 == 19 || n + 1 == iterations) state_->EvaluateBound();
  }
  state_->ReadMarginals();
  return state_->best_value;
}

const PairwiseBound& PairRelaxation::bound() const { return state_->best; }

const std::vector<std::vector<double>>& PairRelaxation::marginals() const {
  return state_->marginals;
}

}  // namespace bitsearch
