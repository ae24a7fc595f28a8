// Pages in a browser without a network: clicked, compared with the files they are made of, in both
// themes and on a narrow screen.
#include <filesystem>
#include <string>

#include "experiments/report/report.h"
#include "gtest/gtest.h"
#include "space/support/files.h"
#include "tests/experiments/report/synthetic_run.h"
#include "tests/install/shell.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

class ReportPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Shell("chromium --version").status != 0) GTEST_SKIP() << "no chromium (Debian's chromium)";
    if (Shell("python3 --version").status != 0) GTEST_SKIP() << "no python3";
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  /// Writes the artifacts and the page of `runs` reports, and lets the browser have them.
  void Look(const SyntheticRun& run, const std::string& title, int runs = 1,
            bool every_stage = false) {
    auto files = SyntheticArtifacts(run);
    if (every_stage) AddEveryStage(run, &files);
    for (const auto& [name, text] : files) WriteFileAtomically(folder_ / name, text);
    const ReportData data = ReadReportData(SourceOf(files, title));
    WriteFileAtomically(folder_ / "report.html",
                        ReportHtml(std::vector<ReportData>(static_cast<std::size_t>(runs), data)));
    const ShellResult seen =
        Shell("timeout 500 python3 '" BITSEARCH_SOURCE_DIR
              "/tests/experiments/report/report_client.py' '" +
              folder_.string() + "' '" + (folder_ / "report.html").string() + "'");
    EXPECT_EQ(seen.status, 0) << seen.output;
  }

  fs::path folder_;
};

TEST_F(ReportPageTest, AFrontierPointIsClickedAndItsBitsRead) { Look({}, "three layers"); }

TEST_F(ReportPageTest, ARunWithEveryStageShowsEverySection) { Look({}, "all of it", 1, true); }

TEST_F(ReportPageTest, HostileNamesAreOnlyText) {
  SyntheticRun run;
  run.layers = {"</script><script>alert(1)</script>",
                "<img src=x onerror=alert(2)>",
                "a \"quoted\", name",
                "__proto__",
                "${alert(3)}",
                "\xe5\xb1\x82 \xf0\x9f\xa6\x89"};
  Look(run, "<script>alert(4)</script>");
}

TEST_F(ReportPageTest, AThousandLayersAndThousandsOfPoints) {
  SyntheticRun run;
  run.points = 3000;
  run.layers.clear();
  for (int l = 0; l < 1000; ++l) run.layers.push_back("features.block" + std::to_string(l));
  run.limit = 4000.0;
  Look(run, "deep");
}

TEST_F(ReportPageTest, TwoRunsBesideEachOther) { Look({}, "twins", 2); }

}  // namespace
}  // namespace bitsearch
