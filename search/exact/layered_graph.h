#pragma once
// LayeredGraph: the frontier-state graph of a reduced problem. A level decides one layer (or tied
// layers); a state is what later costs still depend on: the choices of the layers whose tensors are
// still live. Every configuration is a path. Must not know solvers.

#include <cstdint>
#include <vector>

#include "search/exact/presolve.h"

namespace bitsearch {

/// One choice of a level's decision taken in one state.
struct LayeredArc {
  std::uint32_t from = 0;    ///< State of the level before.
  std::uint32_t to = 0;      ///< State of this level.
  std::uint32_t choice = 0;  ///< Choice of the level's decision.
  std::int64_t loss = 0;     ///< Grid units, ≥ 0.
};

struct LayeredLevel {
  std::size_t decision = 0;     ///< Index into ReducedProblem::decisions.
  std::size_t state_count = 0;  ///< States after this level's decision.
  std::vector<LayeredArc> arcs; ///< Sorted by (to, from, choice).
  std::vector<std::int64_t> cost;  ///< [arc · dims + d], ≥ 0.
  std::vector<std::int64_t> peak;  ///< [arc · peaks + p]: largest cut that this arc completes.
};

/// Before the first level there is one state; after the last one again.
struct LayeredGraph {
  std::size_t dims = 0;
  std::size_t peaks = 0;
  std::vector<LayeredLevel> levels;

  /// One state at every level: the decisions do not depend on each other.
  bool separable() const;
  std::size_t arc_count() const;
  /// Choices by decision from choices by level.
  std::vector<std::uint32_t> ByDecision(const std::vector<std::uint32_t>& by_level) const;
};

/// How to order decisions that do not depend on each other.
enum class LevelOrder : std::uint8_t {
  kNatural,       ///< As the layers come.
  kAscendingCost, ///< Small ranges of the first dimension first: keeps frontiers short for long.
};

/// Builds the graph with arcs that break a peak limit or a forbidden pair left out.
/// Returns false, leaving `graph` unspecified, if more than `max_arcs` arcs would be needed.
bool BuildLayeredGraph(const ReducedProblem& problem, LevelOrder order, std::size_t max_arcs,
                       LayeredGraph* graph);

}  // namespace bitsearch
