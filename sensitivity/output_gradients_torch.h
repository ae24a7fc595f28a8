#pragma once
// One forward pass, then any number of backward passes from chosen vectors at the logits, each giving
// the squared gradient norm of every layer's weight and input for every record, without ever holding
// a gradient per record of more than one layer. Gauss–Newton and Fisher traces are sums of these.
// Include only from torch targets.

#include <vector>

#include <torch/torch.h>

#include "space/network/network_torch.h"

namespace bitsearch {

/// Σ over the weight's elements of (∂⟨g_n, y_n⟩/∂w)², for each record n: `input` N × … is what the
/// layer read, `output_gradient` g is shaped like its output y, possibly with several vectors'
/// gradients side by side: `vectors` many, each N × …; the result is the sum over them. N doubles.
/// Convolutions go through im2col and one matrix product per record; layers that are neither
/// convolutions nor matrix products are run again record by record.
at::Tensor SquaredWeightGradients(const LayerGraph& graph, const Layer& layer,
                                  const at::Tensor& input, const at::Tensor& weight,
                                  const std::vector<at::Tensor>& output_gradients);

/// See the head of the file. Use with gradients switched on; not thread-safe.
class OutputGradientPass {
 public:
  /// Runs `network` on `images`. `weights` and `activations` say which norms are wanted.
  OutputGradientPass(const Network& network, const at::Tensor& images, bool weights,
                     bool activations);

  /// N × classes, without gradient.
  at::Tensor logits() const { return logits_.detach(); }

  /// By layer, N doubles: the sum over `cotangents` (each N × classes) of the squared norm of the
  /// gradient of ⟨cotangent_n, logits_n⟩. Undefined where not wanted or without a weight.
  struct Norms {
    std::vector<at::Tensor> weights;
    std::vector<at::Tensor> activations;
  };
  Norms Backward(const std::vector<at::Tensor>& cotangents);

 private:
  const Network& network_;
  bool weights_;
  bool activations_;
  std::vector<at::Tensor> inputs_;   ///< By layer: what it read; variables where wanted.
  std::vector<at::Tensor> outputs_;  ///< By layer: variables where wanted.
  at::Tensor logits_;
};

}  // namespace bitsearch
