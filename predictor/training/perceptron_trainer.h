#pragma once
// Trains one network of APQ's shape with Eigen alone: from scratch or from the weights of another,
// by squared error, by a pairwise ranking loss, or by both. Must not know files or ensembles.

#include <cstdint>
#include <span>

#include "predictor/perceptron.h"
#include "predictor/training/matrix_product.h"
#include "space/support/random.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Inputs of a network, one row a candidate. A part may have no columns.
struct FeatureRows {
  RowMatrixXf architecture;
  RowMatrixXf bits;
};
/// The dense features of genomes. `with_bits` false: the bits part has no columns.
FeatureRows FeaturesOf(const Encoding& encoding, const GenomeView& genomes, bool with_bits = true);

struct PerceptronTraining {
  int width = 64;  ///< Units of each of the three hidden layers; ignored with a start.
  std::int64_t steps = 1000;
  int batch_rows = 32;
  double learning_rate = 3e-3;  ///< Of Adam (Kingma and Ba 2015), falling to 0 by a half cosine.
  double weight_decay = 3e-3;   ///< Decoupled (Loshchilov and Hutter 2019).
  /// Share r of the ranking loss: (1 − r)·squared error + r·mean over pairs of the batch whose
  /// targets differ by more than .05 of log(1 + exp(−3·(better − worse))). 0 to 1.
  double ranking_share = 0.0;
};

/// `targets`: about standardized, one per row. Every row is seen once before any is seen again.
/// `start`: weights to begin with; where it has no bits part and the rows have, that part begins at
/// zero, so that training begins with the start's own predictions (Wang et al., CVPR 2020, carry
/// weights over; the zero is ours). A function of its arguments alone. Throws
/// Error(kTrainingDiverged), Error(kInterrupted).
Perceptron TrainPerceptron(const FeatureRows& rows, std::span<const float> targets,
                           const PerceptronTraining& training, const Perceptron* start,
                           RandomStream random, const RunContext& context);

}  // namespace bitsearch
