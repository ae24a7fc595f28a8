// Torch-free, so that files and command lines can be checked without LibTorch.
#include <algorithm>
#include <array>

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
  if (method == "output-mse" || (!SensitivityNeedsLabels(method) && GivesClasses(graph))) {
    RequireFit(graph, data);
  } else {
    RequireAccuracy(graph, data);
  }
}

bool SensitivityNeedsLabels(std::string_view method) {
  constexpr std::array kWithout = {"perturbation", "kl", "output-mse", "gauss-newton",
                                   "gauss-newton-sampled"};
  return std::find(kWithout.begin(), kWithout.end(), method) == kWithout.end();
}

bool SensitivityHasPairs(std::string_view method) {
  constexpr std::array kWith = {"perturbation", "kl", "loss", "output-mse"};
  return std::find(kWith.begin(), kWith.end(), method) != kWith.end();
}

}  // namespace bitsearch
