#pragma once
// `bitsearch evaluate MODEL.onnx`: accuracy on data, float or under a configuration; or the network's
// output for a given input beside an expected one.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddEvaluateCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
