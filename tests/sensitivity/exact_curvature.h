#pragma once
// Exact Hessian and Gauss–Newton traces of the two-layer test network, written with plain LibTorch
// operations: an oracle that shares no code with the estimators or the executor.

#include <vector>

#include <torch/torch.h>

#include "space/graph/layer_graph.h"
#include "space/network/batches_torch.h"
#include "space/network/dataset.h"

namespace bitsearch {

/// TwoLayerNetwork by hand.
class TwoLayerOracle {
 public:
  TwoLayerOracle(const LayerGraph& graph, const Dataset& data)
      : x_(ImageBatch(data, 0, data.size()).flatten(1).to(at::kDouble)),
        labels_(LabelBatch(data, 0, data.size())) {
    for (const char* name : {"first.weight", "first.bias", "second.weight", "second.bias"}) {
      const TensorValue& value = *graph.tensor(*graph.FindTensor(name)).constant;
      const std::vector<float> floats = value.ToFloats();
      parameters_.push_back(at::tensor(floats).to(at::kDouble).view(value.shape()));
    }
  }

  /// Trace of the Hessian block of layer 0 or 1's weight, of the mean loss.
  double HessianTrace(std::size_t layer) const { return Hessian(layer).trace().item<double>(); }

  at::Tensor Hessian(std::size_t layer) const {
    std::vector<at::Tensor> parameters = parameters_;
    at::Tensor& weight = parameters[2 * layer];
    weight = weight.detach().clone().requires_grad_(true);
    const at::Tensor loss = at::cross_entropy_loss(Logits(x_, parameters), labels_);
    const at::Tensor gradient =
        torch::autograd::grad({loss}, {weight}, {}, true, true)[0].flatten();
    std::vector<at::Tensor> rows;
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      rows.push_back(torch::autograd::grad({gradient[i]}, {weight}, {}, true)[0].flatten());
    }
    return at::stack(rows);
  }

  /// Mean over the records of the trace of one record's Hessian in the layer's input.
  double ActivationTrace(std::size_t layer) const {
    double sum = 0.0;
    for (std::int64_t n = 0; n < x_.size(0); ++n) {
      at::Tensor input = x_.slice(0, n, n + 1);
      if (layer == 1) input = Hidden(input, parameters_);
      input = input.detach().clone().requires_grad_(true);
      const at::Tensor logits = layer == 0 ? Logits(input, parameters_) : Last(input, parameters_);
      const at::Tensor loss = at::cross_entropy_loss(logits, labels_.slice(0, n, n + 1));
      const at::Tensor gradient =
          torch::autograd::grad({loss}, {input}, {}, true, true)[0].flatten();
      for (std::int64_t i = 0; i < gradient.numel(); ++i) {
        sum += torch::autograd::grad({gradient[i]}, {input}, {}, true)[0].flatten()[i].item<double>();
      }
    }
    return sum / static_cast<double>(x_.size(0));
  }

  /// Mean over the records of ‖∂loss/∂w‖² with the true labels.
  double FisherTrace(std::size_t layer) const {
    double sum = 0.0;
    for (std::int64_t n = 0; n < x_.size(0); ++n) {
      std::vector<at::Tensor> parameters = parameters_;
      at::Tensor& weight = parameters[2 * layer];
      weight = weight.detach().clone().requires_grad_(true);
      const at::Tensor loss = at::cross_entropy_loss(Logits(x_.slice(0, n, n + 1), parameters),
                                                     labels_.slice(0, n, n + 1));
      sum += torch::autograd::grad({loss}, {weight})[0].square().sum().item<double>();
    }
    return sum / static_cast<double>(x_.size(0));
  }

 private:
  static at::Tensor Hidden(const at::Tensor& x, const std::vector<at::Tensor>& p) {
    return at::relu(at::mm(x, p[0].t()) + p[1]);
  }
  static at::Tensor Last(const at::Tensor& hidden, const std::vector<at::Tensor>& p) {
    return at::mm(hidden, p[2].t()) + p[3];
  }
  static at::Tensor Logits(const at::Tensor& x, const std::vector<at::Tensor>& p) {
    return Last(Hidden(x, p), p);
  }

  at::Tensor x_;
  at::Tensor labels_;
  std::vector<at::Tensor> parameters_;
};

}  // namespace bitsearch
