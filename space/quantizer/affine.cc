#include "space/quantizer/affine.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "space/support/vector_clones.h"

namespace bitsearch {
namespace {

// Below this a range counts as empty: scales must stay normal numbers.
constexpr float kLeastExtent = 1e-12F;

// Rounding is one instruction from AVX on. nearbyint rounds half to even in the default mode.

BITSEARCH_VECTOR_CLONES
void FakeQuantizeKernel(const float* in, float* out, std::size_t count, float step, float scale,
                        float lowest, float highest) {
  // Clamping before rounding gives the same integer as after it, because both bounds are integers;
  // and the zero point drops out, because it is an integer too. Divided, not multiplied by the
  // inverse, as ONNX's QuantizeLinear and the runtimes do: near ties the codes would differ.
  for (std::size_t i = 0; i < count; ++i) {
    const float steps = in[i] / step;
    const float raised = steps > lowest ? steps : lowest;
    const float clamped = raised < highest ? raised : highest;
    out[i] = __builtin_nearbyintf(clamped) * scale;
  }
}

BITSEARCH_VECTOR_CLONES
double SquaredErrorKernel(const float* in, std::size_t count, float inverse_scale, float scale,
                          float lowest, float highest) {
  // Sixteen fixed partial sums: vectorises, and the result does not depend on the vector width.
  constexpr std::size_t kLanes = 16;
  float partial[kLanes] = {};
  double total = 0.0;
  std::size_t i = 0;
  const auto error = [&](float value) {
    const float steps = value * inverse_scale;
    const float raised = steps > lowest ? steps : lowest;
    const float clamped = raised < highest ? raised : highest;
    const float difference = value - __builtin_nearbyintf(clamped) * scale;
    return difference * difference;
  };
  while (i + kLanes <= count) {
    const std::size_t end = std::min(count - kLanes + 1, i + 256 * kLanes);
    for (; i < end; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) partial[lane] += error(in[i + lane]);
    }
    for (float& lane : partial) {
      total += static_cast<double>(lane);
      lane = 0.0F;
    }
  }
  for (; i < count; ++i) total += static_cast<double>(error(in[i]));
  return total;
}

float Bfloat16(float value) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return value;
  bits += 0x7fffU + ((bits >> 16) & 1U);
  return std::bit_cast<float>(bits & 0xffff0000U);
}

}  // namespace

AffineGrid SymmetricGrid(Range range, int bits, bool narrow) {
  const std::int32_t qmax = (1 << (bits - 1)) - 1;
  const float extent = std::max({std::fabs(range.low), std::fabs(range.high), kLeastExtent});
  return {extent / static_cast<float>(qmax), 0, narrow ? -qmax : -qmax - 1, qmax};
}

AffineGrid AsymmetricGrid(Range range, int bits) {
  const std::int32_t qmax = (1 << bits) - 1;
  const double low = std::min(range.low, 0.0F);
  const double high = std::max(range.high, 0.0F);
  const double scale = std::max(high - low, static_cast<double>(kLeastExtent)) / qmax;
  const double zero = std::clamp(std::nearbyint(-low / scale), 0.0, static_cast<double>(qmax));
  return {static_cast<float>(scale), static_cast<std::int32_t>(zero), 0, qmax};
}

void FakeQuantize(std::span<const float> in, std::span<float> out, const AffineGrid& grid) {
  FakeQuantizeKernel(in.data(), out.data(), in.size(), grid.scale, grid.scale,
                     static_cast<float>(grid.qmin - grid.zero_point),
                     static_cast<float>(grid.qmax - grid.zero_point));
}

void QuantizeToSteps(std::span<const float> in, std::span<float> out, const AffineGrid& grid) {
  FakeQuantizeKernel(in.data(), out.data(), in.size(), grid.scale, /*scale=*/1.0F,
                     static_cast<float>(grid.qmin - grid.zero_point),
                     static_cast<float>(grid.qmax - grid.zero_point));
}

void QuantizeToIntegers(std::span<const float> in, std::span<std::int32_t> out,
                        const AffineGrid& grid) {
  for (std::size_t i = 0; i < in.size(); ++i) {
    const float steps = std::nearbyint(in[i] / grid.scale);
    const float q = std::clamp(steps, static_cast<float>(grid.qmin - grid.zero_point),
                               static_cast<float>(grid.qmax - grid.zero_point));
    out[i] = static_cast<std::int32_t>(q) + grid.zero_point;
  }
}

double SquaredError(std::span<const float> in, const AffineGrid& grid) {
  return SquaredErrorKernel(in.data(), in.size(), 1.0F / grid.scale, grid.scale,
                            static_cast<float>(grid.qmin - grid.zero_point),
                            static_cast<float>(grid.qmax - grid.zero_point));
}

void RoundToFloatFormat(std::span<const float> in, std::span<float> out, NumberFormat format) {
  for (std::size_t i = 0; i < in.size(); ++i) {
    switch (format.kind()) {
      case NumberFormat::Kind::kFloat16:
        // GCC's _Float16 rounds to nearest even, in software where there is no F16C.
        out[i] = static_cast<float>(static_cast<_Float16>(in[i]));
        break;
      case NumberFormat::Kind::kBfloat16:
        out[i] = Bfloat16(in[i]);
        break;
      default:
        out[i] = in[i];
    }
  }
}

}  // namespace bitsearch
