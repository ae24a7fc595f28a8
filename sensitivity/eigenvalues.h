#pragma once
// The largest eigenvalue of each layer's Hessian block by power iteration (HAWQ, arXiv 1905.03696).
// Torch-free header.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sensitivity/traces.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

class Network;

struct EigenvalueOptions {
  CurvatureOf of = CurvatureOf::kWeight;
  std::int64_t batch_size = 128;
  std::int64_t most_iterations = 50;
  /// Stop once ‖Hv − λv‖ ≤ this · |λ|: some eigenvalue is then that close to λ.
  double relative_error = 0.05;
  /// Called for every finished layer, and asked before one is begun. May be empty.
  std::function<std::optional<TraceEstimate>(LayerIndex)> known;
  std::function<void(const TraceEstimate&)> record;
};

/// By layer: `trace` is the eigenvalue largest in size of the block of the mean loss over all of
/// `data` (activations: of all records' inputs together, of the summed loss);
/// `probe_standard_error` the residual ‖Hv − λv‖, a bound, not a deviation; the total error adds the
/// spread over batches of vᵀHv. `probes` counts iterations. Bitwise independent of context.threads.
std::vector<TraceEstimate> LargestEigenvalues(const Network& network, const Dataset& data,
                                              const EigenvalueOptions& options,
                                              const RunContext& context);

}  // namespace bitsearch
