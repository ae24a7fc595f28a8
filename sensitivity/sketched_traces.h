#pragma once
// Traces of single Hessian blocks that use their low effective rank: Hutch++ (Meyer, Musco, Musco,
// Woodruff 2021) and XTrace (Epperly, Tropp, Webber 2023). Torch-free header.

#include <cstdint>
#include <functional>
#include <vector>

#include <Eigen/Core>

#include "sensitivity/hutchinson.h"
#include "sensitivity/traces.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

class Network;

/// Products of a symmetric matrix with the columns of X.
using MatrixProduct = std::function<Eigen::MatrixXd(const Eigen::MatrixXd&)>;

/// A trace and the variance that the estimator sees in itself, with its degrees of freedom.
struct SketchedTrace {
  double trace = 0.0;
  double variance = 0.0;
  double degrees = 0.0;
  std::int64_t products = 0;
};

/// tr(QᵀAQ) + a Hutchinson estimate of the rest, Q an orthonormal basis of A·sketch. Unbiased.
/// `sketch`: n × k random signs; `probes`: n × m, too. k + rank + m products. The variance is that
/// of the m values. With rank n it is exact.
SketchedTrace HutchPlusPlus(const MatrixProduct& multiply, const Eigen::MatrixXd& sketch,
                            const Eigen::MatrixXd& probes);

/// The mean over i of Hutch++ with the basis of all vectors but the i-th and the i-th as the probe,
/// scaled by its length within the complement of the basis (exactly unbiased for `gaussian`: n × k
/// independent standard normal entries, 2 ≤ k < n). 2k products. The variance is that of the
/// leave-one-out values divided by k, as the authors propose.
SketchedTrace XTrace(const MatrixProduct& multiply, const Eigen::MatrixXd& gaussian);

enum class Sketch : std::uint8_t { kHutchPlusPlus, kXTrace };

struct SketchOptions {
  Sketch method = Sketch::kXTrace;
  CurvatureOf of = CurvatureOf::kWeight;
  std::int64_t batch_size = 128;
  /// Hessian products of one round: XTrace spends half on vectors and half on their basis, Hutch++ a
  /// third each on sketch, basis and rest. A block of no more elements is computed exactly.
  std::int64_t products = 12;
  TraceStopping stopping{1, 8, 0.0, 0.0};
  TraceJournal journal;
};

/// As HutchinsonTraces, one layer at a time. Weights, or inputs of layers (then the vectors cover
/// all records of the batch together).
std::vector<TraceObservation> SketchedTraces(const Network& network, const Dataset& data,
                                             const SketchOptions& options,
                                             const RunContext& context);

}  // namespace bitsearch
