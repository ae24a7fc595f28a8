// The kernels for AVX2 and FMA; this file alone is compiled with those flags. Eigen is given
// another namespace here: its inline functions compiled with these flags must never be linked into
// code that runs on older machines.
#include "predictor/perceptron_kernels.h"

#ifdef __AVX2__
#define Eigen bitsearch_eigen_avx2
#include <Eigen/Core>
#endif

namespace bitsearch {

#ifdef __AVX2__
namespace avx2 {
#include "predictor/perceptron_kernels.inc"
}  // namespace avx2

const PerceptronKernels* Avx2Kernels() {
  static constexpr PerceptronKernels kKernels{"avx2", avx2::SumColumns, avx2::Dense, avx2::Dot};
  return &kKernels;
}
#else
const PerceptronKernels* Avx2Kernels() { return nullptr; }
#endif

}  // namespace bitsearch
