#pragma once
// What all curvature estimators share: making a layer's weight or input a variable of
// differentiation, batches with their labels, random vectors. Include only from torch targets.

#include <torch/torch.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "sensitivity/traces.h"
#include "space/network/dataset.h"
#include "space/network/network_torch.h"

namespace bitsearch {

/// A batch of records.
struct LabelledBatch {
  at::Tensor images;  ///< N × C × H × W on the network's device.
  at::Tensor labels;  ///< N, int64, there too; undefined for unlabelled data.
};

/// The data set cut into batches of `batch_size` (the last may be smaller).
class BatchList {
 public:
  /// Keeps references. Throws Error(kDataCount) for an empty data set, Error(kUsage) for a batch
  /// size below 1.
  BatchList(const Network& network, const Dataset& data, std::int64_t batch_size);
  std::int64_t count() const { return count_; }
  std::int64_t SamplesOf(std::int64_t batch) const;
  LabelledBatch Load(std::int64_t batch) const;

 private:
  const Network& network_;
  const Dataset& data_;
  std::int64_t batch_size_;
  std::int64_t count_;
};

/// Turns the weights, or the inputs, of chosen layers into variables while a network runs. An input
/// becomes a variable for its layer alone, even where others read the same tensor. Leaves
/// autograd's graph behind: use with gradients switched on.
class VariableHooks : public ExecutionHooks {
 public:
  /// Every layer of `layers` must have a weight if `of` is kWeight.
  VariableHooks(const Network& network, const std::vector<LayerIndex>& layers, CurvatureOf of);

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override;
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override;

  /// In the order of `layers`; inputs are known after the run only.
  const std::vector<at::Tensor>& variables() const { return variables_; }

 private:
  struct Slot {
    std::size_t slot = 0;
    std::size_t variable = 0;
    bool used = false;
  };
  CurvatureOf of_;
  std::vector<Slot> slot_of_node_;
  std::vector<at::Tensor> variables_;
};

/// The layers that have what `of` names: all of them, or those with a weight.
std::vector<LayerIndex> LayersWith(const LayerGraph& graph, CurvatureOf of);

/// Elements of a layer's weight, or of one record's input (0 where the shape is unknown).
std::int64_t ElementsOf(const LayerGraph& graph, LayerIndex layer, CurvatureOf of);

/// Independent ±1 entries shaped like `like`, from the stream (root_seed, component, index).
at::Tensor RademacherLike(const at::Tensor& like, std::uint64_t root_seed,
                          std::string_view component, std::uint64_t index);
/// Independent standard normal entries.
at::Tensor NormalLike(const at::Tensor& like, std::uint64_t root_seed, std::string_view component,
                      std::uint64_t index);

/// One block of the Hessian on one batch, ready for products with any number of vectors: the graph
/// of the gradient is built once. Weights: of the mean loss. Activations: of the sum of the
/// records' losses, so the block is block-diagonal over records. Not thread-safe; use one per task.
class HessianBlock {
 public:
  /// Runs the network behind `prefix`, the float network on the batch up to the layer's node.
  HessianBlock(const Network& network, const ExecutionState& prefix, const at::Tensor& labels,
               LayerIndex layer, CurvatureOf of);
  /// The variable: what vectors must be shaped like.
  const at::Tensor& variable() const { return variable_; }
  const at::Tensor& gradient() const { return gradient_; }
  /// H v.
  at::Tensor Multiply(const at::Tensor& v) const;

 private:
  at::Tensor variable_;
  at::Tensor gradient_;
};

}  // namespace bitsearch
