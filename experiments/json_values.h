#pragma once
// Values that several files of a run hold, as JSON. Must not depend on LibTorch.

#include <nlohmann/json.hpp>

#include "experiments/stability.h"
#include "space/choices/bit_choice.h"
#include "space/hardware/network_latency.h"

namespace bitsearch {

/// Bits as files have them: a number, 0 for a skipped block, else the format's name.
nlohmann::ordered_json BitsJson(NumberFormat format);
/// JSON has no infinities.
nlohmann::ordered_json FiniteOrNull(double value);
/// redraws, configuration, layers: a Stability.
nlohmann::ordered_json FiguresJson(const Stability& stability);
/// median_relative_error, largest_relative_error, r_squared, kendall_tau.
nlohmann::ordered_json QualityJson(const PredictionQuality& quality);

}  // namespace bitsearch
