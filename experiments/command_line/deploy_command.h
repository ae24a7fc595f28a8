#pragma once
// bitsearch deploy: chooses among a run's best configurations by running them.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

/// Adds the command to `app`; see command_context.h.
void AddDeployCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
