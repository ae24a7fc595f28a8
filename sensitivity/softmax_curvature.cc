#include "sensitivity/softmax_curvature.h"

#include <cmath>

#include <Eigen/Eigenvalues>

namespace bitsearch {

std::vector<double> SoftmaxCurvatureFactors(std::span<const double> probabilities) {
  const auto classes = static_cast<Eigen::Index>(probabilities.size());
  const Eigen::Map<const Eigen::VectorXd> p(probabilities.data(), classes);
  Eigen::MatrixXd curvature = -p * p.transpose();
  curvature.diagonal() += p;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(curvature);
  std::vector<double> factors;
  factors.reserve(static_cast<std::size_t>((classes - 1) * classes));
  // Eigen sorts ascending; entry 0 is the null vector's 0, up to rounding.
  for (Eigen::Index i = classes - 1; i > 0; --i) {
    const double length = std::sqrt(std::max(0.0, solver.eigenvalues()[i]));
    for (Eigen::Index c = 0; c < classes; ++c) {
      factors.push_back(length * solver.eigenvectors()(c, i));
    }
  }
  return factors;
}

double SoftmaxCurvatureProduct(std::span<const double> probabilities, std::span<const double> u,
                               std::span<const double> v) {
  double both = 0.0;
  double mean_u = 0.0;
  double mean_v = 0.0;
  for (std::size_t c = 0; c < probabilities.size(); ++c) {
    both += probabilities[c] * u[c] * v[c];
    mean_u += probabilities[c] * u[c];
    mean_v += probabilities[c] * v[c];
  }
  return both - mean_u * mean_v;
}

}  // namespace bitsearch
