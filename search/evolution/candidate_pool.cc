// Feasibility, repair and bookkeeping of scored candidates.
#include "search/evolution/candidate_pool.h"

#include <algorithm>
#include <limits>

namespace bitsearch {
namespace {

constexpr int kRepairTries = 2000;

}  // namespace

CandidatePool::CandidatePool(CandidateEvaluator& evaluator, std::span<const FactoredCost> costs,
                             std::span<const CandidateLimit> limits, std::int64_t evaluations,
                             const RunContext& context)
    : evaluator_(evaluator),
      space_(evaluator.space()),
      costs_(costs),
      limits_(limits),
      evaluations_(evaluations),
      context_(context),
      active_(space_.size()),
      least_costs_(limits.size(), std::numeric_limits<std::int64_t>::max()) {}

double CandidatePool::Violation(std::span<std::uint8_t> genome) {
  ++cost_checks_;
  space_.Activity(genome, active_);
  for (std::size_t g = 0; g < genome.size(); ++g) {
    if (active_[g] == 0) genome[g] = 0;
  }
  double violation = 0.0;
  for (std::size_t i = 0; i < limits_.size(); ++i) {
    const std::int64_t cost = costs_[limits_[i].cost].EvaluateActive(genome.data(), active_.data());
    least_costs_[i] = std::min(least_costs_[i], cost);
    if (cost > limits_[i].most) {
      violation += static_cast<double>(cost - limits_[i].most) /
                   static_cast<double>(std::max<std::int64_t>(1, limits_[i].most));
    }
  }
  // Combinations that the device cannot run are forbidden even where no limit names the cost.
  for (const FactoredCost& cost : costs_) {
    if (cost.EvaluateActive(genome.data(), active_.data()) >= FactoredCost::kForbidden) {
      violation += 1e12;
    }
  }
  return violation;
}

bool CandidatePool::Repair(std::span<std::uint8_t> genome, RandomStream& random) {
  double violation = Violation(genome);
  std::vector<std::uint8_t> trial(genome.size());
  for (int i = 0; i < kRepairTries && violation > 0.0; ++i) {
    const std::size_t g = random.Below(genome.size());
    const int values = space_.cardinality(g);
    std::copy(genome.begin(), genome.end(), trial.begin());
    trial[g] = static_cast<std::uint8_t>(random.Below(static_cast<std::uint64_t>(values)));
    if (trial[g] == genome[g]) continue;
    const double changed = Violation(trial);
    // Equal is let through: several forbidden combinations leave one by one.
    if (changed <= violation) {
      violation = changed;
      std::copy(trial.begin(), trial.end(), genome.begin());
    }
  }
  return violation == 0.0;
}

bool CandidatePool::Enqueue(std::span<const std::uint8_t> genome) {
  if (static_cast<std::int64_t>(queued()) >= remaining()) return false;
  if (!known_.insert(HashGenome(genome)).second) {
    ++duplicates_;
    return false;
  }
  queue_.insert(queue_.end(), genome.begin(), genome.end());
  return true;
}

std::size_t CandidatePool::ScoreQueue() {
  context_.ThrowIfStopped();
  const std::size_t first = scored_.size();
  const GenomeView batch{queue_.data(), queued(), genes()};
  scores_.resize(batch.rows);
  evaluator_.Evaluate(batch, scores_);
  for (std::size_t r = 0; r < batch.rows; ++r) {
    const auto genome = batch.row(r);
    ScoredCandidate candidate{{genome.begin(), genome.end()}, scores_[r], {}};
    space_.Activity(genome, active_);
    for (const FactoredCost& cost : costs_) {
      candidate.costs.push_back(cost.EvaluateActive(genome.data(), active_.data()));
    }
    if (scored_.empty() || candidate.score.top1_percent > scored_[best_].score.top1_percent) {
      best_ = scored_.size();
    }
    archive_.Offer({candidate.score.top1_percent, candidate.costs, scored_.size()});
    scored_.push_back(std::move(candidate));
  }
  scored_count_ += static_cast<std::int64_t>(batch.rows);
  queue_.clear();
  context_.progress->Progress("evolution", scored_count_, evaluations_);
  return first;
}

EvolutionResult CandidatePool::Finish(bool interrupted) {
  EvolutionResult result;
  result.scored = scored_count_;
  result.cost_checks = cost_checks_;
  result.duplicates = duplicates_;
  result.least_costs = least_costs_;
  if (!scored_.empty()) {
    result.status = EvolutionStatus::kFound;
    result.best = scored_[best_];
    for (const ParetoPoint& point : archive_.points()) {
      result.frontier.push_back(scored_[point.tag]);
    }
    std::sort(result.frontier.begin(), result.frontier.end(),
              [](const ScoredCandidate& a, const ScoredCandidate& b) {
                return a.costs != b.costs ? a.costs < b.costs
                                          : a.score.top1_percent < b.score.top1_percent;
              });
  }
  if (interrupted) result.status = EvolutionStatus::kInterrupted;
  return result;
}

}  // namespace bitsearch
