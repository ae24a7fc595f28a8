#pragma once
// `bitsearch report RUN`: writes the report of a run again and says where it is.

#include <CLI/CLI.hpp>

#include "experiments/command_line/command_context.h"

namespace bitsearch {

void AddReportCommand(CLI::App& app, CommandContext& context);

}  // namespace bitsearch
