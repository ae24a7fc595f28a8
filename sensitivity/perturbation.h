#pragma once
// Direct perturbation: quantize one layer, leave the rest float, run the data, see what changes.
// The only sensitivity without a model of the loss, so the one that others are checked against.
// Torch-free header.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "sensitivity/estimate.h"
#include "space/choices/bit_choice.h"
#include "space/network/dataset.h"
#include "space/quantizer/quantized_network.h"
#include "space/support/run_context.h"
#include "space/support/strong_index.h"

namespace bitsearch {

/// What one quantized layer does to the network's output, as means over the samples with standard
/// errors over the samples (independent draws of data; bits and calibration are held fixed).
struct PerturbationRow {
  LayerIndex layer;
  BitChoice choice;
  Estimate kl_nats;             ///< KL(float ‖ quantized) of the class probabilities.
  Estimate loss_increase_nats;  ///< Cross-entropy quantized − float; can be negative.
  Estimate output_mse;          ///< Squared difference of the logits, mean over classes.
  /// KL of each sample, where options.keep_samples: what a bootstrap over the data resamples.
  std::vector<float> kl_per_sample;
  /// Logits quantized − float, N × classes, where options.keep_samples; empty for {fp32, fp32}:
  /// what the interaction of two layers is found from without running them together (see
  /// interactions.h).
  std::vector<float> logit_shift;
};

struct PerturbationOptions {
  /// Results depend on it in the last bits only.
  std::int64_t batch_size = 128;
  /// Float prefixes of all batches are kept between layers up to this much memory; above it they
  /// are recomputed for every layer, which costs at most twice the time.
  std::int64_t most_prefix_bytes = std::int64_t{1} << 30;
  bool keep_samples = false;
  /// Looked up before anything is measured: what an earlier run has found. May be empty.
  std::function<std::optional<PerturbationRow>(LayerIndex, const BitChoice&)> known;
  /// Called once for each newly measured row, from the calling thread, layer by layer in the
  /// network's order. May be empty.
  std::function<void(const PerturbationRow&)> record;
};

/// Measures `choices[l]` for every layer l alone: its weights (and, as the placement says, its
/// input) quantized, bias correction of that layer as the network's spec says, all else float.
/// Layer l's float prefix is computed once per batch, so a row costs only the layers behind l.
/// A format of fp32 leaves that part alone, so {4, fp32} and {fp32, 8} are the separate parts of
/// {4, 8}; {fp32, fp32} is exactly 0. Where the placement keeps activations float, choices that
/// differ in the activation only are measured once.
/// Rows come in layer order, within a layer in the order of `choices[l]`. Bitwise independent of
/// context.threads. Throws Error(kUsage) if `choices` does not fit the network or a format cannot
/// be simulated, Error(kDataCount) for an empty data set, Error(kInterrupted) after a stop request
/// (rows recorded until then stay valid).
std::vector<PerturbationRow> MeasurePerturbations(const CalibratedNetwork& network,
                                                  const Dataset& data,
                                                  std::span<const std::vector<BitChoice>> choices,
                                                  const PerturbationOptions& options,
                                                  const RunContext& context);

/// Two layers, the first before the second in the network's order.
struct LayerPair {
  LayerIndex first;
  LayerIndex second;
  auto operator<=>(const LayerPair&) const = default;
};

/// What two layers quantized at once do to the network's output.
struct PairRow {
  LayerPair layers;
  BitChoice first;
  BitChoice second;
  Estimate kl_nats;
  Estimate loss_increase_nats;
  Estimate output_mse;
};

struct PairPerturbationOptions {
  std::int64_t batch_size = 128;
  std::int64_t most_prefix_bytes = std::int64_t{1} << 30;
  /// As PerturbationOptions'; a row that is found needs its three estimates only.
  std::function<std::optional<PairRow>(const LayerPair&, const BitChoice&, const BitChoice&)> known;
  std::function<void(const PairRow&)> record;
};

/// Measures every two choices of `pairs`' layers together, all other layers float, as
/// MeasurePerturbations does one: choices that quantize nothing are left out, and where the
/// placement keeps activations float, choices that differ in the activation only are measured once
/// (the rows then hold fp32). Rows in the order of `pairs`, which must ascend, then of the choices.
/// Throws as MeasurePerturbations.
std::vector<PairRow> MeasurePairPerturbations(const CalibratedNetwork& network, const Dataset& data,
                                              std::span<const std::vector<BitChoice>> choices,
                                              std::span<const LayerPair> pairs,
                                              const PairPerturbationOptions& options,
                                              const RunContext& context);

/// `choice` as it acts under the network's placement and layer: choices of equal effect are equal.
BitChoice EffectiveChoice(const CalibratedNetwork& network, LayerIndex layer, BitChoice choice);

/// Log-probabilities of the float network on `data`, N × classes, in `options`' batches.
std::vector<float> FloatLogProbabilities(const CalibratedNetwork& network, const Dataset& data,
                                         const PerturbationOptions& options,
                                         const RunContext& context);

/// The parts of joint choices: each weight format with fp32 activations, each activation format
/// with fp32 weights, ascending, each once, {fp32, fp32} left out.
std::vector<BitChoice> SeparateParts(std::span<const BitChoice> choices);

}  // namespace bitsearch
