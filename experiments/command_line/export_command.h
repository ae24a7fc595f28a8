#pragma once
// `bitsearch export WHAT --format F`: a configuration as a file that another tool reads; also from
// one tool's file to another's.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddExportCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
