#pragma once
// What each estimator, and the formulas that know nothing of the network, say about whole
// configurations. Torch-free header.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/benchmarks/ranking_study/configurations.h"
#include "sensitivity/sensitivity_report.h"
#include "space/choices/bit_config.h"
#include "space/network/dataset.h"
#include "space/quantizer/quantized_network.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// One score, by configuration: the smaller, the better the configuration should be.
struct ScoreColumn {
  std::string name;
  std::vector<double> values;
};

struct ScoreInputs {
  const CalibratedNetwork& network;
  /// Records that sensitivities are measured on; dear estimators take the first of them only.
  const Dataset& data;
  /// With the setting's activations.
  const std::vector<BitConfig>& configs;
  const BandSettings& bands;
  NumberFormat activation;
  /// Column texts by name: what an earlier run has found, which is not computed again, and where to
  /// put new ones.
  std::function<std::optional<std::string>(const std::string& name)> known;
  std::function<void(const std::string& name, const std::string& text)> record;
  RunContext context;
};

/// Names of the columns of the three functions below, in the order of a table.
const std::vector<std::string>& BlindNames();
const std::vector<std::string>& MeasuredNames();
const std::vector<std::string>& CurvatureNames();

/// Column values as they are journaled; nothing for text that is none.
std::optional<std::vector<double>> ParseColumn(const std::string& text);

/// Mean bits, size, Σ 4^−bits, Σ‖ΔW‖²: they do not look at what the network computes.
void AddBlindColumns(const ScoreInputs& inputs);

/// Mean trace times squared error of the weights, by every trace estimator, and largest
/// eigenvalues. They depend neither on bias correction nor (where all activations have equal bits,
/// in their ranking) on activations.
void AddCurvatureColumns(const ScoreInputs& inputs);

/// What is measured by running quantized layers: loss, KL, output error, the second-order estimate;
/// additive, then with what pairs of layers add.
void AddMeasuredColumns(const ScoreInputs& inputs);

/// Σ of the layers' losses, plus the pair terms of its choices. Throws Error(kUsage) for a choice
/// that `report` does not have; pairs that it does not have add nothing.
double ScoreOf(const SensitivityReport& report, const BitConfig& config, bool with_pairs);

}  // namespace bitsearch
