// Packing and unpacking of choices.
#include "search/exact/frontier_trace.h"

#include <bit>

namespace bitsearch {

FrontierTrace::FrontierTrace(const std::vector<std::size_t>& choice_counts) {
  std::uint32_t used = 0;
  for (std::size_t count : choice_counts) {
    const auto bits = static_cast<std::uint32_t>(std::bit_width(count == 0 ? 0 : count - 1));
    const bool full = used + bits > 64;
    if (full) used = 0;
    bits_.push_back(bits);
    shift_.push_back(bits == 0 ? 0 : used);
    table_before_.push_back(full);
    used += bits;
  }
}

std::vector<std::uint32_t> FrontierTrace::Decode(std::uint64_t word, std::uint32_t parent) const {
  std::vector<std::uint32_t> choices(bits_.size(), 0);
  std::size_t table = tables_.size();
  for (std::size_t level = bits_.size(); level-- > 0;) {
    if (bits_[level] != 0) {
      choices[level] =
          static_cast<std::uint32_t>((word >> shift_[level]) & ((1ull << bits_[level]) - 1));
    }
    if (table_before_[level]) {
      const Row& row = tables_[--table][parent];
      word = row.word;
      parent = row.parent;
    }
  }
  return choices;
}

}  // namespace bitsearch
