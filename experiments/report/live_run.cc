// Reads the journal of a run that goes on; SQLite lets one process write while others read.
#include "experiments/report/live_run.h"

#include <set>

#include "experiments/run_directory.h"
#include "experiments/search_run.h"

namespace bitsearch {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

LiveState ReadLiveState(const fs::path& run) {
  LiveState state;
  state.running = IsRunning(run);
  const fs::path file = run / RunDirectory::kJournal;
  if (!fs::exists(file)) return state;
  const Journal journal(file);
  const std::map<std::string, double> seconds = journal.Seconds();
  const std::map<std::string, std::int64_t> items = journal.ItemCounts();
  std::set<std::string> names;
  for (const auto& [name, value] : seconds) names.insert(name);
  for (const auto& [name, value] : items) names.insert(name);
  for (const std::string& name : names) {
    const auto spent = seconds.find(name);
    const auto count = items.find(name);
    state.stages[name] = {{"items", count == items.end() ? 0 : count->second},
                          {"finished", journal.WasFinished(name)},
                          {"seconds", spent == seconds.end() ? 0.0 : spent->second}};
  }
  return state;
}

std::vector<std::string> RunEvents::Update(const LiveState& state, const ReportData& data) {
  std::vector<std::string> events;
  const auto text = [](const Json& event) {
    return event.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  for (const auto& [name, stage] : state.stages.items()) {
    Json event = {{"event", "stage"}, {"stage", name}};
    event.update(stage);
    const std::string line = text(event);
    if (stages_[name] == line) continue;
    stages_[name] = line;
    events.push_back(line);
  }
  const Json& files = data.json.at("files");
  if (files.contains(kResultsName)) {
    const Json& rows = files.at(kResultsName).at("rows");
    for (; results_ < rows.size(); ++results_) {
      Json event = {{"event", "result"}};
      event.update(rows[results_]);
      events.push_back(text(event));
    }
  }
  return events;
}

std::string RunEvents::End(const fs::path& report) {
  return Json{{"event", "end"}, {"running", false}, {"report", report.string()}}.dump();
}

}  // namespace bitsearch
