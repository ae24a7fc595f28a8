#include <algorithm>
#include <cmath>

#include "search/supernet/choice_distributions_torch.h"

namespace bitsearch {
namespace {

constexpr double kImpossible = -1e30;

// The one-hot value forward, the gradient of `soft` backward. Exact zeros, unlike the usual
// hard + soft − detached soft: roundings of weight 0 are left out altogether.
class HardForward : public torch::autograd::Function<HardForward> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& soft) {
    return at::zeros_like(soft).scatter_(1, soft.argmax(1, /*keepdim=*/true), 1.0);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradient) {
    return gradient;
  }
};

at::Tensor OneHot(const at::Tensor& scores) {
  return at::zeros_like(scores).scatter_(1, scores.argmax(1, /*keepdim=*/true), 1.0);
}

at::Tensor GumbelNoise(const at::Tensor& like, RandomStream& random) {
  at::Tensor noise = at::empty_like(like);
  float* value = noise.data_ptr<float>();
  for (std::int64_t i = 0; i < noise.numel(); ++i) {
    // Uniform() may return 0, whose double logarithm is infinite.
    const double u = std::max(random.Uniform(), 1e-300);
    value[i] = static_cast<float>(-std::log(-std::log(u)));
  }
  return noise;
}

}  // namespace

ChoiceDistributions::ChoiceDistributions(const ArchitectureSpace& space) {
  const auto groups = static_cast<std::int64_t>(space.group_count());
  const auto widest = static_cast<std::int64_t>(space.widest());
  theta_ = at::zeros({groups, widest});
  valid_ = at::full({groups, widest}, kImpossible, at::kFloat);
  bool any_skip = false;
  for (std::int64_t g = 0; g < groups; ++g) {
    const ChoiceGroup& group = space.groups[static_cast<std::size_t>(g)];
    candidate_counts_.push_back(group.candidates.size());
    valid_.select(0, g).slice(0, 0, static_cast<std::int64_t>(group.candidates.size())).zero_();
    any_skip = any_skip || group.skip.has_value();
  }
  if (any_skip) {
    not_skip_ = valid_.clone();
    for (std::int64_t g = 0; g < groups; ++g) {
      const auto& skip = space.groups[static_cast<std::size_t>(g)].skip;
      if (skip)
        not_skip_.select(0, g).select(0, static_cast<std::int64_t>(*skip)).fill_(kImpossible);
    }
  }
  theta_.requires_grad_(true);
}

at::Tensor ChoiceDistributions::Probabilities() const { return at::softmax(theta_ + valid_, 1); }

std::vector<std::vector<double>> ChoiceDistributions::ProbabilityRows() const {
  const at::NoGradGuard no_grad;
  const at::Tensor probabilities = at::softmax((theta_ + valid_).to(at::kDouble), 1).contiguous();
  std::vector<std::vector<double>> rows;
  for (std::size_t g = 0; g < candidate_counts_.size(); ++g) {
    const double* row =
        probabilities.data_ptr<double>() + static_cast<std::int64_t>(g) * probabilities.size(1);
    rows.emplace_back(row, row + candidate_counts_[g]);
  }
  return rows;
}

DrawnMasks ChoiceDistributions::Draw(SupernetMode mode, double temperature,
                                     RandomStream& random) const {
  DrawnMasks drawn;
  const auto mixtures_of = [&](const auto& masks_for) {
    return not_skip_.defined() ? masks_for(not_skip_) : drawn.masks;
  };
  if (mode == SupernetMode::kComposite) {
    const auto masks_for = [&](const at::Tensor& mask) { return at::softmax(theta_ + mask, 1); };
    drawn.masks = masks_for(valid_);
    drawn.mixtures = mixtures_of(masks_for);
    return drawn;
  }
  const at::Tensor noise = GumbelNoise(theta_.detach(), random);
  if (mode == SupernetMode::kSinglePath) {
    // argmax(θ + g) is a draw from softmax(θ) (Gumbel-max).
    const at::NoGradGuard no_grad;
    drawn.masks = OneHot(theta_ + noise + valid_);
    drawn.mixtures = not_skip_.defined() ? OneHot(theta_ + noise + not_skip_) : drawn.masks;
    const at::AutoGradMode with_gradient(true);
    drawn.log_probability = (at::log_softmax(theta_ + valid_, 1) * drawn.masks).sum();
    return drawn;
  }
  const at::Tensor noisy = theta_ + noise;
  const bool hard = mode == SupernetMode::kGumbelHard;
  const auto masks_for = [&](const at::Tensor& mask) {
    const at::Tensor soft = at::softmax((noisy + mask) / temperature, 1);
    return hard ? HardForward::apply(soft) : soft;
  };
  drawn.masks = masks_for(valid_);
  drawn.mixtures = mixtures_of(masks_for);
  return drawn;
}

}  // namespace bitsearch
