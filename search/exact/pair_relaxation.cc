// The semidefinite bound. Matrices are square with a row for the constant (0), one per choice, and
// one for the slack of each limit, as a share of its capacity. Y = V R Vᵀ, where V spans the
// vectors that satisfy "one choice per decision" and "cost + slack = capacity": marginalisation,
// and the limits multiplied by every variable, hold by construction once no entry is negative.
#include "search/exact/pair_relaxation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "search/exact/pair_relaxation_state.h"

namespace bitsearch {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Index = Eigen::Index;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

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

/// The objective with the aggregates charged: C + Σ λ·A.
Matrix PairRelaxation::State::Charged() const {
  Matrix charged = *cost;
  for (const Aggregate& aggregate : aggregates) charged += aggregate.multiplier * *aggregate.cost;
  return charged;
}

/// y ← the nearest matrix whose blocks are distributions over what is allowed, whose diagonal
/// equals row 0, and whose slacks are shares.
void PairRelaxation::State::ProjectY(const Matrix& target) {
  y.setZero();
  y(0, 0) = 1.0;
  std::vector<double> values;
  std::vector<double> sorted;
  std::vector<std::pair<Index, Index>> places;
  for (std::size_t i = 0; i < layers; ++i) {
    values.clear();
    places.clear();
    for (std::size_t c = 0; c < best.count[i]; ++c) {
      if (!Allows(i, c)) continue;
      const Index k = offset[i] + static_cast<Index>(c);
      places.emplace_back(k, k);
      values.push_back((2.0 * target(0, k) + target(k, k)) / 3.0);
    }
    ProjectOnSimplex(&values, 1.0, &sorted);
    for (std::size_t n = 0; n < places.size(); ++n) {
      const Index k = places[n].first;
      y(0, k) = y(k, 0) = y(k, k) = values[n];
    }
    for (std::size_t j = i + 1; j < layers; ++j) {
      values.clear();
      places.clear();
      for (std::size_t c = 0; c < best.count[i]; ++c) {
        for (std::size_t d = 0; d < best.count[j]; ++d) {
          if (!AllowsPair(i, c, j, d)) continue;
          places.emplace_back(offset[i] + static_cast<Index>(c), offset[j] + static_cast<Index>(d));
          values.push_back(target(places.back().first, places.back().second));
        }
      }
      ProjectOnSimplex(&values, 1.0, &sorted);
      for (std::size_t n = 0; n < places.size(); ++n) {
        const auto [row, column] = places[n];
        y(row, column) = y(column, row) = values[n];
      }
    }
  }
  ProjectSlacks(target);
}

void PairRelaxation::State::ProjectSlacks(const Matrix& target) {
  const auto share = [](double value) { return std::clamp(value, 0.0, 1.0); };
  for (Index s = first_slack; s < size; ++s) {
    for (Index k = 0; k <= s; ++k) y(k, s) = y(s, k) = share(target(k, s));
  }
}

void PairRelaxation::State::Step() {
  constexpr double kRelax = 0.9;
  // R: nearest to Vᵀ(Y + Z/β)V among positive semidefinite matrices of a trace that is possible:
  // the constant and one choice per decision give layers + 1, each slack up to 1.
  const Matrix inner = face->transpose() * (y + z / beta) * *face;
  eigen.compute(inner);
  std::vector<double> values(eigen.eigenvalues().data(),
                             eigen.eigenvalues().data() + eigen.eigenvalues().size());
  std::vector<double> sorted;
  double trace = 0.0;
  for (double value : values) trace += std::max(0.0, value);
  trace = std::clamp(trace, LeastTrace(), LeastTrace() + static_cast<double>(slack_of.size()));
  ProjectOnSimplex(&values, trace, &sorted);
  // Only the positive part matters: V·(eigenvectors with a positive value).
  Index positive = 0;
  for (double value : values) positive += value > 0.0 ? 1 : 0;
  Matrix root(face->cols(), positive);
  Index at = 0;
  for (Index k = 0; k < face->cols(); ++k) {
    const double value = values[static_cast<std::size_t>(k)];
    if (value > 0.0) root.col(at++) = eigen.eigenvectors().col(k) * std::sqrt(value);
  }
  const Matrix tall = *face * root;
  r_full.noalias() = tall * tall.transpose();
  z += kRelax * beta * (y - r_full);
  const Matrix before = y;
  ProjectY(r_full - (Charged() + z) / beta);
  z += kRelax * beta * (y - r_full);
  for (Aggregate& aggregate : aggregates) {
    const double excess = aggregate.cost->cwiseProduct(y).sum();
    const double step = beta / std::max(1.0, aggregate.cost->squaredNorm());
    aggregate.multiplier = std::max(0.0, aggregate.multiplier + step * excess);
  }
  ++iteration;
  if (iteration % 20 == 0) {
    // Keep the two residuals of one size.
    const double primal = (y - r_full).norm();
    const double dual = beta * (y - before).norm();
    if (primal > 4.0 * dual) beta *= 1.4;
    if (dual > 4.0 * primal) beta /= 1.4;
  }
}

/// The least that the slacks, each in [0, 1], can add to ⟨m, x xᵀ⟩ among themselves.
double PairRelaxation::State::LeastOfSlacks(const Matrix& m) const {
  double total = 0.0;
  for (Index s = first_slack; s < size; ++s) {
    const auto at = [&m, s](double slack) { return slack * (2.0 * m(0, s) + m(s, s) * slack); };
    double least = std::min(0.0, at(1.0));
    if (m(s, s) > 0.0) least = std::min(least, at(std::clamp(-m(0, s) / m(s, s), 0.0, 1.0)));
    total += least;
    for (Index other = first_slack; other < s; ++other) total += std::min(0.0, 2.0 * m(other, s));
  }
  return total;
}

/// Turns the current multipliers into a pairwise bound, and keeps it if it is the best.
void PairRelaxation::State::EvaluateBound() {
  Matrix m = Charged() + z;
  const Matrix inner = face->transpose() * z * *face;
  Eigen::SelfAdjointEigenSolver<Matrix> values(inner, Eigen::EigenvaluesOnly);
  const double largest = values.eigenvalues()(values.eigenvalues().size() - 1);
  PairwiseBound bound = best;
  const double trace = LeastTrace() + (largest > 0.0 ? static_cast<double>(slack_of.size()) : 0.0);
  bound.constant = m(0, 0) - trace * largest + LeastOfSlacks(m);
  for (std::size_t i = 0; i < layers; ++i) {
    for (std::size_t c = 0; c < bound.count[i]; ++c) {
      const Index k = offset[i] + static_cast<Index>(c);
      bound.unary[i][c] = 2.0 * m(0, k) + m(k, k);
      for (Index s = first_slack; s < size; ++s) {
        bound.unary[i][c] += std::min(0.0, 2.0 * m(s, k));
      }
    }
    for (std::size_t j = i + 1; j < layers; ++j) {
      std::vector<double>& matrix = bound.pair[i * layers + j];
      const std::size_t columns = bound.count[j];
      matrix.resize(bound.count[i] * columns);
      const std::vector<std::uint8_t>& out = (*forbidden)[i * layers + j];
      for (std::size_t e = 0; e < matrix.size(); ++e) {
        matrix[e] = !out.empty() && out[e] ? kInfinity
                                           : 2.0 * m(offset[i] + static_cast<Index>(e / columns),
                                                     offset[j] + static_cast<Index>(e % columns));
      }
    }
  }
  bound.margin = 1e-13 * static_cast<double>(size) * (z.norm() + m.norm() + 1.0);
  const double value = ValueOf(bound);
  if (value > best_value) {
    best_value = value;
    best = std::move(bound);
  }
}

/// What `bound` says of all that is allowed, rounding taken off.
double PairRelaxation::State::ValueOf(const PairwiseBound& bound) const {
  double value = bound.constant - bound.margin;
  for (std::size_t i = 0; i < layers; ++i) {
    double least = kInfinity;
    for (std::size_t c = 0; c < bound.count[i]; ++c) {
      if (Allows(i, c)) least = std::min(least, bound.unary[i][c]);
    }
    value += least;
    for (std::size_t j = i + 1; j < layers; ++j) {
      const std::vector<double>& matrix = bound.pair[i * layers + j];
      if (matrix.empty()) continue;
      least = kInfinity;
      for (std::size_t c = 0; c < bound.count[i]; ++c) {
        for (std::size_t d = 0; d < bound.count[j]; ++d) {
          if (AllowsPair(i, c, j, d)) least = std::min(least, matrix[c * bound.count[j] + d]);
        }
      }
      value += least;
    }
  }
  return value;
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

PairRelaxation::PairRelaxation(const PairRelaxation& other)
    : state_(std::make_unique<State>(*other.state_)) {}

PairRelaxation::~PairRelaxation() = default;

void PairRelaxation::Restrict(const std::vector<std::uint8_t>& allowed) {
  state_->allowed = allowed;
  state_->best_value = state_->ValueOf(state_->best);
}

double PairRelaxation::value() const { return state_->best_value; }

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
