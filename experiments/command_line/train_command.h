#pragma once
// `bitsearch train FILE.yaml`: trains a built-in or imported network and writes it as ONNX.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddTrainCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
