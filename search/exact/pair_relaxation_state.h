#pragma once
// The matrices of PairRelaxation: square, with a row for the constant (0), one per choice, and one
// for the slack of each limit, as a share of its capacity. Shared by the file that sets them up and
// the one that iterates; nobody else includes it, so that Eigen stays inside.

#include <Eigen/Dense>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "search/exact/pair_relaxation.h"

namespace bitsearch {

struct PairRelaxation::State {
  explicit State(const ReducedProblem& reduced) : problem(reduced) {}

  const ReducedProblem& problem;
  std::size_t layers = 0;
  std::vector<Eigen::Index> offset;  ///< Of each decision's first choice; row 0 is the constant.
  Eigen::Index size = 0;
  std::shared_ptr<const Eigen::MatrixXd> cost;  ///< C: the objective.
  std::shared_ptr<const Eigen::MatrixXd> face;  ///< V, orthonormal columns.
  Eigen::MatrixXd y;
  Eigen::MatrixXd r_full;  ///< V R Vᵀ
  Eigen::MatrixXd z;
  double beta = 1.0;
  /// Limits with a slack of their own: dimensions without pair costs.
  std::vector<std::size_t> slack_of;  ///< Dimension.
  Eigen::Index first_slack = 0;
  /// Dimensions with pair costs: one aggregate row each.
  struct Aggregate {
    std::shared_ptr<const Eigen::MatrixXd> cost;
    double multiplier = 0.0;
  };
  std::vector<Aggregate> aggregates;
  /// Of each pair block, by [i·layers+j], i<j.
  std::shared_ptr<const std::vector<std::vector<std::uint8_t>>> forbidden;
  std::vector<std::uint8_t> allowed;  ///< All decisions' choices in a row.
  PairwiseBound best;
  double best_value = -std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> marginals;
  int iteration = 0;
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen;

  void Build();
  void BuildFace();
  void FindLimits();
  void BuildAggregate(std::size_t dim);
  Eigen::MatrixXd Charged() const;
  void ProjectY(const Eigen::MatrixXd& target);
  void ProjectSlacks(const Eigen::MatrixXd& target);
  void Step();
  double LeastTrace() const { return static_cast<double>(layers) + 1.0; }
  double LeastOfSlacks(const Eigen::MatrixXd& m) const;
  void EvaluateBound();
  double ValueOf(const PairwiseBound& bound) const;
  bool Allows(std::size_t i, std::size_t c) const {
    return allowed[static_cast<std::size_t>(offset[i]) - 1 + c] != 0;
  }
  bool AllowsPair(std::size_t i, std::size_t c, std::size_t j, std::size_t d) const {
    const std::vector<std::uint8_t>& out = (*forbidden)[i * layers + j];
    return Allows(i, c) && Allows(j, d) && (out.empty() || !out[c * best.count[j] + d]);
  }
  void ReadMarginals();
};

}  // namespace bitsearch
