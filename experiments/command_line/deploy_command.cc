// The deploy command: options in, table out; the work is experiments/deployment/deploy.h.
#include "experiments/command_line/deploy_command.h"

#include <memory>
#include <ostream>
#include <string>
#include <thread>

#include "experiments/command_line/option_checks.h"
#include "experiments/deployment/deploy.h"
#include "experiments/report/run_report.h"
#include "experiments/search_run.h"

namespace bitsearch {
namespace {

struct DeployCommandOptions {
  std::string run;
  std::int64_t best = 5;
  std::string budget;
  std::int64_t samples = -1;
  std::string runtime;
  std::string container{NameOf(Container::kCompute)};
  std::string out;
  bool json = false;
};

ExitCode RunDeploy(const DeployCommandOptions& options, CommandContext& context) {
  DeployOptions deploy;
  deploy.run = options.run;
  deploy.best = static_cast<std::size_t>(options.best);
  deploy.budget = options.budget;
  deploy.samples = options.samples;
  deploy.container = *ParseContainer(options.container);
  deploy.runtime = FindRuntime(options.runtime, context.executable_folder);
  deploy.out = options.out.empty() ? options.run : options.out;
  RunContext run_context = context.run;
  run_context.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const Deployment deployment = Deploy(
      deploy, [&] { return LoadTorchBackend(context.executable_folder); }, run_context);
  WriteRunReport(deploy.run);
  if (options.json) {
    context.out << DeploymentJson(deployment);
  } else {
    context.out << DeploymentText(deployment)
                << "written: " << (deploy.run / kDeploymentName).string() << ", "
                << (deploy.out / deployment.chosen_file).string();
    if (!deployment.recalibrated_table.empty()) {
      context.out << ", " << (deploy.run / deployment.recalibrated_table).string();
    }
    context.out << ", " << (deploy.run / kReportName).string() << '\n';
  }
  return deployment.decision.within_limit ? ExitCode::kDone : ExitCode::kInfeasible;
}

}  // namespace

void AddDeployCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<DeployCommandOptions>();
  CLI::App* command = app.add_subcommand(
      "deploy", "Run a search's best configurations in ONNX Runtime and choose by measurement");
  command->add_option("RUN", options->run, "A finished run's folder")->required();
  command
      ->add_option("--best", options->best,
                   "Points of the frontier within the budget, least predicted loss first")
      ->check(IntegerText(1, 1000))
      ->capture_default_str();
  command->add_option("--budget", options->budget, "Of a run with several budgets: its name");
  command->add_option("--samples", options->samples, "Score the first N records of each split")
      ->check(IntegerText(1, std::int64_t{1} << 40));
  command->add_option("--runtime", options->runtime,
                      "Command that runs a Node.js script (default: node)");
  command
      ->add_option("--container", options->container,
                   "storage (4 bits in INT4) or compute (INT8 with the low-bit scale)")
      ->check(NameText({"storage", "compute"}))
      ->capture_default_str();
  command->add_option("--out", options->out,
                      "Folder for the chosen file, deployed.onnx (default: the run's)");
  command->add_flag("--json", options->json, "Print the result as JSON");
  command->footer(
      "Exit code 4: no configuration keeps the latency limit as measured. The choice is made on "
      "the search records; the report records are scored once, for the chosen one.");
  command->callback([options, &context] {
    context.action = [options, &context] { return RunDeploy(*options, context); };
  });
}

}  // namespace bitsearch
