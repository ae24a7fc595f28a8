#pragma once
// Reports of run directories: finished, going on, or two beside each other. Takes no lock, so it
// can be called while another process works in the directory.

#include <filesystem>
#include <string>

#include "experiments/report/report.h"

namespace bitsearch {

struct Experiment;

/// What there is of a run. Throws Error(kRunNotFound) where `run` is none, and ReadReportData's.
ReportData ReadRunReport(const std::filesystem::path& run);

/// Reads, then writes report.html and report.md into the run's folder.
ReportData WriteRunReport(const std::filesystem::path& run, const LiveState& live = {});

/// Describes a run's report records, for ReportSource::records.
std::string ReportRecords(const Experiment& experiment);

}  // namespace bitsearch
