// Parses with CLI11 as main does, and turns errors into exit codes as main does.
#include "tests/experiments/solve/solve_runner.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "experiments/command_line/solve_command.h"
#include "experiments/command_line/usage_errors.h"
#include "gtest/gtest.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

class CollectingSink : public NullProgressSink {
 public:
  explicit CollectingSink(std::vector<std::string>* lines) : lines_(lines) {}
  void Log(std::string_view line) override { lines_->emplace_back(line); }

 private:
  std::vector<std::string>* lines_;
};

}  // namespace

SolveOutcome RunSolve(const std::vector<std::string>& arguments, int threads) {
  SolveOutcome outcome;
  std::ostringstream out;
  CommandContext context{RunContext{}, out, {}, nullptr};
  context.run.threads = threads;
  context.run.progress = std::make_shared<CollectingSink>(&outcome.log);
  CLI::App app("", "bitsearch");
  app.require_subcommand(1);
  AddSolveCommand(app, context);
  std::vector<std::string> words = {"solve"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const auto fail = [&outcome](const Error& error) {
    outcome.error = error.what();
    outcome.exit_code = static_cast<int>(ClassOf(error.id()));
  };
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    outcome.exit_code = static_cast<int>(context.action());
  } catch (const CLI::ParseError& failure) {
    fail(UsageErrorOf(app, failure, words));
  } catch (const Error& error) {
    fail(error);
  } catch (const ErrorList& list) {
    fail(list.errors().front());
  }
  outcome.out = out.str();
  return outcome;
}

std::string TestFolder() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string("bitsearch_") + test->test_suite_name() + "_" + test->name();
  std::replace(name.begin(), name.end(), '/', '_');
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder.string();
}

std::string WriteInput(const std::string& folder, const std::string& name,
                       const std::string& content) {
  const std::filesystem::path path = std::filesystem::path(folder) / name;
  WriteFileAtomically(path, content);
  return path.string();
}

}  // namespace bitsearch
