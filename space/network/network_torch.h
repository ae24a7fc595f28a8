#pragma once
// The one executor: runs a LayerGraph on LibTorch. Quantization, traces, supernets and distillation
// are hooks on it, not further executors. Include only from torch targets.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "space/graph/layer_graph.h"
#include "space/network/operators_torch.h"

namespace bitsearch {

/// Sees, and may replace, what flows through a network. The default changes nothing.
/// Called in topological order from the thread that runs the network.
class ExecutionHooks {
 public:
  virtual ~ExecutionHooks() = default;
  /// A non-constant input of `node`, at `slot`.
  virtual at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value);
  /// A constant input of `node` (weight, bias, BN statistics), at `slot`.
  virtual at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value);
  /// An output of `node`.
  virtual at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value);
};

/// The values that are live between two steps of a run. Copies share tensors: a copy made at a cut
/// is a cached prefix, from which any number of runs can go on.
struct ExecutionState {
  std::size_t next_step = 0;
  std::vector<at::Tensor> values;  ///< By TensorIndex; undefined where not live.
};

/// A LayerGraph with its constants as tensors on a device, and a plan to run it.
/// Const members may be called from several threads at once (with different hooks), unless
/// `training` is set, which updates BN statistics.
class Network {
 public:
  /// Throws Error(kOperatorUnsupported) for an operator that cannot be executed and
  /// Error(kDevice) for a device that this LibTorch does not have.
  explicit Network(LayerGraph graph, const std::string& device = "cpu");

  const LayerGraph& graph() const { return graph_; }
  at::Device device() const { return device_; }
  std::size_t step_count() const { return steps_.size(); }

  /// The tensor of a constant; undefined for tensors that are not constant.
  const at::Tensor& constant(TensorIndex tensor) const { return constants_[tensor.value]; }
  /// Replaces a constant's tensor (same shape). The graph is not changed; see ToGraph().
  void SetConstant(TensorIndex tensor, at::Tensor value);
  /// Float constants that training changes: weights, biases, BN scale and shift. Not statistics.
  std::vector<TensorIndex> TrainableConstants() const;
  /// A copy of the graph with the present constants.
  LayerGraph ToGraph() const;

  /// Runs everything; returns the first output. `input`: N × … on this device.
  /// Throws Error(kExecution) naming the node where LibTorch refuses.
  at::Tensor Forward(const at::Tensor& input, ExecutionHooks* hooks = nullptr,
                     bool training = false) const;

  /// Piecewise: Start, any number of Advance, then Output.
  ExecutionState Start(const std::vector<at::Tensor>& inputs) const;
  /// Runs steps [state.next_step, end). Step i runs node i of the graph.
  void Advance(ExecutionState& state, std::size_t end, ExecutionHooks* hooks = nullptr,
               bool training = false) const;
  const at::Tensor& Output(const ExecutionState& state, std::size_t index = 0) const;

 private:
  struct Input {
    std::optional<TensorIndex> tensor;
    bool constant = false;
    bool last_use = false;
  };
  struct Step {
    OperatorFn run;
    std::vector<Input> inputs;
    std::vector<TensorIndex> outputs;
  };

  LayerGraph graph_;
  at::Device device_;
  std::vector<at::Tensor> constants_;
  std::vector<Step> steps_;
};

/// A constant as a LibTorch tensor on `device` (own memory), and back.
at::Tensor ToTorch(const TensorValue& value, at::Device device);
TensorValue FromTorch(const at::Tensor& tensor);
/// "cpu" or "cuda[:n]"; throws Error(kDevice) if unknown or absent.
at::Device ParseDevice(const std::string& name);

}  // namespace bitsearch
