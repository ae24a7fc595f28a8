#pragma once
// LayerGraph → ONNX file. A graph that was read from a file is written as the user's own model with
// what the rewrites changed; a built-in network as a fresh one. Shows no ONNX type.

#include <filesystem>
#include <string>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Serialises `graph`. From an imported graph, everything the graph does not describe is kept:
/// producer, metadata, documentation, further opsets, value names, unchanged tensors in their own
/// encoding. Nodes that folding removed are gone; their results are initializers. Fresh models have
/// IR version 8 (or newer where the opset asks for it). Reading the result gives an equal graph.
/// Throws Error(kModelGraph) beyond 2 GB.
std::string SerializeOnnx(const LayerGraph& graph);

/// Writes the file atomically. Throws Error(kFileWrite) too.
void WriteOnnx(const LayerGraph& graph, const std::filesystem::path& path);

}  // namespace bitsearch
