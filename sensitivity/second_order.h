#pragma once
// The second-order model with the quantization error itself: gᵀΔ + ½ΔᵀHΔ by real Hessian-vector
// products, instead of trace × norm; and the cross terms Δ_lᵀH_lmΔ_m of pairs of layers.
// Torch-free header.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sensitivity/estimate.h"
#include "sensitivity/sensitivity_report.h"
#include "space/network/dataset.h"
#include "space/quantizer/quantized_network.h"
#include "space/support/run_context.h"
#include "space/support/strong_index.h"

namespace bitsearch {

/// What the loss is expanded around. With the network's own outputs as labels the gradient is zero
/// and the expansion is that of the KL divergence to the float network.
enum class ExpansionTarget : std::uint8_t { kLabels, kOwnOutputs };

/// The model's two terms for one choice, in nats, means over the records with their standard errors.
struct SecondOrderRow {
  LayerIndex layer;
  BitChoice choice;
  Estimate first;   ///< gᵀΔ
  Estimate second;  ///< ½ΔᵀHΔ
  Estimate sum;
};

struct SecondOrderOptions {
  ExpansionTarget target = ExpansionTarget::kLabels;
  std::int64_t batch_size = 128;
  std::function<std::optional<SecondOrderRow>(LayerIndex, const BitChoice&)> known;
  std::function<void(const SecondOrderRow&)> record;
};

/// Expands the loss in each layer's output: Δ is the change that the quantized weights, input and
/// corrected bias make there. Because the output is linear in the weights (and in the input), gᵀΔ
/// and ΔᵀHΔ equal those in the weights, but weight, input and bias are had together with their
/// interaction within the layer, and record by record. Rows in layer order; bitwise independent of
/// context.threads. Throws as MeasurePerturbations.
std::vector<SecondOrderRow> SecondOrderIncreases(const CalibratedNetwork& network,
                                                 const Dataset& data,
                                                 std::span<const std::vector<BitChoice>> choices,
                                                 const SecondOrderOptions& options,
                                                 const RunContext& context);

/// Which pairs of layers to look at.
enum class PairSelection : std::uint8_t { kNeighbours, kAll };

/// Δ_lᵀH_lmΔ_m of the mean loss for the weight errors of every two layers' choices (formats in
/// ascending order, fp32 left out; activations fp32). One double backward per (layer, format) and
/// batch serves all partners. Bitwise independent of context.threads.
std::vector<PairSensitivity> HessianCrossTerms(const CalibratedNetwork& network,
                                               const Dataset& data,
                                               std::span<const std::vector<BitChoice>> choices,
                                               PairSelection selection, ExpansionTarget target,
                                               const RunContext& context,
                                               std::int64_t batch_size = 128);

}  // namespace bitsearch
