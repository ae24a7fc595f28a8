#pragma once
// `bitsearch layers MODEL.onnx`: the quantizable layers, what is not and why, ties. Torch-free.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddLayersCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
