#pragma once
// Products of float matrices by the kernels of inference, which use what the machine has (Eigen's
// own are compiled for the oldest one). Must not know what is trained.

#include <Eigen/Core>
#include <vector>

namespace bitsearch {

/// A batch: a record per row.
using RowMatrixXf = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Keeps the packed operand's memory between calls; one per thread.
class MatrixProduct {
 public:
  /// a·b + bias for every row. `a` is m × k, `b` k × n, `bias` of n values, or empty for none.
  /// The sums over k are in ascending order: a row does not depend on the other rows.
  RowMatrixXf operator()(const RowMatrixXf& a, const RowMatrixXf& b,
                         const Eigen::RowVectorXf& bias = {});

 private:
  std::vector<float> panels_, bias_, out_;
};

}  // namespace bitsearch
