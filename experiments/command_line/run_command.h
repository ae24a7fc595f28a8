#pragma once
// `bitsearch run FILE.yaml [--set a.b=c] [--out DIR] [--resume]`: the main job.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddRunCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
