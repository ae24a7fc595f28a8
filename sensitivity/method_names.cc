// Torch-free, so that files and command lines can be checked without LibTorch.
#include "sensitivity/measure.h"
#include "space/network/data_fit.h"

namespace bitsearch {

const std::vector<std::string>& SensitivityMethodNames() {
  static const std::vector<std::string> names = {
      "perturbation",     "hutchinson",          "hutchpp", "xtrace",     "gauss-newton", "fisher",
      "eigenvalue",       "second-order",        "loss",    "output-mse", "kl",           "hessian",
      "hutchinson-joint", "gauss-newton-sampled"};
  return names;
}

void RequireMeasurable(const std::string& method, const LayerGraph& graph, const Dataset& data) {
  if (method == "output-mse" ||
      ((method == "kl" || method == "perturbation") && GivesClasses(graph))) {
    RequireFit(graph, data);
  } else {
    RequireAccuracy(graph, data);
  }
}

}  // namespace bitsearch
