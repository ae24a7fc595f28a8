#pragma once
// How each operator is executed on LibTorch: one table, one entry per operator. Adding an operator
// is adding a Prepare function and its row. Twice differentiable throughout.

#include <functional>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// One execution of one node. Inputs that are absent are undefined tensors.
struct OperatorCall {
  std::vector<at::Tensor> in;
  std::vector<at::Tensor> out;
  /// Batch statistics and their moving averages instead of the stored ones.
  bool training = false;
  /// in[0] has no other reader: element-wise operators may write into it.
  bool may_overwrite_first = false;
};

using OperatorFn = std::function<void(OperatorCall&)>;

/// Resolves a node's attributes and constant arguments once, so that running it does no look-ups.
/// Throws Error(kOperatorUnsupported) naming node, operator and opset.
OperatorFn PrepareOperator(const LayerGraph& graph, NodeIndex node);

/// Names of the operators that can be executed, ascending.
std::vector<std::string> ExecutableOperators();

}  // namespace bitsearch
