// Events say what is new, once; the state of a run comes from its lock and journal.
#include "experiments/report/live_run.h"

#include <filesystem>

#include "experiments/run_directory.h"
#include "gtest/gtest.h"
#include "tests/experiments/report/synthetic_run.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

TEST(LiveRunTest, TheLockAndTheJournalSayHowFarARunIs) {
  const fs::path folder = fs::path(::testing::TempDir()) / "live_run";
  fs::remove_all(folder);
  EXPECT_FALSE(ReadLiveState(folder).running);
  {
    RunDirectory run(folder, RunOpen::kNew);
    run.journal().AddItem("sensitivity", "hash", "conv1", "1");
    run.journal().AddItem("sensitivity", "hash", "fc", "2");
    run.journal().FinishStage("costs", "hash", {});
    run.journal().AddSeconds("costs", 0.5);
    const LiveState state = ReadLiveState(folder);
    EXPECT_TRUE(state.running);
    EXPECT_EQ(state.stages.at("sensitivity").at("items"), 2);
    EXPECT_EQ(state.stages.at("sensitivity").at("finished"), false);
    EXPECT_EQ(state.stages.at("costs").at("finished"), true);
    EXPECT_EQ(state.stages.at("costs").at("seconds"), 0.5);
  }
  EXPECT_FALSE(ReadLiveState(folder).running);
}

TEST(LiveRunTest, EventsTellEachThingOnce) {
  auto files = SyntheticArtifacts({});
  const ReportData finished = ReadReportData(SourceOf(files, "run"));
  files.erase("results.json");
  const ReportData unfinished = ReadReportData(SourceOf(files, "run"));
  LiveState state;
  state.stages["sensitivity"] = {{"items", 1}, {"finished", false}, {"seconds", 0.0}};
  RunEvents events;
  ASSERT_EQ(events.Update(state, unfinished).size(), 1U);
  EXPECT_TRUE(events.Update(state, unfinished).empty());
  state.stages["sensitivity"]["items"] = 2;
  const std::vector<std::string> more = events.Update(state, unfinished);
  ASSERT_EQ(more.size(), 1U);
  EXPECT_EQ(Json::parse(more[0]).at("items"), 2);
  const std::vector<std::string> results = events.Update(state, finished);
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(Json::parse(results[1]).at("event"), "result");
  EXPECT_EQ(Json::parse(results[1]).at("line"), "ours");
  EXPECT_TRUE(events.Update(state, finished).empty());
}

}  // namespace
}  // namespace bitsearch
