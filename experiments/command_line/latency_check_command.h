#pragma once
// bitsearch latency check: a table against the user's runtime.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

/// Adds `check` to the `latency` command.
void AddLatencyCheck(CLI::App& latency, CommandContext& context);

}  // namespace bitsearch
