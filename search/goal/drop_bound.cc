// Matched pairs and predicted means.
#include "search/goal/drop_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "space/support/error.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

/// Student's t with so many degrees of freedom is the normal distribution.
constexpr double kManyDegrees = 1e9;

DropEstimate MeasuredDrop(const Evaluation& reference, const Evaluation& quantized,
                          double confidence) {
  const std::size_t samples = reference.correct_per_sample.size();
  double only_reference = 0.0;
  double only_quantized = 0.0;
  for (std::size_t i = 0; i < samples; ++i) {
    const bool before = reference.correct_per_sample[i];
    const bool after = quantized.correct_per_sample[i];
    if (before && !after) only_reference += 1.0;
    if (!before && after) only_quantized += 1.0;
  }
  const auto count = static_cast<double>(samples);
  DropEstimate estimate;
  estimate.drop_percent = 100.0 * (only_reference - only_quantized) / count;
  const double adjusted = count + 2.0;
  const double lost = (only_reference + 0.5) / adjusted;
  const double won = (only_quantized + 0.5) / adjusted;
  const double variance = (lost + won - (lost - won) * (lost - won)) / adjusted;
  const double quantile = StudentQuantile(confidence, kManyDegrees);
  estimate.upper_bound_percent = 100.0 * (lost - won + quantile * std::sqrt(variance));
  return estimate;
}

/// The float network's own error is 0.
DropEstimate OutputError(const Evaluation& quantized, double confidence) {
  const std::vector<float>& errors = quantized.output_error_percent_per_sample;
  const auto count = static_cast<double>(errors.size());
  DropEstimate estimate;
  estimate.drop_percent = quantized.output_error_percent();
  double squares = 0.0;
  for (const float error : errors) {
    squares += (error - estimate.drop_percent) * (error - estimate.drop_percent);
  }
  // One record says nothing of others.
  const double standard_error = errors.size() > 1 ? std::sqrt(squares / (count - 1.0) / count)
                                                  : std::numeric_limits<double>::infinity();
  estimate.upper_bound_percent =
      estimate.drop_percent +
      StudentQuantile(confidence, std::max(count - 1.0, 1.0)) * standard_error;
  return estimate;
}

}  // namespace

DropEstimate EstimateDrop(const Evaluation& reference, const Evaluation& quantized,
                          double confidence) {
  if (!(confidence > 0.5 && confidence < 1.0)) {
    throw Error(ErrorId::kUsage, "the confidence of an accuracy drop must lie between 0.5 and 1")
        .Hint("0.95 is usual");
  }
  if ((reference.samples > 0) != (quantized.samples > 0)) {
    throw Error(ErrorId::kUsage, "a measured accuracy is compared with a predicted one")
        .Hint("measure both, or predict both");
  }
  if (quantized.samples == 0) {
    DropEstimate estimate;
    estimate.drop_percent = reference.top1_percent() - quantized.top1_percent();
    const double deviation = std::hypot(reference.standard_deviation_percent.value_or(0.0),
                                        quantized.standard_deviation_percent.value_or(0.0));
    estimate.upper_bound_percent =
        estimate.drop_percent + StudentQuantile(confidence, kManyDegrees) * deviation;
    return estimate;
  }
  if (!reference.labelled() && !quantized.labelled() && reference.samples == quantized.samples) {
    return OutputError(quantized, confidence);
  }
  if (reference.correct_per_sample.empty() ||
      reference.correct_per_sample.size() != quantized.correct_per_sample.size()) {
    throw Error(ErrorId::kUsage, "an accuracy drop needs the correctness of each sample, of both")
        .Hint("evaluate both on the same samples");
  }
  return MeasuredDrop(reference, quantized, confidence);
}

}  // namespace bitsearch
