// The check command: everything that is wrong with an experiment's file; for a search also the
// files that it names and whether its budgets can be kept. Computes no losses.
#include "experiments/command_line/check_command.h"

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "experiments/command_line/option_checks.h"
#include "experiments/experiment.h"
#include "experiments/search_run.h"
#include "space/network/dataset.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

struct CheckOptions {
  std::string file;
  std::vector<std::string> overrides;
};

/// What training would find at its start: records, and the place of what it writes.
void CheckTraining(const Experiment& experiment) {
  const std::vector<std::pair<std::string, const std::optional<DataSpec>*>> splits = {
      {"data.train", &experiment.data.train}, {"data.validation", &experiment.data.validation}};
  for (const auto& [key, spec] : splits) {
    if (!spec->has_value()) continue;
    try {
      Dataset::Load(**spec).RequireLabels();
    } catch (const Error& error) {
      throw Error(error).Key(key);
    }
  }
  RequireWritable(experiment.train->output);
}

ExitCode Check(const CheckOptions& options, CommandContext& context) {
  const Experiment experiment =
      ReadExperiment(options.file, options.overrides, ExperimentUse::kCheck);
  if (experiment.asks_for_search() || !experiment.train.has_value()) {
    WithPlace({options.file}, [&] { return PrepareSearch(experiment, context.run); });
  }
  if (experiment.train.has_value()) {
    WithPlace({options.file}, [&] { CheckTraining(experiment); });
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
