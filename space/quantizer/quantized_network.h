#pragma once
// Post-training quantization of a network: calibrated once, then any BitConfig can be simulated.
// Torch-free header; tensors are behind the implementation (see quantized_network_torch.h).

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/choices/evaluator.h"
#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"
#include "space/quantizer/affine.h"
#include "space/choices/quantization_spec.h"
#include "space/quantizer/weight_quantizer.h"
#include "space/support/run_context.h"

namespace bitsearch {

class Network;

/// A float network with everything that quantizing it needs: activation ranges measured on the
/// calibration set and the calibration images themselves (bias correction runs on them).
/// Thread-safe for concurrent const calls.
class CalibratedNetwork {
 public:
  /// `graph` must have its BN folded. Runs the float network on `calibration` once.
  /// An empty `calibration` is allowed for Placement::kWeightsOnly without bias correction.
  /// Throws Error(kUsage) for placements that are not implemented, Error(kDataCount) where
  /// calibration data are needed and absent.
  /// `stored_grids`, if not empty, gives by layer the input grid that an earlier calibration found;
  /// only layers without one are then measured.
  CalibratedNetwork(LayerGraph graph, const Dataset* calibration, const QuantizationSpec& spec,
                    const std::string& device, const RunContext& context,
                    std::vector<std::optional<AffineGrid>> stored_grids = {});
  ~CalibratedNetwork();
  CalibratedNetwork(CalibratedNetwork&&) noexcept;

  const Network& network() const;
  const LayerGraph& graph() const;
  const QuantizationSpec& spec() const;

  /// The input range of a layer as the spec's range method gives it for `format`.
  Range ActivationRange(LayerIndex layer, NumberFormat format) const;
  /// The grid for an integer format; nothing for float formats and for weights_only placement.
  std::optional<AffineGrid> ActivationGrid(LayerIndex layer, NumberFormat format) const;
  /// Quantized weight of a layer (cached). The layer must have a weight.
  const QuantizedWeight& Weight(LayerIndex layer, NumberFormat format) const;

  struct State;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// Evaluates configurations by running the quantized network on a data set. The float network's
/// outputs are computed once; kl_nats is KL(float ‖ quantized).
class PtqEvaluator : public Evaluator {
 public:
  /// Both must outlive the evaluator. Without `compare_with_float` the float network is not run: a
  /// pass over the data less, kl_nats is NaN and FloatEvaluation() empty.
  PtqEvaluator(const CalibratedNetwork& network, const Dataset& data, const RunContext& context,
               bool compare_with_float = true);
  ~PtqEvaluator() override;

  std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) override;
  /// The float network on the same data.
  const Evaluation& FloatEvaluation() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bitsearch
