#pragma once
// Post-training quantization of a network: calibrated once, then any BitConfig can be simulated.
// Torch-free header; tensors are behind the implementation (see quantized_network_torch.h).

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/choices/evaluator.h"
#include "space/choices/quantization_spec.h"
#include "space/graph/layer_graph.h"
#include "space/graph/rewrites.h"
#include "space/network/dataset.h"
#include "space/quantizer/affine.h"
#include "space/quantizer/tensor_plan.h"
#include "space/quantizer/weight_quantizer.h"
#include "space/support/run_context.h"

namespace bitsearch {

class Network;

/// What bias correction changes in one layer, by output channel; both empty where nothing.
struct BiasCorrection {
  std::vector<float> bias;  ///< In place of the layer's own.
  /// Added to the output of a layer that has no bias with one value per channel.
  std::vector<float> output_shift;
};

/// What an earlier calibration found; by layer of the graph unless said otherwise. Empty lists:
/// nothing is known.
struct StoredCalibration {
  std::vector<std::optional<AffineGrid>> grids;  ///< Of the layers' inputs.
  /// For placements that quantize tensors (QuantizesTensors): theirs, in any order.
  std::vector<TensorGrid> tensors;
  /// Of the one configuration that is going to be run. Used instead of correcting biases.
  std::vector<BiasCorrection> corrections;
  /// Grids that training found for integer weights, as QuantizedWeight has them; a layer without
  /// any gets what the spec's range method makes of its weights.
  std::vector<std::vector<AffineGrid>> weight_grids;
  /// Integers that a calibration chose for those grids, in the weight's own order; a layer without
  /// any gets the nearest.
  std::vector<std::vector<std::int32_t>> weight_codes;
};

/// What calibration found for one layer of a configuration.
struct LayerCalibration {
  BiasCorrection correction;
  /// Where they need not be the nearest on the weight's grids (QuantizationSpec::ChoosesIntegers).
  std::vector<std::int32_t> weight_codes;
};

/// A float network with everything that quantizing it needs: activation ranges measured on the
/// calibration set and the calibration images themselves (bias correction runs on them).
/// Thread-safe for concurrent const calls.
class CalibratedNetwork {
 public:
  /// `graph` must have its BN folded. Runs the float network on `calibration` once.
  /// `graph` and `statistics` are PrepareFloatNetwork's; the latter are for
  /// analytic_bias_correction alone, which is an Error(kUsage) without any. `calibration` may be
  /// null for Placement::kWeightsOnly without steps that need data, and where `stored` has what
  /// else it would give; a tensor whose grid is needed and not stored is then an Error(kDataCount)
  /// of ActivationGrid or TensorGrids. Throws Error(kDataCount) where calibration data are needed
  /// and absent.
  CalibratedNetwork(LayerGraph graph, const Dataset* calibration, const QuantizationSpec& spec,
                    const std::string& device, const RunContext& context,
                    StoredCalibration stored = {}, BatchNormMap statistics = {});
  ~CalibratedNetwork();
  CalibratedNetwork(CalibratedNetwork&&) noexcept;

  const Network& network() const;
  const LayerGraph& graph() const;
  const QuantizationSpec& spec() const;

  /// The input range of a layer as the spec's range method gives it for `format`.
  Range ActivationRange(LayerIndex layer, NumberFormat format) const;
  /// The grid for an integer format; nothing for float formats and for weights_only placement.
  std::optional<AffineGrid> ActivationGrid(LayerIndex layer, NumberFormat format) const;
  /// What PlanTensors lists for `config`, in its order, with grids; nothing for placements that
  /// quantize by layer. Errors as PlanTensors'.
  std::vector<TensorGrid> TensorGrids(const BitConfig& config) const;
  /// Quantized weight of a layer (cached), its integers as the steps choose them for the layer by
  /// itself (not sequential_adaround, which depends on the configuration). The layer must have a
  /// weight.
  const QuantizedWeight& Weight(LayerIndex layer, NumberFormat format) const;

  bool HasStoredCodes(LayerIndex layer) const;

  /// The same calibration under a placement that quantizes no tensor which this one leaves float.
  CalibratedNetwork WithPlacement(Placement placement) const;

  struct State;
  const State& state() const { return *state_; }

 private:
  explicit CalibratedNetwork(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// By layer, what calibration finds for `config`: with corrections and integers stored, the
/// configuration runs the same without calibration data. Errors as PrepareQuantization's.
std::vector<LayerCalibration> CalibrationOf(const CalibratedNetwork& network,
                                            const BitConfig& config);

/// Evaluates configurations by running the quantized network on a data set, in integers for
/// Placement::kInteger, otherwise simulated in floating point. The float network's outputs are
/// computed once; kl_nats is KL(float ‖ quantized).
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
