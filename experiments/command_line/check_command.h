#pragma once
// `bitsearch check FILE.yaml`: every error at once, with line and column; is the budget feasible?

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddCheckCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
