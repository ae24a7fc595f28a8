// The fused mixture against autograd of the explicit one: forward and every gradient.
#include "space/quantizer/rounding_mixture_torch.h"

#include <gtest/gtest.h>

namespace bitsearch {
namespace {

// Straight-through written with detach, as a paper would define it.
at::Tensor ExplicitRounding(const at::Tensor& x, const RoundingLevels& levels,
                            const at::Tensor& scale) {
  switch (levels.kind) {
    case RoundingLevels::Kind::kIdentity:
      return x;
    case RoundingLevels::Kind::kZero:
      return at::zeros_like(x);
    case RoundingLevels::Kind::kSign:
      return (x - x.detach()) + scale * at::where(x.lt(0), -at::ones_like(x), at::ones_like(x));
    case RoundingLevels::Kind::kAffine:
      break;
  }
  const at::Tensor clamped = at::clamp(x / scale, levels.lowest, levels.highest);
  return scale * (clamped + (at::round(clamped) - clamped).detach());
}

struct Case {
  at::Tensor x;
  at::Tensor scales;
  std::vector<RoundingLevels> levels;
};

Case ActivationCase(bool channels_last) {
  Case c;
  c.x = at::randn({3, 5, 7, 9}) * 2.0;
  if (channels_last) c.x = c.x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const int bits : {1, 2, 4, 8}) {
    c.levels.push_back(RoundingLevels::ForActivation(NumberFormat::Integer(bits), 0));
  }
  c.levels.push_back(RoundingLevels::ForActivation(NumberFormat::Float32(), 0));
  c.scales = torch::tensor({2.0F, 1.0F, 0.2F, 0.01F, 1.0F});
  return c;
}

Case WeightCase(bool channels_last) {
  Case c;
  c.x = at::randn({6, 5, 3, 3}) * 0.2;
  if (channels_last) c.x = c.x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const int bits : {1, 2, 3, 8}) {
    c.levels.push_back(RoundingLevels::ForWeight(NumberFormat::Integer(bits), false));
  }
  c.levels.push_back(RoundingLevels::ForWeight(NumberFormat::Float32(), false));
  c.levels.push_back(RoundingLevels::ForWeight(NumberFormat::Skip(), false));
  c.scales = at::rand({6, 6}) * 0.2 + 0.02;
  return c;
}

void CheckAgainstAutograd(Case c) {
  const auto count = static_cast<std::int64_t>(c.levels.size());
  const at::Tensor p = at::softmax(at::randn({count}), 0);
  const at::Tensor g = at::randn_like(c.x);
  const auto leaf = [](const at::Tensor& t) { return t.detach().clone().requires_grad_(true); };
  const at::Tensor x1 = leaf(c.x), p1 = leaf(p), s1 = leaf(c.scales);
  const at::Tensor fused = MixRoundings(x1, p1, s1, c.levels);
  fused.backward(g);
  const at::Tensor x2 = leaf(c.x), p2 = leaf(p), s2 = leaf(c.scales);
  at::Tensor mixed = at::zeros_like(c.x);
  for (std::int64_t k = 0; k < count; ++k) {
    at::Tensor scale = s2.select(0, k);
    if (scale.dim() == 1) scale = scale.view({-1, 1, 1, 1});
    mixed = mixed + p2[k] * ExplicitRounding(x2, c.levels[static_cast<std::size_t>(k)], scale);
  }
  mixed.backward(g);
  EXPECT_EQ(fused.strides(), c.x.strides());
  EXPECT_LT((fused - mixed).abs().max().item<float>(), 1e-4F);
  EXPECT_LT((x1.grad() - x2.grad()).abs().max().item<float>(), 1e-4F);
  EXPECT_TRUE(at::allclose(p1.grad(), p2.grad(), 1e-4, 1e-3)) << p1.grad() << p2.grad();
  EXPECT_TRUE(at::allclose(s1.grad(), s2.grad(), 1e-4, 2e-3)) << s1.grad() << s2.grad();
}

TEST(MixRoundingsTest, EqualsTheExplicitMixture) {
  torch::manual_seed(1);
  for (const bool channels_last : {false, true}) {
    CheckAgainstAutograd(ActivationCase(channels_last));
    CheckAgainstAutograd(WeightCase(channels_last));
  }
}

TEST(MixRoundingsTest, ManyPiecesGiveTheSameSums) {
  torch::manual_seed(2);
  Case c = ActivationCase(false);
  c.x = at::randn({2, 300, 251});
  CheckAgainstAutograd(c);
}

TEST(MixRoundingsTest, TransposedInputsKeepTheirValues) {
  torch::manual_seed(3);
  Case c = WeightCase(false);
  const at::Tensor x = at::randn({4, 6}).t();
  const at::Tensor a = MixRoundings(x, at::full({6}, 1.0 / 6), c.scales, c.levels);
  const at::Tensor b = MixRoundings(x.contiguous(), at::full({6}, 1.0 / 6), c.scales, c.levels);
  EXPECT_TRUE(at::equal(a, b));
}

TEST(MixRoundingsTest, OneRoundingNeedsNoProbabilities) {
  torch::manual_seed(4);
  const at::Tensor x = at::randn({4, 6}).requires_grad_(true);
  const at::Tensor scale = at::full({1}, 0.1F).requires_grad_(true);
  const std::vector<RoundingLevels> levels = {
      RoundingLevels::ForWeight(NumberFormat::Integer(4), true)};
  const at::Tensor out = MixRoundings(x, {}, scale, levels);
  EXPECT_TRUE(at::allclose(out, ExplicitRounding(x, levels[0], scale)));
  out.sum().backward();
  EXPECT_TRUE(scale.grad().defined());
}

TEST(MixRoundingsTest, HardWeightsStillGiveEveryProbabilityItsGradient) {
  torch::manual_seed(5);
  Case c = ActivationCase(false);
  const at::Tensor p = torch::tensor({0.0F, 0.0F, 1.0F, 0.0F, 0.0F}).requires_grad_(true);
  MixRoundings(c.x, p, c.scales, c.levels).sum().backward();
  for (std::int64_t k = 0; k < 5; ++k) {
    const at::Tensor alone =
        ExplicitRounding(c.x, c.levels[static_cast<std::size_t>(k)], c.scales[k]).sum();
    EXPECT_NEAR(p.grad()[k].item<float>(), alone.item<float>(), 1e-2F);
  }
}

TEST(MixRoundingsTest, ScaleGradientIsScaled) {
  torch::manual_seed(6);
  const at::Tensor x = at::randn({40});
  std::vector<RoundingLevels> levels = {RoundingLevels::ForWeight(NumberFormat::Integer(3), true)};
  const at::Tensor plain = at::full({1}, 0.3F).requires_grad_(true);
  const at::Tensor scaled = at::full({1}, 0.3F).requires_grad_(true);
  MixRoundings(x, {}, plain, levels).square().sum().backward();
  levels[0].scale_gradient = 0.25F;
  MixRoundings(x, {}, scaled, levels).square().sum().backward();
  EXPECT_FLOAT_EQ(scaled.grad().item<float>(), 0.25F * plain.grad().item<float>());
}

}  // namespace
}  // namespace bitsearch
