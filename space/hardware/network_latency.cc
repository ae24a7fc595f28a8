// Sums, fits and comparisons. See network_latency.h.
#include "space/hardware/network_latency.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "space/hardware/layer_signature.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/error.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

constexpr double kMedianNoise = 1.2533;  // √(π/2): a median's standard error over a mean's.

double StandardError(const LatencyEntry& entry) {
  if (!entry.stddev_ns) return 0.0;
  const auto samples = static_cast<double>(std::max<std::int64_t>(entry.samples, 1));
  const double spread = static_cast<double>(*entry.stddev_ns);
  return samples > 1 ? kMedianNoise * spread / std::sqrt(samples) : spread;
}

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void CheckLengths(std::span<const double> predicted, std::span<const double> measured) {
  if (predicted.size() != measured.size() || predicted.empty()) {
    throw Error(ErrorId::kInternal, "got " + std::to_string(predicted.size()) +
                                        " predictions for " + std::to_string(measured.size()) +
                                        " measured times");
  }
}

}  // namespace

std::vector<LayerKey> LayerKeysOf(const LayerGraph& graph) {
  std::vector<LayerKey> keys;
  keys.reserve(graph.layers().size());
  for (const Layer& layer : graph.layers()) {
    keys.push_back({layer.id, SignatureOf(graph, layer).ToString()});
  }
  return keys;
}

ResolvedLatency ResolveLatency(const LatencyTable& table, const std::vector<LayerKey>& layers,
                               const std::vector<std::vector<BitChoice>>& choices,
                               MissingPolicy policy) {
  if (choices.size() != layers.size()) {
    throw Error(ErrorId::kInternal, "candidates for another number of layers");
  }
  constexpr std::size_t kMostErrors = 20;
  ResolvedLatency resolved;
  resolved.fixed_ns = table.fixed_ns();
  resolved.entries.resize(layers.size());
  resolved.kinds.resize(layers.size());
  std::vector<Error> missing;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (const BitChoice choice : choices[l]) {
      try {
        const LatencyLookup found = table.Require(layers[l], choice, policy);
        resolved.entries[l].push_back(found.entry);
        resolved.kinds[l].push_back(found.kind);
        resolved.counts.Count(found.kind);
      } catch (const Error& error) {
        if (missing.size() < kMostErrors) missing.push_back(error);
      }
    }
  }
  if (!missing.empty()) throw ErrorList(std::move(missing));
  return resolved;
}

namespace {

/// A sum of entries, and each entry's part of its error.
struct LatencySum {
  LatencyPrediction prediction;
  /// By what was measured once: a signature at a choice, or an edge. Parts of one add up in full.
  std::map<std::string, double> errors;
};

LatencySum SumLatency(const LatencyTable& table, const std::vector<LayerKey>& layers,
                      const BitConfig& config, MissingPolicy policy) {
  if (config.choices.size() != layers.size()) {
    throw Error(ErrorId::kInternal, "a configuration of another number of layers");
  }
  LatencySum sum;
  LatencyPrediction& prediction = sum.prediction;
  prediction.fixed_ns = table.fixed_ns();
  std::map<std::string, NumberFormat> activation_of;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const BitChoice choice = config.choices[l];
    const LatencyLookup found = table.Require(layers[l], choice, policy);
    prediction.layers_ns += found.entry.latency_ns;
    prediction.counts.Count(found.kind);
    const std::string& shape = layers[l].signature.empty() ? layers[l].id : layers[l].signature;
    sum.errors[shape + " " + choice.ToString()] += StandardError(found.entry);
    activation_of[layers[l].id] = choice.activation;
  }
  std::set<std::pair<std::string, std::string>> done;
  for (const auto& [key, entry] : table.transitions()) {
    if (!done.emplace(key.producer, key.consumer).second) continue;
    const auto from = activation_of.find(key.producer);
    const auto to = activation_of.find(key.consumer);
    if (from == activation_of.end() || to == activation_of.end()) continue;
    const LatencyEntry edge =
        table.RequireTransition({key.producer, key.consumer, from->second, to->second});
    prediction.edges_ns += edge.latency_ns;
    sum.errors[key.producer + " " + from->second.ToString() + " > " + key.consumer + " " +
               to->second.ToString()] += StandardError(edge);
  }
  return sum;
}

double RootOfSquares(const std::map<std::string, double>& errors) {
  double variance = 0.0;
  for (const auto& [key, error] : errors) variance += error * error;
  return std::sqrt(variance);
}

}  // namespace

LatencyPrediction PredictLatency(const LatencyTable& table, const std::vector<LayerKey>& layers,
                                 const BitConfig& config, MissingPolicy policy) {
  LatencySum sum = SumLatency(table, layers, config, policy);
  sum.prediction.standard_error_ns = RootOfSquares(sum.errors);
  return sum.prediction;
}

LatencyDifference CompareLatency(const LatencyTable& table, const std::vector<LayerKey>& layers,
                                 const BitConfig& config, const BitConfig& reference,
                                 MissingPolicy policy) {
  LatencySum sum = SumLatency(table, layers, config, policy);
  const LatencySum other = SumLatency(table, layers, reference, policy);
  for (const auto& [key, error] : other.errors) sum.errors[key] -= error;
  return {static_cast<double>(sum.prediction.total_ns() - other.prediction.total_ns()),
          RootOfSquares(sum.errors)};
}

AffineFit FitAffine(std::span<const double> predicted, std::span<const double> measured) {
  CheckLengths(predicted, measured);
  const double mean_x = Mean(predicted);
  const double mean_y = Mean(measured);
  double covariance = 0.0, variance = 0.0;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    covariance += (predicted[i] - mean_x) * (measured[i] - mean_y);
    variance += (predicted[i] - mean_x) * (predicted[i] - mean_x);
  }
  AffineFit fit;
  if (variance > 0.0) {
    fit.slope = covariance / variance;
    fit.offset = mean_y - fit.slope * mean_x;
  } else if (mean_x != 0.0) {
    fit.slope = mean_y / mean_x;
  } else {
    fit.offset = mean_y;
  }
  return fit;
}

PredictionQuality Compare(std::span<const double> predicted, std::span<const double> measured) {
  CheckLengths(predicted, measured);
  std::vector<double> errors;
  double residual = 0.0, total = 0.0;
  const double mean = Mean(measured);
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    const double difference = predicted[i] - measured[i];
    errors.push_back(std::abs(difference) / std::abs(measured[i]));
    residual += difference * difference;
    total += (measured[i] - mean) * (measured[i] - mean);
  }
  PredictionQuality quality;
  quality.median_relative_error = Median(errors);
  quality.largest_relative_error = *std::max_element(errors.begin(), errors.end());
  quality.r_squared =
      total > 0.0 ? 1.0 - residual / total : std::numeric_limits<double>::quiet_NaN();
  quality.kendall_tau = KendallTau(predicted, measured);
  return quality;
}

std::vector<PredictorQuality> JudgePredictors(const std::vector<std::string>& names,
                                              const std::vector<std::vector<double>>& raw,
                                              std::span<const double> measured) {
  constexpr std::size_t kFewest = 3;
  if (names.size() != raw.size() || measured.size() < kFewest) {
    throw Error(ErrorId::kInternal, "too few configurations to leave one out");
  }
  std::vector<PredictorQuality> judged;
  const auto judge = [&](const std::string& name, const std::vector<double>& values) {
    CheckLengths(values, measured);
    std::vector<double> fitted;
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::vector<double> others = values;
      std::vector<double> times(measured.begin(), measured.end());
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
      times.erase(times.begin() + static_cast<std::ptrdiff_t>(i));
      fitted.push_back(FitAffine(others, times)(values[i]));
    }
    judged.push_back({name, Compare(fitted, measured)});
  };
  for (std::size_t p = 0; p < names.size(); ++p) judge(names[p], raw[p]);
  judge("constant", std::vector<double>(measured.size(), 1.0));
  return judged;
}

}  // namespace bitsearch
