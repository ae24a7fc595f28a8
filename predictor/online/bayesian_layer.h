#pragma once
// Bayesian linear regression on fixed features: how measured accuracies correct a predictor without
// training it again. Plain Eigen; must not know predictors, files or requests.

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <cstddef>
#include <vector>

namespace bitsearch {

/// A correction and what is known about it.
struct Correction {
  double mean = 0.0;
  double variance = 0.0;        ///< Of the correction itself, without the noise of a measurement.
  double prior_variance = 0.0;  ///< The same before any observation.
};

/// y = w·φ + ε, w ~ N(0, prior²·I), ε ~ N(0, noise²) (Bishop, PRML, section 3.3). Both deviations
/// are re-estimated by maximal evidence on a fixed grid whenever the number of observations reaches
/// 4, 8, 16, …; the state is a function of the sequence of observations alone. A value type; const
/// calls may come from any thread.
class BayesianLayer {
 public:
  /// `features` per observation. `prior_deviation` is that of w·φ for a φ of length 1.
  BayesianLayer(std::size_t features, double prior_deviation, double noise_deviation);

  /// Adds an observation. `features` has features() values. O(features²); O(features³) where the
  /// deviations are re-estimated.
  void Observe(const Eigen::VectorXd& features, double value);

  Correction Predict(const Eigen::VectorXd& features) const;
  /// Column i of `features` → element i.
  std::vector<Correction> Predict(const Eigen::MatrixXd& features) const;

  std::size_t features() const { return static_cast<std::size_t>(gram_.rows()); }
  std::size_t observations() const { return observations_; }
  double prior_deviation() const { return prior_deviation_; }
  double noise_deviation() const { return noise_deviation_; }

 private:
  void EstimateDeviations();
  void Factorize();

  double prior_deviation_;
  double noise_deviation_;
  /// The deviations given at first: the centre of the grid.
  double first_prior_;
  double first_noise_;
  std::size_t observations_ = 0;
  Eigen::MatrixXd gram_;                   ///< Σ φφᵀ; the lower triangle only.
  Eigen::VectorXd moment_;                 ///< Σ φ·y
  double squares_ = 0.0;                   ///< Σ y²
  Eigen::LLT<Eigen::MatrixXd> precision_;  ///< gram/noise² + I/prior²
  Eigen::VectorXd weights_;
};

}  // namespace bitsearch
