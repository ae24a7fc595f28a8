#pragma once
// ONNX file → LayerGraph. Every defect of a file is an Error that names file, node, operator, opset
// and remedy; none crashes or allocates more than the file holds. Shows no ONNX type.

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "space/graph/layer_graph.h"

namespace bitsearch {

struct OnnxReadOptions {
  /// By input name: extents for what the file leaves open (−1 keeps an extent open).
  std::map<std::string, Shape> input_shapes;
};

/// Reads a model: constants folded, shapes inferred with a symbolic batch, layers found.
/// Weights may be initializers, Constant nodes or external files; float16, bfloat16 and float64
/// become float32. Throws Error: kFileNotFound, kModelParse (truncated, not ONNX), kModelOpset,
/// kOperatorUnsupported, kModelGraph (cycle, second producer), kModelMissingInput, kModelTensor,
/// kModelExternalData, kModelAttribute, kModelShape, kModelNotFinite.
LayerGraph ReadOnnx(const std::filesystem::path& path, const OnnxReadOptions& options = {});

/// The same from memory; external data are looked up beside `path`, which errors name.
LayerGraph ReadOnnxBytes(std::span<const std::byte> bytes, const std::filesystem::path& path,
                         const OnnxReadOptions& options = {});

}  // namespace bitsearch
