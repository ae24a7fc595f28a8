#pragma once
// Which pairs of layers to measure together, and what they add to their separate increases:
// measured interactions, by forward passes only (as CLADO, arXiv 2307.05657). Torch-free.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sensitivity/perturbation.h"
#include "sensitivity/sensitivity_report.h"

namespace bitsearch {

/// Which pairs of layers get terms.
struct PairRequest {
  enum class Kind : std::uint8_t { kNone, kNeighbours, kWithin };
  Kind kind = Kind::kNone;
  /// kWithin: most runs of two layers together.
  std::int64_t evaluations = 0;

  bool operator==(const PairRequest&) const = default;
};

/// Reads "none", "neighbours" or a number of evaluations from 1 to 1,000,000,000; nothing for other
/// text.
std::optional<PairRequest> ParsePairRequest(std::string_view text);
std::string ToString(const PairRequest& request);

/// Layers that follow each other in the network's order (kNeighbours); or (kWithin) as many whole
/// pairs of layers, with all their choices, as the evaluations allow, those first that can interact
/// most: to second order |KL(a, b) − KL(a) − KL(b)| ≤ 2·√(KL(a)·KL(b)). Pairs that nobody measures
/// add nothing, so a pair of layers is measured with all its choices or not at all: otherwise the
/// solver would flee to what was not looked at. Ascending.
std::vector<LayerPair> PairsToMeasure(const SensitivityReport& report, const PairRequest& request);

/// loss(a, b) − loss(a) − loss(b) of measured pairs, in `method`'s loss (kl, perturbation, loss or
/// output-mse), for every two choices of the report that act as a row's do; `report` has the
/// separate increases by the same method on the same records. `effective[l][c]`: how layer l's
/// choice c acts (EffectiveChoice). Throws Error(kInternal) where a choice's increase is missing.
std::vector<PairSensitivity> PairTerms(const SensitivityReport& report,
                                       std::span<const std::vector<BitChoice>> effective,
                                       std::span<const PairRow> rows, const std::string& method);

}  // namespace bitsearch
