#pragma once
// Predictor: Candidate → mean and standard deviation of accuracy, and its cost. What the C ABI, the
// service and searchers stand on. Inference only; no LibTorch, no TBB.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "predictor/encoding.h"
#include "predictor/perceptron.h"
#include "space/candidates/candidate_evaluator.h"
#include "space/candidates/factored_cost.h"

namespace bitsearch {

/// Everything that a predictor file holds.
struct PredictorModel {
  Encoding encoding;
  /// An ensemble: the mean of the members is the prediction, their spread its uncertainty.
  std::vector<Perceptron> members;
  /// top1_percent = offset + scale · network output.
  double output_offset_percent = 0.0;
  double output_scale_percent = 1.0;
  /// Residual standard deviation of measured accuracies around the mean prediction (0: unknown);
  /// the reported deviation is √(spread² + residual²).
  double residual_deviation_percent = 0.0;
  std::vector<FactoredCost> costs;
  /// Per gene, bit v is set where value v occurred in training. Empty: unknown.
  std::vector<std::uint64_t> trained_values;
  /// Facts about the training, in order ("samples", "loss", "seed", "source", …).
  std::vector<std::pair<std::string, std::string>> facts;

  /// Throws Error(kPredictorModel) if something does not fit together.
  void Validate() const;
};

struct PredictorOptions {
  /// Most threads of one Evaluate call; small batches use one. Results do not depend on it.
  int threads = 1;
};

/// Immutable after construction: Evaluate and everything const may be called concurrently.
class Predictor : public CandidateEvaluator {
 public:
  /// Throws as PredictorModel::Validate.
  explicit Predictor(PredictorModel model, PredictorOptions options = {});
  ~Predictor() override;

  const PredictorModel& model() const { return model_; }
  const CandidateSpace& space() const override { return model_.encoding.space(); }
  void Evaluate(const GenomeView& genomes, std::span<CandidateScore> scores) override;
  /// The same on a const predictor.
  void Predict(const GenomeView& genomes, std::span<CandidateScore> scores) const;

  /// Units of the members' last hidden layers, one member after the other.
  std::size_t feature_count() const;
  /// Appends the activations of those units, feature_count() per row.
  void LastHidden(const GenomeView& genomes, std::vector<float>& features) const;

  /// True if an active gene has a value that training never saw. `genome` must be valid.
  bool OutsideTrainingRange(std::span<const std::uint8_t> genome) const;
  /// Rows predicted since construction.
  std::uint64_t predicted_rows() const { return predicted_rows_.load(std::memory_order_relaxed); }

 private:
  void PredictRange(const GenomeView& genomes, std::span<CandidateScore> scores) const;
  PredictorModel model_;
  PredictorOptions options_;
  std::vector<PerceptronEngine> engines_;
  mutable std::atomic<std::uint64_t> predicted_rows_ = 0;
};

}  // namespace bitsearch
