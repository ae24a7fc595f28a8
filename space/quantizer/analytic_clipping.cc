#include "space/quantizer/analytic_clipping.h"

#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <cmath>
#include <numbers>
#include <numeric>

namespace bitsearch {
namespace {

constexpr int kMostChannelBits = 8;

}  // namespace

double ClippingError(TensorShapeFamily family, double spread, double alpha, int bits) {
  const double rounding = alpha * alpha / (3.0 * std::pow(4.0, bits));
  if (family == TensorShapeFamily::kLaplace) {
    return 2.0 * spread * spread * std::exp(-alpha / spread) + rounding;
  }
  const double variance = spread * spread;
  return (alpha * alpha + variance) * std::erfc(alpha / (std::numbers::sqrt2 * spread)) -
         std::sqrt(2.0 / std::numbers::pi) * alpha * spread *
             std::exp(-alpha * alpha / (2.0 * variance)) +
         rounding;
}

double OptimalClipping(TensorShapeFamily family, int bits) {
  constexpr double kLargest = 40.0;
  // Brent's method to the precision a minimum can have: half the digits of a double.
  const auto error = [&](double alpha) { return ClippingError(family, 1.0, alpha, bits); };
  return boost::math::tools::brent_find_minima(error, 0.05, kLargest, 52).first;
}

TensorFit FitTensor(std::span<const float> values, TensorShapeFamily family) {
  TensorFit fit;
  fit.family = family;
  if (values.empty()) return fit;
  const auto count = static_cast<double>(values.size());
  double sum = 0.0;
  for (const float value : values) sum += value;
  fit.centre = sum / count;
  double spread = 0.0;
  for (const float value : values) {
    const double distance = value - fit.centre;
    spread += family == TensorShapeFamily::kLaplace ? std::fabs(distance) : distance * distance;
  }
  fit.spread = family == TensorShapeFamily::kLaplace ? spread / count : std::sqrt(spread / count);
  return fit;
}

TensorFit FitTensor(std::span<const float> values) {
  const TensorFit laplace = FitTensor(values, TensorShapeFamily::kLaplace);
  const TensorFit normal = FitTensor(values, TensorShapeFamily::kNormal);
  // Mean log-likelihood at the fit: −log(2be) and −log(σ√(2πe)).
  const double laplace_nats = -std::log(2.0 * laplace.spread) - 1.0;
  const double normal_nats =
      -std::log(normal.spread) - 0.5 * std::log(2.0 * std::numbers::pi) - 0.5;
  return laplace_nats >= normal_nats ? laplace : normal;
}

Range AnalyticRange(std::span<const float> values, int bits, bool non_negative) {
  if (values.empty()) return {};
  if (!non_negative) {
    const TensorFit fit = FitTensor(values);
    const double alpha = OptimalClipping(fit.family, bits) * fit.spread;
    return {static_cast<float>(fit.centre - alpha), static_cast<float>(fit.centre + alpha)};
  }
  // Mirror the half density: the mirrored tensor has mean 0.
  std::vector<float> mirrored(values.begin(), values.end());
  for (const float value : values) mirrored.push_back(-value);
  const TensorFit fit = FitTensor(mirrored);
  return {0.0F, static_cast<float>(OptimalClipping(fit.family, bits + 1) * fit.spread)};
}

std::vector<int> AllocateChannelBits(std::span<const double> alpha, int mean_bits) {
  const std::size_t channels = alpha.size();
  std::vector<double> weight(channels);
  double total = 0.0;
  for (std::size_t c = 0; c < channels; ++c) {
    weight[c] = std::cbrt(alpha[c] * alpha[c]);
    total += weight[c];
  }
  if (channels == 0 || total <= 0.0) return std::vector<int>(channels, mean_bits);
  const auto allocate = [&](double log2_target) {
    std::vector<int> bits(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      const double bins =
          static_cast<double>(channels) * std::exp2(log2_target) * weight[c] / total;
      bits[c] = bins > 0.0 ? std::clamp(static_cast<int>(std::lround(std::log2(bins))), 0,
                                        kMostChannelBits)
                           : 0;
    }
    return bits;
  };
  const auto mean = [&](const std::vector<int>& bits) {
    return std::accumulate(bits.begin(), bits.end(), 0.0) / static_cast<double>(channels);
  };
  // The mean rises with the target in steps; bisection finds the last target that keeps it.
  double low = -8.0;
  double high = 24.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (mean(allocate(middle)) <= mean_bits ? low : high) = middle;
  }
  return allocate(low);
}

double SpreadRatio(std::span<const float> original, std::span<const float> quantized) {
  const double wanted = FitTensor(original, TensorShapeFamily::kNormal).spread;
  const double spread = FitTensor(quantized, TensorShapeFamily::kNormal).spread;
  return spread > 0.0 && wanted > 0.0 ? wanted / spread : 1.0;
}

}  // namespace bitsearch
