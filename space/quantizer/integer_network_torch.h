#pragma once
// Placement::kInteger: the plan of the one executor, run on integers. What flows between integer
// nodes are steps (code minus zero point); hooks give the operators exact integers in floating
// point or int64, and requantize what they return. Include only from torch targets.

#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

#include "space/network/network_torch.h"
#include "space/quantizer/integer_arithmetic.h"
#include "space/quantizer/quantized_network_torch.h"

namespace bitsearch {

/// One configuration in integer arithmetic. Read-only while the network runs, so one object serves
/// many threads.
class IntegerHooks : public ExecutionHooks {
 public:
  /// `hooks` are those of PrepareQuantization for a placement that quantizes tensors; the network
  /// must outlive this.
  IntegerHooks(const CalibratedNetwork& network, const BitConfig& config, QuantizationHooks hooks);

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override;
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override;
  at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) override;

  /// Operators that run in floating point, as "Op name", in order: those that the plan leaves in
  /// floating point, and those that have no exact integer form here (weights with a scale per
  /// group, a Gemm with alpha or beta, accumulators of more than 32 bits).
  const std::vector<std::string>& float_operators() const { return float_operators_; }
  std::size_t operator_count() const { return operator_count_; }
  /// Both as a line for the log.
  std::string Describe() const;

 private:
  struct IntegerNode {
    NodeForm form = NodeForm::kFloat;
    bool clips = false;  ///< A Clip: done on real values, see OnInput.
    /// kLayer: integers in double, because they may exceed 2^24.
    bool wide = false;
    at::Tensor weight;                  ///< kLayer: steps.
    std::vector<std::int32_t> bias;     ///< kLayer: by output channel; empty: none.
    std::vector<double> product_scale;  ///< kLayer: s_x·s_w by output channel, or one.
    bool channels_last = false;         ///< kLayer: output channels are the last axis, not axis 1.
    /// kLayer: by output channel, or one. kAdd and kConcat: by input. kAverage: one. Others: by
    /// output. Empty where nothing is rescaled.
    std::vector<DyadicMultiplier> multipliers;
    double window = 0.0;  ///< kAverage: elements of a mean.
  };

  void PlaceGrids();
  bool PrepareNode(const CalibratedNetwork& network, const BitConfig& config, NodeIndex node);
  bool PrepareLayer(const CalibratedNetwork& network, const BitChoice& choice, LayerIndex layer);
  at::Tensor LayerOutput(const IntegerNode& node, at::Tensor sums,
                         const std::optional<AffineGrid>& grid) const;

  const LayerGraph& graph_;
  at::Device device_;
  QuantizationHooks hooks_;
  std::vector<IntegerNode> nodes_;                  ///< By NodeIndex.
  std::vector<std::optional<AffineGrid>> grids_;    ///< By TensorIndex: grid as readers see it.
  std::vector<std::optional<AffineGrid>> carried_;  ///< By TensorIndex: travels as steps of it.
  std::vector<std::string> float_operators_;
  std::size_t operator_count_ = 0;
};

/// What runs a configuration as the network's placement says, and a line for the log (may be
/// empty).
struct PlacedHooks {
  std::unique_ptr<ExecutionHooks> hooks;
  std::string note;
};
PlacedHooks HooksOf(const CalibratedNetwork& network, const BitConfig& config);

}  // namespace bitsearch
