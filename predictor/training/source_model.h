#pragma once
// SourceModel: what is learned from many cheap accuracies (float networks, post-training
// quantization on few images) and carried over to few expensive ones.

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "predictor/training/perceptron_trainer.h"

namespace bitsearch {

/// Cheap measurements; element i of each belongs to row i.
struct SourceRows {
  std::vector<std::uint8_t> genomes;
  /// Rows × kinds of measurement (accuracy after 200 and after 12 epochs, …).
  Eigen::MatrixXd accuracies;
};

struct SourceOptions {
  /// False: sources know the architecture alone (float networks); their bits genes are ignored.
  bool with_bits = false;
  int members = 2;  ///< Networks per kind of measurement.
  PerceptronTraining training{
      .width = 200, .steps = 3000, .batch_rows = 256, .learning_rate = 2e-3, .weight_decay = 1e-2};
  int embedding = 8;  ///< Principal components of the last hidden layers.
};

/// Networks trained on the ranks of the cheap measurements. Immutable after construction.
class SourceModel {
 public:
  /// Throws Error(kPredictorData) for fewer than 2 rows or a value that is not finite, and as
  /// TrainPerceptron. A function of its arguments and context.root_seed.
  SourceModel(const Encoding& encoding, const SourceRows& rows, const SourceOptions& options,
              const RunContext& context);

  struct Output {
    /// Rows × kinds: expected rank among the sources, uniform on ±√3.
    Eigen::MatrixXd ranks;
    Eigen::MatrixXd embedding;  ///< Rows × components, the first of unit variance.
  };
  Output Run(const GenomeView& genomes) const;

 private:
  struct Raw {
    Eigen::MatrixXd ranks, hidden;
  };
  Raw RunNetworks(const GenomeView& genomes) const;

  Encoding encoding_;
  std::vector<std::vector<PerceptronEngine>> engines_;  ///< By kind, then member.
  Eigen::RowVectorXd hidden_mean_;
  Eigen::MatrixXd components_;
};

/// Ranks of values, uniform on ±√3 (unit variance); equal values get the mean of their ranks.
Eigen::VectorXd UniformRanks(const Eigen::VectorXd& values);

}  // namespace bitsearch
