// The strict CSV reader. Must not know what any column means.
#include "space/support/csv.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr int kMostDecimals = 9;
constexpr std::string_view kBlanks = " \t\r";

/// Keeps the errors of a file's rows, so that a user mends them in one go.
class RowErrors {
 public:
  void Add(Error error) {
    ++count_;
    if (errors_.size() < kMost) errors_.push_back(std::move(error));
  }
  void ThrowIfAny() {
    if (count_ == 0) return;
    if (count_ == 1) throw Error(errors_.front());
    if (count_ > errors_.size()) {
      const std::size_t more = count_ - errors_.size();
      errors_.push_back(
          Error(errors_.back().id(), "and " + std::to_string(more) + " more like these")
              .At({errors_.back().location().file})
              .Hint("mend these first"));
    }
    throw ErrorList(std::move(errors_));
  }

 private:
  static constexpr std::size_t kMost = 20;
  std::vector<Error> errors_;
  std::size_t count_ = 0;
};

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

struct Line {
  int number = 0;
  std::string_view text;
};

std::vector<Line> SplitLines(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<Line> lines;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back({++number, line});
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

/// Where the first byte lies that is no part of a UTF-8 character (RFC 3629), or nothing.
std::optional<std::size_t> FindInvalidUtf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    // Trailing bytes, and the range of the first of them: neither overlong nor a surrogate.
    std::size_t trailing = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) trailing = 1;
    if (lead >= 0xe0 && lead <= 0xef) trailing = 2;
    if (lead >= 0xf0 && lead <= 0xf4) trailing = 3;
    if (lead >= 0x80 && trailing == 0) return i;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    if (i + trailing >= text.size()) return i;
    for (std::size_t k = 1; k <= trailing; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if (byte < low || byte > high) return i;
      low = 0x80;
      high = 0xbf;
    }
    i += trailing + 1;
  }
  return std::nullopt;
}

CsvRow SplitCells(const Line& line, const std::string& file) {
  CsvRow row;
  row.line = line.number;
  const std::string_view text = line.text;
  std::size_t at = 0;
  while (true) {
    const std::size_t cell_start = text.find_first_not_of(kBlanks, at);
    if (cell_start != std::string_view::npos && text[cell_start] == '"') {
      std::string cell;
      std::size_t i = cell_start + 1;
      while (true) {
        const std::size_t quote = text.find('"', i);
        if (quote == std::string_view::npos) {
          throw Error(ErrorId::kCsvQuote, "a double quote is opened and not closed on its line")
              .At({file, line.number, static_cast<int>(cell_start) + 1})
              .Hint("close the quote, or write a quote inside a cell as two double quotes");
        }
        cell += text.substr(i, quote - i);
        if (quote + 1 >= text.size() || text[quote + 1] != '"') {
          i = quote + 1;
          break;
        }
        cell += '"';
        i = quote + 2;
      }
      const std::size_t next = text.find_first_not_of(kBlanks, i);
      if (next != std::string_view::npos && text[next] != ',') {
        throw Error(ErrorId::kCsvQuote, "text after the closing double quote of a cell")
            .At({file, line.number, static_cast<int>(next) + 1})
            .Hint("separate cells by commas; write a quote inside a cell as two double quotes");
      }
      row.cells.push_back(std::move(cell));
      row.columns.push_back(static_cast<int>(cell_start) + 1);
      if (next == std::string_view::npos) break;
      at = next + 1;
      continue;
    }
    const std::size_t comma = text.find(',', at);
    const std::string_view raw = text.substr(at, comma - at);
    const std::string_view cell = Trim(raw);
    const std::size_t offset =
        cell.empty() ? 0 : static_cast<std::size_t>(cell.data() - raw.data());
    row.cells.emplace_back(cell);
    row.columns.push_back(static_cast<int>(at + offset) + 1);
    if (comma == std::string_view::npos) break;
    at = comma + 1;
  }
  return row;
}

std::string Join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ", ") + name;
  return joined;
}

Error NotANumber(const std::string& text, const SourceLocation& where, const std::string& allowed,
                 const std::string& hint) {
  return Error(ErrorId::kCsvNumber, "got \"" + text + "\", allowed " + allowed)
      .At(where)
      .Hint(hint);
}

}  // namespace

CsvTable CsvTable::Read(const std::string& path) { return Parse(ReadTextFile(path), path); }

CsvTable CsvTable::Parse(std::string_view text, std::string name) {
  CsvTable table;
  table.path_ = std::move(name);
  RowErrors errors;
  for (const Line& line : SplitLines(text)) {
    try {
      table.ReadLine(line.number, line.text);
    } catch (const Error& error) {
      // Under a header that is wrong no row can be judged.
      if (table.header_.empty()) throw;
      errors.Add(error);
    }
  }
  errors.ThrowIfAny();
  if (table.rows_.empty()) {
    throw Error(ErrorId::kCsvEmpty, table.header_.empty() ? "the file has no header row"
                                                          : "the file has no rows below its header")
        .At({table.path_, table.header_.empty() ? 0 : table.header_line_, 1})
        .Hint("a header row of column names and at least one data row are needed");
  }
  return table;
}

void CsvTable::ReadLine(int number, std::string_view text) {
  const std::string_view trimmed = Trim(text);
  if (trimmed.empty()) return;
  if (const auto byte = FindInvalidUtf8(text)) {
    throw Error(ErrorId::kDataFormat, "the text is not UTF-8")
        .At({path_, number, static_cast<int>(*byte) + 1})
        .Hint("save the file as UTF-8");
  }
  if (header_.empty() && trimmed.starts_with('#')) {
    const std::size_t colon = trimmed.find(':');
    if (colon != std::string_view::npos) {
      comments_.emplace(Trim(trimmed.substr(1, colon - 1)), Trim(trimmed.substr(colon + 1)));
    }
    return;
  }
  CsvRow row = SplitCells({number, text}, path_);
  if (!header_.empty()) {
    if (row.cells.size() != header_.size()) {
      throw Error(ErrorId::kCsvRagged, "got " + std::to_string(row.cells.size()) +
                                           " cells, the header has " +
                                           std::to_string(header_.size()))
          .At({path_, row.line, row.columns.front()})
          .Hint(trimmed.starts_with('#') ? "comment lines stand above the header row only"
                                         : "is a comma missing, or the file cut short?");
    }
    rows_.push_back(std::move(row));
    return;
  }
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (row.cells[i] != row.cells[j]) continue;
      throw Error(ErrorId::kCsvDuplicateColumn, "the header names the column twice")
          .At({path_, row.line, row.columns[i]})
          .Key(row.cells[i])
          .Hint("rename or remove one of the two columns");
    }
  }
  header_ = std::move(row.cells);
  header_line_ = row.line;
  header_columns_ = std::move(row.columns);
}

void CsvTable::ForEachRow(const std::function<void(const CsvRow& row)>& work) const {
  RowErrors errors;
  for (const CsvRow& row : rows_) {
    try {
      work(row);
    } catch (const Error& error) {
      errors.Add(error);
    }
  }
  errors.ThrowIfAny();
}

std::optional<std::size_t> CsvTable::FindColumn(std::string_view name) const {
  for (std::size_t i = 0; i < header_.size(); ++i) {
    if (header_[i] == name) return i;
  }
  return std::nullopt;
}

std::size_t CsvTable::Column(std::string_view name) const {
  if (const auto column = FindColumn(name)) return *column;
  const std::string nearest = NearestName(name, header_);
  throw Error(ErrorId::kCsvMissingColumn, "the column is missing (got " + Join(header_) + ")")
      .At({path_, header_line_, 1})
      .Key(std::string(name))
      .Hint(nearest.empty() ? "add the column to the header row"
                            : "is the column \"" + nearest + "\" meant? rename it");
}

void CsvTable::AllowOnly(const std::vector<std::string>& known) const {
  for (std::size_t i = 0; i < header_.size(); ++i) {
    bool found = false;
    for (const std::string& name : known) found = found || name == header_[i];
    if (found) continue;
    const std::string nearest = NearestName(header_[i], known);
    throw Error(ErrorId::kCsvUnknownColumn,
                "got an unknown column \"" + header_[i] + "\" (allowed " + Join(known) + ")")
        .At({path_, header_line_, header_columns_[i]})
        .Key(header_[i])
        .Hint(nearest.empty() ? "remove the column" : "did you mean \"" + nearest + "\"?");
  }
}

SourceLocation CsvTable::LocationOf(const CsvRow& row, std::size_t column) const {
  return {path_, row.line, row.columns[column]};
}

double CsvTable::Number(const CsvRow& row, std::size_t column) const {
  const std::string& text = row.cells[column];
  double value = 0.0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    throw NotANumber(text, LocationOf(row, column), "a finite number", "correct the cell")
        .Key(header_[column]);
  }
  return value;
}

std::int64_t CsvTable::Integer(const CsvRow& row, std::size_t column) const {
  const std::string& text = row.cells[column];
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) {
    throw NotANumber(text, LocationOf(row, column), "an integer", "correct the cell")
        .Key(header_[column]);
  }
  return value;
}

Decimal ParseDecimal(std::string_view text, const SourceLocation& where) {
  const std::string hint = "write it out, as in 1234.5";
  const std::string allowed =
      "a decimal number with at most " + std::to_string(kMostDecimals) + " decimals";
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  Decimal decimal;
  std::size_t digit_count = 0;
  bool point = false;
  for (const char c : digits) {
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') throw NotANumber(std::string(text), where, allowed, hint);
    ++digit_count;
    if (point) ++decimal.decimals;
    // Accumulated with its sign, so that the least int64 can be read too.
    const std::int64_t digit = negative ? -(c - '0') : c - '0';
    if (__builtin_mul_overflow(decimal.unscaled, std::int64_t{10}, &decimal.unscaled) ||
        __builtin_add_overflow(decimal.unscaled, digit, &decimal.unscaled)) {
      throw NotANumber(std::string(text), where, "at most 18 digits in all",
                       "use a larger unit for the column");
    }
  }
  if (digit_count == 0 || decimal.decimals > kMostDecimals) {
    throw NotANumber(
        std::string(text), where, allowed,
        digit_count == 0 ? hint : "round it to " + std::to_string(kMostDecimals) + " decimals");
  }
  return decimal;
}

std::int64_t ScaleTo(const Decimal& decimal, int decimals, const SourceLocation& where) {
  if (decimals < decimal.decimals || decimals > kMostDecimals) {
    throw Error(ErrorId::kInternal, "ScaleTo: the grid is coarser than the number").At(where);
  }
  std::int64_t value = decimal.unscaled;
  for (int i = decimal.decimals; i < decimals; ++i) {
    if (__builtin_mul_overflow(value, std::int64_t{10}, &value)) {
      throw Error(ErrorId::kCsvNumber, "the number is too large beside a column of " +
                                           std::to_string(decimals) + " decimals")
          .At(where)
          .Hint("use a larger unit, or fewer decimals in the column");
    }
  }
  return value;
}

}  // namespace bitsearch
