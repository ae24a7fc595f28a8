#pragma once
// Hutchinson's estimator of Hessian traces: E[vᵀHv] = tr H for vectors of independent ±1
// (Hutchinson 1989; HAWQ-V2, arXiv 1911.03852; PyHessian). Torch-free header.

#include <cstdint>
#include <vector>

#include "sensitivity/traces.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

class Network;

/// When an estimator stops adding rounds. Rounds are added to all batches alike.
struct TraceStopping {
  /// Fewest and most rounds; an estimator that is exact does one.
  std::int64_t least_rounds = 16;
  std::int64_t most_rounds = 64;
  /// Stop a layer once its probe standard error is at most this part of its trace; 0: never.
  double relative_error = 0.0;
  /// Stop after the round in which this much time has passed; 0: never. Then the number of rounds,
  /// and so the result, depends on the machine.
  double time_limit_s = 0.0;
};

struct HutchinsonOptions {
  CurvatureOf of = CurvatureOf::kWeight;
  /// Joint: one product with the whole Hessian serves all layers; the blocks between layers add
  /// variance. Block: one layer at a time, from a cached prefix.
  bool joint = false;
  std::int64_t batch_size = 128;
  TraceStopping stopping;
  TraceJournal journal;
};

/// Observations of every layer that has the tensor: `value` = vᵀHv, fresh vectors for every batch
/// and round. Ordered by layer, round, batch. Bitwise independent of context.threads; more rounds
/// extend an earlier result (same seed and batch size) without changing it.
/// Throws Error(kUsage, kDataCount, kInterrupted).
std::vector<TraceObservation> HutchinsonTraces(const Network& network, const Dataset& data,
                                               const HutchinsonOptions& options,
                                               const RunContext& context);

}  // namespace bitsearch
