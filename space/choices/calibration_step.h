#pragma once
// The steps of post-training quantization, by name, and which orders of them make sense. One table
// that YAML, command line and configuration files go by. Plain values, torch-free.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace bitsearch {

/// One entry of `calibration: [...]`.
enum class CalibrationStep : std::uint8_t {
  kReplaceRelu6,            ///< Clip(0, 6) → Relu where that lets equalisation through.
  kEqualisation,            ///< Cross-layer equalisation (DFQ).
  kBiasAbsorption,          ///< High biases move to the next layer (DFQ).
  kWeightCorrection,        ///< Scales restore each quantized weight's spread (ACIQ).
  kAdaRound,                ///< Integers chosen by each layer's output error on calibration data.
  kSequentialAdaRound,      ///< The same, each layer in the network quantized so far.
  kAnalyticBiasCorrection,  ///< Biases from BN statistics, without data (DFQ).
  kBiasCorrection,          ///< Biases from calibration data, layer by layer.
};

/// What a step changes; steps stand in this order.
enum class CalibrationPhase : std::uint8_t {
  kNetwork,  ///< The float network, before anything is quantized.
  kWeights,  ///< What the quantized weights are.
  kBiases,   ///< What remains of their error is taken out of the biases.
};

struct CalibrationStepInfo {
  CalibrationStep step;
  std::string name;
  CalibrationPhase phase;
  bool needs_data;
};

/// Every step, in the order of the enumeration.
const std::vector<CalibrationStepInfo>& CalibrationStepTable();
const CalibrationStepInfo& InfoOf(CalibrationStep step);
std::vector<std::string> NamesOf(std::span<const CalibrationStep> steps);
/// The names with commas between, "none" for no steps.
std::string StepsText(std::span<const CalibrationStep> steps);

/// Why a list of steps makes no sense.
struct StepConflict {
  std::size_t position = 0;  ///< Of the step that is wrong where it stands.
  std::string what;
  std::string hint;
};

/// The first conflict of a list, none if it can be done as it stands.
std::optional<StepConflict> FindStepConflict(std::span<const CalibrationStep> steps);

/// Takes every step of CalibrationPhase::kBiases out.
void RemoveBiasSteps(std::vector<CalibrationStep>& steps);

/// Steps from their names. Throws Error(kUsage) for an unknown name or a conflict, without key and
/// location.
std::vector<CalibrationStep> ParseCalibrationSteps(const std::vector<std::string>& names);

}  // namespace bitsearch
