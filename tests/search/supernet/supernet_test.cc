// The supernet against the explicit branches it stands for, its draws against their distribution,
// its costs against finite differences; searches on a small synthetic problem.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "search/supernet/decode.h"
#include "search/supernet/dnas.h"
#include "search/supernet/supernet_torch.h"
#include "space/hardware/costs.h"
#include "space/network/batches_torch.h"
#include "space/network/builtin.h"
#include "space/support/error.h"
#include "tests/space/network/synthetic_data.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

const BitChoice kSkip{NumberFormat::Skip(), NumberFormat::Skip()};

std::vector<BitChoice> Product(const std::vector<int>& weights,
                               const std::vector<int>& activations) {
  std::vector<BitChoice> choices;
  for (const int w : weights) {
    for (const int a : activations) {
      choices.push_back({w == 32 ? NumberFormat::Float32() : NumberFormat::Integer(w),
                         a == 32 ? NumberFormat::Float32() : NumberFormat::Integer(a)});
    }
  }
  return choices;
}

AssignmentProblem SizeProblem(const LayerGraph& graph,
                              const std::vector<std::vector<BitChoice>>& choices) {
  AssignmentProblem problem;
  for (const auto& layer : choices) problem.loss.emplace_back(layer.size(), 0.0);
  Resource size;
  size.name = "size_bits";
  size.cost = SizeBitsOfChoices(graph, choices);
  problem.resources.push_back(std::move(size));
  Resource bops;
  bops.name = "bops";
  bops.cost = BopsOfChoices(graph, choices);
  problem.resources.push_back(std::move(bops));
  return problem;
}

// One 3×3 convolution.
LayerGraph OneConvolution() {
  LayerGraph graph;
  const TensorIndex input = graph.AddInput("input", DataType::kFloat32, {-1, 4, 6, 6});
  RandomStream random(3, "weights");
  std::vector<float> values(5 * 4 * 9);
  for (float& value : values) value = static_cast<float>(0.3 * random.Normal());
  const TensorIndex weight = graph.AddConstant("w", TensorValue::FromFloats({5, 4, 3, 3}, values));
  Node node{"conv", "Conv", "", {input, weight}, {}, {}};
  node.attributes.Set("kernel_shape", std::vector<std::int64_t>{3, 3});
  node.attributes.Set("pads", std::vector<std::int64_t>{1, 1, 1, 1});
  const TensorIndex output =
      graph.AddTensor(Tensor{"out", DataType::kFloat32, Shape{-1, 5, 6, 6}, {}});
  node.outputs = {output};
  graph.AddNode(std::move(node));
  graph.AddOutput(output);
  graph.FindLayers();
  return graph;
}

// Straight-through rounding as plain autograd.
at::Tensor Explicit(const at::Tensor& x, const RoundingLevels& levels, const at::Tensor& scale) {
  if (levels.kind == RoundingLevels::Kind::kIdentity) return x;
  const at::Tensor clamped = at::clamp(x / scale, levels.lowest, levels.highest);
  return scale * (clamped + (at::round(clamped) - clamped).detach());
}

TEST(CompositeTest, EqualsAllPairsOfBranchesInValueAndGradients) {
  torch::manual_seed(1);
  const LayerGraph graph = OneConvolution();
  const std::vector<std::vector<BitChoice>> choices = {Product({2, 3, 4, 32}, {2, 4, 8, 32})};
  const auto space = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kLayer);
  Network network(graph);
  const TrainableParameters parameters = MakeTrainable(network);
  const Dataset data = SyntheticDataset(16, 1, 4, 6);
  LearnedQuantizers quantizers(network, space, &data, {}, RunContext{});
  MixedPrecisionHooks hooks(network.graph(), space, quantizers);
  ChoiceDistributions distributions(space);
  {
    const at::NoGradGuard no_grad;
    at::Tensor theta = distributions.theta();
    theta.copy_(at::randn_like(theta));
  }
  RandomStream random(1, "draw");
  const DrawnMasks drawn = distributions.Draw(SupernetMode::kComposite, 1.0, random);
  hooks.SetMasks(drawn.masks, drawn.mixtures);
  const at::Tensor x = ImageBatch(data, 0, 8);
  const at::Tensor out = network.Forward(x, &hooks, true);
  const at::Tensor g = at::randn_like(out);
  out.backward(g);

  const auto leaf = [](const at::Tensor& t) { return t.detach().clone().requires_grad_(true); };
  const at::Tensor theta = leaf(distributions.theta());
  const at::Tensor weight = leaf(parameters.decayed[0]);
  const CandidateRoundings& wq = quantizers.weight(LayerIndex(0));
  const CandidateRoundings& aq = quantizers.activation(LayerIndex(0));
  const at::Tensor weight_scales = leaf(wq.scales);
  const at::Tensor activation_scales = leaf(aq.scales);
  const LayerGroups groups = space.layers[0];
  const at::Tensor p = at::softmax(theta.select(0, static_cast<std::int64_t>(groups.weight)), 0);
  const at::Tensor q =
      at::softmax(theta.select(0, static_cast<std::int64_t>(groups.activation)), 0);
  // LSQ scales the gradient of each scale, not its value.
  const auto damped = [](const at::Tensor& scale, double factor) {
    return scale * factor + (scale - scale * factor).detach();
  };
  at::Tensor branches = at::zeros_like(out);
  for (std::int64_t b = 0; b < 4; ++b) {
    for (std::int64_t c = 0; c < 4; ++c) {
      const RoundingLevels& wl = wq.levels[static_cast<std::size_t>(b)];
      const RoundingLevels& al = aq.levels[static_cast<std::size_t>(c)];
      const at::Tensor w =
          Explicit(weight, wl, damped(weight_scales[b], wl.scale_gradient).view({-1, 1, 1, 1}));
      const at::Tensor a = Explicit(x, al, damped(activation_scales[c], al.scale_gradient));
      branches = branches +
                 p[b] * q[c] * at::convolution(a, w, {}, {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1);
    }
  }
  branches.backward(g);
  EXPECT_LT((out - branches).abs().max().item<float>(), 1e-4F);
  EXPECT_TRUE(at::allclose(distributions.theta().grad(), theta.grad(), 1e-4, 1e-3));
  EXPECT_TRUE(at::allclose(parameters.decayed[0].grad(), weight.grad(), 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(wq.scales.grad(), weight_scales.grad(), 1e-4, 1e-3));
  EXPECT_TRUE(at::allclose(aq.scales.grad(), activation_scales.grad(), 1e-4, 1e-3));
}

ArchitectureSpace FiveCandidates() {
  const LayerGraph graph = OneConvolution();
  return BuildArchitectureSpace(graph, {Product({2, 3, 4, 6, 8}, {32})}, {}, ChoiceScope::kLayer);
}

TEST(GumbelTest, FrequenciesFollowTheSoftmax) {
  const ArchitectureSpace space = FiveCandidates();
  ChoiceDistributions distributions(space);
  {
    const at::NoGradGuard no_grad;
    at::Tensor theta = distributions.theta();
    theta.select(0, 0).copy_(torch::tensor({0.0F, 1.0F, -1.0F, 0.5F, 2.0F}));
  }
  const std::vector<double> p = distributions.ProbabilityRows()[0];
  for (const SupernetMode mode :
       {SupernetMode::kGumbelSoft, SupernetMode::kGumbelHard, SupernetMode::kSinglePath}) {
    constexpr int kDraws = 20000;
    std::vector<int> counts(5, 0);
    for (int i = 0; i < kDraws; ++i) {
      RandomStream random(5, "draw", static_cast<std::uint64_t>(i));
      const DrawnMasks drawn = distributions.Draw(mode, 0.7, random);
      ++counts[static_cast<std::size_t>(drawn.masks.select(0, 0).argmax().item<std::int64_t>())];
    }
    double chi2 = 0.0;
    for (std::size_t k = 0; k < 5; ++k) {
      const double expected = kDraws * p[k];
      chi2 += (counts[k] - expected) * (counts[k] - expected) / expected;
    }
    EXPECT_LT(chi2, 18.47) << "four degrees of freedom, p = .001";
  }
}

TEST(GumbelTest, HardMasksAreExactAndPassTheSoftGradient) {
  const ArchitectureSpace space = FiveCandidates();
  ChoiceDistributions distributions(space);
  RandomStream hard_random(5, "draw");
  RandomStream soft_random(5, "draw");
  const at::Tensor weights = torch::tensor({1.0F, 2.0F, 3.0F, 4.0F, 5.0F});
  const auto gradient = [&](SupernetMode mode, RandomStream& random) {
    if (distributions.theta().grad().defined()) distributions.theta().mutable_grad().zero_();
    const DrawnMasks drawn = distributions.Draw(mode, 2.0, random);
    (drawn.masks.select(0, 0) * weights).sum().backward();
    return std::pair(drawn.masks.detach().select(0, 0), distributions.theta().grad().clone());
  };
  const auto [hard, hard_gradient] = gradient(SupernetMode::kGumbelHard, hard_random);
  const auto [soft, soft_gradient] = gradient(SupernetMode::kGumbelSoft, soft_random);
  EXPECT_EQ(hard.sum().item<float>(), 1.0F);
  EXPECT_EQ(hard.ne(0).sum().item<std::int64_t>(), 1);
  EXPECT_EQ(hard.argmax().item<std::int64_t>(), soft.argmax().item<std::int64_t>());
  EXPECT_TRUE(at::allclose(hard_gradient, soft_gradient, 1e-5, 1e-7));
}

TEST(GumbelTest, MixturesLeaveTheSkipOut) {
  const LayerGraph graph = BuildResNet(8, {}, 1);
  std::vector<BitChoice> with_skip = Product({2, 4}, {32});
  with_skip.insert(with_skip.begin(), kSkip);
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(), with_skip);
  const auto space = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kBlock);
  ASSERT_FALSE(space.skippable_blocks.empty());
  const ChoiceDistributions distributions(space);
  for (const SupernetMode mode : {SupernetMode::kComposite, SupernetMode::kGumbelSoft,
                                  SupernetMode::kGumbelHard, SupernetMode::kSinglePath}) {
    RandomStream random(5, "draw");
    const DrawnMasks drawn = distributions.Draw(mode, 1.0, random);
    for (std::size_t g = 0; g < space.group_count(); ++g) {
      const at::Tensor mixture = drawn.mixtures.select(0, static_cast<std::int64_t>(g));
      EXPECT_NEAR(mixture.sum().item<float>(), 1.0F, 1e-5F);
      if (space.groups[g].skip) {
        EXPECT_EQ(mixture[static_cast<std::int64_t>(*space.groups[g].skip)].item<float>(), 0.0F);
      }
    }
  }
}

TEST(ExpectedCostTest, MatchesEnumerationAndFiniteDifferences) {
  const LayerGraph graph = BuildResNet(8, {}, 1);
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(),
                                                    Product({2, 4, 8}, {4, 8}));
  const auto space = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kLayer);
  AssignmentProblem problem = SizeProblem(graph, choices);
  PairTerm edge{LayerIndex(0), LayerIndex(1), {}, {}};
  std::vector<std::int64_t> matrix;
  for (int i = 0; i < 36; ++i) matrix.push_back((i * 7919) % 1000);
  edge.cost.emplace_back(ResourceIndex(0), matrix);
  problem.pairs.push_back(edge);
  Resource peak;
  peak.name = "peak";
  peak.cuts = {{"a", {{LayerIndex(0), {10, 20, 30, 40, 50, 60}}}},
               {"b", {{LayerIndex(1), {15, 25, 35, 45, 55, 65}}}}};
  problem.resources.push_back(peak);
  const ExpectedCost cost(space, choices, problem);

  // A one-hot mask costs what the problem says.
  std::vector<std::size_t> picks;
  std::vector<ChoiceIndex> indices;
  at::Tensor one_hot = at::zeros(
      {static_cast<std::int64_t>(space.group_count()), static_cast<std::int64_t>(space.widest())});
  for (std::size_t g = 0; g < space.group_count(); ++g) {
    picks.push_back(g % space.groups[g].candidates.size());
    one_hot[static_cast<std::int64_t>(g)][static_cast<std::int64_t>(picks[g])] = 1.0;
  }
  const BitConfig config = space.ConfigOf(picks);
  for (std::size_t l = 0; l < choices.size(); ++l) {
    const auto found = std::find(choices[l].begin(), choices[l].end(), config.choices[l]);
    indices.emplace_back(static_cast<std::size_t>(found - choices[l].begin()));
  }
  const Assessment assessment = problem.Assess(indices);
  const at::Tensor expected = cost.Expected(one_hot);
  for (std::size_t r = 0; r < problem.resources.size(); ++r) {
    EXPECT_DOUBLE_EQ(expected[static_cast<std::int64_t>(r)].item<double>(),
                     static_cast<double>(assessment.resources[r]));
  }

  torch::manual_seed(4);
  const at::Tensor masks =
      at::softmax(at::randn(one_hot.sizes(), at::kDouble), 1).detach().requires_grad_(true);
  const at::Tensor mix = torch::tensor({1e-3, 1e-6, 1.0}, at::kDouble);
  const auto value = [&](const at::Tensor& m) { return at::dot(cost.Expected(m), mix); };
  value(masks).backward();
  const at::NoGradGuard no_grad;
  for (std::int64_t g = 0; g < masks.size(0); ++g) {
    for (std::int64_t k = 0; k < masks.size(1); ++k) {
      at::Tensor up = masks.detach().clone();
      at::Tensor down = masks.detach().clone();
      up[g][k] += 1e-5;
      down[g][k] -= 1e-5;
      const double difference = (value(up) - value(down)).item<double>() / 2e-5;
      EXPECT_NEAR(masks.grad()[g][k].item<double>(), difference,
                  1e-6 * std::max(1.0, std::fabs(difference)));
    }
  }
}

TEST(SearchLossTest, ComputesItsTerms) {
  AssignmentProblem problem;
  problem.loss = {{0.0, 0.0}};
  Resource size;
  size.name = "size_bits";
  size.cost = {{100, 400}};
  size.limit = 200;
  problem.resources = {size};
  const at::Tensor ce = at::tensor(2.0F);
  const at::Tensor expected = torch::tensor({300.0}, at::kDouble);
  const auto total = [&](SearchCostTerm term) {
    term.resource = "size_bits";
    return SearchLoss({term}, problem).Total(ce, expected).item<double>();
  };
  EXPECT_NEAR(total({SearchCostTerm::Kind::kMultiplicative, "", 0.5, 0.9, 0.0}),
              2.0 * 0.5 * std::pow(std::log(300.0), 0.9), 1e-5);
  EXPECT_NEAR(total({SearchCostTerm::Kind::kAdditive, "", 3.0, 0.0, 600.0}), 3.5, 1e-6);
  EXPECT_NEAR(total({SearchCostTerm::Kind::kHinge, "", 3.0, 0.0, 0.0}), 2.0 + 3.0 * 0.5, 1e-6);
  SearchCostTerm unknown;
  unknown.resource = "joules";
  EXPECT_THROW(SearchLoss({unknown}, problem), Error);
}

// --- searches on a small problem ----------------------------------------------------------------

struct SmallSearch {
  LayerGraph graph = BuildResNet(8, {1, 8, 8, 10}, 1);
  std::vector<std::vector<BitChoice>> choices;
  AssignmentProblem problem;
  Dataset train = SyntheticDataset(320, 1);
  DnasOptions options;

  explicit SmallSearch(SupernetMode mode = SupernetMode::kGumbelSoft) {
    choices.assign(graph.layers().size(), Product({2, 4, 8}, {4, 8}));
    problem = SizeProblem(graph, choices);
    problem.resources[0].limit =
        TotalSizeBits(graph, BitConfig::Uniform(choices.size(), choices[0][2])) * 3 / 4;
    options.mode = mode;
    options.epochs = 4;
    options.warmup_epochs = 1;
    options.batch_size = 32;
    options.weight_rate = 0.05;
    options.architecture_rate = 0.3;
    options.terms = {{SearchCostTerm::Kind::kHinge, "size_bits", 10.0, 0.0, 0.0}};
    options.quantizers.calibration_samples = 64;
    options.crop_padding = 0;
    options.flip = false;
  }
  DnasResult Run(const RunContext& context = {}) const {
    return SearchDnas(graph, choices, {}, problem, train, options, context);
  }
};

class SearchModeTest : public ::testing::TestWithParam<SupernetMode> {};

TEST_P(SearchModeTest, LearnsWeightsAndMovesTowardsTheBudget) {
  const SmallSearch search(GetParam());
  const DnasResult result = search.Run();
  ASSERT_EQ(result.history.size(), 4U);
  EXPECT_LT(result.history.back().weight_loss, result.history.front().weight_loss);
  // Warm-up leaves θ alone.
  EXPECT_NEAR(result.history[0].distributions[0].relative_entropy, 1.0, 1e-6);
  const auto limit = static_cast<double>(*search.problem.resources[0].limit);
  EXPECT_LT(result.history.back().expected_resources[0],
            result.history.front().expected_resources[0]);
  EXPECT_LT(result.history.back().expected_resources[0], 1.25 * limit);
  const DecodeResult decoded = DecodeDistributions(result.space, result.probabilities,
                                                   search.choices, search.problem, {}, {});
  ASSERT_FALSE(decoded.configs.empty());
  EXPECT_LE(TotalSizeBits(search.graph, decoded.configs[0].config),
            *search.problem.resources[0].limit);
}

INSTANTIATE_TEST_SUITE_P(Modes, SearchModeTest,
                         ::testing::Values(SupernetMode::kComposite, SupernetMode::kGumbelSoft,
                                           SupernetMode::kGumbelHard, SupernetMode::kSinglePath));

class StopAfter : public ProgressSink {
 public:
  StopAfter(StopToken token, std::int64_t step) : token_(std::move(token)), step_(step) {}
  void Progress(std::string_view, std::int64_t done, std::int64_t) override {
    if (done == step_) token_.RequestStop();
  }
  void Log(std::string_view) override {}
  void Warning(std::string_view) override {}

 private:
  StopToken token_;
  std::int64_t step_;
};

TEST(SearchDnasTest, AKilledSearchResumesToTheSameDistributions) {
  const fs::path folder = fs::path(testing::TempDir()) / "dnas_resume";
  fs::create_directories(folder);
  SmallSearch search;
  const DnasResult whole = search.Run();
  search.options.checkpoint = folder / "state.pt";
  search.options.resume = true;
  RunContext interrupted;
  interrupted.progress = std::make_shared<StopAfter>(interrupted.stop, 25);
  EXPECT_THROW(search.Run(interrupted), Error);
  const DnasResult resumed = search.Run();
  EXPECT_EQ(resumed.probabilities, whole.probabilities);
  ASSERT_EQ(resumed.history.size(), whole.history.size());
  EXPECT_EQ(resumed.history.back().weight_loss, whole.history.back().weight_loss);
  search.options.architecture_rate = 0.1;
  EXPECT_THROW(search.Run(), Error);
  fs::remove_all(folder);
}

TEST(SearchDnasTest, StopsWhenTheArgmaxIsStable) {
  SmallSearch search;
  search.options.epochs = 30;
  search.options.stable_epochs = 2;
  search.options.architecture_rate = 1.0;
  const DnasResult result = search.Run();
  EXPECT_TRUE(result.stopped_early);
  EXPECT_LT(result.history.size(), 30U);
}

TEST(SearchDnasTest, BlocksCanBeSkipped) {
  SmallSearch search;
  std::vector<BitChoice> with_skip = Product({2, 4}, {4, 8});
  with_skip.insert(with_skip.begin(), kSkip);
  search.choices.assign(search.graph.layers().size(), with_skip);
  search.problem = SizeProblem(search.graph, search.choices);
  search.options.scope = ChoiceScope::kBlock;
  search.options.epochs = 2;
  search.options.terms = {{SearchCostTerm::Kind::kAdditive, "bops", 1.0, 0.0, 0.0}};
  const DnasResult result = search.Run();
  EXPECT_EQ(result.space.skippable_blocks.size(), 1U);
  EXPECT_EQ(result.history.size(), 2U);
}

TEST(MixedPrecisionHooksTest, ASkippedBlockEqualsTheGraphWithoutIt) {
  const LayerGraph graph = BuildResNet(8, {1, 8, 8, 10}, 1);
  std::vector<BitChoice> with_skip = {BitChoice{}, kSkip};  // fp32 or nothing
  const std::vector<std::vector<BitChoice>> choices(graph.layers().size(), with_skip);
  const auto space = BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kBlock);
  ASSERT_EQ(space.skippable_blocks.size(), 1U);
  const Network network(graph);
  LearnedQuantizerOptions options;
  options.placement = Placement::kWeightsOnly;
  const LearnedQuantizers quantizers(network, space, nullptr, options, {});
  MixedPrecisionHooks hooks(network.graph(), space, quantizers);
  std::vector<std::size_t> picks(space.group_count(), 0);
  picks[space.skippable_blocks[0].group] = *space.groups[space.skippable_blocks[0].group].skip;
  hooks.SetPicks(picks);
  const at::NoGradGuard no_grad;
  const Network shorter(WithoutBranches(graph, {space.skippable_blocks[0].block}));
  const at::Tensor x = ImageBatch(SyntheticDataset(8, 3), 0, 8);
  EXPECT_TRUE(at::allclose(network.Forward(x, &hooks), shorter.Forward(x), 1e-5, 1e-6));
}

}  // namespace
}  // namespace bitsearch
