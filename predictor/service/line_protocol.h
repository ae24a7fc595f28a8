#pragma once
// JSON lines from a descriptor to a descriptor. Must not know what the lines mean.

#include <cstddef>

#include "predictor/service/prediction_service.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Longest line that is read; a longer one is answered with an error and skipped.
inline constexpr std::size_t kMostLineBytes = std::size_t{16} << 20;

/// Answers each line of `input` with one line on `output`, in order. What has arrived is answered
/// at once, as one batch. At the end of input everything is answered, a last line without a line
/// break too. Stops early, with what was read answered, when a stop is requested: returns false
/// then. Throws Error(kFileWrite) if the output cannot be written, Error(kFileNotFound) if the
/// input cannot be read.
bool AnswerJsonLines(PredictionService& service, int input, int output, const StopToken& stop);

}  // namespace bitsearch
