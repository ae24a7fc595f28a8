// Packs the right operand into panels and calls the kernel.
#include "predictor/training/matrix_product.h"

#include <algorithm>
#include <limits>

#include "predictor/perceptron_kernels.h"

namespace bitsearch {

RowMatrixXf MatrixProduct::operator()(const RowMatrixXf& a, const RowMatrixXf& b,
                                      const Eigen::RowVectorXf& bias) {
  const auto rows = static_cast<std::size_t>(a.rows());
  const auto inputs = static_cast<std::size_t>(a.cols());
  const auto outputs = static_cast<std::size_t>(b.cols());
  const std::size_t panels = (outputs + kPanelWidth - 1) / kPanelWidth;
  const std::size_t stride = panels * kPanelWidth;
  panels_.resize(stride * inputs);
  bias_.assign(stride, 0.0F);
  out_.resize(rows * stride);
  std::copy(bias.data(), bias.data() + bias.size(), bias_.begin());
  for (std::size_t p = 0; p < panels; ++p) {
    const std::size_t first = p * kPanelWidth;
    const std::size_t width = std::min(kPanelWidth, outputs - first);
    float* panel = panels_.data() + first * inputs;
    for (std::size_t k = 0; k < inputs; ++k, panel += kPanelWidth) {
      std::copy_n(b.data() + k * outputs + first, width, panel);
      std::fill(panel + width, panel + kPanelWidth, 0.0F);
    }
  }
  KernelsForThisMachine().dense(panels_.data(), bias_.data(), panels, inputs, a.data(), inputs,
                                rows, -std::numeric_limits<float>::infinity(), out_.data());
  return Eigen::Map<const RowMatrixXf, 0, Eigen::OuterStride<>>(
      out_.data(), a.rows(), b.cols(), Eigen::OuterStride<>(static_cast<Eigen::Index>(stride)));
}

}  // namespace bitsearch
