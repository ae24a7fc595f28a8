#pragma once
// The latency command: build or look at a latency table. Measuring and importing are the room
// space/hardware's; this file only reads options and prints.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

/// Adds `latency measure|import|show`.
void AddLatencyCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
