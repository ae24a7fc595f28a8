#pragma once
// OnlinePredictor: a predictor file and the accuracies measured since. Measurements correct the
// prediction through a Bayesian linear layer on the frozen last hidden units; the networks
// themselves are never changed. Needs no LibTorch.

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "predictor/online/bayesian_layer.h"
#include "predictor/predictor.h"

namespace bitsearch {

/// Thread-safe: Predict may run while Tell does; it sees the state before or after, never between.
/// Until the first Tell its predictions are those of the Predictor, bit for bit.
///
/// After it: mean = f(x) + w·φ(x) with f the predictor's mean and φ the scaled units and a
/// constant; deviation² = ρ·spread² + variance of w·φ(x) + noise², where ρ ≤ 1 is how far the
/// observations have narrowed w·φ(x), and noise is estimated. It corrects what the networks' last
/// layer can express and no more: a trend of inputs that the hidden units do not see stays
/// uncorrected.
class OnlinePredictor {
 public:
  /// At most so many hidden units are used: the first ones, in order of the members.
  static constexpr std::size_t kMostFeatures = 512;

  /// Takes the predictor over by reference; it must outlive this object.
  explicit OnlinePredictor(const Predictor& predictor);

  const Predictor& predictor() const { return predictor_; }
  const CandidateSpace& space() const { return predictor_.space(); }

  /// As Predictor::Predict. Rows must be valid.
  void Predict(const GenomeView& genomes, std::span<CandidateScore> scores) const;

  /// A measured accuracy. `genome` must be valid. Throws Error(kPredictorData) if it is not finite
  /// or not within 0 to 100 percent.
  void Tell(std::span<const std::uint8_t> genome, double top1_percent);
  std::size_t told() const;

 private:
  std::shared_ptr<const BayesianLayer> Layer() const;
  Eigen::MatrixXd Features(const GenomeView& genomes) const;

  const Predictor& predictor_;
  double feature_scale_ = 1.0;
  mutable std::mutex mutex_;  ///< Guards the pointer, not what it points to.
  std::mutex telling_;        ///< One Tell at a time.
  std::shared_ptr<const BayesianLayer> layer_;
};

}  // namespace bitsearch
