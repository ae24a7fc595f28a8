#pragma once
// The roundings of every layer's candidates with their scales as parameters, and the hooks that run
// a network through them. Supernet (K candidates) and fine-tuning (one) are the same thing here.
// Include only from torch targets.

#include <torch/torch.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "search/supernet/architecture_space.h"
#include "search/supernet/learned_quantizers.h"
#include "space/network/dataset.h"
#include "space/network/network_torch.h"
#include "space/quantizer/rounding_mixture_torch.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// The K roundings of one tensor.
struct CandidateRoundings {
  std::vector<RoundingLevels> levels;  ///< [K]
  at::Tensor
      scales;  ///< Weights [K, slices], activations [K]; float32 on the CPU; leaf if learned.
  bool is_float = true;  ///< Nothing to round: all levels are identity (or skip).
};

/// Scales for all layers and candidates, calibrated on a network and some images.
class LearnedQuantizers {
 public:
  /// Weight scales start at the least squared error of each output channel (or tensor, or group),
  /// activation scales likewise on what the float network sees. Activations that are never negative
  /// get unsigned grids. `calibration` may be null for weights_only.
  /// Throws Error(kDataCount) where images are needed, Error(kUsage) for unknown placements.
  LearnedQuantizers(const Network& network, const ArchitectureSpace& space,
                    const Dataset* calibration, const LearnedQuantizerOptions& options,
                    const RunContext& context);

  const LearnedQuantizerOptions& options() const { return options_; }
  CandidateRoundings& weight(LayerIndex layer) { return weights_[layer.value]; }
  const CandidateRoundings& weight(LayerIndex layer) const { return weights_[layer.value]; }
  /// Layers that read one tensor with the same candidates share its quantizer.
  CandidateRoundings& activation(LayerIndex layer) {
    return activations_[activation_of_layer_[layer.value]];
  }
  const CandidateRoundings& activation(LayerIndex layer) const {
    return activations_[activation_of_layer_[layer.value]];
  }
  std::size_t activation_index(LayerIndex layer) const { return activation_of_layer_[layer.value]; }
  /// What optimisers change: all learned scales.
  std::vector<at::Tensor> Parameters() const;
  /// Scales and bounds of levels, learned or not, by name: what a checkpoint keeps. After loading
  /// into them, StateLoaded() makes them count.
  std::vector<std::pair<std::string, at::Tensor>> NamedState() const;
  void StateLoaded();
  /// Scales that a step pushed to or below zero come back to a tiny positive value.
  void KeepPositive();

 private:
  LearnedQuantizerOptions options_;
  std::vector<CandidateRoundings> weights_;
  std::vector<CandidateRoundings> activations_;
  std::vector<std::size_t> activation_of_layer_;
  std::vector<at::Tensor> activation_bounds_;  ///< By activation quantizer: [K, 2].
};

/// Runs a network with mixed roundings. Masks are set before each forward pass; without any, every
/// group takes its only candidate. Weights and inputs of pinned float layers pass untouched.
class MixedPrecisionHooks : public ExecutionHooks {
 public:
  /// All three must outlive the hooks.
  MixedPrecisionHooks(const LayerGraph& graph, const ArchitectureSpace& space,
                      const LearnedQuantizers& quantizers);

  /// `masks` and `mixtures` as ChoiceDistributions draws them, [groups, widest].
  void SetMasks(const at::Tensor& masks, const at::Tensor& mixtures);
  /// One candidate for each group: exact one-hot masks without gradients.
  void SetPicks(const std::vector<std::size_t>& picks);

  /// The scales that rounding `weight` of a layer uses, [K, slices].
  at::Tensor WeightScales(LayerIndex layer, const at::Tensor& weight) const;

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override;
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override;

 private:
  at::Tensor RoundWeight(LayerIndex layer, const at::Tensor& weight) const;

  struct NodePart {
    std::optional<LayerIndex> layer;
    std::optional<std::size_t> skip_group;  ///< The node is the Add of a block this group can skip.
    std::size_t branch_slot = 0;
  };

  const LayerGraph& graph_;
  const ArchitectureSpace& space_;
  const LearnedQuantizers& quantizers_;
  std::vector<NodePart> parts_;           ///< By node.
  std::vector<at::Tensor> mixture_rows_;  ///< By group; undefined for groups of one candidate.
  std::vector<at::Tensor> keep_;          ///< By group: 1 − mask of its skip candidate.
  /// The last rounded input: layers that read one tensor share the work.
  std::size_t cached_quantizer_ = 0;
  at::Tensor cached_input_;
  at::Tensor cached_rounded_;
};

}  // namespace bitsearch
