// Marginal likelihood with its gradient, and the posterior.
#include "predictor/training/gaussian_process.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <utility>

namespace bitsearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kPriorVariance = 4.0;  // Of ln w.
constexpr double kLearningRate = 0.12;
constexpr double kJitter = 1e-8;

MatrixXd SquaredDistances(const MatrixXd& a, const MatrixXd& b) {
  MatrixXd distances = -2.0 * a * b.transpose();
  distances.colwise() += a.rowwise().squaredNorm();
  distances.rowwise() += b.rowwise().squaredNorm().transpose();
  return distances.cwiseMax(0.0);
}

/// 1 / (1 + s/4); the kernel is a times its square.
MatrixXd Closeness(const FeatureGroups& a, const FeatureGroups& b, const VectorXd& log_kernel) {
  MatrixXd sum = MatrixXd::Constant(a.front().rows(), b.front().rows(), 1.0);
  for (std::size_t g = 0; g < a.size(); ++g) {
    sum += 0.25 * std::exp(log_kernel[static_cast<Index>(g)]) * SquaredDistances(a[g], b[g]);
  }
  return sum.cwiseInverse();
}

/// Fits the kernel by Adam on the negative logarithm of the marginal likelihood.
VectorXd FittedKernel(const FeatureGroups& features, const VectorXd& targets, int steps) {
  const auto groups = static_cast<Index>(features.size());
  const Index rows = targets.size();
  std::vector<MatrixXd> distances;
  VectorXd prior(groups);
  for (Index g = 0; g < groups; ++g) {
    const MatrixXd& of = features[static_cast<std::size_t>(g)];
    distances.push_back(SquaredDistances(of, of));
    prior[g] = std::log(0.5 / std::max(distances.back().mean(), 1e-6));
  }
  VectorXd log_kernel(groups + 2);
  log_kernel << prior, 0.0, -0.7;
  VectorXd mean = VectorXd::Zero(groups + 2), square = mean;
  for (int step = 1; step <= steps; ++step) {
    const VectorXd weights = log_kernel.array().exp();
    MatrixXd closeness = MatrixXd::Constant(rows, rows, 1.0);
    for (Index g = 0; g < groups; ++g) {
      closeness += 0.25 * weights[g] * distances[static_cast<std::size_t>(g)];
    }
    closeness = closeness.cwiseInverse();
    const MatrixXd kernel = weights[groups] * closeness.array().square();
    MatrixXd noisy = kernel;
    noisy.diagonal().array() += weights[groups + 1] + kJitter;
    const Eigen::LLT<MatrixXd> factor(noisy);
    // ½·tr((K⁻¹ − ααᵀ)·∂K), eq. 5.9.
    const VectorXd dual = factor.solve(targets);
    MatrixXd inner = factor.solve(MatrixXd::Identity(rows, rows));
    inner -= dual * dual.transpose();
    VectorXd gradient(groups + 2);
    const MatrixXd slope = inner.array() * kernel.array() * closeness.array();
    for (Index g = 0; g < groups; ++g) {
      gradient[g] = -0.25 * weights[g] *
                        (slope.array() * distances[static_cast<std::size_t>(g)].array()).sum() +
                    (log_kernel[g] - prior[g]) / kPriorVariance;
    }
    gradient[groups] = 0.5 * (inner.array() * kernel.array()).sum();
    gradient[groups + 1] = 0.5 * weights[groups + 1] * inner.trace();
    mean = 0.9 * mean + 0.1 * gradient;
    square.array() = 0.999 * square.array() + 0.001 * gradient.array().square();
    log_kernel.array() -= kLearningRate * (mean.array() / (1.0 - std::pow(0.9, step))) /
                          ((square.array() / (1.0 - std::pow(0.999, step))).sqrt() + 1e-8);
  }
  return log_kernel;
}

FeatureGroups FirstRows(const FeatureGroups& of, Index rows) {
  FeatureGroups first;
  for (const MatrixXd& group : of) first.push_back(group.topRows(rows));
  return first;
}

}  // namespace

GaussianProcess::GaussianProcess(FeatureGroups features, MatrixXd targets,
                                 const GaussianProcessOptions& options)
    : features_(std::move(features)) {
  const Index rows = targets.rows();
  const Index fitted = std::min<Index>(rows, options.fitted_rows);
  log_kernel_ =
      FittedKernel(FirstRows(features_, fitted), targets.col(0).head(fitted), options.steps);
  const VectorXd tail = log_kernel_.tail(2).array().exp();
  MatrixXd kernel =
      tail[0] * Closeness(features_, features_, log_kernel_).array().square().matrix();
  kernel.diagonal().array() += tail[1] + kJitter;
  factor_ = Eigen::LLT<MatrixXd>(kernel).matrixL();
  const auto lower = factor_.triangularView<Eigen::Lower>();
  const MatrixXd inverse = lower.solve(MatrixXd::Identity(rows, rows));
  dual_ = inverse.transpose() * (inverse * targets);
  const VectorXd precision = inverse.colwise().squaredNorm();
  mean_unseen_variance_ = precision.cwiseInverse().mean();
  noise_variance_ = tail[1] + kJitter;
  leave_one_out_ = targets.array() - dual_.array().colwise() / precision.array();
}

GaussianProcess::Prediction GaussianProcess::Predict(const FeatureGroups& features,
                                                     bool with_variance) const {
  const double amplitude = std::exp(log_kernel_[log_kernel_.size() - 2]);
  const MatrixXd kernel =
      amplitude * Closeness(features, features_, log_kernel_).array().square().matrix();
  Prediction prediction{kernel * dual_, {}};
  if (with_variance) {
    const MatrixXd explained = factor_.triangularView<Eigen::Lower>().solve(kernel.transpose());
    prediction.variance =
        (amplitude - explained.colwise().squaredNorm().transpose().array()).max(0.0);
  }
  return prediction;
}

}  // namespace bitsearch
