// Kills the real executable in the middle of a run, again and again, and expects the finished run
// to equal an undisturbed one byte for byte. Needs the LibTorch module and the embedded network.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/files.h"
#include "space/support/random.h"
#include "tests/experiments/run_artifacts.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kKills = 10;

class KillAndResumeTest : public ::testing::Test {
 protected:
  KillAndResumeTest() : folder_(fs::path(::testing::TempDir()) / "bitsearch_kill_and_resume") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~KillAndResumeTest() override { fs::remove_all(folder_); }

  /// Starts a small search into `out`; its output goes to a file beside it.
  pid_t Start(const std::string& out) const {
    const fs::path experiment =
        fs::path(BITSEARCH_SOURCE_DIR) / "experiments" / "quickstart_size.yaml";
    const std::vector<std::string> words = {
        BITSEARCH_EXECUTABLE,
        "run",
        experiment.string(),
        "--resume",
        "--out",
        (folder_ / out).string(),
        "--set",
        "data.calibration.samples=32",
        "--set",
        "data.search.samples=48",
        "--set",
        "data.report.samples=400",
        "--set",
        "space.weight_bits=[2, 3, 4, 8]",
        "--set",
        "baselines.random_count=12",
    };
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string log = (folder_ / (out + ".log")).string();
    constexpr int kMode = 0644;
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, kMode);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    pid_t child = 0;
    const int failure =
        posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(failure, 0);
    return child;
  }

  /// The exit status of an undisturbed run, and the time it took.
  int Finish(const std::string& out) const {
    int status = 0;
    waitpid(Start(out), &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << ReadTextFile(folder_ / (out + ".log"));
    return status;
  }

  fs::path folder_;
};

TEST_F(KillAndResumeTest, AKilledRunEndsAsAnUndisturbedOne) {
  const auto start = steady_clock::now();
  Finish("undisturbed");
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);

  RandomStream random(1, "tests.kill_and_resume", 0);
  int killed = 0;
  for (int kill_count = 0; kill_count < kKills; ++kill_count) {
    const pid_t child = Start("disturbed");
    // A resumed run starts where the last one was killed, so each gets a part of the whole time.
    const auto wait = milliseconds(
        static_cast<std::int64_t>(random.Below(static_cast<std::uint64_t>(took.count()) / 2 + 1)));
    std::this_thread::sleep_for(wait);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    killed += WIFSIGNALED(status) ? 1 : 0;
  }
  // At least the first few must have hit a run that was not finished yet.
  EXPECT_GE(killed, 3);
  Finish("disturbed");

  const auto undisturbed = RunArtifacts(folder_ / "undisturbed");
  const auto disturbed = RunArtifacts(folder_ / "disturbed");
  EXPECT_THAT(undisturbed, ::testing::Contains(::testing::Key("config_1.json")));
  EXPECT_THAT(undisturbed, ::testing::Contains(::testing::Key("results.csv")));
  ASSERT_EQ(undisturbed.size(), disturbed.size());
  for (const auto& [name, content] : undisturbed) {
    ASSERT_TRUE(disturbed.contains(name)) << name;
    EXPECT_EQ(disturbed.at(name), content) << name << " differs";
  }
}

}  // namespace
}  // namespace bitsearch
