// Baseline kernels, and the choice between instruction sets at run time.
#include "predictor/perceptron_kernels.h"

#include <Eigen/Core>

namespace bitsearch {
namespace baseline {
#include "predictor/perceptron_kernels.inc"
}  // namespace baseline

const PerceptronKernels& BaselineKernels() {
  static constexpr PerceptronKernels kKernels{"baseline", baseline::SumColumns, baseline::Dense,
                                              baseline::Dot};
  return kKernels;
}

const PerceptronKernels& KernelsForThisMachine() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (Avx2Kernels() != nullptr && __builtin_cpu_supports("avx2") != 0 &&
      __builtin_cpu_supports("fma") != 0) {
    return *Avx2Kernels();
  }
#endif
  return BaselineKernels();
}

}  // namespace bitsearch
