#pragma once
// The list of commands. Adding one: a line here and in commands.cc, and docs/ARCHITECTURE.md.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

/// Adds every command to the application, in the order of `--help`.
void AddCommands(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
