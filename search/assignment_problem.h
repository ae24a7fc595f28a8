#pragma once
// AssignmentProblem: choose one candidate per layer, numbers only. What every solver takes, so that
// solvers can be tested without a network. Must not know files, formats or devices.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "space/support/strong_index.h"

namespace bitsearch {

/// Index of a resource (latency, size, …) within one AssignmentProblem.
using ResourceIndex = StrongIndex<struct ResourceTag>;

/// What one layer adds to a cut of a peak resource, for each of its choices.
struct CutMember {
  LayerIndex layer;
  std::vector<std::int64_t> cost;  ///< [choice], ≥ 0.
};

/// Tensors that are live at the same time: the layers whose inputs they are.
struct Cut {
  std::string name;
  std::vector<CutMember> members;
};

/// A quantity that configurations consume: the sum over layers (latency, size, BOPs), or the peak,
/// which is the maximum over cuts of the sum over the cut's members (activation memory).
/// Integers in a unit of the caller's choosing (ns, bits), so that comparisons are exact.
struct Resource {
  std::string name;
  /// Additive: [layer][choice]. Empty for a peak resource.
  std::vector<std::vector<std::int64_t>> cost;
  /// Peak: its cuts. Empty for an additive resource.
  std::vector<Cut> cuts;
  /// Added to every configuration (the time of what is not searched). Must be 0 for a peak.
  std::int64_t fixed = 0;
  /// Inclusive upper limit; none: only reported.
  std::optional<std::int64_t> limit;

  bool is_peak() const { return cost.empty(); }
};

/// A cost that depends on the choices of two layers: requantization on an edge of the network (a
/// transition) or an interaction in the loss (a pair term). Matrices are row-major,
/// [choice of first · number of choices of second + choice of second].
struct PairTerm {
  LayerIndex first;
  LayerIndex second;
  /// Added to the loss; any sign; empty: nothing.
  std::vector<double> loss;
  /// Added to additive resources.
  std::vector<std::pair<ResourceIndex, std::vector<std::int64_t>>> cost;
};

/// Layers whose choices must carry the same label: tied activations share the label of their
/// activation bits, tied weights that of their weight bits.
struct Tie {
  std::string name;
  std::vector<LayerIndex> layers;
  /// [position in `layers`][choice]
  std::vector<std::vector<int>> label;
};

/// What a configuration comes to.
struct Assessment {
  double objective = 0.0;               ///< Summed layer by layer, then pair term by pair term.
  std::vector<std::int64_t> resources;  ///< In the order of AssignmentProblem::resources.
  bool within_limits = false;
  bool keeps_ties = false;
  bool keeps_pins = false;
  bool feasible() const { return within_limits && keeps_ties && keeps_pins; }
};

/// Choose one candidate for each layer so that the loss is least and every limit is kept:
/// minimise Σ loss[l][c_l] + Σ pair terms, subject to the limits, ties and pins.
struct AssignmentProblem {
  /// The largest losses in size of all layers and pair terms add up to no more than this: beyond,
  /// sums would leave the range of doubles.
  static constexpr double kLargestLossTotal = 1e300;

  std::vector<std::vector<double>> loss;  ///< [layer][choice]; finite, any sign; never empty rows.
  std::vector<Resource> resources;
  std::vector<PairTerm> pairs;
  std::vector<Tie> ties;
  /// [layer]; a set entry fixes the layer's choice. Empty: no pins.
  std::vector<std::optional<ChoiceIndex>> pins;

  std::size_t layer_count() const { return loss.size(); }
  std::size_t choice_count(LayerIndex layer) const { return loss[layer.value].size(); }

  /// Throws Error(kProblemInvalid) on a shape that does not fit, a loss that is not finite, an index
  /// out of range, a negative peak cost, or losses or resources that could add up to too much.
  void Validate() const;

  /// What `choice` (one entry per layer) comes to. The problem must be valid.
  Assessment Assess(const std::vector<ChoiceIndex>& choice) const;
};

}  // namespace bitsearch
