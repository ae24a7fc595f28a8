#pragma once
// `MODEL.onnx` with `--shape`, the same for every command that needs a network's shapes.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Adds `--shape [NAME=]1,3,32,32`, which may be given once for each input.
void AddShapeOption(CLI::App& command, std::vector<std::string>& shapes);

/// Reads the network with these shapes; where no name is given the first input is meant. Throws
/// Error(kUsage) for an input that the network has not, and as ReadOnnx.
LayerGraph ReadModel(const std::string& model, const std::vector<std::string>& shapes);

}  // namespace bitsearch
