#pragma once
// `bitsearch solve`: the exact solvers on CSV files alone; starts at once, needs no LibTorch.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddSolveCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
