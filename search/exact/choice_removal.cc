// Rows, columns and members move up over what is removed.
#include "search/exact/choice_removal.h"

#include <algorithm>

namespace bitsearch {
namespace {

void MoveEntry(std::size_t dims, std::size_t from, std::size_t to, ReducedPair* pair) {
  pair->loss[to] = pair->loss[from];
  for (std::size_t d = 0; d < dims && !pair->cost.empty(); ++d) {
    pair->cost[to * dims + d] = pair->cost[from * dims + d];
  }
  if (!pair->forbidden.empty()) pair->forbidden[to] = pair->forbidden[from];
}

void CompactPair(std::size_t dims, const std::vector<std::uint8_t>& rows,
                 const std::vector<std::uint8_t>& columns, ReducedPair* pair) {
  std::size_t to = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < columns.size(); ++j) {
      if (rows[i] && columns[j]) MoveEntry(dims, i * columns.size() + j, to++, pair);
    }
  }
  pair->loss.resize(to);
  if (!pair->cost.empty()) pair->cost.resize(to * dims);
  if (!pair->forbidden.empty()) pair->forbidden.resize(to);
}

void CompactDecision(std::size_t dims, const std::vector<std::uint8_t>& keep,
                     ReducedDecision* decision) {
  const std::size_t width = decision->layers.size();
  std::size_t to = 0;
  for (std::size_t c = 0; c < decision->count; ++c) {
    if (!keep[c]) continue;
    decision->loss[to] = decision->loss[c];
    for (std::size_t d = 0; d < dims; ++d) {
      decision->cost[to * dims + d] = decision->cost[c * dims + d];
    }
    for (std::size_t i = 0; i < width; ++i) {
      decision->original[to * width + i] = decision->original[c * width + i];
    }
    ++to;
  }
  decision->count = to;
  decision->loss.resize(to);
  decision->cost.resize(to * dims);
  decision->original.resize(to * width);
}

}  // namespace

void RemoveChoices(const std::vector<std::vector<std::uint8_t>>& keep, ReducedProblem* problem) {
  for (const std::vector<std::uint8_t>& row : keep) {
    if (std::count(row.begin(), row.end(), 1) == 0) problem->infeasible = true;
  }
  if (problem->infeasible) return;
  const std::size_t dims = problem->dims();
  for (ReducedPair& pair : problem->pairs) {
    CompactPair(dims, keep[pair.first], keep[pair.second], &pair);
  }
  for (ReducedCut& cut : problem->cuts) {
    for (ReducedCutMember& member : cut.members) {
      std::size_t to = 0;
      for (std::size_t c = 0; c < member.cost.size(); ++c) {
        if (keep[member.decision][c]) member.cost[to++] = member.cost[c];
      }
      member.cost.resize(to);
    }
  }
  for (std::size_t d = 0; d < keep.size(); ++d) {
    CompactDecision(dims, keep[d], &problem->decisions[d]);
  }
}

}  // namespace bitsearch
