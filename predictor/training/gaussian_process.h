#pragma once
// GaussianProcess: regression from few samples, with a kernel over groups of features whose weights
// are fitted to the samples. Knows numbers only.

#include <Eigen/Core>
#include <vector>

namespace bitsearch {

/// Features in groups, each rows × width; all groups have the same rows. Within a group features
/// count alike, so scale them alike.
using FeatureGroups = std::vector<Eigen::MatrixXd>;

struct GaussianProcessOptions {
  int steps = 60;         ///< Of Adam on the kernel's logarithms.
  int fitted_rows = 300;  ///< The first of the rows, by which the kernel is fitted.
};

/// Rational quadratic kernel k = a·(1 + s/4)^−2, s = Σ over groups of w_g·‖x_g − x'_g‖², with noise
/// on the diagonal (Rasmussen and Williams 2006, eq. 4.19 with α = 2). a, w and the noise maximise
/// the marginal likelihood of the first targets (eq. 5.8), with a weak prior that keeps each w near
/// 1 over half the mean squared distance. Immutable after construction.
class GaussianProcess {
 public:
  /// `targets`: rows × targets, of about zero mean and unit variance. The kernel is fitted to the
  /// first column and serves all. Needs a row at least.
  GaussianProcess(FeatureGroups features, Eigen::MatrixXd targets,
                  const GaussianProcessOptions& options);

  struct Prediction {
    Eigen::MatrixXd mean;      ///< Rows × targets.
    Eigen::VectorXd variance;  ///< Of the function, without noise; empty unless asked for.
  };
  Prediction Predict(const FeatureGroups& features, bool with_variance) const;
  /// What each row would be predicted as from the others (eq. 5.12), under the fitted kernel.
  const Eigen::MatrixXd& leave_one_out() const { return leave_one_out_; }
  /// Mean variance of those predictions, noise included.
  double mean_unseen_variance() const { return mean_unseen_variance_; }
  double noise_variance() const { return noise_variance_; }

 private:
  FeatureGroups features_;
  Eigen::VectorXd log_kernel_;  ///< ln w per group, ln a, ln noise.
  Eigen::MatrixXd factor_;      ///< Lower Cholesky factor.
  Eigen::MatrixXd dual_;        ///< K⁻¹·targets.
  Eigen::MatrixXd leave_one_out_;
  double mean_unseen_variance_ = 0.0, noise_variance_ = 0.0;
};

}  // namespace bitsearch
