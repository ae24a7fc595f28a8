#include "sensitivity/measured_pairs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {

std::optional<PairRequest> ParsePairRequest(std::string_view text) {
  if (text == "none") return PairRequest{};
  if (text == "neighbours") return PairRequest{PairRequest::Kind::kNeighbours, 0};
  constexpr std::int64_t kMost = 1'000'000'000;
  std::int64_t evaluations = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, evaluations);
  if (error != std::errc() || at != end || evaluations < 1 || evaluations > kMost) {
    return std::nullopt;
  }
  return PairRequest{PairRequest::Kind::kWithin, evaluations};
}

std::string ToString(const PairRequest& request) {
  switch (request.kind) {
    case PairRequest::Kind::kNone:
      return "none";
    case PairRequest::Kind::kNeighbours:
      return "neighbours";
    case PairRequest::Kind::kWithin:
      break;
  }
  return std::to_string(request.evaluations);
}

std::vector<LayerPair> PairsToMeasure(const SensitivityReport& report, const PairRequest& request) {
  std::vector<LayerPair> pairs;
  const std::size_t count = report.layers.size();
  if (request.kind == PairRequest::Kind::kNeighbours) {
    for (std::size_t l = 0; l + 1 < count; ++l) pairs.push_back({LayerIndex(l), LayerIndex(l + 1)});
  }
  if (request.kind != PairRequest::Kind::kWithin) return pairs;
  // Σ over both layers' choices of √(increase · increase) is a product of sums.
  std::vector<double> reach;
  for (const LayerSensitivity& layer : report.layers) {
    double sum = 0.0;
    for (const ChoiceSensitivity& row : layer.choices) {
      sum += std::sqrt(std::max(row.loss_increase, 0.0));
    }
    reach.push_back(sum);
  }
  std::vector<std::pair<double, LayerPair>> order;
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = a + 1; b < count; ++b) {
      order.push_back({-reach[a] * reach[b], {LayerIndex(a), LayerIndex(b)}});
    }
  }
  std::sort(order.begin(), order.end());
  std::int64_t left = request.evaluations;
  for (const auto& [minus_reach, pair] : order) {
    const auto runs = static_cast<std::int64_t>(report.layers[pair.first.value].choices.size() *
                                                report.layers[pair.second.value].choices.size());
    if (runs > left) continue;
    left -= runs;
    pairs.push_back(pair);
  }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

std::vector<PairSensitivity> PairTerms(const SensitivityReport& report,
                                       std::span<const std::vector<BitChoice>> effective,
                                       std::span<const PairRow> rows, const std::string& method) {
  const Estimate PairRow::*what = method == "loss"         ? &PairRow::loss_increase_nats
                                  : method == "output-mse" ? &PairRow::output_mse
                                                           : &PairRow::kl_nats;
  std::vector<PairSensitivity> terms;
  for (const PairRow& row : rows) {
    const LayerSensitivity& first = report.layers[row.layers.first.value];
    const LayerSensitivity& second = report.layers[row.layers.second.value];
    const std::vector<BitChoice>& first_acts = effective[row.layers.first.value];
    const std::vector<BitChoice>& second_acts = effective[row.layers.second.value];
    if (first_acts.size() != first.choices.size() || second_acts.size() != second.choices.size()) {
      throw Error(ErrorId::kInternal, "pair terms: choices differ from the report's");
    }
    for (std::size_t a = 0; a < first.choices.size(); ++a) {
      if (first_acts[a] != row.first) continue;
      for (std::size_t b = 0; b < second.choices.size(); ++b) {
        if (second_acts[b] != row.second) continue;
        terms.push_back(
            {first.layer, first.choices[a].choice, second.layer, second.choices[b].choice,
             (row.*what).value - first.choices[a].loss_increase - second.choices[b].loss_increase});
      }
    }
  }
  return terms;
}

}  // namespace bitsearch
