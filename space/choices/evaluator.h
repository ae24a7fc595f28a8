#pragma once
// Evaluator: many BitConfigs → their accuracy. Runs the network, asks a predictor, or is synthetic;
// caching and journalling wrap it. Search sees only this interface.

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "space/choices/bit_config.h"

namespace bitsearch {

/// What an evaluation of one configuration gives. Measured ones count samples; predicted ones carry
/// a standard deviation instead.
struct Evaluation {
  std::int64_t samples = 0;
  std::int64_t correct = 0;
  double loss_nats = 0.0;  ///< Mean cross-entropy.
  double kl_nats = 0.0;    ///< Mean KL(float ‖ quantized) of the outputs; NaN where unknown.
  double predicted_top1_percent = 0.0;  ///< Only where samples == 0.
  std::optional<double> standard_deviation_percent;
  /// Per-sample correctness, for paired tests; empty for predictors.
  std::vector<bool> correct_per_sample;
  /// Only where the records have no labels: how far each sample's first output is from the float
  /// network's, ‖q − f‖², in percent of the mean ‖f‖². `correct` is 0 then and loss_nats NaN.
  std::vector<float> output_error_percent_per_sample;

  /// Answers can be right or wrong.
  bool labelled() const { return output_error_percent_per_sample.empty(); }
  /// Mean of output_error_percent_per_sample; NaN for labelled records.
  double output_error_percent() const {
    if (labelled()) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0.0;
    for (const float error : output_error_percent_per_sample) sum += error;
    return sum / static_cast<double>(output_error_percent_per_sample.size());
  }
  /// How far from the float network, for ranking: kl_nats where outputs are classes, else the error
  /// of the output in percent.
  double divergence() const { return std::isnan(kl_nats) ? output_error_percent() : kl_nats; }
  /// NaN for records without labels.
  double top1_percent() const {
    if (!labelled()) return std::numeric_limits<double>::quiet_NaN();
    return samples > 0 ? 100.0 * static_cast<double>(correct) / static_cast<double>(samples)
                       : predicted_top1_percent;
  }
};

/// Evaluates configurations. Implementations say whether Evaluate may be called concurrently;
/// unless they do, it may not.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  /// One Evaluation per configuration, in order. Deterministic. Throws Error on invalid
  /// configurations (wrong layer count, a format that the evaluator does not simulate).
  virtual std::vector<Evaluation> Evaluate(std::span<const BitConfig> configs) = 0;
};

}  // namespace bitsearch
