#pragma once
// Using a table for a whole network: numbers for every layer and candidate, the predicted time of a
// configuration with its noise, and how good such predictions are against measured times. Must not
// know where tables come from nor who searches.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/graph/layer_graph.h"
#include "space/hardware/latency_table.h"

namespace bitsearch {

/// Ids and signatures of a graph's layers, in layer order: what a table is asked with. Throws
/// Error(kLayerShape).
std::vector<LayerKey> LayerKeysOf(const LayerGraph& graph);

/// A table's answers for every candidate of every layer.
struct ResolvedLatency {
  std::vector<std::vector<LatencyEntry>> entries;  ///< [layer][candidate]
  std::vector<std::vector<LookupKind>> kinds;      ///< [layer][candidate]
  LookupCounts counts;
  std::int64_t fixed_ns = 0;
};

/// Looks up choices[l][c] for every layer. Throws ErrorList of Error(kLatencyMissing), one for each
/// missing entry up to 20.
ResolvedLatency ResolveLatency(const LatencyTable& table, const std::vector<LayerKey>& layers,
                               const std::vector<std::vector<BitChoice>>& choices,
                               MissingPolicy policy = MissingPolicy::kError);

/// Where a configuration's predicted time goes.
struct LatencyPrediction {
  std::int64_t layers_ns = 0;
  std::int64_t edges_ns = 0;
  std::int64_t fixed_ns = 0;
  /// Standard error of the sum, from the entries' noise: medians of n samples vary by
  /// 1.2533·σ/√n. Layers of one signature share a measurement, so their errors add up in full.
  /// 0 where the table states no noise.
  double standard_error_ns = 0.0;
  LookupCounts counts;
  std::int64_t total_ns() const { return layers_ns + edges_ns + fixed_ns; }
};

/// Σ layers + Σ edges of the table + fixed. Throws Error(kLatencyMissing),
/// Error(kLatencyEdgeMissing), and Error(kInternal) for another number of layers.
LatencyPrediction PredictLatency(const LatencyTable& table, const std::vector<LayerKey>& layers,
                                 const BitConfig& config,
                                 MissingPolicy policy = MissingPolicy::kError);

/// What one configuration takes beyond another, and how sure the table is of it.
struct LatencyDifference {
  double difference_ns = 0.0;
  /// From the entries in which the two differ: what they share cancels. 0 where the table states no
  /// noise.
  double standard_error_ns = 0.0;
};

/// `config` beyond `reference`. Throws as PredictLatency.
LatencyDifference CompareLatency(const LatencyTable& table, const std::vector<LayerKey>& layers,
                                 const BitConfig& config, const BitConfig& reference,
                                 MissingPolicy policy = MissingPolicy::kError);

/// measured ≈ slope · predicted + offset.
struct AffineFit {
  double slope = 1.0;
  double offset = 0.0;
  double operator()(double predicted) const { return slope * predicted + offset; }
};

/// Least squares. With fewer than two different predictions the slope is the ratio of the means and
/// the offset 0. Both spans have the same, non-zero length; throws Error(kInternal) otherwise.
AffineFit FitAffine(std::span<const double> predicted, std::span<const double> measured);

/// How well predictions meet measured times.
struct PredictionQuality {
  double median_relative_error = 0.0;
  double largest_relative_error = 0.0;
  /// 1 − Σ(measured − predicted)² / Σ(measured − mean)²; NaN if all measured times are equal.
  double r_squared = 0.0;
  /// Kendall's τ-b; NaN if either side is constant.
  double kendall_tau = 0.0;
};

/// Compares pairs; measured times are positive. Throws Error(kInternal) for other lengths.
PredictionQuality Compare(std::span<const double> predicted, std::span<const double> measured);

/// A predictor's name and its quality.
struct PredictorQuality {
  std::string name;
  PredictionQuality quality;
};

/// Judges each predictor on every configuration by an affine fit to all the others, so that
/// predictors in different units can be compared and none is judged on what it was fitted to; a
/// constant (the mean of the others) is added as the last line. raw[p][i]: predictor p's value for
/// configuration i. Throws Error(kInternal) for less than three configurations or other lengths.
std::vector<PredictorQuality> JudgePredictors(const std::vector<std::string>& names,
                                              const std::vector<std::vector<double>>& raw,
                                              std::span<const double> measured);

}  // namespace bitsearch
