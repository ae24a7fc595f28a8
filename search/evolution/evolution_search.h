#pragma once
// Evolutionary search over architecture × pruning × bits: the most accurate candidate within limits,
// or the whole frontier. Sees only a CandidateEvaluator and costs; must not know any predictor.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "space/candidates/candidate_evaluator.h"
#include "space/candidates/factored_cost.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// What is looked for.
enum class EvolutionGoal : std::uint8_t {
  kBest,      ///< The most accurate candidate within the limits.
  kFrontier,  ///< All trade-offs between accuracy and the costs, within the limits (NSGA-II).
};

/// An upper limit on one of the costs, inclusive, in its grid units.
struct CandidateLimit {
  std::size_t cost = 0;
  std::int64_t most = 0;
};

struct EvolutionOptions {
  EvolutionGoal goal = EvolutionGoal::kBest;
  /// Candidates scored in all; what a caller pays for. No candidate is scored twice.
  std::int64_t evaluations = 10'000;
  /// Candidates kept; larger explores more and converges later.
  std::int64_t population = 100;
  /// The best of these become parents.
  double parent_fraction = 0.25;
  /// Share of offspring by crossover (then mutated too); the rest by mutation of one parent.
  double crossover_fraction = 0.5;
  /// Expected number of genes that a mutation changes.
  double mutated_genes = 2.5;
  /// kBest: share of the evaluations kept for climbing from the best found (all changes of one
  /// gene, then of pairs of genes, then a kick). 0: plain evolution.
  double climbing_fraction = 0.6;

  /// True if the options make sense; otherwise says in `error` what does not.
  bool IsValid(std::string* error) const;
};

/// A candidate with what is known about it. `costs` in grid units, in the order of the costs given.
struct ScoredCandidate {
  std::vector<std::uint8_t> genome;  ///< Canonical: genes that do not matter are 0.
  CandidateScore score;
  std::vector<std::int64_t> costs;
};

enum class EvolutionStatus : std::uint8_t { kNoneFeasible, kFound, kInterrupted };

/// Pessimistic until filled.
struct EvolutionResult {
  EvolutionStatus status = EvolutionStatus::kNoneFeasible;
  ScoredCandidate best;                   ///< Only with a candidate within the limits.
  /// The non-dominated of all candidates scored (accuracy up, every cost down), ascending in the
  /// first cost.
  std::vector<ScoredCandidate> frontier;
  std::int64_t scored = 0;                ///< Candidates that the evaluator saw.
  std::int64_t cost_checks = 0;           ///< Candidates whose costs were looked up.
  std::int64_t duplicates = 0;            ///< Candidates dropped because they had been scored.
  /// kNoneFeasible: per limit, the least cost that was met.
  std::vector<std::int64_t> least_costs;
};

/// Searches. Deterministic for a root seed, whatever the evaluator's threads. Throws Error(kUsage)
/// for invalid options, a limit on a cost that is not given, or costs of another space.
EvolutionResult EvolveCandidates(CandidateEvaluator& evaluator,
                                 std::span<const FactoredCost> costs,
                                 std::span<const CandidateLimit> limits,
                                 const EvolutionOptions& options, const RunContext& context);

}  // namespace bitsearch
