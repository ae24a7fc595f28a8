#pragma once
// `bitsearch predictor train|evaluate|query|serve|show`: accuracy without running the network. No
// LibTorch.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddPredictorCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
