// Objective, face and limits of the semidefinite relaxation, and where its iterations start.
#include <algorithm>
#include <cmath>
#include <utility>

#include "search/exact/pair_relaxation_state.h"

namespace bitsearch {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Index = Eigen::Index;

}  // namespace

void PairRelaxation::State::Build() {
  layers = problem.decisions.size();
  size = 1;
  for (const ReducedDecision& decision : problem.decisions) {
    offset.push_back(size);
    size += static_cast<Index>(decision.count);
  }
  first_slack = size;
  FindLimits();
  size += static_cast<Index>(slack_of.size());
  best = PlainBound(problem);
  Matrix objective = Matrix::Zero(size, size);
  for (std::size_t i = 0; i < layers; ++i) {
    for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
      const Index k = offset[i] + static_cast<Index>(c);
      objective(k, k) = best.unary[i][c];
    }
  }
  std::vector<std::vector<std::uint8_t>> out(layers * layers);
  for (const ReducedPair& pair : problem.pairs) {
    out[pair.first * layers + pair.second] = pair.forbidden;
    const std::size_t columns = problem.decisions[pair.second].count;
    for (std::size_t e = 0; e < pair.loss.size(); ++e) {
      const Index row = offset[pair.first] + static_cast<Index>(e / columns);
      const Index column = offset[pair.second] + static_cast<Index>(e % columns);
      const double value = 0.5 * static_cast<double>(pair.loss[e]) / best.scale;
      objective(row, column) = value;
      objective(column, row) = value;
    }
  }
  cost = std::make_shared<const Matrix>(std::move(objective));
  forbidden = std::make_shared<const std::vector<std::vector<std::uint8_t>>>(std::move(out));
  allowed.assign(static_cast<std::size_t>(first_slack - 1), 1);
  BuildFace();
  for (std::size_t d = 0; d < problem.dims(); ++d) {
    if (std::find(slack_of.begin(), slack_of.end(), d) == slack_of.end()) BuildAggregate(d);
  }
  // Start from the uniform product distribution.
  Vector x = Vector::Constant(size, 0.5);
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
  beta = std::max(1e-3, cost->norm() / std::max(1.0, y.norm()));
  eigen = Eigen::SelfAdjointEigenSolver<Matrix>(face->cols());
}

/// A limit gets a slack if no pair of layers adds to it.
void PairRelaxation::State::FindLimits() {
  const std::size_t dims = problem.dims();
  for (std::size_t d = 0; d < dims; ++d) {
    const std::int64_t capacity = problem.dimensions[d].capacity;
    bool in_pairs = false;
    for (const ReducedPair& pair : problem.pairs) {
      for (std::size_t e = 0; e < pair.loss.size() && !pair.cost.empty(); ++e) {
        in_pairs = in_pairs || pair.cost[e * dims + d] != 0;
      }
    }
    if (!in_pairs && capacity > 0 && capacity != ReducedProblem::kUnlimited) slack_of.push_back(d);
  }
}

void PairRelaxation::State::BuildFace() {
  const auto rows = static_cast<Index>(layers + slack_of.size());
  Matrix constraints = Matrix::Zero(size, rows);
  for (std::size_t i = 0; i < layers; ++i) {
    const auto column = static_cast<Index>(i);
    constraints(0, column) = 1.0;
    for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
      constraints(offset[i] + static_cast<Index>(c), column) = -1.0;
    }
  }
  for (std::size_t n = 0; n < slack_of.size(); ++n) {
    const std::size_t d = slack_of[n];
    const auto column = static_cast<Index>(layers + n);
    constraints(0, column) = 1.0;
    constraints(first_slack + static_cast<Index>(n), column) = -1.0;
    for (std::size_t i = 0; i < layers; ++i) {
      for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
        constraints(offset[i] + static_cast<Index>(c), column) =
            -static_cast<double>(problem.decisions[i].cost[c * problem.dims() + d]) /
            static_cast<double>(problem.dimensions[d].capacity);
      }
    }
  }
  const Eigen::HouseholderQR<Matrix> qr(constraints);
  const Matrix q = qr.householderQ() * Matrix::Identity(size, size);
  face = std::make_shared<const Matrix>(q.rightCols(size - rows));
}

/// A limit to which pairs of layers add: charged as a whole.
void PairRelaxation::State::BuildAggregate(std::size_t d) {
  const std::size_t dims = problem.dims();
  if (problem.dimensions[d].capacity == ReducedProblem::kUnlimited) return;
  double total = 1.0;
  for (const ReducedDecision& decision : problem.decisions) {
    std::int64_t largest = 0;
    for (std::size_t c = 0; c < decision.count; ++c) {
      largest = std::max(largest, decision.cost[c * dims + d]);
    }
    total += static_cast<double>(largest);
  }
  // Scaled so that a typical choice costs about 1.
  const double scale = static_cast<double>(layers) / total;
  Aggregate aggregate;
  Matrix charge = Matrix::Zero(size, size);
  charge(0, 0) = -static_cast<double>(problem.dimensions[d].capacity) * scale;
  for (std::size_t i = 0; i < layers; ++i) {
    for (std::size_t c = 0; c < problem.decisions[i].count; ++c) {
      const Index k = offset[i] + static_cast<Index>(c);
      charge(k, k) = static_cast<double>(problem.decisions[i].cost[c * dims + d]) * scale;
    }
  }
  for (const ReducedPair& pair : problem.pairs) {
    const std::size_t columns = problem.decisions[pair.second].count;
    for (std::size_t e = 0; e < pair.loss.size() && !pair.cost.empty(); ++e) {
      const Index row = offset[pair.first] + static_cast<Index>(e / columns);
      const Index column = offset[pair.second] + static_cast<Index>(e % columns);
      const double value = 0.5 * scale * static_cast<double>(pair.cost[e * dims + d]);
      charge(row, column) += value;
      charge(column, row) += value;
    }
  }
  aggregate.cost = std::make_shared<const Matrix>(std::move(charge));
  aggregates.push_back(std::move(aggregate));
}

}  // namespace bitsearch
