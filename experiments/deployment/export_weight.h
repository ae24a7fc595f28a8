#pragma once
// A layer's weight as codes on the configuration's grids, and the integers that hold them in a
// file. Must not depend on LibTorch.

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/config_file.h"
#include "experiments/deployment/onnx_export.h"
#include "space/graph/layer_graph.h"
#include "space/graph/qdq.h"
#include "space/support/error.h"

namespace bitsearch {

/// A weight on its grids.
struct ExportedWeight {
  std::vector<std::int64_t> codes;  ///< In the tensor's own order.
  std::vector<AffineGrid> grids;    ///< Channel-major, as QuantizedWeight's.
  std::size_t groups = 1;           ///< Per output channel.
  bool chosen = false;              ///< The codes need not be the nearest: calibration chose them.

  /// What the codes of a tensor of `shape`, whose channels lie on `channel_axis`, stand for; one
  /// group per channel.
  std::vector<float> Values(const Shape& shape, int channel_axis) const;
};

/// The narrowest integer type for codes of `bits` bits, among those of 8 and 16 bits and, where
/// allowed, 4 and 2.
DataType IntegerType(int bits, bool is_signed, bool two_bits, bool four_bits);

/// The codes of a weight on the configuration's grids, or on grids made anew where it has none.
/// Throws Error(kConfigLayers) where the grids are not as many as the weight needs; `path` names
/// the configuration.
ExportedWeight WeightOnGrids(const Layer& layer, const ConfigLayer& entry, const TensorValue& value,
                             const ConfigDocument& config, const std::string& path);

/// How a file stores it. Throws Error(kExportRefused) for groups that ONNX has no layout for.
IntegerStorage WeightStorage(const Layer& layer, NumberFormat format, const ExportedWeight& weight,
                             const Shape& shape, const OnnxExportOptions& options,
                             const ConfigDocument& config, const std::string& path);

/// Error(kExportRefused) about one layer.
Error RefusedLayer(const Layer& layer, const std::string& path, const std::string& why,
                   const std::string& hint);

}  // namespace bitsearch
