#pragma once
// The hooks that make a Network run quantized. Include only from torch targets.

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "space/network/network_torch.h"
#include "space/quantizer/affine.h"
#include "space/quantizer/quantized_network.h"
#include "space/quantizer/tensor_plan.h"

namespace bitsearch {

/// The tensors of a placement that quantizes tensors, as hooks look them up. `graph` must outlive
/// it.
struct QuantizedTensors {
  const LayerGraph* graph = nullptr;
  TensorPlan plan;
  std::vector<std::optional<AffineGrid>> grids;  ///< By TensorIndex.
  std::vector<bool> at_readers;                  ///< By TensorIndex; see PlannedTensor.
};

/// x → dequantize(quantize(x)) in one fused pass. In place if nobody else sees `value` and no
/// gradient is recorded. With gradients: straight-through inside the grid's range, 0 outside.
at::Tensor FakeQuantize(at::Tensor value, const AffineGrid& grid);

/// One configuration, ready to run: replaced weights and biases, input grids. Read-only while the
/// network runs, so one object serves many threads.
class QuantizationHooks : public ExecutionHooks {
 public:
  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override;
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override;
  at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) override;

  /// The two parts of OnOutput: what correction adds; then the tensor's own quantization.
  at::Tensor ShiftOutput(NodeIndex node, at::Tensor value) const;
  at::Tensor QuantizeOutput(NodeIndex node, std::size_t slot, at::Tensor value) const;

  static constexpr std::size_t kBiasSlot = 2;

  struct NodeQuantization {
    std::size_t input_slot = 0;
    std::size_t weight_slot = 1;
    bool channels_last = true;  ///< Output channels are the last axis, not axis 1.
    std::optional<AffineGrid> input_grid;
    NumberFormat input_format = NumberFormat::Float32();  ///< fp16 and bf16 inputs are rounded.
    at::Tensor weight;                                    ///< Undefined: as it is.
    at::Tensor bias;                                      ///< Undefined: as it is.
    at::Tensor output_shift;  ///< By output channel: correction of a layer without a bias.
    /// Of a layer that the runtime does in integers: s_x·s_w by output channel, or one for all; and
    /// what is added to its accumulators (bias or output_shift over that scale; empty: nothing).
    std::vector<float> product_scale;
    std::vector<std::int32_t> integer_bias;
  };
  std::vector<NodeQuantization> nodes;  ///< By NodeIndex.
  /// Null for placements that quantize by layer.
  std::shared_ptr<const QuantizedTensors> tensors;
};

/// Weights, grids and (if the spec asks) corrected biases for `config`.
/// Throws Error(kUsage) if the number of layers differs or a format cannot be simulated.
/// `calibration_prefix`, where given, saves time: the float network run on CalibrationImages() up
/// to a step that is not behind the first layer that `config` quantizes. The result is the same.
QuantizationHooks PrepareQuantization(const CalibratedNetwork& network, const BitConfig& config,
                                      const ExecutionState* calibration_prefix = nullptr);

/// The calibration batch on the network's device; undefined where the network needs none.
const at::Tensor& CalibrationImages(const CalibratedNetwork& network);

}  // namespace bitsearch
