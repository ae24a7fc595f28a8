#pragma once
// Presolve: a stage of its own that turns an AssignmentProblem into a smaller one in integers: pins
// and ties become single decisions, dominated choices and choices that no limit allows go, layers
// with one choice left are folded into constants. Must not know solvers.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "search/exact/loss_grid.h"

namespace bitsearch {

/// One independent choice of the reduced problem: a layer, or layers tied together.
struct ReducedDecision {
  std::vector<LayerIndex> layers;
  std::size_t count = 0;                ///< Number of choices.
  std::vector<std::uint16_t> original;  ///< [choice · layers + i]: the choice of layers[i].
  std::vector<std::int64_t> loss;       ///< [choice], grid units, smallest 0.
  std::vector<std::int64_t> cost;       ///< [choice · dims + d], smallest 0 in each dimension.
};

/// Costs of two decisions together. Matrices are row-major, [choice of first][choice of second].
struct ReducedPair {
  std::size_t first = 0;
  std::size_t second = 0;               ///< first < second.
  std::vector<std::int64_t> loss;       ///< Smallest allowed entry 0.
  std::vector<std::int64_t> cost;       ///< [entry · dims + d]; empty: no costs.
  std::vector<std::uint8_t> forbidden;  ///< Empty: nothing is forbidden.
};

struct ReducedCutMember {
  std::size_t decision = 0;
  std::vector<std::int64_t> cost;  ///< [choice]
};

/// One cut of a peak resource; `base` is what the folded decisions add.
struct ReducedCut {
  std::size_t peak = 0;
  std::int64_t base = 0;
  std::vector<ReducedCutMember> members;
};

/// An additive resource that matters: it is limited or traded.
struct ReducedDimension {
  ResourceIndex resource;
  std::int64_t offset = 0;  ///< Value of the resource = offset + sum of the reduced costs.
  /// Inclusive limit of the sum of the reduced costs; kUnlimited: none.
  std::int64_t capacity = 0;
};

/// A peak resource that matters.
struct ReducedPeak {
  ResourceIndex resource;
  std::int64_t limit = 0;  ///< kUnlimited: none.
};

struct ReducedProblem {
  static constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max() / 2;

  LossGrid grid;
  std::int64_t loss_offset = 0;
  std::vector<ReducedDimension> dimensions;
  std::vector<ReducedPeak> peaks;
  std::vector<ReducedDecision> decisions;
  std::vector<ReducedPair> pairs;
  std::vector<ReducedCut> cuts;

  /// True if presolve alone proves that nothing is feasible; `reason` says why, for ties and pins;
  /// limits are named by the conflict analysis.
  bool infeasible = false;
  std::string reason;

  std::size_t dims() const { return dimensions.size(); }
  bool separable() const { return pairs.empty() && cuts.empty(); }
  /// The original configuration of a choice per decision.
  std::vector<ChoiceIndex> Expand(const std::vector<std::uint32_t>& choice) const;

  /// Choices of the layers that no decision holds.
  std::vector<ChoiceIndex> fixed_choice;
};

struct PresolveOptions {
  /// Resources to keep as dimensions beside the limited ones (a frontier's).
  std::vector<ResourceIndex> traded;
  /// [layer][choice], 0: leave this choice out. Empty: all.
  std::vector<std::vector<std::uint8_t>> allowed;
  /// Leave dominated choices in: for questions about what is not chosen.
  bool keep_dominated = false;
};

/// Reduces `problem`, which must be valid. Every optimal value and every non-dominated point (loss
/// and dimensions) of the original has a representative in the result.
ReducedProblem Presolve(const AssignmentProblem& problem, const PresolveOptions& options);

}  // namespace bitsearch
