// Runs the real executable on every case under cases/ and compares exit code, place and remedy.
// A case is a folder <slug> or <slug>.<variant> with its input files and case.txt:
//   setup: shell line that makes further inputs (optional)
//   command: shell line; bitsearch is on the PATH
//   exit, place, remedy: the exit code, and two texts that standard error must hold
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

fs::path CasesFolder() { return fs::path(BITSEARCH_SOURCE_DIR) / "tests/bad_input/cases"; }

std::vector<std::string> CaseNames() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(CasesFolder())) {
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

class BadInputTest : public ::testing::TestWithParam<std::string> {};

TEST_P(BadInputTest, SaysPlaceAndRemedy) {
  const fs::path folder = fs::path(::testing::TempDir()) / ("bitsearch_bad_input_" + GetParam());
  fs::remove_all(folder);
  fs::copy(CasesFolder() / GetParam(), folder, fs::copy_options::recursive);
  auto entries = ReadCase(folder / "case.txt");
  for (const char* key : {"command", "exit", "place", "remedy"}) {
    ASSERT_TRUE(entries.contains(key)) << key << " is missing in case.txt";
  }
  const std::string enter = "cd '" + folder.string() + "' && PATH='" +
                            fs::path(BITSEARCH_EXECUTABLE).parent_path().string() +
                            "':\"$PATH\" && ";
  if (entries.contains("setup")) {
    ASSERT_EQ(std::system((enter + "{ " + entries["setup"] + "; }").c_str()), 0);
  }
  const int status =
      std::system((enter + "{ " + entries["command"] + "; } >stdout.txt 2>stderr.txt").c_str());
  const std::string message = ReadTextFile(folder / "stderr.txt");
  ASSERT_TRUE(WIFEXITED(status)) << message;
  EXPECT_EQ(WEXITSTATUS(status), std::stoi(entries["exit"])) << message;
  EXPECT_THAT(message, ::testing::HasSubstr(entries["place"]));
  EXPECT_THAT(message, ::testing::HasSubstr(entries["remedy"]));
  EXPECT_THAT(message, ::testing::HasSubstr("error: "));
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Cases, BadInputTest, ::testing::ValuesIn(CaseNames()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (c == '-' || c == '.') c = '_';
                           }
                           return name;
                         });

TEST(BadInputCoverageTest, EveryCaseNamesAnError) {
  std::set<std::string> slugs;
  for (const ErrorId id : AllErrorIds()) slugs.insert(std::string(Slug(id)));
  for (const std::string& name : CaseNames()) EXPECT_TRUE(slugs.contains(SlugOf(name))) << name;
}

// Errors that still wait for a case are listed in without_case.txt, which may only shrink: a new
// error needs a case, and a listed one that got its case must leave the list.
TEST(BadInputCoverageTest, EveryErrorHasACaseOrIsListedAsWaiting) {
  // An internal error has no input that causes it; a stop is not caused by input either.
  std::set<std::string> covered = {"internal", "interrupted"};
  for (const std::string& name : CaseNames()) covered.insert(SlugOf(name));
  std::set<std::string> waiting;
  std::ifstream list(std::filesystem::path(BITSEARCH_SOURCE_DIR) / "tests" / "bad_input" /
                     "without_case.txt");
  ASSERT_TRUE(list);
  for (std::string slug; std::getline(list, slug);) waiting.insert(slug);
  for (const ErrorId id : AllErrorIds()) {
    const std::string slug(Slug(id));
    EXPECT_NE(covered.contains(slug), waiting.contains(slug))
        << slug << (covered.contains(slug) ? " has a case now: take it off the list"
                                           : " has no case");
    waiting.erase(slug);
  }
  EXPECT_TRUE(waiting.empty()) << *waiting.begin() << " is listed but is no error";
}

}  // namespace
}  // namespace bitsearch
