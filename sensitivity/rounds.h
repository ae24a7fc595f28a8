#pragma once
// Runs an estimator round after round until it has converged: which batches and rounds are computed,
// which come from a journal, when a layer stops. Torch-free, so that it can be tested alone.

#include <cstdint>
#include <functional>
#include <vector>

#include "sensitivity/hutchinson.h"
#include "sensitivity/traces.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// The stream index of a probe: batches and rounds never share one.
constexpr std::uint64_t ProbeIndex(std::int64_t batch, std::int64_t round) {
  return (static_cast<std::uint64_t>(batch) << 32U) | static_cast<std::uint64_t>(round);
}

/// What to run.
struct RoundPlan {
  std::vector<LayerIndex> layers;
  CurvatureOf of = CurvatureOf::kWeight;
  std::int64_t batch_count = 0;
  /// All layers come from the same products, so they stop together.
  bool together = false;
  TraceStopping stopping;
  /// Observations of `layers` (one layer unless `together`) on one batch for the rounds [first, end):
  /// [layer][round − first]. Called concurrently for different tasks.
  std::function<std::vector<std::vector<TraceObservation>>(
      const std::vector<LayerIndex>& layers, std::int64_t batch, std::int64_t first,
      std::int64_t end)>
      observe;
};

/// Runs tasks 0 … count − 1, in parallel if it likes.
using ParallelFor =
    std::function<void(std::int64_t count, const std::function<void(std::int64_t)>& task)>;

/// All observations, by layer, round, batch. Convergence is looked at after fixed numbers of rounds
/// (least_rounds, then growing by half), so the result does not depend on threads nor on what the
/// journal already holds.
std::vector<TraceObservation> RunRounds(const RoundPlan& plan, const TraceJournal& journal,
                                        const RunContext& context, const ParallelFor& parallel_for);

}  // namespace bitsearch
