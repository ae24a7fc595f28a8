// Which artifacts a run's folder has, and the files that a report becomes.
#include "experiments/report/run_report.h"

#include <fmt/format.h>

#include "experiments/experiment.h"
#include "experiments/run_directory.h"
#include "experiments/search_run.h"
#include "space/support/files.h"

namespace bitsearch {

namespace fs = std::filesystem;

std::string ReportRecords(const Experiment& experiment) {
  if (!experiment.data.report.has_value()) return "";
  const DataSpec& spec = *experiment.data.report;
  std::string text = fmt::format("first {} samples {}", spec.first, spec.samples);
  for (const fs::path& path : spec.paths) text += " " + path.string();
  return text;
}

ReportData ReadRunReport(const fs::path& run) {
  RequireRun(run);
  const Experiment experiment =
      ReadExperiment((run / RunDirectory::kConfiguration).string(), {}, ExperimentUse::kRun);
  ReportSource source;
  source.title = experiment.name;
  source.records = ReportRecords(experiment);
  for (const auto& entry : fs::directory_iterator(run)) {
    if (entry.is_regular_file()) source.names.push_back(entry.path().filename().string());
  }
  source.folder = run;
  source.read = [&run](const std::string& name) { return ReadTextFile(run / name); };
  return ReadReportData(source);
}

ReportData WriteRunReport(const fs::path& run, const LiveState& live) {
  ReportData data = ReadRunReport(run);
  WriteFileAtomically(run / kReportName, ReportHtml({data}, live));
  WriteFileAtomically(run / kReportMarkdownName, ReportMarkdown(data));
  return data;
}

}  // namespace bitsearch
