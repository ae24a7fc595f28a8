#include "experiments/json_values.h"

#include <cmath>

namespace bitsearch {

using Json = nlohmann::ordered_json;

Json BitsJson(NumberFormat format) {
  if (format.is_integer()) return format.bits();
  if (format.kind() == NumberFormat::Kind::kSkip) return 0;
  return format.ToString();
}

Json FiniteOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json FiguresJson(const Stability& stability) {
  return {{"redraws", stability.redraws},
          {"configuration", stability.configuration},
          {"layers", stability.layers}};
}

Json QualityJson(const PredictionQuality& quality) {
  return {{"median_relative_error", FiniteOrNull(quality.median_relative_error)},
          {"largest_relative_error", FiniteOrNull(quality.largest_relative_error)},
          {"r_squared", FiniteOrNull(quality.r_squared)},
          {"kendall_tau", FiniteOrNull(quality.kendall_tau)}};
}

}  // namespace bitsearch
