#pragma once
// Traces of curvature matrices, layer by layer: what estimators observe, and what follows from the
// observations, probe noise and data noise told apart. Torch-free.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "space/support/strong_index.h"

namespace bitsearch {

/// Of which tensor of a layer the curvature is.
enum class CurvatureOf : std::uint8_t { kWeight, kActivation };

/// Which observation this is; a journal is keyed by it.
struct ObservationKey {
  LayerIndex layer;
  CurvatureOf of = CurvatureOf::kWeight;
  std::int64_t batch = 0;
  /// Rounds are independent repetitions with fresh random vectors on the same batch.
  std::int64_t round = 0;
  auto operator<=>(const ObservationKey&) const = default;
};

/// One estimate of one layer's trace on one batch.
struct TraceObservation {
  ObservationKey key;
  /// Records in the batch.
  std::int64_t samples = 0;
  /// Unbiased for the trace of the batch's matrix. Weights: the Hessian (or its substitute) of the
  /// mean loss. Activations: of one sample's loss, mean over the batch.
  double value = 0.0;
  /// Variance of `value` over the random vectors as the estimator itself knows it, with the degrees
  /// of freedom of that knowledge: 0 with infinite degrees where it is exact, NaN where only a
  /// comparison of rounds can tell.
  double probe_variance = 0.0;
  double degrees = 0.0;
  /// Variance over the records of the batch (n − 1 in the denominator); NaN where unknown.
  double sample_variance = 0.0;
  /// Random vectors used.
  std::int64_t probes = 0;
};

/// A layer's trace with its error bars.
struct TraceEstimate {
  LayerIndex layer;
  CurvatureOf of = CurvatureOf::kWeight;
  /// Elements of the weight; of one sample's input for activations.
  std::int64_t elements = 0;
  double trace = 0.0;
  /// Against the exact trace on the same records: noise of the random vectors alone.
  double probe_standard_error = 0.0;
  /// Degrees of freedom of probe_standard_error, for Student's t.
  double degrees = 0.0;
  /// Against the trace over the distribution that the records come from: probes and data.
  /// NaN where one batch without values per record was all.
  double total_standard_error = 0.0;
  std::int64_t probes = 0;   ///< Random vectors per batch, mean rounded up.
  std::int64_t batches = 0;
  std::int64_t samples = 0;

  /// √(total² − probe²), 0 if negative.
  double data_standard_error() const;
};

/// Observations of one tensor of one layer → its estimate. All batches must have the same rounds.
/// Batches count by their records. The probe error comes from the observations' own variances where
/// they have them, else from the spread of the rounds (each a mean over all batches); NaN where
/// there is neither. The total error comes from the records where their variance is known, else from
/// the spread of the batches.
TraceEstimate Summarise(std::span<const TraceObservation> observations, std::int64_t elements);

/// Looks up and keeps observations. Both functions may be empty. `record` is called from one thread
/// at a time, in a fixed order.
struct TraceJournal {
  std::function<std::optional<TraceObservation>(const ObservationKey&)> known;
  std::function<void(const TraceObservation&)> record;
};

/// `layer,parameters,trace,standard_error,probes` (probe errors), in layer order, after `notes` as
/// `# key: value` lines. `names[l]` is layer l's name.
std::string TraceCsv(std::span<const TraceEstimate> traces, std::span<const std::string> names,
                     std::span<const std::pair<std::string, std::string>> notes);

}  // namespace bitsearch
