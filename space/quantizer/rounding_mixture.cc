#include "space/quantizer/rounding_mixture.h"

#include <algorithm>
#include <array>

#include "space/support/error.h"
#include "space/support/vector_clones.h"

namespace bitsearch {
namespace {

constexpr float kLeastScale = 1e-12F;

// A block of this many floats of each operand stays in the first-level cache while all roundings
// pass over it, so that memory is read and written once.
constexpr std::size_t kBlock = 1024;
// Partial sums per block: they vectorise, and the result does not depend on the vector width.
constexpr std::size_t kLanes = 16;

struct Lanes {
  alignas(64) std::array<float, kLanes> lane{};
  double Sum() const {
    double sum = 0.0;
    for (const float value : lane) sum += static_cast<double>(value);
    return sum;
  }
};

BITSEARCH_VECTOR_CLONES
void ScaleKernel(const float* __restrict in, float* __restrict out, std::size_t count,
                 float factor) {
  for (std::size_t i = 0; i < count; ++i) out[i] = in[i] * factor;
}

BITSEARCH_VECTOR_CLONES
void AddRoundingKernel(const float* __restrict in, float* __restrict out, std::size_t count,
                       Rounding r, float factor) {
  for (std::size_t i = 0; i < count; ++i) {
    const float steps = in[i] * r.inverse_scale + r.offset;
    const float raised = steps > r.lowest ? steps : r.lowest;
    const float clamped = raised < r.highest ? raised : r.highest;
    out[i] += (__builtin_nearbyintf(clamped) - r.offset) * factor;
  }
}

// Σ g·(q − offset).
BITSEARCH_VECTOR_CLONES
void OutputSumKernel(const float* __restrict in, const float* __restrict gradient,
                     std::size_t count, Rounding r, float* __restrict lanes) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float steps = in[i + lane] * r.inverse_scale + r.offset;
      const float raised = steps > r.lowest ? steps : r.lowest;
      const float clamped = raised < r.highest ? raised : r.highest;
      lanes[lane] += gradient[i + lane] * (__builtin_nearbyintf(clamped) - r.offset);
    }
  }
}

// Adds weight to pass[i] where x is inside the range; Σ g·x over those x.
BITSEARCH_VECTOR_CLONES
void InsideKernel(const float* __restrict in, const float* __restrict gradient,
                  float* __restrict pass, std::size_t count, float low, float high, float weight,
                  float* __restrict lanes) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float x = in[i + lane];
      const float inside = x >= low ? (x <= high ? 1.0F : 0.0F) : 0.0F;
      pass[i + lane] += inside * weight;
      lanes[lane] += inside * gradient[i + lane] * x;
    }
  }
}

BITSEARCH_VECTOR_CLONES
void MultiplyKernel(const float* gradient, const float* __restrict pass, float* out,
                    std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = gradient[i] * pass[i];
}

bool SameRange(const Rounding& a, const Rounding& b) {
  return a.pass_low == b.pass_low && a.pass_high == b.pass_high;
}

}  // namespace

RoundingLevels RoundingLevels::ForWeight(NumberFormat format, bool narrow) {
  if (format.kind() == NumberFormat::Kind::kSkip) return {Kind::kZero};
  if (format.kind() == NumberFormat::Kind::kTernary) return {Kind::kAffine, -1.0F, 1.0F};
  if (!format.is_integer()) return {Kind::kIdentity};
  if (format.bits() == 1) return {Kind::kSign, -1.0F, 0.0F};
  const int highest = (1 << (format.bits() - 1)) - 1;
  return {Kind::kAffine, static_cast<float>(narrow ? -highest : -highest - 1),
          static_cast<float>(highest)};
}

RoundingLevels RoundingLevels::ForActivation(NumberFormat format, int zero_point) {
  if (format.kind() == NumberFormat::Kind::kSkip) return {Kind::kZero};
  if (format.is_float()) return {Kind::kIdentity};
  if (!format.is_integer()) {
    throw Error(ErrorId::kUsage, "activations cannot be " + format.ToString())
        .Hint("use integers of 1–16 bits, fp16, bf16 or fp32");
  }
  return {Kind::kAffine, static_cast<float>(-zero_point),
          static_cast<float>((1 << format.bits()) - 1 - zero_point)};
}

Rounding MakeRounding(const RoundingLevels& levels, float scale) {
  const float safe = std::max(scale, kLeastScale);
  Rounding rounding;
  if (levels.kind == RoundingLevels::Kind::kSign) {
    rounding.scale = 2.0F * safe;
    rounding.offset = -0.5F;
  } else {
    rounding.scale = safe;
    rounding.pass_low = levels.lowest * safe;
    rounding.pass_high = levels.highest * safe;
  }
  rounding.inverse_scale = 1.0F / rounding.scale;
  rounding.lowest = levels.lowest;
  rounding.highest = levels.highest;
  return rounding;
}

double WeightGradient(const Rounding& rounding, const RoundingSums& sums) {
  return static_cast<double>(rounding.scale) * sums.output;
}

double ScaleGradient(const RoundingLevels& levels, const Rounding& rounding,
                     const RoundingSums& sums) {
  if (levels.kind == RoundingLevels::Kind::kSign) return levels.scale_gradient * 2.0 * sums.output;
  return levels.scale_gradient * (sums.output - sums.inside / static_cast<double>(rounding.scale));
}

void MixRoundings(std::span<const float> in, std::span<float> out,
                  std::span<const Rounding> roundings, std::span<const float> weights,
                  float identity) {
  alignas(64) std::array<float, kBlock> mixed;
  for (std::size_t start = 0; start < in.size(); start += kBlock) {
    const std::size_t count = std::min(kBlock, in.size() - start);
    const float* x = in.data() + start;
    ScaleKernel(x, mixed.data(), count, identity);
    for (std::size_t k = 0; k < roundings.size(); ++k) {
      if (weights[k] == 0.0F) continue;
      AddRoundingKernel(x, mixed.data(), count, roundings[k], weights[k] * roundings[k].scale);
    }
    std::copy_n(mixed.data(), count, out.data() + start);
  }
}

double MixRoundingsBackward(std::span<const float> in, std::span<const float> gradient,
                            std::span<float> grad_in, std::span<const Rounding> roundings,
                            std::span<const float> weights, float identity,
                            const WantedSums& wanted, std::span<RoundingSums> sums) {
  std::fill(sums.begin(), sums.end(), RoundingSums());
  std::vector<std::size_t> summed;
  for (std::size_t k = 0; k < roundings.size(); ++k) {
    if (wanted.roundings.empty() || wanted.roundings[k]) summed.push_back(k);
  }
  // Roundings of one range share the mask of the values inside it.
  std::vector<std::pair<std::size_t, float>> ranges;  // (first rounding of the range, Σ weights)
  std::vector<std::size_t> range_of(roundings.size(), 0);
  for (std::size_t k = 0; k < roundings.size(); ++k) {
    const bool is_summed = std::find(summed.begin(), summed.end(), k) != summed.end();
    if (!is_summed && weights[k] == 0.0F) continue;
    const auto found = std::find_if(ranges.begin(), ranges.end(), [&](const auto& range) {
      return SameRange(roundings[range.first], roundings[k]);
    });
    range_of[k] = static_cast<std::size_t>(found - ranges.begin());
    if (found == ranges.end()) ranges.emplace_back(k, 0.0F);
    ranges[range_of[k]].second += weights[k];
  }
  std::vector<double> inside(ranges.size(), 0.0);
  double all = 0.0;
  const float infinity = std::numeric_limits<float>::infinity();
  alignas(64) std::array<float, kBlock> pass;
  alignas(64) std::array<float, kLanes> last_x;
  alignas(64) std::array<float, kLanes> last_g;
  for (std::size_t start = 0; start < in.size(); start += kBlock) {
    const std::size_t count = std::min(kBlock, in.size() - start);
    const std::size_t whole = count - count % kLanes;
    const float* x = in.data() + start;
    const float* g = gradient.data() + start;
    // The last, partial group of lanes is filled up with zero gradients.
    last_x.fill(0.0F);
    last_g.fill(0.0F);
    std::copy_n(x + whole, count - whole, last_x.data());
    std::copy_n(g + whole, count - whole, last_g.data());
    const bool partial = whole != count;
    std::fill_n(pass.data(), count, identity);
    const auto sum_inside = [&](float low, float high, float weight) {
      Lanes lanes;
      InsideKernel(x, g, pass.data(), whole, low, high, weight, lanes.lane.data());
      if (partial) {
        alignas(64) std::array<float, kLanes> last_pass{};
        InsideKernel(last_x.data(), last_g.data(), last_pass.data(), kLanes, low, high, weight,
                     lanes.lane.data());
        for (std::size_t i = whole; i < count; ++i) pass[i] += last_pass[i - whole];
      }
      return lanes.Sum();
    };
    for (std::size_t r = 0; r < ranges.size(); ++r) {
      const Rounding& rounding = roundings[ranges[r].first];
      inside[r] += sum_inside(rounding.pass_low, rounding.pass_high, ranges[r].second);
    }
    if (wanted.identity) all += sum_inside(-infinity, infinity, 0.0F);
    for (const std::size_t k : summed) {
      Lanes lanes;
      OutputSumKernel(x, g, whole, roundings[k], lanes.lane.data());
      if (partial) {
        OutputSumKernel(last_x.data(), last_g.data(), kLanes, roundings[k], lanes.lane.data());
      }
      sums[k].output += lanes.Sum();
    }
    MultiplyKernel(g, pass.data(), grad_in.data() + start, count);
  }
  for (const std::size_t k : summed) sums[k].inside = inside[range_of[k]];
  return all;
}

}  // namespace bitsearch
