#pragma once
// CandidateEvaluator: many candidates → expected accuracy. The one thing a searcher over
// architecture and bits sees; a predictor, a network or a synthetic function stands behind it.

#include <memory>
#include <span>
#include <vector>

#include "space/candidates/candidate_space.h"
#include "space/choices/evaluator.h"

namespace bitsearch {

/// What is expected of one candidate.
struct CandidateScore {
  double top1_percent = 0.0;
  double standard_deviation_percent = 0.0;  ///< 0 where the evaluator gives none.
};

/// Scores candidates. Implementations say whether Evaluate may be called concurrently; unless they
/// do, it may not.
class CandidateEvaluator {
 public:
  virtual ~CandidateEvaluator() = default;
  virtual const CandidateSpace& space() const = 0;
  /// One score per row of `genomes`, in order; `scores` has as many elements. Deterministic, and a
  /// row's score does not depend on the other rows. Rows must be valid for space(); searchers make
  /// only such rows, others call CandidateSpace::Validate first.
  virtual void Evaluate(const GenomeView& genomes, std::span<CandidateScore> scores) = 0;
};

/// Lets any Evaluator of configurations be searched as a space of bits alone. Holds references.
class BitConfigCandidateEvaluator : public CandidateEvaluator {
 public:
  /// `space` must be one of bits alone. Both must outlive this object.
  BitConfigCandidateEvaluator(const CandidateSpace& space, Evaluator& evaluator);
  const CandidateSpace& space() const override { return space_; }
  void Evaluate(const GenomeView& genomes, std::span<CandidateScore> scores) override;

 private:
  const CandidateSpace& space_;
  Evaluator& evaluator_;
};

/// The other way round: an Evaluator of configurations over a candidate evaluator whose space is
/// one of bits alone. Holds a reference. As concurrent as what it wraps.
class CandidateBitConfigEvaluator : public Evaluator {
 public:
  explicit CandidateBitConfigEvaluator(CandidateEvaluator& evaluator) : evaluator_(evaluator) {}
  std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) override;

 private:
  CandidateEvaluator& evaluator_;
};

}  // namespace bitsearch
