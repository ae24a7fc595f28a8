#pragma once
// The accuracy predictor that once-for-all ships, as a PredictorModel.

#include <filesystem>

#include "predictor/predictor.h"

namespace bitsearch {

/// Reads ofa_predictor_weights.npz: a 128-400-400-400-1 network with arrays `<i>_weight` and
/// `<i>_bias`, i = 0, 2, 4, 6, whose output is top-1 as a fraction. Throws Error(kFileNotFound),
/// Error(kNpzFormat), Error(kPredictorModel).
PredictorModel ReadOnceForAllPredictor(const std::filesystem::path& path);

}  // namespace bitsearch
