// The check command: everything that is wrong with an experiment's file. Computes nothing.
#include "experiments/command_line/check_command.h"

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/experiment.h"

namespace bitsearch {
namespace {

struct CheckOptions {
  std::string file;
  std::vector<std::string> overrides;
};

ExitCode Check(const CheckOptions& options, CommandContext& context) {
  ReadExperiment(options.file, options.overrides, ExperimentUse::kCheck);
  context.out << options.file << ": no errors\n";
  return ExitCode::kDone;
}

}  // namespace

void AddCheckCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* command = app.add_subcommand(
      "check", "Report every error of an experiment's file, all at once");
  command->add_option("FILE.yaml", options->file, "The experiment")->required();
  command->add_option("--set", options->overrides, "Override one key: --set search.solver=auto")
      ->expected(1)
      ->take_all();
  command->callback([options, &context] {
    context.action = [options, &context] { return Check(*options, context); };
  });
}

}  // namespace bitsearch
