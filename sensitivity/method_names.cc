// Torch-free, so that files and command lines can be checked without LibTorch.
#include "sensitivity/measure.h"

namespace bitsearch {

const std::vector<std::string>& SensitivityMethodNames() {
  static const std::vector<std::string> names = {
      "perturbation", "hutchinson",   "hutchpp", "xtrace",     "gauss-newton",
      "fisher",       "eigenvalue",   "second-order", "loss",  "output-mse",
      "kl",           "hessian",      "hutchinson-joint", "gauss-newton-sampled"};
  return names;
}

}  // namespace bitsearch
