#pragma once
// The inner loops of PerceptronEngine, compiled once per instruction set. Plain floats only: the
// files behind this header are compiled with different flags, so no template may be shared.

#include <cstddef>
#include <cstdint>

namespace bitsearch {

/// Outputs of a dense layer are computed in panels of this many.
inline constexpr std::size_t kPanelWidth = 16;

struct PerceptronKernels {
  const char* name;
  /// out[o] = Σ over features of columns[feature·width + o], onto `bias`; then max(·, 0) if `relu`,
  /// then added to what `out` holds if `add`. `width` is a multiple of kPanelWidth.
  void (*sum_columns)(const float* columns, const float* bias, const std::uint32_t* features,
                      std::size_t count, std::size_t width, bool relu, bool add, float* out);
  /// out[r·16·panels + o] = max(bias[o] + Σ_k W[o][k]·in[r·in_stride + k], least), k
  /// ascending; `least` is 0 before a ReLU and −∞ for a plain product.
  /// `weights`: for each panel, for each k, 16 outputs.
  void (*dense)(const float* weights, const float* bias, std::size_t panels, std::size_t inputs,
                const float* in, std::size_t in_stride, std::size_t rows, float least, float* out);
  /// Σ weights[k]·in[k] in a fixed order; `width` is a multiple of kPanelWidth.
  float (*dot)(const float* weights, const float* in, std::size_t width);
};

/// SSE2 on x86, whatever Eigen knows elsewhere.
const PerceptronKernels& BaselineKernels();
/// AVX2 and FMA; null in builds for other machines.
const PerceptronKernels* Avx2Kernels();
/// The fastest that this machine runs.
const PerceptronKernels& KernelsForThisMachine();

}  // namespace bitsearch
