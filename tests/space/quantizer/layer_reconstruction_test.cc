#include "space/quantizer/layer_reconstruction.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "space/quantizer/weight_quantizer.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

std::vector<float> Normal(std::size_t count, std::uint64_t seed) {
  RandomStream random(seed, "reconstruction");
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

// E[x xᵀ] of `samples` records whose inputs share a common part.
InputMoments CorrelatedMoments(std::int64_t inputs, std::size_t groups, std::uint64_t seed) {
  InputMoments moments;
  moments.inputs = inputs;
  const auto size = static_cast<std::size_t>(inputs);
  constexpr std::size_t kSamples = 200;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::vector<float> own = Normal(kSamples * size, seed + g);
    const std::vector<float> common = Normal(kSamples, seed + 100 + g);
    std::vector<float> products(size * size, 0.0F);
    for (std::size_t s = 0; s < kSamples; ++s) {
      for (std::size_t a = 0; a < size; ++a) {
        for (std::size_t b = 0; b < size; ++b) {
          products[a * size + b] += (own[s * size + a] + 2.0F * common[s]) *
                                    (own[s * size + b] + 2.0F * common[s]) / kSamples;
        }
      }
    }
    moments.by_group.push_back(products);
  }
  return moments;
}

TEST(LayerReconstructionTest, IsNeverWorseThanTheNearestAndStaysOnTheGrid) {
  const Shape shape = {6, 2, 3, 2};
  const std::vector<float> weight = Normal(72, 1);
  double all_before = 0.0;
  double all_after = 0.0;
  for (const std::size_t groups : {1, 3}) {
    const InputMoments moments = CorrelatedMoments(12, groups, 7);
    for (const Granularity granularity :
         {Granularity::kPerTensor, Granularity::kPerChannel, Granularity::kPerGroup}) {
      for (const bool symmetric : {true, false}) {
        for (const int bits : {2, 3, 4, 8}) {
          WeightQuantizerSpec spec;
          spec.granularity = granularity;
          spec.group_size = 5;
          spec.symmetric = symmetric;
          spec.narrow = symmetric;
          const QuantizedWeight nearest =
              QuantizeWeight(weight, shape, 0, NumberFormat::Integer(bits), spec);
          QuantizedWeight learned = nearest;
          ReconstructLayer(weight, shape, 0, spec, moments, learned);
          const double before = ReconstructionError(weight, nearest.values, shape, 0, moments);
          const double after = ReconstructionError(weight, learned.values, shape, 0, moments);
          EXPECT_LE(after, before) << bits;
          all_before += before;
          all_after += after;
          EXPECT_EQ(learned.grids, nearest.grids);
          // On the grid: rounding to it changes nothing, to the bit.
          EXPECT_EQ(QuantizeWeightOnGrids(learned.values, shape, 0, learned.grids, 5).values,
                    learned.values);
          const std::vector<std::int32_t> codes = WeightCodes(
              learned.values, shape, 0, learned.grids, spec.granularity, spec.group_size);
          EXPECT_EQ(WeightOfCodes(weight, codes, shape, 0, learned.grids, 5).values,
                    learned.values);
        }
      }
    }
  }
  // Inputs that vary together leave something to win.
  EXPECT_LT(all_after, 0.7 * all_before);
}

TEST(LayerReconstructionTest, ComesNearTheBestOfAllIntegers) {
  // Three weights of two bits: 27 possibilities for each of 40 channels.
  const Shape shape = {40, 3};
  const std::vector<float> weight = Normal(120, 5);
  const InputMoments moments = CorrelatedMoments(3, 1, 3);
  WeightQuantizerSpec spec;
  QuantizedWeight learned = QuantizeWeight(weight, shape, 0, NumberFormat::Integer(2), spec);
  std::vector<float> best = learned.values;
  for (std::size_t c = 0; c < 40; ++c) {
    const float scale = learned.grids[c].scale;
    double least = std::numeric_limits<double>::infinity();
    const std::span<const float> row(weight.data() + 3 * c, 3);
    for (int code = 0; code < 27; ++code) {
      const std::vector<float> candidate = {scale * static_cast<float>(code % 3 - 1),
                                            scale * static_cast<float>(code / 3 % 3 - 1),
                                            scale * static_cast<float>(code / 9 - 1)};
      const double error = ReconstructionError(row, candidate, {1, 3}, 0, moments);
      if (error >= least) continue;
      least = error;
      std::copy(candidate.begin(), candidate.end(), best.begin() + 3 * static_cast<long>(c));
    }
  }
  const double nearest = ReconstructionError(weight, learned.values, shape, 0, moments);
  ReconstructLayer(weight, shape, 0, spec, moments, learned);
  const double optimum = ReconstructionError(weight, best, shape, 0, moments);
  const double found = ReconstructionError(weight, learned.values, shape, 0, moments);
  EXPECT_GE(found, optimum * (1.0 - 1e-6));
  EXPECT_LT(found - optimum, 0.4 * (nearest - optimum));
}

TEST(LayerReconstructionTest, WithoutCorrelationNearestIsTheAnswer) {
  InputMoments moments;
  moments.inputs = 4;
  moments.by_group = {std::vector<float>(16, 0.0F)};
  for (std::size_t i = 0; i < 4; ++i) moments.by_group[0][5 * i] = 1.0F + static_cast<float>(i);
  const std::vector<float> weight = Normal(12, 9);
  const QuantizedWeight nearest = QuantizeWeight(weight, {4, 3}, 1, NumberFormat::Integer(3), {});
  QuantizedWeight learned = nearest;
  ReconstructLayer(weight, {4, 3}, 1, {}, moments, learned);  // channels on the last axis
  EXPECT_EQ(learned.values, nearest.values);
  // Inputs that are always 0 say nothing.
  moments.by_group[0].assign(16, 0.0F);
  ReconstructLayer(weight, {4, 3}, 1, {}, moments, learned);
  EXPECT_EQ(learned.values, nearest.values);
}

TEST(LayerReconstructionTest, CompensatingWeightMendsWhatTheInputsLost) {
  // x̂ = D·x with D diagonal: T = W·D⁻¹ gives the same outputs.
  const InputMoments exact = CorrelatedMoments(4, 1, 11);
  InputMoments quantized = exact;
  InputMoments cross = exact;
  const std::vector<float> factor = {0.8F, 1.1F, 0.9F, 1.0F};
  for (std::size_t a = 0; a < 4; ++a) {
    for (std::size_t b = 0; b < 4; ++b) {
      quantized.by_group[0][4 * a + b] *= factor[a] * factor[b];
      cross.by_group[0][4 * a + b] *= factor[b];  // E[x x̂ᵀ]
    }
  }
  const std::vector<float> weight = Normal(8, 2);
  const std::vector<float> target = CompensatingWeight(weight, {2, 4}, 0, quantized, cross);
  for (std::size_t i = 0; i < 8; ++i) {
    // Damped by a hundredth of the mean variance.
    EXPECT_NEAR(target[i], weight[i] / factor[i % 4], 0.03F * std::fabs(weight[i]) + 0.02F) << i;
  }
}

TEST(LayerReconstructionTest, SpreadIsRestoredByScalesAlone) {
  const std::vector<float> weight = Normal(64, 21);
  for (const bool symmetric : {true, false}) {
    WeightQuantizerSpec spec;
    spec.symmetric = symmetric;
    spec.narrow = symmetric;
    const QuantizedWeight nearest =
        QuantizeWeight(weight, {4, 16}, 0, NumberFormat::Integer(2), spec);
    QuantizedWeight corrected = nearest;
    CorrectSpread(weight, {4, 16}, 0, spec, corrected);
    EXPECT_EQ(WeightCodes(corrected.values, {4, 16}, 0, corrected.grids, spec.granularity, 1),
              WeightCodes(nearest.values, {4, 16}, 0, nearest.grids, spec.granularity, 1));
    const auto deviation = [](const std::vector<float>& values, std::size_t channel) {
      double mean = 0.0;
      double square = 0.0;
      for (std::size_t i = 16 * channel; i < 16 * channel + 16; ++i) mean += values[i] / 16.0;
      for (std::size_t i = 16 * channel; i < 16 * channel + 16; ++i) {
        square += (values[i] - mean) * (values[i] - mean);
      }
      return std::sqrt(square / 16.0);
    };
    for (std::size_t c = 0; c < 4; ++c) {
      EXPECT_NEAR(deviation(corrected.values, c), deviation(weight, c), 1e-5);
    }
  }
}

}  // namespace
}  // namespace bitsearch
