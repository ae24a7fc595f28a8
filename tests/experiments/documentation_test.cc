// The complete example of docs/experiment.md is sound and leaves no section out.
#include <filesystem>
#include <sstream>
#include <string>

#include "experiments/experiment.h"
#include "experiments/search_run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

/// The page's YAML block, which is said to be a file of the page's folder.
struct Example {
  Example() {
    const fs::path folder = fs::path(BITSEARCH_SOURCE_DIR) / "docs";
    const std::string page = ReadTextFile(folder / "experiment.md");
    const std::string open = "```yaml\n";
    const std::size_t start = page.find(open) + open.size();
    text = page.substr(start, page.find("```", start) - start);
    name = (folder / "example.yaml").string();
  }
  std::string text;
  std::string name;
};

TEST(DocumentationTest, TheExampleServesEveryUse) {
  const Example example;
  for (const ExperimentUse use :
       {ExperimentUse::kCheck, ExperimentUse::kRun, ExperimentUse::kTrain}) {
    EXPECT_NO_THROW(ParseExperiment(example.text, example.name, {}, use));
  }
  // What `bitsearch check` does after that: files, records, layers, budgets.
  const Experiment experiment =
      ParseExperiment(example.text, example.name, {}, ExperimentUse::kCheck);
  EXPECT_TRUE(experiment.asks_for_search());
  EXPECT_NO_THROW(PrepareSearch(experiment, RunContext{}));
}

TEST(DocumentationTest, TheExampleHasEveryTopLevelKey) {
  const Example example;
  try {
    ParseExperiment(example.text, example.name, {"no_such_key=1"}, ExperimentUse::kCheck);
    FAIL();
  } catch (const ErrorList& list) {
    ASSERT_EQ(list.errors().size(), 1U);
    const std::string& message = list.errors().front().message();
    const std::size_t start = message.find("allowed ") + std::string("allowed ").size();
    std::istringstream keys(message.substr(start, message.find(')', start) - start));
    int count = 0;
    for (std::string key; std::getline(keys >> std::ws, key, ','); ++count) {
      EXPECT_THAT("\n" + example.text, ::testing::HasSubstr("\n" + key + ":"));
    }
    EXPECT_GE(count, 16);
  }
}

}  // namespace
}  // namespace bitsearch
