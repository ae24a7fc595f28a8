#pragma once
// Traces of the Gauss–Newton matrix Σ_n J_nᵀ(diag p − p pᵀ)J_n and of the empirical Fisher matrix
// (FIT, arXiv 2210.08502) from squared gradient norms of single records: first-order passes only,
// weights and activations at once, values per record. Torch-free header.

#include <cstdint>
#include <vector>

#include "sensitivity/traces.h"
#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

class Network;

enum class OutputCurvature : std::uint8_t {
  /// Every direction of G: no probe noise, classes − 1 backward passes.
  kGaussNewton,
  /// The `exact_directions` longest of G's eigenvectors exactly, the rest by `draws` random signs:
  /// unbiased, exact_directions + draws backward passes. A few suffice: most records hesitate
  /// between two classes only.
  kGaussNewtonSampled,
  /// Labels drawn from the network's own probabilities, `draws` of them: unbiased, noisy.
  kSampledLabels,
  /// ‖∂loss_n/∂w‖² with the true labels, one backward pass. Not an estimate of the Hessian's trace
  /// for a network that fits its data; cheap.
  kEmpiricalFisher,
};

struct OutputCurvatureOptions {
  OutputCurvature method = OutputCurvature::kGaussNewton;
  bool weights = true;
  bool activations = true;
  std::int64_t batch_size = 128;
  std::int64_t exact_directions = 1;
  std::int64_t draws = 2;
  /// Stop after the batch at which every layer's total standard error is at most this part of its
  /// trace; 0: all of the data. Looked at after 2, 4, 8, … batches.
  double relative_error = 0.0;
  TraceJournal journal;
};

/// Observations by layer, tensor, batch; one round. Values are means over the batch's records.
/// Bitwise independent of context.threads. Throws Error(kUsage) where the network's output is not
/// N × classes, Error(kDataCount, kInterrupted).
std::vector<TraceObservation> OutputCurvatureTraces(const Network& network, const Dataset& data,
                                                    const OutputCurvatureOptions& options,
                                                    const RunContext& context);

/// Whether the block of the Hessian that belongs to one layer's weight or input equals that of the
/// Gauss–Newton matrix: so where everything behind the layer is piecewise linear (ReLU, pooling,
/// convolutions, adds …), because the logits are then linear in the tensor almost everywhere and
/// only the loss is curved. Then kGaussNewton gives the Hessian's trace itself.
bool HessianBlockIsGaussNewton(const LayerGraph& graph, LayerIndex layer);

}  // namespace bitsearch
