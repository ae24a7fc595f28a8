#pragma once
// The one table of operators that bitsearch knows: for each its opsets, inputs, shape function,
// fold function and cost. Adding an operator is adding a row here (and one to the table of
// execution functions in space/network, keyed by the same names). Must not depend on LibTorch.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "space/graph/operator_context.h"

namespace bitsearch {

/// Opsets of the default domain that models may declare.
inline constexpr std::int64_t kOldestOpset = 9;
inline constexpr std::int64_t kNewestOpset = 25;

/// One operator of ONNX's default domain.
struct OperatorInfo {
  std::string_view name;
  std::int64_t first_opset;  ///< Older models must not use it.
  std::int64_t last_opset;   ///< Newer models must not use it.
  int min_inputs;
  int max_inputs;  ///< kAnyNumber: variadic.
  int max_outputs;
  /// Sets type and shape of each output. Throws Error(kModelShape) where the inputs do not fit.
  void (*shape)(OperatorContext&);
  /// Computes the outputs from the inputs' values; null: is never folded. An empty list: cannot.
  std::vector<TensorValue> (*fold)(const OperatorContext&);
  /// Multiply-accumulates of the whole output; null: none (element-wise work is not counted).
  std::int64_t (*macs)(const OperatorContext&);
  /// The output holds elements of input 0 unchanged (reshaped, moved, picked): a quantized input
  /// stays quantized.
  bool moves_data = false;
};

inline constexpr int kAnyNumber = 1 << 20;

/// All rows, ascending by name.
std::span<const OperatorInfo> Operators();
/// The row of `op` in `domain` ("" or "ai.onnx"), or null.
const OperatorInfo* FindOperator(std::string_view domain, std::string_view op);
/// The row of a node, with opset and number of inputs and outputs checked. Throws
/// Error(kOperatorUnsupported) naming node, operator and opset.
const OperatorInfo& RequireOperator(const Node& node, std::int64_t opset);

}  // namespace bitsearch
