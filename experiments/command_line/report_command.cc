// The report command: artifacts of a run → report.html, report.md and the table on standard output.
#include "experiments/command_line/report_command.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <thread>

#include "experiments/command_line/option_checks.h"
#include "experiments/report/live_run.h"
#include "experiments/report/run_report.h"
#include "experiments/report/tensorboard.h"
#include "experiments/result_table.h"
#include "experiments/run_directory.h"
#include "experiments/search_run.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::string run;
  std::string second;
  std::string out;
  std::string tensorboard;
  bool markdown = false;
  bool watch = false;
  bool events = false;
  std::int64_t interval_s = 2;
};

void RequireResults(const fs::path& run) {
  if (fs::exists(run / kResultsName) || fs::exists(run / kGoalName)) return;
  throw Error(ErrorId::kRunNotFound, "the run has no results yet")
      .At({run.string(), 0, 0})
      .Hint("finish it: bitsearch run FILE.yaml --out " + run.string() + " --resume");
}

ExitCode Compare(const ReportOptions& options, CommandContext& context) {
  const fs::path second = RequireRun(options.second);
  RequireResults(second);
  const fs::path out = options.out.empty() ? second / "comparison.html" : fs::path(options.out);
  WriteFileAtomically(out, ReportHtml({ReadRunReport(options.run), ReadRunReport(second)}));
  context.out << "report: " << out.string() << '\n';
  return ExitCode::kDone;
}

/// Sleeps in short steps, so that Ctrl-C is heard.
void WaitFor(std::int64_t seconds, const StopToken& stop) {
  constexpr std::chrono::milliseconds kStep(100);
  for (auto left = std::chrono::milliseconds(std::chrono::seconds(seconds));
       left.count() > 0 && !stop.StopRequested(); left -= kStep) {
    std::this_thread::sleep_for(kStep);
  }
}

/// The page (and the events) as the run is now; with --watch again and again until it ends.
ExitCode Follow(const ReportOptions& options, const fs::path& run, CommandContext& context) {
  RunEvents events;
  while (true) {
    LiveState live = ReadLiveState(run);
    const bool again = options.watch && live.running && !context.run.stop.StopRequested();
    live.reload_seconds = again ? static_cast<int>(options.interval_s) : 0;
    const ReportData data = WriteRunReport(run, live);
    if (options.events) {
      for (const std::string& event : events.Update(live, data)) context.out << event << '\n';
      if (!again && !live.running) context.out << RunEvents::End(run / kReportName) << '\n';
      context.out << std::flush;
    }
    if (!again) break;
    WaitFor(options.interval_s, context.run.stop);
  }
  if (!options.events) context.out << "report: " << (run / kReportName).string() << '\n';
  return ExitCode::kDone;
}

void WriteEventFile(const fs::path& folder, const ReportData& data) {
  std::error_code failure;  // a failure shows when the file is written
  fs::create_directories(folder, failure);
  const auto now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  WriteFileAtomically(folder / "events.out.tfevents.bitsearch",
                      EventFile(ReportScalars(data), now));
}

ExitCode Report(const ReportOptions& options, CommandContext& context) {
  const fs::path run = RequireRun(options.run);
  if (options.watch || options.events) return Follow(options, run, context);
  RequireResults(run);
  if (!options.second.empty()) return Compare(options, context);
  const ReportData data = WriteRunReport(run);
  const fs::path page = options.out.empty() ? run / kReportName : fs::path(options.out);
  if (!options.out.empty()) WriteFileAtomically(page, ReportHtml({data}));
  if (!options.tensorboard.empty()) WriteEventFile(options.tensorboard, data);
  if (options.markdown) {
    context.out << ReportMarkdown(data);
    return ExitCode::kDone;
  }
  if (fs::exists(run / kResultsName)) {
    context.out << ResultsText(
        ParseResultsJson(ReadTextFile(run / kResultsName), (run / kResultsName).string()));
  }
  context.out << "report: " << page.string() << '\n';
  return ExitCode::kDone;
}

}  // namespace

void AddReportCommand(CLI::App& app, CommandContext& context) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand(
      "report", "Write the report of a run, or of two beside each other, as one HTML page");
  command->add_option("RUN", options->run, "The run's folder")->required();
  command->add_option("RUN2", options->second, "A second run: what differs, beside the first");
  command->add_option("--out", options->out,
                      "The page (default: report.html in the run, comparison.html in the second)");
  command->add_flag("--markdown", options->markdown,
                    "Print the summary as Markdown, which is in report.md too");
  command->add_flag("--watch", options->watch,
                    "Write the page anew while the run goes on in another process, until it ends");
  command->add_flag("--events", options->events,
                    "Print what is finished as JSON, an object a line; with --watch as it happens");
  command->add_option("--interval", options->interval_s, "Seconds between two looks of --watch")
      ->check(IntegerText(1, 3600))
      ->capture_default_str();
  command->add_option("--tensorboard", options->tensorboard,
                      "Folder for an event file of the run's curves, for TensorBoard");
  command->callback([options, &context] {
    context.action = [options, &context] { return Report(*options, context); };
  });
}

}  // namespace bitsearch
