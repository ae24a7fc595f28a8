// Runs the real executable on every case under cases/ and compares exit code, error id, place and
// remedy. A case is a folder <error id> or <error id>.<variant> with its input files and case.txt:
//   needs: torch, where the LibTorch module is needed (optional)
//   setup: shell line that makes further inputs (optional)
//   command: shell line; bitsearch, onnx_from_text and library_call are on the PATH
//   exit, place, remedy: the exit code, and two texts that standard error must hold
// The files of sound/, which have no fault, are copied first; a case's own files replace them.
// BITSEARCH_EXECUTABLE in the environment names another executable to test.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;

fs::path TestFolder() { return fs::path(BITSEARCH_SOURCE_DIR) / "tests" / "bad_input"; }

fs::path Executable() {
  const char* other = std::getenv("BITSEARCH_EXECUTABLE");
  return fs::absolute(other == nullptr ? BITSEARCH_EXECUTABLE : other);
}

bool HasTorch() { return fs::exists(Executable().parent_path() / "libbitsearch_torch.so"); }

std::vector<std::string> CaseNames() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(TestFolder() / "cases")) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string SlugOf(const std::string& name) { return name.substr(0, name.find('.')); }

std::map<std::string, std::string> ReadCase(const fs::path& file) {
  std::map<std::string, std::string> entries;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) entries[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return entries;
}

/// A folder of inputs in which shell lines run; removed at the end.
class Workplace {
 public:
  explicit Workplace(const std::string& name)
      : folder_(fs::path(::testing::TempDir()) /
                ("bitsearch_bad_input_" + std::to_string(::getpid()) + "_" + name)) {
    fs::remove_all(folder_);
    fs::copy(TestFolder() / "sound", folder_, fs::copy_options::recursive);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  ~Workplace() { fs::remove_all(folder_); }

  const fs::path& folder() const { return folder_; }

  /// Runs a line of shell; the exit status, or −1 where a signal ended it.
  int Run(const std::string& line) const {
    const std::string command =
        "cd '" + folder_.string() + "' || exit 1\nexec >stdout.txt 2>stderr.txt\n" +
        "export BITSEARCH_ERROR_IDS=1 PATH='" + Executable().parent_path().string() +
        ":" BITSEARCH_HELPERS ":'\"$PATH\"\n" + line;
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string Errors() const { return ReadTextFile(folder_ / "stderr.txt"); }

 private:
  fs::path folder_;
};

class BadInputTest : public ::testing::TestWithParam<std::string> {};

TEST_P(BadInputTest, SaysPlaceAndRemedy) {
  const fs::path files = TestFolder() / "cases" / GetParam();
  auto entries = ReadCase(files / "case.txt");
  for (const char* key : {"command", "exit", "place", "remedy"}) {
    ASSERT_TRUE(entries.contains(key)) << key << " is missing in case.txt";
  }
  if (entries["needs"] == "torch" && !HasTorch()) {
    GTEST_SKIP() << "needs LibTorch, and this build has no libbitsearch_torch.so";
  }
  const Workplace workplace(GetParam());
  fs::copy(files, workplace.folder(),
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  if (entries.contains("setup")) {
    ASSERT_EQ(workplace.Run(entries["setup"]), 0) << workplace.Errors();
  }
  const int status = workplace.Run(entries["command"]);
  const std::string message = workplace.Errors();
  EXPECT_EQ(status, std::stoi(entries["exit"])) << message;
  EXPECT_THAT(message, HasSubstr(entries["place"]));
  EXPECT_THAT(message, HasSubstr(entries["remedy"]));
  EXPECT_THAT(message, HasSubstr("[" + SlugOf(GetParam()) + "]"));
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("error: ") == std::string::npos) continue;
    EXPECT_THAT(line, AnyOf(HasSubstr(" — "), HasSubstr("allowed"))) << "says no remedy";
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, BadInputTest, ::testing::ValuesIn(CaseNames()),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) {
                             if (c == '-' || c == '.') c = '_';
                           }
                           return name;
                         });

// Else a case could fail for another reason than the one it shows.
TEST(SoundInputsTest, HaveNoFault) {
  const Workplace workplace("sound");
  for (const char* line :
       {"onnx_from_text < model.txt > model.onnx", "bitsearch layers model.onnx",
        "bitsearch latency show latency.csv",
        "bitsearch solve --sensitivity sensitivity.csv --latency latency.csv --cost cost.csv"
        " --ties ties.csv --transitions transitions.csv --pairs pairs.csv --cuts cuts.csv"
        " --limit latency_us=30",
        "head -c 30730 /dev/zero > batch.bin", "bitsearch check run.yaml",
        "bitsearch check train.yaml",
        "bitsearch predictor train --data measured.csv --out p.bspred --epochs 1 --members 2"}) {
    EXPECT_EQ(workplace.Run(line), 0) << line << "\n" << workplace.Errors();
  }
}

TEST(BadInputCoverageTest, EveryCaseNamesAnError) {
  std::set<std::string> slugs;
  for (const ErrorId id : AllErrorIds()) slugs.insert(std::string(Slug(id)));
  for (const std::string& name : CaseNames()) EXPECT_TRUE(slugs.contains(SlugOf(name))) << name;
}

TEST(BadInputCoverageTest, EveryErrorHasACase) {
  // An internal error has no input that causes it; a stop is not caused by input either.
  std::set<std::string> covered = {"internal", "interrupted"};
  for (const std::string& name : CaseNames()) covered.insert(SlugOf(name));
  for (const ErrorId id : AllErrorIds()) {
    EXPECT_TRUE(covered.contains(std::string(Slug(id)))) << Slug(id) << " has no case";
  }
}

}  // namespace
}  // namespace bitsearch
