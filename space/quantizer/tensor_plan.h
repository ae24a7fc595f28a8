#pragma once
// Which activation tensors an integer runtime keeps as integers, for a graph and a configuration:
// the meaning of Placement::kRuntime and kInteger. Simulation and export read this one list, so
// that what is measured is what is written. Torch-free.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/choices/placement.h"
#include "space/graph/layer_graph.h"
#include "space/quantizer/affine.h"

namespace bitsearch {

/// How a runtime with integer kernels executes a node.
enum class NodeForm : std::uint8_t {
  kFloat,    ///< In floating point, on dequantized inputs.
  kLayer,    ///< Integer products of quantized inputs and weights.
  kMove,     ///< Passes codes on: reshaping, slicing, padding with zero, largest-value pooling.
  kRectify,  ///< Relu or Clip of a quantized tensor.
  kFused,    ///< Relu or Clip right behind an integer node: done with that node's requantization.
  kAdd,      ///< Adds quantized tensors.
  kConcat,   ///< Joins quantized tensors.
  kAverage,  ///< Means over windows of a fixed number of codes.
};

/// One activation tensor on an integer grid.
struct PlannedTensor {
  TensorIndex tensor;
  NumberFormat format;  ///< An integer format.
  /// The tensor whose calibrated range gives the grid: itself, or the one it has its elements from.
  /// Equal `range_from` means an equal grid.
  TensorIndex range_from;
  /// An input or an output of the network: its value stays float, each reader sees it quantized.
  bool at_readers = false;
};

/// The list, and what it makes of each node.
struct TensorPlan {
  /// The network's inputs first, then by producing node and output: a topological order.
  std::vector<PlannedTensor> tensors;
  std::vector<NodeForm> forms;  ///< By NodeIndex.
};

/// The grid of one planned tensor, by its name in the (BN-folded) graph.
struct TensorGrid {
  std::string tensor;
  NumberFormat format;
  AffineGrid grid;
};

/// True for the placements that quantize by this list.
bool QuantizesTensors(Placement placement);

/// The rules, in order:
///  1. A layer is integer if its activation and (where it has one) its weight have integer formats.
///     The input of every layer with integer activation bits is quantized at these bits, once, for
///     all that read it.
///  2. Add and Sum of computed tensors, Concat, MaxPool, GlobalMaxPool, GlobalAveragePool,
///     AveragePool over windows of fixed size, Relu, Clip by constants, and operators that only
///     move elements are integer if all their inputs come quantized (from rule 1 or from an integer
///     node) and some integer node or quantized layer input reads what they give, perhaps through
///     others.
///  3. A tensor from an integer node to an integer node is quantized, with 8 bits where rule 1 gives
///     none. So is what an integer convolution gives (behind its Relu), whoever reads it: with a
///     float result the runtime has no integer kernel for it (ONNX Runtime 1.30). Not quantized:
///     outputs of the network, and a tensor that only a Relu or Clip reads right behind an integer
///     node (the result behind it is).
///  4. Moved elements keep their grid: input and output of such a node share format and range,
///     unless layers ask for different bits of them.
/// So an operator in floating point interrupts the integers, and any other tensor between two of
/// them stays float. Throws Error(kConfigLayers) if layers that read one tensor have different activation
/// bits, Error(kUsage) if `config` has another number of layers.
TensorPlan PlanTensors(const LayerGraph& graph, const BitConfig& config);

}  // namespace bitsearch
