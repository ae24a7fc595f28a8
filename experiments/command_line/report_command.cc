// The report command: artifacts of a finished run → report.html and the table on standard output.
#include "experiments/command_line/report_command.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/report.h"
#include "experiments/result_table.h"
#include "experiments/run_directory.h"
#include "experiments/search_run.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

/// Artifacts `prefix…json` of a run, in the order of their names.
std::vector<std::string> ArtifactsNamed(const fs::path& run, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".json")) names.push_back(name);
  }
  // "solution_10" comes after "solution_9".
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), a) < std::pair(b.size(), b);
  });
  return names;
}

ExitCode Report(const std::string& folder, CommandContext& context) {
  const fs::path run = RequireRun(folder);
  if (!fs::exists(run / kResultsName)) {
    throw Error(ErrorId::kRunNotFound, "the run has no results yet")
        .At({run.string(), 0, 0})
        .Hint("finish it: bitsearch run FILE.yaml --out " + run.string() + " --resume");
  }
  const Experiment experiment =
      ReadExperiment((run / RunDirectory::kConfiguration).string(), {}, ExperimentUse::kRun);
  const ReportInputs inputs{ArtifactsNamed(run, "config_"), ArtifactsNamed(run, "frontier_")};
  const auto read = [&](const std::string& name) { return ReadTextFile(run / name); };
  const std::string table =
      ResultsText(ParseResultsJson(read(kResultsName), (run / kResultsName).string()));
  WriteFileAtomically(run / kReportName, ReportHtml(experiment.name, inputs, read));
  context.out << table << "report: " << (run / kReportName).string() << '\n';
  return ExitCode::kDone;
}

}  // namespace

void AddReportCommand(CLI::App& app, CommandContext& context) {
  const auto folder = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("report", "Write the report of a run and print its result table");
  command->add_option("RUN", *folder, "The run's folder")->required();
  command->callback([folder, &context] {
    context.action = [folder, &context] { return Report(*folder, context); };
  });
}

}  // namespace bitsearch
