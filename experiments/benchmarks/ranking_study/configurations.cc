#include "experiments/benchmarks/ranking_study/configurations.h"

#include <cmath>
#include <cstdlib>
#include <set>

#include "space/hardware/costs.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

/// Σ_{j<=i} P(b_j) for P(b) ∝ exp(−λ b), and the mean.
struct TiltedBits {
  std::vector<double> cumulative;
  double mean = 0.0;
};

TiltedBits Tilted(const BandSettings& settings, double lambda) {
  TiltedBits result;
  double sum = 0.0;
  double weighted = 0.0;
  for (int b = settings.least_bits; b <= settings.most_bits; ++b) {
    const double p = std::exp(-lambda * b);
    sum += p;
    weighted += p * b;
    result.cumulative.push_back(sum);
  }
  for (double& value : result.cumulative) value /= sum;
  result.mean = weighted / sum;
  return result;
}

TiltedBits TiltedToMean(const BandSettings& settings, double mean) {
  double low = -10.0;
  double high = 10.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (Tilted(settings, middle).mean > mean ? low : high) = middle;
  }
  return Tilted(settings, 0.5 * (low + high));
}

double BandSizeBits(const LayerGraph& graph, double mean_bits) {
  const auto size = [&](int bits) {
    return static_cast<double>(TotalSizeBits(
        graph, BitConfig::Uniform(graph.layers().size(),
                                  {NumberFormat::Integer(bits), NumberFormat::Float32()})));
  };
  const int below = static_cast<int>(std::floor(mean_bits));
  return size(below) + (mean_bits - below) * (size(below + 1) - size(below));
}

}  // namespace

std::vector<BandConfig> DrawBands(const LayerGraph& graph, const BandSettings& settings,
                                  std::uint64_t seed) {
  constexpr std::int64_t kTries = 1'000'000;
  std::vector<std::vector<BitConfig>> bands;
  std::set<BitConfig> seen;
  for (std::size_t b = 0; b < settings.mean_bits.size(); ++b) {
    const double target = BandSizeBits(graph, settings.mean_bits[b]);
    const TiltedBits tilted = TiltedToMean(settings, settings.mean_bits[b]);
    RandomStream random(seed, "ranking study", b);
    std::vector<BitConfig>& band = bands.emplace_back();
    for (std::int64_t i = 0; i < kTries && band.size() < settings.per_band; ++i) {
      BitConfig config;
      for (std::size_t l = 0; l < graph.layers().size(); ++l) {
        const double u = random.Uniform();
        int bits = settings.least_bits;
        for (const double p : tilted.cumulative) bits += u >= p ? 1 : 0;
        config.choices.push_back({NumberFormat::Integer(bits), NumberFormat::Float32()});
      }
      const auto size = static_cast<double>(TotalSizeBits(graph, config));
      if (std::abs(size - target) <= settings.tolerance * target && seen.insert(config).second) {
        band.push_back(std::move(config));
      }
    }
    if (band.size() < settings.per_band) {
      throw Error(ErrorId::kBudgetInfeasible, "too few random configurations of equal size");
    }
  }
  std::vector<BandConfig> result;
  for (std::size_t i = 0; i < settings.per_band; ++i) {
    for (std::size_t b = 0; b < bands.size(); ++b) result.push_back({b, bands[b][i]});
  }
  return result;
}

BitConfig StudySetting::Of(BitConfig config) const {
  for (BitChoice& choice : config.choices) choice.activation = activation;
  return config;
}

std::vector<StudySetting> StudySettings() {
  std::vector<StudySetting> settings;
  for (const bool corrected : {true, false}) {
    for (const bool activations : {false, true}) {
      StudySetting setting;
      setting.name = std::string(activations ? "wa8" : "w") + (corrected ? "+bias" : "");
      setting.spec.placement = activations ? Placement::kLayerInputs : Placement::kWeightsOnly;
      if (!corrected) setting.spec.calibration.clear();
      if (activations) setting.activation = NumberFormat::Integer(8);
      settings.push_back(std::move(setting));
    }
  }
  return settings;
}

}  // namespace bitsearch
