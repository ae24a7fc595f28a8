#include "space/choices/quantization_spec.h"

#include <algorithm>

namespace bitsearch {
namespace {

template <typename T>
const std::string& NameIn(const std::vector<std::pair<std::string, T>>& names, T value) {
  for (const auto& [name, known] : names) {
    if (known == value) return name;
  }
  static const std::string kUnknown = "?";
  return kUnknown;
}

}  // namespace

const std::vector<std::pair<std::string, Granularity>>& GranularityNames() {
  static const std::vector<std::pair<std::string, Granularity>> kNames = {
      {"per_tensor", Granularity::kPerTensor},
      {"per_channel", Granularity::kPerChannel},
      {"per_group", Granularity::kPerGroup}};
  return kNames;
}

const std::string& NameOf(Granularity granularity) {
  return NameIn(GranularityNames(), granularity);
}

const std::vector<std::pair<std::string, RangeMethod>>& RangeMethodNames() {
  static const std::vector<std::pair<std::string, RangeMethod>> kNames = {
      {"min_max", RangeMethod::kMinMax}, {"percentile", RangeMethod::kPercentile},
      {"mse", RangeMethod::kMse},        {"aciq", RangeMethod::kAciq},
      {"kl", RangeMethod::kKl},          {"moving_average", RangeMethod::kMovingAverage}};
  return kNames;
}

const std::string& NameOf(RangeMethod method) { return NameIn(RangeMethodNames(), method); }

bool QuantizationSpec::Has(CalibrationStep step) const {
  return std::find(calibration.begin(), calibration.end(), step) != calibration.end();
}

bool QuantizationSpec::ChoosesIntegers() const {
  return std::any_of(calibration.begin(), calibration.end(), [](CalibrationStep step) {
    return InfoOf(step).phase == CalibrationPhase::kWeights;
  });
}

bool QuantizationSpec::StepsNeedData() const {
  return std::any_of(calibration.begin(), calibration.end(),
                     [](CalibrationStep step) { return InfoOf(step).needs_data; });
}

}  // namespace bitsearch
