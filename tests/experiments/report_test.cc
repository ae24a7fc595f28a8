// What the page shows that is easily got wrong.
#include "experiments/report.h"

#include <string>

#include "experiments/result_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string PageOf(const std::vector<ResultRow>& rows) {
  return ReportHtml("page", {}, [&](const std::string&) { return ResultsJson(rows); });
}

TEST(ReportTest, APValueIsNeverZero) {
  ResultRow ours;
  ours.budget = "b";
  ours.line = "ours";
  ours.top1_percent = 90.0;
  ResultRow other = ours;
  other.line = "reversed";
  other.p_value = 0.0;
  const std::string page = PageOf({ours, other});
  EXPECT_THAT(page, HasSubstr("<td>&lt; 1e-300</td>"));
  EXPECT_THAT(page, Not(HasSubstr("<td>0</td>")));
  other.p_value = 0.25;
  EXPECT_THAT(PageOf({ours, other}), HasSubstr("<td>0.25</td>"));
}

TEST(ReportTest, ADamagedArtifactIsSaidWithItsPlace) {
  const ReportInputs inputs{{"config_1.json"}, {"frontier_bops.json"}};
  const auto message_with = [&](const std::string& config, const std::string& frontier) {
    try {
      ReportHtml("page", inputs, [&](const std::string& name) {
        return name == "config_1.json"  ? config
               : name == "results.json" ? ResultsJson({})
                                        : frontier;
      });
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string frontier = R"({"format": "bitsearch/frontier/1", "exact": true, "points": []})";
  EXPECT_THAT(message_with(R"({"format": "bitsearch/config/1"})", frontier),
              HasSubstr("config_1.json:1:1: error: the field \"layers\" is missing"));
  EXPECT_THAT(message_with("{}", R"({"format": "bitsearch/frontier/1",
 "points": [{"objective": 1, "resources": 3}]})"),
              HasSubstr("frontier_bops.json:2:43: error: points[0].resources"));
  EXPECT_THAT(message_with("{}", frontier), HasSubstr("resume the run"));
}

}  // namespace
}  // namespace bitsearch
