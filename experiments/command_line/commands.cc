// The one place that knows all commands.
#include "experiments/command_line/commands.h"

#include "experiments/command_line/check_command.h"

namespace bitsearch {

void AddCommands(CLI::App& app, CommandContext& context) { AddCheckCommand(app, context); }

}  // namespace bitsearch
