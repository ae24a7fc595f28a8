#pragma once
// A run seen from outside while another process works in it: how far each stage is. For the page
// that is written anew as it goes on, and for tools that read events.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/report/report.h"

namespace bitsearch {

/// What a run's lock and journal say now. Throws Error(kRunDamaged) for a journal of another
/// format.
LiveState ReadLiveState(const std::filesystem::path& run);

/// Turns the states of a run into events: one JSON object a line, for what is new since the last
/// call only. `{"event": "stage", "stage", "items", "finished", "seconds"}`, `{"event": "result"`,
/// a row of results.json`}`, `{"event": "end", "running": false, "report"}`.
class RunEvents {
 public:
  std::vector<std::string> Update(const LiveState& state, const ReportData& data);
  /// The last event of a run that has stopped.
  static std::string End(const std::filesystem::path& report);

 private:
  std::map<std::string, std::string> stages_;
  std::size_t results_ = 0;
};

}  // namespace bitsearch
