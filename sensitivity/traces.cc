#include "sensitivity/traces.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "sensitivity/estimate.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Per batch: the mean of its rounds, and how many records it stands for.
struct Batch {
  double sum = 0.0;
  double rounds = 0.0;
  double samples = 0.0;
  double sample_variance_sum = 0.0;
  double mean() const { return sum / rounds; }
};

}  // namespace

double TraceEstimate::data_standard_error() const {
  const double squared = total_standard_error * total_standard_error -
                         probe_standard_error * probe_standard_error;
  return std::isnan(squared) ? kUnknown : std::sqrt(std::max(0.0, squared));
}

TraceEstimate Summarise(std::span<const TraceObservation> observations, std::int64_t elements) {
  if (observations.empty()) throw Error(ErrorId::kInternal, "a trace without observations");
  TraceEstimate result;
  result.layer = observations[0].key.layer;
  result.of = observations[0].key.of;
  result.elements = elements;
  std::map<std::int64_t, Batch> batches;
  bool own_variance = true;
  for (const TraceObservation& seen : observations) {
    Batch& batch = batches[seen.key.batch];
    batch.sum += seen.value;
    batch.rounds += 1.0;
    batch.samples = static_cast<double>(seen.samples);
    batch.sample_variance_sum += seen.sample_variance;
    result.probes += seen.probes;
    own_variance = own_variance && !std::isnan(seen.probe_variance);
  }
  const auto count = static_cast<double>(batches.size());
  result.batches = static_cast<std::int64_t>(batches.size());
  result.probes = (result.probes + result.batches - 1) / result.batches;
  double records = 0.0;
  for (const auto& [index, batch] : batches) records += batch.samples;
  result.samples = static_cast<std::int64_t>(records);
  for (const auto& [index, batch] : batches) {
    result.trace += batch.mean() * batch.samples / records;
  }

  // Probes: own variances (Welch and Satterthwaite's degrees), or the spread of the rounds.
  double variance = 0.0;
  double spread_of_variance = 0.0;
  std::map<std::int64_t, double> rounds;
  for (const TraceObservation& seen : observations) {
    const Batch& batch = batches[seen.key.batch];
    const double weight = batch.samples / records;
    rounds[seen.key.round] += weight * seen.value;
    const double part = weight * weight / (batch.rounds * batch.rounds) * seen.probe_variance;
    variance += part;
    if (part > 0.0) spread_of_variance += part * part / seen.degrees;
  }
  if (own_variance) {
    result.probe_standard_error = std::sqrt(variance);
    result.degrees = spread_of_variance > 0.0 ? variance * variance / spread_of_variance
                                              : std::numeric_limits<double>::infinity();
  } else {
    std::vector<double> values;
    for (const auto& [round, value] : rounds) values.push_back(value);
    result.probe_standard_error = MeanOf(values).standard_error;
    result.degrees = static_cast<double>(values.size()) - 1.0;
  }

  // Records: their own variance, pooled within and between batches; or the spread of the batches.
  double within = 0.0;
  double between = 0.0;
  for (const auto& [index, batch] : batches) {
    within += (batch.samples - 1.0) * batch.sample_variance_sum / batch.rounds;
    const double off = batch.mean() - result.trace;
    between += batch.samples * off * off;
  }
  if (!std::isnan(within) && records > 1.0) {
    result.total_standard_error = std::sqrt((within + between) / (records - 1.0) / records);
  } else if (count > 1.0) {
    result.total_standard_error = std::sqrt(between / records / (count - 1.0));
  } else {
    result.total_standard_error = kUnknown;
  }
  return result;
}

}  // namespace bitsearch
