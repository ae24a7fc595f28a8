// Posterior by Cholesky factor; evidence by the eigenvalues of the Gram matrix.
#include "predictor/online/bayesian_layer.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace bitsearch {
namespace {

constexpr std::size_t kFirstEstimate = 4;
/// The grid: the first deviations times 2^(k/2), k from −kSteps to kSteps.
constexpr int kSteps = 8;

}  // namespace

BayesianLayer::BayesianLayer(std::size_t features, double prior_deviation, double noise_deviation)
    : prior_deviation_(prior_deviation),
      noise_deviation_(noise_deviation),
      first_prior_(prior_deviation),
      first_noise_(noise_deviation),
      gram_(Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(features),
                                  static_cast<Eigen::Index>(features))),
      moment_(Eigen::VectorXd::Zero(static_cast<Eigen::Index>(features))) {
  Factorize();
}

void BayesianLayer::Factorize() {
  Eigen::MatrixXd precision = gram_ / (noise_deviation_ * noise_deviation_);
  precision.diagonal().array() += 1.0 / (prior_deviation_ * prior_deviation_);
  precision_.compute(precision);
  weights_ = precision_.solve(moment_) / (noise_deviation_ * noise_deviation_);
}

void BayesianLayer::Observe(const Eigen::VectorXd& features, double value) {
  gram_.selfadjointView<Eigen::Lower>().rankUpdate(features);
  moment_ += features * value;
  squares_ += value * value;
  ++observations_;
  if (observations_ >= kFirstEstimate && std::has_single_bit(observations_)) {
    EstimateDeviations();
    Factorize();
    return;
  }
  const double noise = noise_deviation_ * noise_deviation_;
  precision_.rankUpdate(features, 1.0 / noise);
  weights_ = precision_.solve(moment_) / noise;
}

void BayesianLayer::EstimateDeviations() {
  // log p(y) = −½ [ N·log 2π + Σ log(prior²·λ + noise²) + (N − D)·log noise² + yᵀC⁻¹y ], with
  // yᵀC⁻¹y = (Σy² − Σ m²/(λ + noise²/prior²)) / noise², m the moments along the eigenvectors.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(gram_);
  const Eigen::ArrayXd lambda = eigen.eigenvalues().array().max(0.0);
  const Eigen::ArrayXd along = (eigen.eigenvectors().transpose() * moment_).array().square();
  double best = -std::numeric_limits<double>::infinity();
  for (int p = -kSteps; p <= kSteps; ++p) {
    for (int n = -kSteps; n <= kSteps; ++n) {
      const double prior_deviation = first_prior_ * std::exp2(0.5 * p);
      const double noise_deviation = first_noise_ * std::exp2(0.5 * n);
      const double prior = prior_deviation * prior_deviation;
      const double noise = noise_deviation * noise_deviation;
      const double determinant = (prior * lambda / noise + 1.0).log().sum() +
                                 static_cast<double>(observations_) * std::log(noise);
      const double quadratic = (squares_ - (along / (lambda + noise / prior)).sum()) / noise;
      // A gentle pull to the first deviations decides where few observations say nothing.
      const double evidence =
          -0.5 * (determinant + quadratic) - 0.02 * static_cast<double>(p * p + n * n);
      if (evidence > best) {
        best = evidence;
        prior_deviation_ = prior_deviation;
        noise_deviation_ = noise_deviation;
      }
    }
  }
}

Correction BayesianLayer::Predict(const Eigen::VectorXd& features) const {
  return Predict(Eigen::MatrixXd(features)).front();
}

std::vector<Correction> BayesianLayer::Predict(const Eigen::MatrixXd& features) const {
  std::vector<Correction> corrections(static_cast<std::size_t>(features.cols()));
  for (Eigen::Index i = 0; i < features.cols(); ++i) {
    // Column by column, so that a row's result does not depend on its batch.
    const Eigen::VectorXd whitened = precision_.matrixL().solve(features.col(i));
    corrections[static_cast<std::size_t>(i)] = {
        weights_.dot(features.col(i)), whitened.squaredNorm(),
        prior_deviation_ * prior_deviation_ * features.col(i).squaredNorm()};
  }
  return corrections;
}

}  // namespace bitsearch
