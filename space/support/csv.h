#pragma once
// Strict reading of the CSV files that other tools write: header comments, named columns, errors
// with file, line and column. No quoting rules beyond RFC 4180's double quotes.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {

/// One data row. Cells are trimmed of blanks, unless quoted.
struct CsvRow {
  int line = 0;  ///< 1-based line in the file.
  std::vector<std::string> cells;
  std::vector<int> columns;  ///< 1-based text column where each cell starts.
};

/// A CSV file in memory: comment lines (`# key: value`) at its head, a header row, data rows.
class CsvTable {
 public:
  /// Reads a file. Rows that cannot be split are reported together, as ForEachRow does.
  /// Throws Error(kFileNotFound), Error(kCsvEmpty) (no data row), Error(kCsvRagged)
  /// (a row with another number of cells), Error(kCsvDuplicateColumn), Error(kCsvQuote) (an open
  /// quote), Error(kDataFormat) (text that is not UTF-8). Comment lines stand above the header only; blank lines are skipped anywhere.
  static CsvTable Read(const std::string& path);
  /// The same from text; `name` stands for the file in messages.
  static CsvTable Parse(std::string_view text, std::string name);

  const std::string& path() const { return path_; }
  const std::map<std::string, std::string>& comments() const { return comments_; }
  const std::vector<std::string>& header() const { return header_; }
  const std::vector<CsvRow>& rows() const { return rows_; }

  /// Index of a column, or nothing.
  std::optional<std::size_t> FindColumn(std::string_view name) const;
  /// Index of a column; throws Error(kCsvMissingColumn) naming the nearest present column.
  std::size_t Column(std::string_view name) const;
  /// Throws Error(kCsvUnknownColumn) if a column is none of `known` (with the nearest valid name).
  void AllowOnly(const std::vector<std::string>& known) const;

  /// Calls `work` with each row and goes on after rows that it throws an Error at; then throws what
  /// was wrong: one Error as it is, several as an ErrorList of the first 20.
  void ForEachRow(const std::function<void(const CsvRow& row)>& work) const;

  /// Where a cell lies, for messages.
  SourceLocation LocationOf(const CsvRow& row, std::size_t column) const;
  const std::string& Text(const CsvRow& row, std::size_t column) const { return row.cells[column]; }
  /// A finite number; throws Error(kCsvNumber) otherwise ("nan" and "inf" included).
  double Number(const CsvRow& row, std::size_t column) const;
  std::int64_t Integer(const CsvRow& row, std::size_t column) const;

 private:
  void ReadLine(int number, std::string_view text);

  std::string path_;
  std::map<std::string, std::string> comments_;
  std::vector<std::string> header_;
  std::vector<int> header_columns_;
  int header_line_ = 0;
  std::vector<CsvRow> rows_;
};

/// An exact decimal number: value = unscaled / 10^decimals. Resource columns are read so, because
/// limits are compared exactly.
struct Decimal {
  std::int64_t unscaled = 0;
  int decimals = 0;
};

/// Reads "12", "-0.25", "3e2" is refused. At most 9 decimals; throws Error(kCsvNumber) otherwise.
Decimal ParseDecimal(std::string_view text, const SourceLocation& where);
/// `decimal` on a grid of `decimals` digits; throws Error(kCsvNumber) on overflow.
std::int64_t ScaleTo(const Decimal& decimal, int decimals, const SourceLocation& where);

}  // namespace bitsearch
