#pragma once
// Trains a small ensemble on measured accuracies with Eigen alone, so that a predictor can be made
// where LibTorch is not. One network per fold, trained on the other folds, so that the error that
// is reported was made on rows that the network had not seen. Must not know files.

#include <cstdint>
#include <vector>

#include "predictor/predictor.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Configurations and what was measured for them; element i belongs to row i.
struct TrainingRows {
  std::vector<std::uint8_t> genomes;
  std::vector<double> top1_percent;
};

struct EnsembleOptions {
  int members = 5;  ///< Networks, and folds; at least 2.
  int width = 64;   ///< Units of each of the three hidden layers.
  int epochs = 300;
  int batch_rows = 32;
  double learning_rate = 3e-3;  ///< Of Adam (Kingma and Ba 2015), falling to 0 by a half cosine.
  double weight_decay = 3e-3;   ///< Decoupled (Loshchilov and Hutter 2019).
};

/// How well accuracies of unseen rows are predicted.
struct FitQuality {
  std::size_t rows = 0;
  double rmse_percent = 0.0;
  double kendall_tau = 0.0;  ///< NaN where all rows measured the same.
  double pairwise_accuracy =
      0.0;  ///< Share of pairs of unequal accuracy in the right order; a tie is half.
};
FitQuality QualityOf(std::span<const double> predicted, std::span<const double> measured);

struct TrainedEnsemble {
  PredictorModel model;
  /// Each row predicted by the one network that was not trained on it.
  FitQuality cross_validated;
};

/// Fills members, output scale, residual deviation (so that spread and residual together explain
/// the cross-validated error) and training range; costs and facts are left to the caller. The
/// result is a function of rows, options and context.root_seed alone. Throws Error(kPredictorData)
/// for too few rows (4 per fold) or an accuracy that is none, Error(kTrainingDiverged),
/// Error(kInterrupted).
TrainedEnsemble TrainEnsemble(Encoding encoding, const TrainingRows& rows,
                              const EnsembleOptions& options, const RunContext& context);

}  // namespace bitsearch
