#pragma once
// From curvature and quantization errors to expected loss increases: HAWQ-V2's Ω with its
// normalisation spelled out, in nats. Torch-free.

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "sensitivity/sensitivity_report.h"
#include "sensitivity/traces.h"
#include "space/choices/bit_choice.h"
#include "space/graph/layer_graph.h"

namespace bitsearch {

/// ‖Δ‖² of quantizing one tensor of each layer to each format: of the weight; of one record's input,
/// mean over the records.
struct QuantizationErrors {
  std::vector<std::map<NumberFormat, double>> weight;
  std::vector<std::map<NumberFormat, double>> activation;
};

enum class CurvatureScore : std::uint8_t {
  kHalf,  ///< ½·(trace/elements)·‖Δ‖²: the expected loss increase in nats.
  kHawq,  ///< (trace/elements)·‖Δ‖²: Ω of HAWQ-V2 and V3, twice that.
};

/// loss_increase of (w, a) = score of the weight at w + score of the input at a; a format of fp32
/// adds nothing. The standard error is that of the traces, probes and data (probes alone where the
/// data's part is not known), weight and input taken as independent. `traces` may hold estimates of
/// weights, of activations, or both; what is missing adds nothing and is named in the notes.
/// Throws Error(kInternal) if an error of a chosen format is missing.
SensitivityReport ScoreCurvature(const LayerGraph& graph, std::span<const TraceEstimate> traces,
                                 const QuantizationErrors& errors,
                                 std::span<const std::vector<BitChoice>> choices,
                                 CurvatureScore score);

/// The same from largest eigenvalues instead of mean traces (HAWQ-V1's idea): ½·λ_max·‖Δ‖², which
/// bounds the second-order term from above. `traces` then hold eigenvalues.
SensitivityReport ScoreEigenvalues(const LayerGraph& graph, std::span<const TraceEstimate> traces,
                                   const QuantizationErrors& errors,
                                   std::span<const std::vector<BitChoice>> choices,
                                   CurvatureScore score);

}  // namespace bitsearch
