// The one place that knows all commands.
#include "experiments/command_line/commands.h"

#include "experiments/command_line/check_command.h"
#include "experiments/command_line/deploy_command.h"
#include "experiments/command_line/evaluate_command.h"
#include "experiments/command_line/export_command.h"
#include "experiments/command_line/latency_command.h"
#include "experiments/command_line/layers_command.h"
#include "experiments/command_line/predictor_command.h"
#include "experiments/command_line/report_command.h"
#include "experiments/command_line/run_command.h"
#include "experiments/command_line/sensitivity_command.h"
#include "experiments/command_line/solve_command.h"
#include "experiments/command_line/train_command.h"

namespace bitsearch {

void AddCommands(CLI::App& app, CommandContext& context) {
  AddCheckCommand(app, context);
  AddRunCommand(app, context);
  AddLayersCommand(app, context);
  AddLatencyCommand(app, context);
  AddTrainCommand(app, context);
  AddEvaluateCommand(app, context);
  AddSensitivityCommand(app, context);
  AddSolveCommand(app, context);
  AddPredictorCommand(app, context);
  AddExportCommand(app, context);
  AddDeployCommand(app, context);
  AddReportCommand(app, context);
}

}  // namespace bitsearch
