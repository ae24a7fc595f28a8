// The check command: everything that is wrong with an experiment's file; for a search also the
// files that it names and whether its budgets can be kept. Computes no losses.
#include "experiments/command_line/check_command.h"

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/search_run.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

struct CheckOptions {
  std::string file;
  std::vector<std::string> overrides;
};

ExitCode Check(const CheckOptions& options, CommandContext& context) {
  const Experiment experiment =
      ReadExperiment(options.file, options.overrides, ExperimentUse::kCheck);
  if (experiment.asks_for_search() || !experiment.train.has_value()) {
    WithPlace({options.file}, [&] { return PrepareSearch(experiment, context.run); });
  }
  context.out << options.file << ": no errors\n";
  return ExitCode::kDone;
}

}  // namespace

void AddCheckCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* command = app.add_subcommand(
      "check", "Report every error of an experiment's file, and whether its budgets can be kept");
  command->add_option("FILE.yaml", options->file, "The experiment")->required();
  command->add_option("--set", options->overrides, "Override one key: --set search.solver=auto")
      ->expected(1)
      ->take_all();
  command->callback([options, &context] {
    context.action = [options, &context] { return Check(*options, context); };
  });
}

}  // namespace bitsearch
