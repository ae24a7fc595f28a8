#pragma once
// A configuration written into the user's own network: ONNX with QuantizeLinear/DequantizeLinear
// nodes, or QONNX. Everything that the file needs (scales, zero points, corrected biases) is in the
// configuration, so nothing is run. Must not depend on LibTorch.

#include <string>
#include <string_view>
#include <vector>

#include "experiments/config_file.h"
#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Which integer types hold codes of few bits.
enum class Container : std::uint8_t {
  kStorage,  ///< The narrowest: 4-bit codes are INT4. The file is small; many runtimes are slow.
  kCompute,  ///< What integer kernels take: up to 8 bits in INT8 with the low-bit scale.
};

/// "storage", "compute".
std::string_view NameOf(Container container);
std::optional<Container> ParseContainer(std::string_view name);

struct OnnxExportOptions {
  Container container = Container::kCompute;
  /// Codes of one and two bits in INT2 (opset 25) where the container is kStorage; else INT4.
  bool two_bit_types = false;
  /// QONNX's Quant nodes, which carry any number of bits as such, instead of Q/DQ.
  bool qonnx = false;
};

struct OnnxExport {
  LayerGraph graph;
  /// What the file does not say as the configuration does, one sentence each.
  std::vector<std::string> notes;
};

/// Throws Error(kExportRefused) naming the layer where a block has 0 bits: no network is written
/// without it.
void RequireNoSkippedBlocks(const ConfigDocument& config, const std::string& path);

/// `graph` is the network with BN folded; `path` names the configuration in messages.
/// Throws Error(kConfigLayers) where configuration and network do not fit, Error(kExportRefused)
/// naming layer and reason where no runtime would run the file as the configuration says: skipped
/// blocks, activations without stored ranges, blocked weights under quantized activations.
OnnxExport BuildQuantizedOnnx(const LayerGraph& graph, const ConfigDocument& config,
                              const OnnxExportOptions& options, const std::string& path);

}  // namespace bitsearch
