// Sensitivity CSV files: what is read, what is refused, and that writing reads back equal.
#include "sensitivity/sensitivity_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr char kHeader[] = "layer,weight_bits,activation_bits,loss_increase\n";

ErrorId ErrorOf(const std::string& text) {
  try {
    ParseSensitivityCsv(text, "s.csv");
  } catch (const Error& error) {
    return error.id();
  }
  ADD_FAILURE() << "no error for " << text;
  return ErrorId::kInternal;
}

TEST(SensitivityReport, KeepsTheOrderOfLayersAndTheNotes) {
  const SensitivityReport report = ParseSensitivityCsv(
      std::string("# method: kl\n# folding: bn\n") + kHeader +
          "b,4,8,0.5\na,4,8,-0.25\nb,8,8,0.125\na,ternary,fp32,1e-3\n",
      "s.csv");
  ASSERT_EQ(report.layers.size(), 2u);
  EXPECT_EQ(report.layers[0].layer, "b");
  EXPECT_EQ(report.layers[1].layer, "a");
  ASSERT_EQ(report.layers[0].choices.size(), 2u);
  EXPECT_EQ(report.layers[0].choices[1].choice.ToString(), "W8A8");
  EXPECT_EQ(report.layers[1].choices[1].choice.weight, NumberFormat::Ternary());
  EXPECT_DOUBLE_EQ(report.layers[1].choices[0].loss_increase, -0.25);
  EXPECT_FALSE(report.layers[0].choices[0].standard_error.has_value());
  EXPECT_EQ(report.Note("method"), "kl");
  EXPECT_EQ(report.Note("absent"), "");
  EXPECT_EQ(report.FindLayer("a"), 1u);
}

TEST(SensitivityReport, WritingReadsBackEqual) {
  SensitivityReport report;
  report.notes = {{"method", "hawq"}};
  report.layers = {{"odd,\"name\"",
                    {{{NumberFormat::Integer(3), NumberFormat::Integer(8)}, 0.1 + 0.2, 1e-17},
                     {{NumberFormat::Float32(), NumberFormat::Float16()}, -1.0 / 3.0, {}}}}};
  const std::string text = SensitivityCsv(report);
  const SensitivityReport again = ParseSensitivityCsv(text, "again.csv");
  EXPECT_EQ(SensitivityCsv(again), text);
  EXPECT_EQ(again.layers[0].layer, report.layers[0].layer);
  EXPECT_EQ(again.layers[0].choices[0].loss_increase, 0.1 + 0.2);
  EXPECT_EQ(again.layers[0].choices[0].standard_error, 1e-17);
  EXPECT_FALSE(again.layers[0].choices[1].standard_error.has_value());
}

TEST(SensitivityReport, RefusesWhatCannotBeRight) {
  const std::string header = kHeader;
  EXPECT_EQ(ErrorOf(header + "a,0.5,8,1\n"), ErrorId::kCsvBits);
  EXPECT_EQ(ErrorOf(header + "a,-4,8,1\n"), ErrorId::kCsvBits);
  EXPECT_EQ(ErrorOf(header + "a,4,8,nan\n"), ErrorId::kCsvNumber);
  EXPECT_EQ(ErrorOf(header + "a,4,8,inf\n"), ErrorId::kCsvNumber);
  EXPECT_EQ(ErrorOf(header + ",4,8,1\n"), ErrorId::kCsvEmptyName);
  EXPECT_EQ(ErrorOf(header + "a,4,8,1\na,8,8,1\na,4,8,1\n"), ErrorId::kCsvDuplicateRow);
  EXPECT_EQ(ErrorOf(header + "a,32,8,1\na,fp32,8,1\n"), ErrorId::kCsvDuplicateRow);
  EXPECT_EQ(ErrorOf("layer,weight_bits,activation_bits,loss_increase,loss\na,4,4,1,1\n"),
            ErrorId::kCsvUnknownColumn);
  EXPECT_EQ(ErrorOf("layer,weight_bits,activation_bits\na,4,4\n"), ErrorId::kCsvMissingColumn);
  EXPECT_EQ(ErrorOf("layer,weight_bits,activation_bits,loss_increase,standard_error\na,4,4,1,-2\n"),
            ErrorId::kCsvNumber);
}

}  // namespace
}  // namespace bitsearch
