#pragma once
// Which configuration to measure next: within the limits, not measured yet, and promising or
// uncertain. A small evolution on the predictor; searches proper are search's business.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "predictor/online/online_predictor.h"
#include "space/support/random.h"

namespace bitsearch {

/// An inclusive upper limit on cost `cost` of the model, in grid units.
struct CostLimit {
  std::size_t cost = 0;
  std::int64_t limit = 0;
};

/// Limits by name ("latency_us"), in the cost's unit. Throws Error(kResourceUnknown) with the
/// nearest name, Error(kLimitValue).
std::vector<CostLimit> CostLimits(const PredictorModel& model,
                                  std::span<const std::pair<std::string, double>> limits);

struct AskOptions {
  /// Candidates that are scored in a generation, and generations.
  std::size_t population = 128;
  int generations = 4;
};

/// A canonical genome within the limits for which `taken` is false, of the largest
/// mean + κ·deviation found; κ is drawn from an exponential distribution of mean 1, so that several
/// asks in a row differ (as in parallel upper-confidence-bound search). Nothing if no genome within
/// the limits was found. `random` decides everything else: equal streams give equal candidates.
std::optional<std::vector<std::uint8_t>> ProposeCandidate(
    const OnlinePredictor& predictor, std::span<const CostLimit> limits,
    const std::function<bool(std::span<const std::uint8_t>)>& taken, RandomStream& random,
    const AskOptions& options = {});

}  // namespace bitsearch
