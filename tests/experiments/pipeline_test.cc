// Stages, items, resume: nothing is computed twice, nothing stale is kept.
#include "experiments/pipeline.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

ErrorId IdOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_FALSE(error.hint().empty()) << error.what();
    return error.id();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorId::kInternal;
}

class PipelineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("bitsearch_pipeline_") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Two stages: `count` items of squares, then their sum.
  std::vector<Stage> Stages(int count) {
    Stage squares{"squares", "count=" + std::to_string(count), {}, {"squares.txt"}, {}};
    squares.work = [this, count](StageScope& scope) {
      std::string text;
      for (int i = 0; i < count; ++i) {
        text += scope.Item(std::to_string(i), [&] {
          ++computed_items_;
          if (computed_items_ == die_at_item_) throw Error(ErrorId::kInterrupted, "killed");
          return std::to_string(i * i);
        }) + "\n";
      }
      scope.Write("squares.txt", text);
    };
    Stage sum{"sum", sum_parameters_, {"squares.txt"}, {"out/sum.txt"}, {}};
    sum.work = [this](StageScope& scope) {
      ++computed_sums_;
      int total = 0;
      std::istringstream stream(scope.Read("squares.txt"));
      for (int value = 0; stream >> value;) total += value;
      scope.Write("out/sum.txt", std::to_string(total));
    };
    return {squares, sum};
  }

  PipelineSummary Run(int count, RunOpen open = RunOpen::kResume) {
    RunDirectory run(folder_, open);
    RunContext context;
    context.progress = std::make_shared<LineKeeper>(&lines_);
    return RunStages(Stages(count), run, context);
  }

  /// Keeps what is logged.
  class LineKeeper : public NullProgressSink {
   public:
    explicit LineKeeper(std::vector<std::string>* lines) : lines_(lines) {}
    void Log(std::string_view line) override { lines_->emplace_back(line); }

   private:
    std::vector<std::string>* lines_;
  };

  fs::path folder_;
  std::vector<std::string> lines_;
  std::string sum_parameters_;
  int computed_items_ = 0;
  int computed_sums_ = 0;
  int die_at_item_ = -1;
};

TEST_F(PipelineTest, ComputesOnceAndSkipsAfterwards) {
  EXPECT_THAT(Run(4, RunOpen::kNew).computed, ElementsAre("squares", "sum"));
  EXPECT_EQ(ReadTextFile(folder_ / "out/sum.txt"), "14");
  EXPECT_TRUE(fs::exists(folder_ / "timing.json"));
  EXPECT_THAT(Run(4).computed, IsEmpty());
  EXPECT_EQ(computed_items_, 4);
}

TEST_F(PipelineTest, AKilledStageLosesOneItem) {
  die_at_item_ = 3;
  EXPECT_EQ(IdOf([&] {
              try {
                Run(5);
              } catch (Error& error) {
                throw error.Hint("resume");
              }
            }),
            ErrorId::kInterrupted);
  EXPECT_FALSE(fs::exists(folder_ / "squares.txt"));
  Run(5);
  EXPECT_EQ(computed_items_, 6);  // the third was begun twice
  EXPECT_EQ(ReadTextFile(folder_ / "out/sum.txt"), "30");
}

TEST_F(PipelineTest, ChangedInputsAreComputedAgain) {
  Run(3);
  EXPECT_THAT(Run(4).computed, ElementsAre("squares", "sum"));
  EXPECT_EQ(computed_items_, 7);  // items belong to the inputs they were computed from
  sum_parameters_ = "other";
  EXPECT_THAT(Run(4).computed, ElementsAre("sum"));
}

TEST_F(PipelineTest, SaysWhatIsComputedAnewAndWhy) {
  Run(3);
  EXPECT_THAT(lines_, ElementsAre("1/2 squares", "2/2 sum"));
  lines_.clear();
  sum_parameters_ = "other";
  Run(3);
  EXPECT_THAT(lines_, ElementsAre("1/2 squares: finished before, kept",
                                  "2/2 sum: computed anew, for what it depends on has changed"));
  lines_.clear();
  fs::remove(folder_ / "squares.txt");
  Run(3);
  EXPECT_THAT(lines_,
              ElementsAre("1/2 squares: computed anew, for its files are not as it left them",
                          "2/2 sum: finished before, kept"));
}

TEST_F(PipelineTest, WhatNoStageWritesAnyMoreIsRemoved) {
  RunDirectory run(folder_, RunOpen::kNew);
  RunStages(Stages(3), run, RunContext{});
  WriteFileAtomically(folder_ / "notes.txt", "of the user");
  std::vector<Stage> fewer = Stages(3);
  fewer.pop_back();
  const PipelineSummary summary = RunStages(fewer, run, RunContext{});
  EXPECT_THAT(summary.skipped, ElementsAre("squares"));
  EXPECT_FALSE(run.Has("out/sum.txt"));
  EXPECT_TRUE(run.Has("squares.txt"));
  EXPECT_TRUE(run.Has("notes.txt"));
  RunStages(Stages(3), run, RunContext{});
  EXPECT_EQ(run.Read("out/sum.txt"), "5");
}

TEST_F(PipelineTest, WhatAKillLeftHalfWrittenIsRemoved) {
  { const RunDirectory run(folder_, RunOpen::kNew); }
  for (const char* name : {"sum.txt.tmp.a1B2c3", "kept.tmp.txt", ".tmp.a1B2c3", "a.tmp.1234567"}) {
    WriteFileAtomically(folder_ / name, "half");
  }
  { const RunDirectory run(folder_, RunOpen::kResume); }
  EXPECT_FALSE(fs::exists(folder_ / "sum.txt.tmp.a1B2c3"));
  for (const char* name : {"kept.tmp.txt", ".tmp.a1B2c3", "a.tmp.1234567"}) {
    EXPECT_TRUE(fs::exists(folder_ / name)) << name;
  }
}

TEST_F(PipelineTest, DamagedOrMissingArtifactsAreComputedAgain) {
  Run(3);
  fs::remove(folder_ / "out/sum.txt");
  EXPECT_THAT(Run(3).computed, ElementsAre("sum"));
  std::ofstream(folder_ / "squares.txt") << "1 2 3";
  EXPECT_THAT(Run(3).computed, ElementsAre("squares"));  // from journalled items, sum is unchanged
  EXPECT_EQ(computed_items_, 3);
}

TEST_F(PipelineTest, AStopRequestEndsBetweenItems) {
  RunDirectory run(folder_, RunOpen::kNew);
  RunContext context;
  context.stop.RequestStop();
  EXPECT_THROW(RunStages(Stages(3), run, context), Error);
  EXPECT_EQ(computed_items_, 0);
}

TEST_F(PipelineTest, UndeclaredFilesAreRefused) {
  RunDirectory run(folder_, RunOpen::kNew);
  Stage stage{"x", "", {}, {"a"}, [](StageScope& scope) { scope.Write("b", ""); }};
  EXPECT_THROW(RunStages({stage}, run, RunContext{}), Error);
  stage.work = [](StageScope& scope) { scope.Read("c"); };
  EXPECT_THROW(RunStages({stage}, run, RunContext{}), Error);
  stage.work = [](StageScope&) {};
  EXPECT_THROW(RunStages({stage}, run, RunContext{}), Error);
}

TEST_F(PipelineTest, FoldersAreOwned) {
  {
    RunDirectory run(folder_, RunOpen::kNew);
    EXPECT_EQ(IdOf([&] { RunDirectory second(folder_, RunOpen::kResume); }), ErrorId::kRunLocked);
    EXPECT_EQ(IdOf([&] { RunDirectory second(folder_, RunOpen::kNew); }), ErrorId::kRunExists);
  }
  EXPECT_NO_THROW(RunDirectory(folder_, RunOpen::kResume));
  EXPECT_EQ(IdOf([&] { RequireRun(folder_); }), ErrorId::kRunNotFound);
  fs::remove_all(folder_);
  fs::create_directories(folder_);
  std::ofstream(folder_ / "thesis.doc") << "x";
  EXPECT_EQ(IdOf([&] { RunDirectory other(folder_, RunOpen::kResume); }), ErrorId::kRunNotFound);
  EXPECT_EQ(IdOf([&] { RunDirectory other(folder_ / "thesis.doc" / "x", RunOpen::kNew); }),
            ErrorId::kFileWrite);
}

TEST_F(PipelineTest, ADamagedJournalIsSaid) {
  { RunDirectory run(folder_, RunOpen::kNew); }
  std::ofstream(folder_ / "journal.sqlite") << std::string(5000, 'x');
  fs::remove(folder_ / "journal.sqlite-wal");
  EXPECT_EQ(IdOf([&] { RunDirectory run(folder_, RunOpen::kResume); }), ErrorId::kRunDamaged);
}

}  // namespace
}  // namespace bitsearch
