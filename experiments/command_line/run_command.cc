// The run command: reads the experiment, makes sure it can succeed, opens the run directory and
// lets the stages work.
#include "experiments/command_line/run_command.h"

#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/experiment_changes.h"
#include "experiments/goal_walk.h"
#include "experiments/search_run.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

struct RunOptions {
  std::string file;
  std::vector<std::string> overrides;
  std::string out;
  bool resume = false;
};

ExitCode Run(const RunOptions& options, CommandContext& context) {
  const Experiment experiment =
      ReadExperiment(options.file, options.overrides, ExperimentUse::kRun);
  RunContext run_context = context.run;
  run_context.root_seed = experiment.seed;
  run_context.threads = experiment.threads > 0
                            ? static_cast<int>(experiment.threads)
                            : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const NetworkProblem network =
      WithPlace({options.file}, [&] { return PrepareSearch(experiment, run_context); });
  const std::filesystem::path folder = options.out.empty()
                                           ? std::filesystem::path("runs") / experiment.name
                                           : std::filesystem::path(options.out);
  RunDirectory run(folder, options.resume ? RunOpen::kResume : RunOpen::kNew);
  const std::string resolved = ExperimentText(experiment);
  if (run.Has(RunDirectory::kConfiguration)) {
    const std::vector<std::string> changes =
        ChangedKeys(run.Read(RunDirectory::kConfiguration), resolved);
    for (const std::string& change : changes) {
      run_context.progress->Warning("changed since this run was last started: " + change);
    }
    if (!changes.empty()) {
      run_context.progress->Warning(
          "stages that depend on what changed are computed anew and their files replaced; to keep "
          "both, stop and name another folder by --out");
    }
  }
  run.Write(RunDirectory::kConfiguration, resolved);
  RunSearch(
      experiment, network, run, [&] { return LoadTorchBackend(context.executable_folder); },
      run_context);
  if (!experiment.budgets.empty()) {
    context.out << run.Read(kResultsTextName);
  }
  if (experiment.goal.has_value()) {
    context.out << GoalText(run.Read(kGoalName)) << "goal: " << run.PathOf(kGoalName).string()
                << '\n';
  }
  context.out << "report: " << run.PathOf(kReportName).string() << '\n';
  return ExitCode::kDone;
}

}  // namespace

void AddRunCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "Search, measure and report, as an experiment says");
  command->add_option("FILE.yaml", options->file, "The experiment")->required();
  command->add_option("--set", options->overrides, "Override one key: --set search.solver=auto")
      ->expected(1)
      ->take_all();
  command->add_option("--out", options->out, "The run's folder (default: runs/NAME)");
  command->add_flag("--resume", options->resume,
                    "Go on with the run in the folder, or start it if there is none; where options "
                    "have changed, say which and compute anew what depends on them");
  command->callback([options, &context] {
    context.action = [options, &context] { return Run(*options, context); };
  });
}

}  // namespace bitsearch
