#pragma once
// The hooks that make a Network run quantized. Include only from torch targets.

#include <optional>
#include <vector>

#include <torch/torch.h>

#include "space/network/network_torch.h"
#include "space/quantizer/affine.h"
#include "space/quantizer/quantized_network.h"

namespace bitsearch {

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

  struct NodeQuantization {
    std::optional<AffineGrid> input_grid;
    NumberFormat input_format = NumberFormat::Float32();  ///< fp16 and bf16 inputs are rounded.
    at::Tensor weight;           ///< Undefined: as it is.
    at::Tensor bias;             ///< Undefined: as it is.
    at::Tensor output_shift;     ///< By output channel: correction of a layer without a bias.
  };
  std::vector<NodeQuantization> nodes;  ///< By NodeIndex.
};

/// Weights, grids and (if the spec asks) corrected biases for `config`.
/// Throws Error(kUsage) if the number of layers differs or a format cannot be simulated.
/// `calibration_prefix`, where given, saves time: the float network run on CalibrationImages() up to
/// a step that is not behind the first layer that `config` quantizes. The result is the same.
QuantizationHooks PrepareQuantization(const CalibratedNetwork& network, const BitConfig& config,
                                      const ExecutionState* calibration_prefix = nullptr);

/// The calibration batch on the network's device; undefined where the network needs none.
const at::Tensor& CalibrationImages(const CalibratedNetwork& network);

}  // namespace bitsearch
