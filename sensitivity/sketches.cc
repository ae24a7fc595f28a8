// Hutch++ and XTrace for any symmetric matrix given by its products.
#include <algorithm>
#include <cmath>
#include <limits>

#include <Eigen/Dense>

#include "sensitivity/sketched_traces.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// Products come from float gradients: directions below this part of the largest are their noise.
constexpr double kRankTolerance = 1e-6;

// Orthonormal basis of the columns' span.
MatrixXd BasisOf(const MatrixXd& columns) {
  const Eigen::ColPivHouseholderQR<MatrixXd> qr(columns);
  const double largest = std::abs(qr.matrixR()(0, 0));
  Index rank = 0;
  const Index most = std::min(columns.rows(), columns.cols());
  while (rank < most && std::abs(qr.matrixR()(rank, rank)) > kRankTolerance * largest) ++rank;
  return qr.householderQ() * MatrixXd::Identity(columns.rows(), rank);
}

}  // namespace

SketchedTrace HutchPlusPlus(const MatrixProduct& multiply, const MatrixXd& sketch,
                            const MatrixXd& probes) {
  const MatrixXd basis = BasisOf(multiply(sketch));
  SketchedTrace result;
  result.products = sketch.cols() + basis.cols();
  if (basis.cols() > 0) result.trace = basis.cwiseProduct(multiply(basis)).sum();
  if (basis.cols() == basis.rows()) {
    result.degrees = std::numeric_limits<double>::infinity();
    return result;
  }
  const MatrixXd rest = probes - basis * (basis.transpose() * probes);
  const VectorXd values = rest.cwiseProduct(multiply(rest)).colwise().sum();
  const auto count = static_cast<double>(values.size());
  result.products += probes.cols();
  result.trace += values.mean();
  result.degrees = count - 1.0;
  result.variance = values.size() > 1
                        ? (values.array() - values.mean()).square().sum() / (count - 1.0) / count
                        : std::numeric_limits<double>::quiet_NaN();
  return result;
}

SketchedTrace XTrace(const MatrixProduct& multiply, const MatrixXd& gaussian) {
  const Index n = gaussian.rows();
  const Index k = gaussian.cols();
  if (k < 2 || k >= n) {
    throw Error(ErrorId::kInternal, "XTrace with " + std::to_string(k) + " vectors of " +
                                        std::to_string(n) + " elements");
  }
  const MatrixXd y = multiply(gaussian);
  const Eigen::HouseholderQR<MatrixXd> qr(y);
  const MatrixXd q = qr.householderQ() * MatrixXd::Identity(n, k);
  MatrixXd r = qr.matrixQR().topRows(k).triangularView<Eigen::Upper>();
  // A matrix of rank below k leaves zeros here; any basis of the noise serves as well.
  const double floor = kRankTolerance * 1e-6 * std::max(r.cwiseAbs().maxCoeff(), 1e-300);
  for (Index i = 0; i < k; ++i) {
    if (std::abs(r(i, i)) < floor) r(i, i) = floor;
  }
  const MatrixXd z = multiply(q);
  const MatrixXd h = q.transpose() * z;
  const MatrixXd w = q.transpose() * gaussian;
  const MatrixXd t = z.transpose() * gaussian;
  // Column i: the direction of the basis that vector i alone contributes.
  const MatrixXd inverse = r.triangularView<Eigen::Upper>().solve(MatrixXd::Identity(k, k));
  MatrixXd s = inverse.transpose();
  s.colwise().normalize();
  VectorXd values(k);
  for (Index i = 0; i < k; ++i) {
    const VectorXd si = s.col(i);
    const VectorXd x = w.col(i) - si * si.dot(w.col(i));
    const double rest_length =
        gaussian.col(i).squaredNorm() - x.squaredNorm();
    const double quadratic =
        gaussian.col(i).dot(y.col(i)) - 2.0 * x.dot(t.col(i)) + x.dot(h * x);
    const double scale = static_cast<double>(n - k + 1) / rest_length;
    values[i] = h.trace() - si.dot(h * si) + scale * quadratic;
  }
  SketchedTrace result;
  const auto count = static_cast<double>(k);
  result.trace = values.mean();
  result.variance =
      (values.array() - result.trace).square().sum() / (count - 1.0) / count;
  result.degrees = count - 1.0;
  result.products = 2 * k;
  return result;
}

}  // namespace bitsearch
