#pragma once
// What a kernel's time depends on besides bits: operator, channels, extents, kernel, stride,
// groups. Lets one measurement serve every layer of the same shape, in any network. Reads
// LayerGraph only.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// The shape of a layer's work for one sample. Two layers with equal signatures run the same
/// kernel.
struct LayerSignature {
  std::string op;  ///< Conv, ConvTranspose, Gemm or MatMul.
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  /// Input extents after the channel axis (H, W); empty for Gemm and MatMul.
  std::vector<std::int64_t> size;
  std::vector<std::int64_t> kernel;
  std::vector<std::int64_t> strides;
  std::vector<std::int64_t> dilations;
  /// Begin pads of every axis, then end pads, as ONNX orders them.
  std::vector<std::int64_t> pads;
  std::int64_t groups = 1;
  /// Gemm and MatMul: vectors multiplied per sample (positions of a sequence); 1 for Conv.
  std::int64_t rows = 1;
  /// A MatMul of two activations: no weight to quantize.
  bool two_activations = false;

  bool operator==(const LayerSignature&) const = default;

  bool is_convolution() const { return op == "Conv" || op == "ConvTranspose"; }
  bool is_depthwise() const { return groups > 1 && groups == in_channels; }
  /// Output extents after the channel axis.
  std::vector<std::int64_t> OutputSize() const;
  /// Elements of one sample's input / output, and of the weight.
  std::int64_t InputElements() const;
  std::int64_t OutputElements() const;
  std::int64_t WeightElements() const;
  /// Multiply-accumulates for one sample.
  std::int64_t Macs() const;

  /// Canonical text, e.g. `Conv:in16:out32:size32x32:kernel3x3:stride2x2:groups1`, or
  /// `Gemm:in64:out10:rows1`. Pads follow as `:pads…` only where they are not the usual
  /// dilation·(kernel−1)/2 on both sides, dilations as `:dilation…` only where not 1: equal texts
  /// are equal signatures.
  std::string ToString() const;
  /// Reads ToString()'s form; nothing if the text is not a signature.
  static std::optional<LayerSignature> Parse(std::string_view text);
};

/// The signature of a layer. Throws Error(kLayerShape), naming the layer, if the shapes it needs
/// are unknown (only the batch may be).
LayerSignature SignatureOf(const LayerGraph& graph, const Layer& layer);

/// The signatures of all layers, in layer order. Throws as above.
std::vector<LayerSignature> SignaturesOf(const LayerGraph& graph);

}  // namespace bitsearch
