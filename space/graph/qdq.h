#pragma once
// Adds quantization to a graph as ONNX files carry it: QuantizeLinear and DequantizeLinear nodes,
// or QONNX's Quant. Knows types, axes and names, not where a network should be quantized. Must not
// depend on ONNX's types nor on LibTorch.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// How one tensor is stored as integers: x = scale·(code − zero point).
struct IntegerStorage {
  DataType type = DataType::kInt8;
  /// One entry per scale, row-major over `scale_shape`; equally many zero points.
  std::vector<float> scales;
  std::vector<std::int64_t> zero_points;
  /// []: one scale for the tensor. [C]: along `axis`. The tensor's rank: blocks along `axis`.
  Shape scale_shape;
  std::int64_t axis = 0;
  std::int64_t block_size = 0;  ///< Elements per block along `axis`; 0: not blocked.
};

/// Adds a constant of `codes` (row-major over `shape`) and a DequantizeLinear; returns its output.
/// Names follow ONNX Runtime's quantizer: NAME_quantized, NAME_scale, NAME_zero_point,
/// NAME_DequantizeLinear; made unique where they are taken.
TensorIndex AddDequantizedConstant(LayerGraph& graph, const std::string& name, const Shape& shape,
                                   std::span<const std::int64_t> codes,
                                   const IntegerStorage& storage);

/// Closed interval of floats.
struct ClipBounds {
  float low = 0.0F;
  float high = 0.0F;
};

/// Adds [Clip →] QuantizeLinear → DequantizeLinear behind `tensor` and returns the last output; the
/// readers of `tensor` are not changed. `clip` is for grids narrower than their type.
/// The caller restores the topological order.
TensorIndex AddQuantizeDequantize(LayerGraph& graph, TensorIndex tensor,
                                  const IntegerStorage& storage, std::optional<ClipBounds> clip);

/// QONNX's Quant (domain qonnx.custom_op.general): any number of bits, per tensor or with scales of
/// `storage.scale_shape` broadcast against the tensor. Returns its output.
TensorIndex AddQonnxQuant(LayerGraph& graph, TensorIndex tensor, const IntegerStorage& storage,
                          int bits, bool is_signed, bool narrow);

/// Adds a constant of float16 or bfloat16 and a Cast to float32; returns the Cast's output.
TensorIndex AddNarrowConstant(LayerGraph& graph, const std::string& name, const TensorValue& value,
                              DataType type);

/// Adds a Cast behind `tensor` to `type` and back to float32; returns the last output.
TensorIndex AddRoundTripCast(LayerGraph& graph, TensorIndex tensor, DataType type);

/// Adds a Reshape to a fixed shape behind `tensor`; returns its output.
TensorIndex AddReshape(LayerGraph& graph, TensorIndex tensor, const Shape& shape);

/// Adds a constant to a computed tensor, for all its readers; the tensor keeps its name.
void AddOffset(LayerGraph& graph, TensorIndex tensor, TensorValue offset);

}  // namespace bitsearch
