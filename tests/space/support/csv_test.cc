// The CSV reader: positions, strictness, exact decimals.
#include "space/support/csv.h"

#include <limits>

#include "gtest/gtest.h"

namespace bitsearch {
namespace {

/// The error that `parse` throws.
template <typename Function>
Error ErrorOf(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorId::kInternal, "nothing was thrown");
}

TEST(CsvTest, ReadsCommentsHeaderRowsAndPositions) {
  const CsvTable table = CsvTable::Parse(
      "\xef\xbb\xbf# method: kl\r\n#note\n# folding: batch_norm: yes\n\nlayer, bits ,value\r\n"
      "conv1,  4,0.5\n\n\"a, \"\"b\"\"\" ,8,-1e-3",
      "t.csv");
  EXPECT_EQ(table.comments().at("method"), "kl");
  EXPECT_EQ(table.comments().at("folding"), "batch_norm: yes");
  EXPECT_EQ(table.header(), (std::vector<std::string>{"layer", "bits", "value"}));
  ASSERT_EQ(table.rows().size(), 2U);
  EXPECT_EQ(table.Text(table.rows()[1], 0), "a, \"b\"");
  EXPECT_EQ(table.Integer(table.rows()[0], 1), 4);
  EXPECT_DOUBLE_EQ(table.Number(table.rows()[1], 2), -1e-3);
  const SourceLocation where = table.LocationOf(table.rows()[0], 1);
  EXPECT_EQ(where.line, 6);
  EXPECT_EQ(where.column, 9);
  EXPECT_EQ(table.rows()[1].line, 8);
}

TEST(CsvTest, EmptyCellsCount) {
  const CsvTable table = CsvTable::Parse("a,b,c\n,,\n", "t.csv");
  ASSERT_EQ(table.rows().size(), 1U);
  EXPECT_EQ(table.rows()[0].cells, (std::vector<std::string>{"", "", ""}));
  EXPECT_EQ(table.rows()[0].columns, (std::vector<int>{1, 2, 3}));
}

TEST(CsvTest, ReportsAllRowsThatAreWrong) {
  try {
    CsvTable::Parse("a,b\n1\n1,2\n\"x,2\n1,2,3\n", "t.csv");
    FAIL();
  } catch (const ErrorList& list) {
    ASSERT_EQ(list.errors().size(), 3U);
    EXPECT_EQ(list.errors()[0].location().line, 2);
    EXPECT_EQ(list.errors()[1].id(), ErrorId::kCsvQuote);
    EXPECT_EQ(list.errors()[2].location().line, 5);
  }
  std::string text = "a\n";
  for (int i = 0; i < 50; ++i) text += i % 2 == 0 ? "x\n" : "1\n";
  const CsvTable table = CsvTable::Parse(text, "t.csv");
  int sum = 0;
  try {
    table.ForEachRow([&](const CsvRow& row) { sum += static_cast<int>(table.Integer(row, 0)); });
    FAIL();
  } catch (const ErrorList& list) {
    ASSERT_EQ(list.errors().size(), 21U);  // 20 of 25, and how many more there are
    EXPECT_EQ(list.errors()[19].location().line, 40);
    EXPECT_EQ(list.errors()[20].message(), "and 5 more like these");
  }
  EXPECT_EQ(sum, 25);
  // A single one is an Error, as for every other file.
  const CsvTable one = CsvTable::Parse("a\n1\nx\n", "t.csv");
  EXPECT_EQ(ErrorOf([&] { one.ForEachRow([&](const CsvRow& row) { one.Integer(row, 0); }); }).id(),
            ErrorId::kCsvNumber);
}

TEST(CsvTest, RefusesBadStructureWithPlaces) {
  Error error = ErrorOf([] { CsvTable::Parse("a,b\n1,2\n1\n", "t.csv"); });
  EXPECT_EQ(error.id(), ErrorId::kCsvRagged);
  EXPECT_EQ(error.location().line, 3);
  error = ErrorOf([] { CsvTable::Parse("a,b,a\n1,2,3\n", "t.csv"); });
  EXPECT_EQ(error.id(), ErrorId::kCsvDuplicateColumn);
  EXPECT_EQ(error.location().column, 5);
  error = ErrorOf([] { CsvTable::Parse("a,b\n1,\"2\n", "t.csv"); });
  EXPECT_EQ(error.id(), ErrorId::kCsvQuote);
  EXPECT_EQ(error.location().column, 3);
  EXPECT_EQ(ErrorOf([] { CsvTable::Parse("a\n\"x\"y\n", "t.csv"); }).id(), ErrorId::kCsvQuote);
  EXPECT_EQ(ErrorOf([] { CsvTable::Parse("", "t.csv"); }).id(), ErrorId::kCsvEmpty);
  EXPECT_EQ(ErrorOf([] { CsvTable::Parse("# only: comments\n", "t.csv"); }).id(),
            ErrorId::kCsvEmpty);
  EXPECT_EQ(ErrorOf([] { CsvTable::Parse("a,b\n", "t.csv"); }).id(), ErrorId::kCsvEmpty);
  EXPECT_EQ(ErrorOf([] { CsvTable::Read("no/such/file.csv"); }).id(), ErrorId::kFileNotFound);
}

TEST(CsvTest, ColumnsAreFoundAndMisspellingsNamed) {
  const CsvTable table = CsvTable::Parse("layer,weigth_bits\nx,1\n", "t.csv");
  EXPECT_EQ(table.Column("layer"), 0U);
  EXPECT_EQ(table.FindColumn("nothing"), std::nullopt);
  Error error = ErrorOf([&] { table.Column("weight_bits"); });
  EXPECT_EQ(error.id(), ErrorId::kCsvMissingColumn);
  EXPECT_NE(error.hint().find("weigth_bits"), std::string::npos);
  error = ErrorOf([&] { table.AllowOnly({"layer", "weight_bits"}); });
  EXPECT_EQ(error.id(), ErrorId::kCsvUnknownColumn);
  EXPECT_NE(error.hint().find("weight_bits"), std::string::npos);
  EXPECT_EQ(error.location().column, 7);
}

TEST(CsvTest, NumbersMustBeFiniteAndWhole) {
  const CsvTable table = CsvTable::Parse("v\nnan\ninf\n1.5x\n\"\"\n1e400\n0x10\n", "t.csv");
  for (const CsvRow& row : table.rows()) {
    EXPECT_EQ(ErrorOf([&] { (void)table.Number(row, 0); }).id(), ErrorId::kCsvNumber)
        << row.cells[0];
    EXPECT_EQ(ErrorOf([&] { (void)table.Integer(row, 0); }).id(), ErrorId::kCsvNumber)
        << row.cells[0];
  }
}

TEST(DecimalTest, ReadsExactly) {
  EXPECT_EQ(ParseDecimal("12", {}).unscaled, 12);
  EXPECT_EQ(ParseDecimal("-0.25", {}).unscaled, -25);
  EXPECT_EQ(ParseDecimal("-0.25", {}).decimals, 2);
  EXPECT_EQ(ParseDecimal("0.123456789", {}).decimals, 9);
  EXPECT_EQ(ParseDecimal("-9223372036854775808", {}).unscaled,
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(ScaleTo(ParseDecimal("1.5", {}), 3, {}), 1500);
  EXPECT_EQ(ScaleTo(ParseDecimal("-7", {}), 0, {}), -7);
}

TEST(DecimalTest, RefusesOtherForms) {
  for (const char* text : {"3e2", "", "-", ".", "1.2.3", "0.1234567890", "9223372036854775808",
                           "nan", " 1", "+1", "1,5"}) {
    EXPECT_EQ(ErrorOf([&] {
                ParseDecimal(text, {"t.csv", 2, 3});
              }).id(),
              ErrorId::kCsvNumber)
        << text;
  }
  EXPECT_EQ(ErrorOf([] { ScaleTo(ParseDecimal("9223372036854775807", {}), 1, {}); }).id(),
            ErrorId::kCsvNumber);
}

}  // namespace
}  // namespace bitsearch
