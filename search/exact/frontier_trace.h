#pragma once
// FrontierTrace: how the configurations of millions of partial points are remembered in few bytes.
// A label holds its latest choices packed in one word; when the word is full, all labels of the level
// are written to a table, and go on with an empty word and their row's number.

#include <cstdint>
#include <vector>

namespace bitsearch {

class FrontierTrace {
 public:
  /// `choice_counts` of the levels, in order.
  explicit FrontierTrace(const std::vector<std::size_t>& choice_counts);

  /// True if the word must be written to a table before the choice of `level` fits.
  bool NeedsTable(std::size_t level) const { return table_before_[level]; }
  /// What to add to a label's word for `choice` at `level`.
  std::uint64_t Tag(std::size_t level, std::uint32_t choice) const {
    return static_cast<std::uint64_t>(choice) << shift_[level];
  }
  /// Starts a new table; rows are then added in the order of the labels.
  void BeginTable() { tables_.emplace_back(); }
  void AddRow(std::uint64_t word, std::uint32_t parent) { tables_.back().push_back({word, parent}); }
  std::size_t RowCount() const { return tables_.back().size(); }

  /// The choices by level of a label that ends with `word` and `parent`.
  std::vector<std::uint32_t> Decode(std::uint64_t word, std::uint32_t parent) const;

 private:
  struct Row {
    std::uint64_t word;
    std::uint32_t parent;
  };
  std::vector<std::uint32_t> bits_;
  std::vector<std::uint32_t> shift_;
  std::vector<bool> table_before_;
  std::vector<std::vector<Row>> tables_;
};

}  // namespace bitsearch
