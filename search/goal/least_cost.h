#pragma once
// The inverse question: the cheapest configuration whose accuracy drop stays within a limit. Walks
// a predicted frontier and measures as few of its points as it can. Sees evaluators only.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "search/goal/drop_bound.h"
#include "space/choices/bit_config.h"
#include "space/choices/evaluator.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// The configurations to choose from: a frontier, by ascending cost and falling predicted loss.
struct GoalCandidates {
  std::vector<double> cost;            ///< Of what is minimised; strictly ascending.
  std::vector<double> predicted_loss;  ///< Strictly falling; any scale.
  /// Decodes a candidate; called for those that are measured only.
  std::function<BitConfig(std::size_t index)> config;
};

enum class WalkOrder : std::uint8_t {
  /// Narrows a bracket: logarithmically many evaluations where drops rise with predicted losses.
  kBisect,
  /// From the dearest candidate down until one fails, as AIMET does. For comparison.
  kLinear,
};

struct LeastCostOptions {
  double largest_drop_percent = 0.0;  ///< In percentage points of top-1.
  double confidence = 0.95;           ///< Of the one-sided bound that must keep the limit.
  WalkOrder order = WalkOrder::kBisect;
  /// The search ends when a candidate that fails costs at least (1 − this) of one that passes:
  /// neighbours on a dense frontier cannot be told apart by measuring.
  double cost_tolerance = 0.005;
  std::int64_t max_evaluations = 64;  ///< On the search split.
};

enum class LeastCostStatus : std::uint8_t {
  kMet,          ///< Passed on the search split, and the bound holds on the report split too.
  kUnconfirmed,  ///< Passed on the search split, but not on the report split.
  kUnreachable,  ///< The dearest candidate loses too much.
  kOutOfBudget,  ///< `max_evaluations` or a stop came first; `chosen` is the cheapest that passed.
};

struct GoalMeasurement {
  std::size_t index = 0;
  DropEstimate drop;
  bool passed = false;
};

struct LeastCostResult {
  LeastCostStatus status = LeastCostStatus::kOutOfBudget;
  std::optional<std::size_t> chosen;
  /// In the order of measuring, on the search split.
  std::vector<GoalMeasurement> measured;
  /// Of `chosen` on the report split; measured once, so the choice has not been fitted to it.
  std::optional<DropEstimate> confirmation;
};

/// One split of the data: how to evaluate on it, and the float network's result there.
struct GoalSplit {
  Evaluator& evaluator;
  const Evaluation& reference;
};

/// Finds the cheapest candidate whose bound of the drop on the search split is within the limit,
/// and confirms it on the report split. Throws Error(kUsage) for candidates or options that make no
/// sense, and whatever the evaluators throw.
LeastCostResult FindLeastCost(const GoalCandidates& candidates, const LeastCostOptions& options,
                              GoalSplit search, GoalSplit report, const RunContext& context);

}  // namespace bitsearch
