#pragma once
// The CSV file of requantization costs: the edges of the network and what a change of precision on
// each of them adds. Knows names and tables; must not know solvers.

#include <string>
#include <utility>
#include <vector>

#include "experiments/problem_columns.h"
#include "experiments/problem_files.h"

namespace bitsearch {

/// One edge as the file gives it. Matrices are row-major, [choice of producer][choice of consumer].
struct TransitionEdge {
  LayerIndex producer;
  LayerIndex consumer;
  std::vector<double> loss;  ///< Empty: the file has no column `loss_increase`.
  /// Index of a resource, and its costs.
  std::vector<std::pair<std::size_t, std::vector<PlacedDecimal>>> cost;
};

/// Reads `producer,consumer,from_bits,to_bits` and at least one of `loss_increase` and the columns
/// that `resources` names, whose decimals are noted there. The edges must form no cycle; costs are
/// ≥ 0, losses of any sign. Rows of equal bits may be absent. Throws Error of class kData with
/// file, line and column.
std::vector<TransitionEdge> ReadTransitionsCsv(const std::string& path, const NamedProblem& named,
                                               std::vector<RawResource>* resources);

}  // namespace bitsearch
