#include "space/choices/calibration_step.h"

#include <gtest/gtest.h>

#include "space/support/error.h"

namespace bitsearch {
namespace {

std::string Refusal(const std::vector<std::string>& names) {
  try {
    ParseCalibrationSteps(names);
  } catch (const Error& error) {
    EXPECT_EQ(error.id(), ErrorId::kUsage);
    return error.what();
  }
  return "";
}

TEST(CalibrationStepTest, TheTableIsIndexedByTheStep) {
  for (const CalibrationStepInfo& info : CalibrationStepTable()) {
    EXPECT_EQ(InfoOf(info.step).name, info.name);
    EXPECT_EQ(ParseCalibrationSteps({info.name}), std::vector{info.step});
  }
}

TEST(CalibrationStepTest, OrdersThatMakeSenseAreTaken) {
  EXPECT_EQ(Refusal({}), "");
  EXPECT_EQ(Refusal({"replace_relu6", "equalisation", "bias_absorption", "weight_correction",
                     "adaround", "bias_correction"}),
            "");
  // Absorption scales with equalisation: either may come first.
  EXPECT_EQ(Refusal({"bias_absorption", "equalisation", "analytic_bias_correction"}), "");
  EXPECT_EQ(Refusal({"sequential_adaround"}), "");
}

TEST(CalibrationStepTest, OthersAreRefusedWithTheReason) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"adaround", "equalisation"}, "changes the float network, which adaround"},
      {{"bias_correction", "adaround"}, "whose error bias_correction before it"},
      {{"bias_correction", "equalisation"}, "changes the float network"},
      {{"analytic_bias_correction", "bias_correction"}, "one of them leaves nothing"},
      {{"equalisation", "replace_relu6"}, "cannot scale through a ReLU6"},
      {{"adaround", "weight_correction"}, "for which adaround has chosen"},
      {{"adaround", "sequential_adaround"}, "keep one of them"},
      {{"adaround", "adaround"}, "stands twice"},
      {{"adaruond"}, "did you mean 'adaround'?"}};
  for (const auto& [names, reason] : cases) {
    EXPECT_NE(Refusal(names).find(reason), std::string::npos) << Refusal(names);
  }
}

}  // namespace
}  // namespace bitsearch
