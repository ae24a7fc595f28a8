#include "space/quantizer/rounding_mixture_torch.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Work is cut into pieces of this many elements at most, whatever the number of threads, so that
// sums do not depend on it.
constexpr std::int64_t kPiece = 1 << 16;

// What one pass over a tensor needs, read from tensors into plain numbers.
struct Mixture {
  std::vector<RoundingLevels> levels;
  std::vector<float> probabilities;
  std::int64_t slices = 1;                       ///< C, or 1.
  std::vector<std::size_t> rounded;              ///< The k that have a rounding.
  std::vector<std::vector<Rounding>> roundings;  ///< [slice][position in `rounded`]
  std::vector<float> weights;                    ///< By position in `rounded`.
  float identity = 0.0F;                         ///< Σ p_k of the identity levels.

  Mixture(const at::Tensor& probability, const at::Tensor& scales, std::vector<RoundingLevels> all)
      : levels(std::move(all)) {
    const at::Tensor p = probability.contiguous();
    const at::Tensor s = scales.contiguous();
    const auto count = static_cast<std::int64_t>(levels.size());
    if (p.numel() != count || s.size(0) != count) {
      throw Error(ErrorId::kInternal, "MixRoundings: as many probabilities and scales as levels");
    }
    probabilities.assign(p.data_ptr<float>(), p.data_ptr<float>() + count);
    slices = s.dim() > 1 ? s.size(1) : 1;
    for (std::size_t k = 0; k < levels.size(); ++k) {
      if (levels[k].kind == RoundingLevels::Kind::kIdentity) identity += probabilities[k];
      if (levels[k].kind != RoundingLevels::Kind::kAffine &&
          levels[k].kind != RoundingLevels::Kind::kSign) {
        continue;
      }
      rounded.push_back(k);
      weights.push_back(probabilities[k]);
    }
    const float* scale = s.data_ptr<float>();
    roundings.resize(static_cast<std::size_t>(slices));
    for (std::int64_t c = 0; c < slices; ++c) {
      for (const std::size_t k : rounded) {
        roundings[static_cast<std::size_t>(c)].push_back(
            MakeRounding(levels[k], scale[static_cast<std::int64_t>(k) * slices + c]));
      }
    }
  }
};

// Pieces of a tensor walked as it lies in memory: [first, first + count) belongs to `slice`.
struct Piece {
  std::size_t slice = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

std::vector<Piece> PiecesOf(std::int64_t numel, std::int64_t slices) {
  std::vector<Piece> pieces;
  const std::int64_t slice_size = numel / slices;
  for (std::int64_t c = 0; c < slices; ++c) {
    for (std::int64_t start = 0; start < slice_size; start += kPiece) {
      pieces.push_back({static_cast<std::size_t>(c), c * slice_size + start,
                        std::min(kPiece, slice_size - start)});
    }
  }
  return pieces;
}

// In pieces' order; several slices are handed to a thread at once where they are small.
void ForEachPiece(const std::vector<Piece>& pieces, const std::function<void(std::size_t)>& work) {
  const auto count = static_cast<std::int64_t>(pieces.size());
  const std::int64_t size = pieces.empty() ? 1 : std::max<std::int64_t>(1, pieces[0].count);
  at::parallel_for(0, count, std::max<std::int64_t>(1, kPiece / size),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) work(static_cast<std::size_t>(i));
                   });
}

// Whether the memory of `x` can be walked front to back, slice of axis 0 by slice.
bool IsWalkable(const at::Tensor& x, std::int64_t slices) {
  if (!x.is_non_overlapping_and_dense()) return false;
  return slices == 1 || x.stride(0) == x.numel() / x.size(0);
}

std::span<const float> ReadSpan(const at::Tensor& tensor, const Piece& piece) {
  return {tensor.data_ptr<float>() + piece.first, static_cast<std::size_t>(piece.count)};
}
std::span<float> WriteSpan(const at::Tensor& tensor, const Piece& piece) {
  return {tensor.data_ptr<float>() + piece.first, static_cast<std::size_t>(piece.count)};
}

at::Tensor ForwardOnCpu(const at::Tensor& x, const Mixture& mixture) {
  at::Tensor out = at::empty_like(x);
  const std::vector<Piece> pieces = PiecesOf(x.numel(), mixture.slices);
  ForEachPiece(pieces, [&](std::size_t i) {
    MixRoundings(ReadSpan(x, pieces[i]), WriteSpan(out, pieces[i]),
                 mixture.roundings[pieces[i].slice], mixture.weights, mixture.identity);
  });
  return out;
}

struct Gradients {
  at::Tensor x;
  at::Tensor probabilities;  ///< [K]
  at::Tensor scales;         ///< [K, slices]
};

Gradients BackwardOnCpu(const at::Tensor& x, at::Tensor gradient, const Mixture& mixture,
                        bool want_probabilities, bool want_scales) {
  if (gradient.strides() != x.strides()) gradient = at::empty_like(x).copy_(gradient);
  Gradients result;
  result.x = at::empty_like(x);
  WantedSums wanted;
  for (const float weight : mixture.weights) {
    wanted.roundings.push_back(want_probabilities || (want_scales && weight != 0.0F));
  }
  wanted.identity = want_probabilities && mixture.rounded.size() < mixture.levels.size();
  const std::vector<Piece> pieces = PiecesOf(x.numel(), mixture.slices);
  const std::size_t rounded = mixture.rounded.size();
  std::vector<RoundingSums> sums(pieces.size() * rounded);
  std::vector<double> identity(pieces.size(), 0.0);
  ForEachPiece(pieces, [&](std::size_t i) {
    identity[i] = MixRoundingsBackward(
        ReadSpan(x, pieces[i]), ReadSpan(gradient, pieces[i]), WriteSpan(result.x, pieces[i]),
        mixture.roundings[pieces[i].slice], mixture.weights, mixture.identity, wanted,
        {sums.data() + i * rounded, rounded});
  });
  const std::size_t count = mixture.levels.size();
  std::vector<double> of_probability(count, 0.0);
  std::vector<double> of_scale(count * static_cast<std::size_t>(mixture.slices), 0.0);
  double identity_sum = 0.0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    identity_sum += identity[i];
    for (std::size_t r = 0; r < rounded; ++r) {
      const std::size_t k = mixture.rounded[r];
      const Rounding& rounding = mixture.roundings[pieces[i].slice][r];
      const RoundingSums& sum = sums[i * rounded + r];
      of_probability[k] += WeightGradient(rounding, sum);
      of_scale[k * static_cast<std::size_t>(mixture.slices) + pieces[i].slice] +=
          static_cast<double>(mixture.weights[r]) * ScaleGradient(mixture.levels[k], rounding, sum);
    }
  }
  for (std::size_t k = 0; k < count; ++k) {
    if (mixture.levels[k].kind == RoundingLevels::Kind::kIdentity) of_probability[k] = identity_sum;
  }
  const auto to_tensor = [](const std::vector<double>& values) {
    at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kFloat);
    std::copy(values.begin(), values.end(), tensor.data_ptr<float>());
    return tensor;
  };
  result.probabilities = to_tensor(of_probability);
  result.scales = to_tensor(of_scale).view({static_cast<std::int64_t>(count), mixture.slices});
  return result;
}

// The same on any device, a few LibTorch operations per rounding; keeps no copies either.
struct DeviceRounding {
  at::Tensor steps;
  at::Tensor rounded;  ///< q − offset
  at::Tensor inside;
};

DeviceRounding RoundOnDevice(const at::Tensor& x, const RoundingLevels& levels,
                             const at::Tensor& scale_of_slice) {
  const bool sign = levels.kind == RoundingLevels::Kind::kSign;
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(std::max<std::int64_t>(1, x.dim())), 1);
  sizes[0] = scale_of_slice.numel();
  const at::Tensor scale = scale_of_slice.to(x.device()).clamp_min(1e-12).view(sizes);
  DeviceRounding result;
  if (sign) {
    result.rounded =
        at::where(x.lt(0), at::full({}, -0.5, x.options()), at::full({}, 0.5, x.options()));
    result.inside = at::ones_like(x);
    return result;
  }
  result.steps = x / scale;
  result.inside = result.steps.ge(levels.lowest).logical_and_(result.steps.le(levels.highest));
  result.rounded = at::round(at::clamp(result.steps, levels.lowest, levels.highest));
  return result;
}

at::Tensor ForwardOnDevice(const at::Tensor& x, const Mixture& mixture, const at::Tensor& scales) {
  at::Tensor out = x * mixture.identity;
  for (std::size_t r = 0; r < mixture.rounded.size(); ++r) {
    const std::size_t k = mixture.rounded[r];
    if (mixture.weights[r] == 0.0F) continue;
    const at::Tensor scale = scales.select(0, static_cast<std::int64_t>(k)).reshape({-1});
    const DeviceRounding rounding = RoundOnDevice(x, mixture.levels[k], scale);
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(std::max<std::int64_t>(1, x.dim())),
                                    1);
    sizes[0] = scale.numel();
    const double factor = mixture.levels[k].kind == RoundingLevels::Kind::kSign ? 2.0 : 1.0;
    out.addcmul_(rounding.rounded, scale.to(x.device()).clamp_min(1e-12).view(sizes),
                 factor * static_cast<double>(mixture.weights[r]));
  }
  return out;
}

Gradients BackwardOnDevice(const at::Tensor& x, const at::Tensor& gradient, const Mixture& mixture,
                           const at::Tensor& scales) {
  Gradients result;
  const auto count = static_cast<std::int64_t>(mixture.levels.size());
  at::Tensor pass = at::full_like(x, mixture.identity);
  result.probabilities = at::zeros({count}, x.options());
  result.scales = at::zeros({count, mixture.slices}, x.options());
  for (std::int64_t k = 0; k < count; ++k) {
    const RoundingLevels& levels = mixture.levels[static_cast<std::size_t>(k)];
    if (levels.kind == RoundingLevels::Kind::kZero) continue;
    if (levels.kind == RoundingLevels::Kind::kIdentity) {
      result.probabilities.select(0, k).copy_((gradient * x).sum());
      continue;
    }
    const bool sign = levels.kind == RoundingLevels::Kind::kSign;
    const double weight = static_cast<double>(mixture.probabilities[static_cast<std::size_t>(k)]);
    const at::Tensor scale = scales.select(0, k).reshape({-1});
    const DeviceRounding rounding = RoundOnDevice(x, levels, scale);
    const auto per_slice = [&](const at::Tensor& values) {
      return values.reshape({mixture.slices, -1}).sum(1);
    };
    const at::Tensor output = per_slice(gradient * rounding.rounded);
    const at::Tensor on_device = scale.to(x.device()).clamp_min(1e-12);
    result.probabilities.select(0, k).copy_((output * on_device).sum() * (sign ? 2.0 : 1.0));
    result.scales.select(0, k).copy_(
        (sign ? 2.0 * output : output - per_slice(gradient * rounding.inside * rounding.steps)) *
        (weight * static_cast<double>(levels.scale_gradient)));
    pass.add_(rounding.inside, weight);
  }
  result.x = gradient * pass;
  result.probabilities = result.probabilities.to(at::kCPU);
  result.scales = result.scales.to(at::kCPU);
  return result;
}

at::Tensor EncodeLevels(const std::vector<RoundingLevels>& levels) {
  at::Tensor encoded = at::empty({static_cast<std::int64_t>(levels.size()), 4}, at::kFloat);
  float* row = encoded.data_ptr<float>();
  for (const RoundingLevels& level : levels) {
    *row++ = static_cast<float>(level.kind);
    *row++ = level.lowest;
    *row++ = level.highest;
    *row++ = level.scale_gradient;
  }
  return encoded;
}

std::vector<RoundingLevels> DecodeLevels(const at::Tensor& encoded) {
  std::vector<RoundingLevels> levels;
  const float* row = encoded.data_ptr<float>();
  for (std::int64_t k = 0; k < encoded.size(0); ++k, row += 4) {
    levels.push_back(
        {static_cast<RoundingLevels::Kind>(static_cast<int>(row[0])), row[1], row[2], row[3]});
  }
  return levels;
}

class MixRoundingsFunction : public torch::autograd::Function<MixRoundingsFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, at::Tensor x, at::Tensor probabilities,
                            const at::Tensor& scales, const at::Tensor& encoded_levels) {
    const Mixture mixture(probabilities, scales, DecodeLevels(encoded_levels));
    if (mixture.slices > 1 && (x.dim() == 0 || x.size(0) != mixture.slices)) {
      throw Error(ErrorId::kInternal, "MixRoundings: one scale per slice of axis 0");
    }
    const bool on_cpu = x.device().is_cpu();
    if (on_cpu && !IsWalkable(x, mixture.slices)) x = x.contiguous();
    context->save_for_backward({x, probabilities, scales, encoded_levels});
    return on_cpu ? ForwardOnCpu(x, mixture) : ForwardOnDevice(x, mixture, scales);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const Mixture mixture(saved[1], saved[2], DecodeLevels(saved[3]));
    const bool want_probabilities = saved[1].requires_grad();
    const bool want_scales = saved[2].requires_grad();
    const at::Tensor detached = x.detach();
    Gradients result =
        x.device().is_cpu()
            ? BackwardOnCpu(detached, gradients[0], mixture, want_probabilities, want_scales)
            : BackwardOnDevice(detached, gradients[0], mixture, saved[2]);
    return {result.x, want_probabilities ? result.probabilities.view_as(saved[1]) : at::Tensor(),
            want_scales ? result.scales.view_as(saved[2]) : at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor MixRoundings(const at::Tensor& x, const at::Tensor& probabilities,
                        const at::Tensor& scales, const std::vector<RoundingLevels>& levels) {
  // LibTorch 1.13 takes no undefined tensors here.
  const at::Tensor weights = probabilities.defined() ? probabilities : at::ones({1});
  return MixRoundingsFunction::apply(x, weights, scales, EncodeLevels(levels));
}

}  // namespace bitsearch
