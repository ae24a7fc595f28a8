#pragma once
// Where tensors are quantized, residual inputs included. One seam for simulation, search and export.

#include <cstdint>
#include <optional>
#include <string_view>

namespace bitsearch {

/// Which tensors of a network are quantized.
enum class Placement : std::uint8_t {
  kWeightsOnly,  ///< Weights of quantizable layers; every activation stays float.
  kLayerInputs,  ///< Also the input of each quantizable layer; the skip path stays float.
  kRuntime,      ///< As an ONNX Q/DQ graph runs it: every edge between integer operators.
  kInteger,      ///< Integer arithmetic throughout, residual adds in int32.
};

/// "weights_only", "layer_inputs", "runtime", "integer".
std::string_view NameOf(Placement placement);
std::optional<Placement> ParsePlacement(std::string_view name);

}  // namespace bitsearch
