#pragma once
// Random configurations of equal size, on which scores of bit-widths are compared: at different
// sizes every score looks good, because larger networks lose less. Torch-free.

#include <cstdint>
#include <string>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/choices/quantization_spec.h"
#include "space/graph/layer_graph.h"

namespace bitsearch {

/// How the configurations of the study are drawn.
struct BandSettings {
  /// Parameter-weighted mean bits that give each band its size.
  std::vector<double> mean_bits = {3.8, 4.5, 5.2};
  std::size_t per_band = 70;
  /// Largest relative distance of a configuration's size_bits from its band's.
  double tolerance = 0.01;
  int least_bits = 3;
  int most_bits = 8;
};

/// One configuration; weights only (activations fp32).
struct BandConfig {
  std::size_t band = 0;
  BitConfig config;
};

/// Configurations drawn layer by layer with P(b) ∝ exp(−λ b), λ such that the mean suits the band,
/// and kept where the size does; all different. Bands take turns, so any prefix is balanced.
/// Deterministic for `seed`. Throws Error(kBudgetInfeasible) where too few are found.
std::vector<BandConfig> DrawBands(const LayerGraph& graph, const BandSettings& settings,
                                  std::uint64_t seed);

/// One way of quantizing in which the ranking is studied.
struct StudySetting {
  std::string name;  ///< "w", "w+bias", "wa8", "wa8+bias".
  NumberFormat activation = NumberFormat::Float32();
  QuantizationSpec spec;

  /// `config` with this setting's activations.
  BitConfig Of(BitConfig config) const;
};

/// The four settings, in the order in which they are run: corrected ones first.
std::vector<StudySetting> StudySettings();

}  // namespace bitsearch
