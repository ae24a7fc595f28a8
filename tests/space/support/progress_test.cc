// Time estimates, resumed tasks, widths.
#include "space/support/progress.h"

#include "gtest/gtest.h"

namespace bitsearch {
namespace {

TEST(TimeEstimateTest, UsesTheMeanSpeed) {
  TimeEstimate estimate;
  estimate.Update(0, 10, 100.0);
  EXPECT_FALSE(estimate.RemainingSeconds().has_value());
  estimate.Update(2, 10, 104.0);
  EXPECT_DOUBLE_EQ(*estimate.RemainingSeconds(), 16.0);
  estimate.Update(10, 10, 120.0);
  EXPECT_TRUE(estimate.finished());
}

TEST(TimeEstimateTest, WorkDoneBeforeAResumeIsNotSpeed) {
  TimeEstimate estimate;
  estimate.Update(90, 100, 0.0);
  estimate.Update(91, 100, 3.0);
  EXPECT_DOUBLE_EQ(*estimate.RemainingSeconds(), 27.0);
}

TEST(FormatTest, Durations) {
  EXPECT_EQ(FormatDuration(0.4), "0 s");
  EXPECT_EQ(FormatDuration(59.6), "1 min");
  EXPECT_EQ(FormatDuration(125), "2 min 5 s");
  EXPECT_EQ(FormatDuration(3780), "1 h 3 min");
  EXPECT_EQ(FormatDuration(2 * 86400 + 4 * 3600), "2 d 4 h");
}

TEST(FormatTest, BarFitsItsWidth) {
  TimeEstimate estimate;
  estimate.Update(0, 24, 0.0);
  estimate.Update(12, 24, 65.0);
  for (int columns = 1; columns < 120; ++columns) {
    EXPECT_LE(FormatBar("evaluate", estimate, columns).size(), static_cast<std::size_t>(columns));
  }
  EXPECT_EQ(FormatBar("evaluate", estimate, 60),
            "evaluate [############            ] 12/24 50% 1 min 5 s left");
  EXPECT_EQ(FormatProgressLine("evaluate", estimate), "evaluate: 12 of 24 (50 %), 1 min 5 s left");
}

}  // namespace
}  // namespace bitsearch
