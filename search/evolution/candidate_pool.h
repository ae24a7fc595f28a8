#pragma once
// CandidatePool: what evolution and climbing share: feasibility, repair, duplicates, scoring in
// batches, the archive. One search owns one pool.

#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "search/evolution/evolution_search.h"
#include "search/evolution/pareto_archive.h"
#include "space/support/random.h"

namespace bitsearch {

class CandidatePool {
 public:
  CandidatePool(CandidateEvaluator& evaluator, std::span<const FactoredCost> costs,
                std::span<const CandidateLimit> limits, std::int64_t evaluations,
                const RunContext& context);

  std::size_t genes() const { return space_.size(); }
  const CandidateSpace& space() const { return space_; }
  std::int64_t remaining() const { return evaluations_ - scored_count_; }
  const std::vector<ScoredCandidate>& scored() const { return scored_; }
  /// Index into scored() of the most accurate; scored() must not be empty.
  std::size_t best() const { return best_; }

  /// Relative excess over the limits, summed; 0: feasible. Leaves the genome canonical.
  double Violation(std::span<std::uint8_t> genome);
  /// Lowers the violation by random single changes until feasible; false if that takes too many.
  bool Repair(std::span<std::uint8_t> genome, RandomStream& random);

  /// Puts a feasible canonical genome into the next batch, unless it is known. True if it was put.
  bool Enqueue(std::span<const std::uint8_t> genome);
  std::size_t queued() const { return queue_.size() / genes(); }
  /// Scores the batch (as much as the budget allows) and returns the index of the first of its
  /// candidates in scored(). Throws Error(kInterrupted) where a stop was requested.
  std::size_t ScoreQueue();

  EvolutionResult Finish(bool interrupted);

 private:
  CandidateEvaluator& evaluator_;
  const CandidateSpace& space_;
  std::span<const FactoredCost> costs_;
  std::span<const CandidateLimit> limits_;
  std::int64_t evaluations_;
  RunContext context_;
  std::int64_t scored_count_ = 0;
  std::int64_t cost_checks_ = 0;
  std::int64_t duplicates_ = 0;
  std::vector<std::uint8_t> active_;
  std::vector<std::int64_t> least_costs_;
  std::vector<std::uint8_t> queue_;
  std::vector<CandidateScore> scores_;
  std::unordered_set<std::uint64_t> known_;
  std::vector<ScoredCandidate> scored_;
  std::size_t best_ = 0;
  ParetoArchive archive_;
};

}  // namespace bitsearch
