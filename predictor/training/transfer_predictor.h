#pragma once
// TransferPredictor: accuracies from few expensive measurements and what many cheap ones taught.
// A Gaussian process over the source's predictions, its embedding and the candidate's features.

#include <memory>
#include <vector>

#include "predictor/training/candidate_features.h"
#include "predictor/training/ensemble_trainer.h"
#include "predictor/training/gaussian_process.h"
#include "predictor/training/source_model.h"
#include "space/candidates/candidate_evaluator.h"

namespace bitsearch {

/// A strictly increasing piecewise linear function.
class MonotoneMap {
 public:
  MonotoneMap() = default;
  /// The isotonic regression of `to` on `from` (pool adjacent violators), linear between the
  /// blocks' means and nearly flat beyond them.
  MonotoneMap(const Eigen::VectorXd& from, const Eigen::VectorXd& to);
  double operator()(double value) const;

 private:
  std::vector<double> from_, to_;
  double tail_slope_ = 0.0;
};

/// Ranks what was measured (heavy tails do not matter then), and translates expected ranks into
/// accuracies by isotonic regression on leave-one-out predictions. Immutable after construction;
/// Evaluate may be called concurrently.
class TransferPredictor : public CandidateEvaluator {
 public:
  /// `source` null: from scratch, by the candidate's features alone. Throws Error(kPredictorData)
  /// for fewer than 5 rows or a value that is not finite. A function of its arguments alone.
  TransferPredictor(Encoding encoding, std::shared_ptr<const SourceModel> source,
                    const TrainingRows& rows, BitSummaries summaries,
                    const GaussianProcessOptions& options = {});

  const CandidateSpace& space() const override { return encoding_.space(); }
  /// The standard deviation is of a new measurement.
  void Evaluate(const GenomeView& genomes, std::span<CandidateScore> scores) override;
  /// Root mean square error of leave-one-out predictions, in percentage points.
  double leave_one_out_rmse_percent() const { return residual_percent_; }

 private:
  FeatureGroups Features(const GenomeView& genomes) const;

  Encoding encoding_;
  std::shared_ptr<const SourceModel> source_;
  BitSummaries summaries_;
  std::unique_ptr<const GaussianProcess> process_;
  MonotoneMap to_percent_;
  double residual_percent_ = 0.0;
};

}  // namespace bitsearch
