// Kills the real executable in the middle of a run, again and again, and expects the finished run
// to equal an undisturbed one byte for byte. Needs the LibTorch module and the embedded network.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
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

const std::string kFashionMnist = "/usr/share/datasets/fashion-mnist/";

using Words = std::vector<std::string>;

/// A search by measurement, and a supernet with fine-tuning; both as small as they go.
const Words kExactRun = {
    "quickstart_size.yaml",           "--set", "data.calibration.samples=32", "--set",
    "data.search.samples=48",         "--set", "data.report.samples=400",     "--set",
    "space.weight_bits=[2, 3, 4, 8]", "--set", "baselines.random_count=12"};
const Words kSupernetRun = {"fashion_mnist_resnet20_dnas.yaml",
                            "--set",
                            "data.calibration.samples=32",
                            "--set",
                            "data.search.samples=48",
                            "--set",
                            "data.report.samples=200",
                            "--set",
                            "data.train.samples=160",
                            "--set",
                            "sensitivity.method=kl",
                            "--set",
                            "search.batch_size=32",
                            "--set",
                            "search.evaluate_best=2",
                            "--set",
                            "finetune.batch_size=32",
                            "--set",
                            "finetune.control_epochs=2",
                            "--set",
                            "finetune.lines=[ours, uniform]",
                            "--set",
                            "baselines.random_count=1"};

class KillAndResumeTest : public ::testing::Test {
 protected:
  KillAndResumeTest() : folder_(fs::path(::testing::TempDir()) / "bitsearch_kill_and_resume") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~KillAndResumeTest() override { fs::remove_all(folder_); }

  /// Starts a run into `out`; its output goes to a file beside it.
  pid_t Start(const Words& run, const std::string& out) const {
    Words words = {BITSEARCH_EXECUTABLE,
                   "run",
                   (fs::path(BITSEARCH_SOURCE_DIR) / "experiments" / run.front()).string(),
                   "--resume",
                   "--out",
                   (folder_ / out).string()};
    words.insert(words.end(), run.begin() + 1, run.end());
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
  int Finish(const Words& run, const std::string& out) const {
    int status = 0;
    waitpid(Start(run, out), &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << ReadTextFile(folder_ / (out + ".log"));
    return status;
  }

  /// Kills a run `kills` times and lets it end; then compares it with one that was not disturbed.
  void ExpectTheSame(const Words& run, int kills, const std::vector<std::string>& files) {
    const auto start = steady_clock::now();
    Finish(run, "undisturbed");
    const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);

    RandomStream random(1, "tests.kill_and_resume", 0);
    int killed = 0;
    for (int kill_count = 0; kill_count < kills; ++kill_count) {
      const pid_t child = Start(run, "disturbed");
      // A resumed run starts where the last one was killed, so each gets a part of the whole time.
      const auto wait = milliseconds(static_cast<std::int64_t>(
          random.Below(static_cast<std::uint64_t>(took.count()) / 2 + 1)));
      std::this_thread::sleep_for(wait);
      kill(child, SIGKILL);
      int status = 0;
      waitpid(child, &status, 0);
      killed += WIFSIGNALED(status) ? 1 : 0;
    }
    // At least the first few must have hit a run that was not finished yet.
    EXPECT_GE(killed, 3);
    Finish(run, "disturbed");

    const auto undisturbed = RunArtifacts(folder_ / "undisturbed");
    const auto disturbed = RunArtifacts(folder_ / "disturbed");
    for (const std::string& file : files) {
      EXPECT_THAT(undisturbed, ::testing::Contains(::testing::Key(file)));
    }
    ASSERT_EQ(undisturbed.size(), disturbed.size());
    for (const auto& [name, content] : undisturbed) {
      ASSERT_TRUE(disturbed.contains(name)) << name;
      EXPECT_TRUE(disturbed.at(name) == content) << name << " differs";
    }
  }

  fs::path folder_;
};

TEST_F(KillAndResumeTest, AKilledRunEndsAsAnUndisturbedOne) {
  constexpr int kKills = 10;
  ExpectTheSame(kExactRun, kKills, {"config_1.json", "results.csv"});
}

TEST_F(KillAndResumeTest, AKilledSupernetAndFineTuningEndAsUndisturbedOnes) {
  constexpr int kKills = 6;
  ExpectTheSame(kSupernetRun, kKills,
                {"config_1.json", "dnas_1.json", "finetune.json", "config_tuned_1.json",
                 "tuned_1.onnx", "tuned_results.csv"});

  // The files say all that is needed to run the tuned network again.
  const std::string run = (folder_ / "undisturbed").string();
  const std::string output = (folder_ / "evaluation.json").string();
  const std::string command = std::string(BITSEARCH_EXECUTABLE) + " evaluate " + run +
                              "/tuned_1.onnx --config " + run +
                              "/config_tuned_1.json --data idx:" + kFashionMnist +
                              "t10k-images-idx3-ubyte.gz," + kFashionMnist +
                              "t10k-labels-idx1-ubyte.gz --mean 0.2860 --std 0.3530 --samples 200 "
                              "--json > " +
                              output;
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto evaluated = nlohmann::json::parse(ReadTextFile(output));
  const auto config = nlohmann::json::parse(ReadTextFile(run + "/config_tuned_1.json"));
  EXPECT_EQ(evaluated["correct"], config["measured"]["correct"]);
  EXPECT_NEAR(evaluated["loss_nats"].get<double>(), config["measured"]["loss_nats"].get<double>(),
              1e-5);
}

}  // namespace
}  // namespace bitsearch
