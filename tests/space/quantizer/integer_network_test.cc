// Integer evaluation against plain loops over int32, and against the simulation in floating point.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "space/graph/shape_inference.h"
#include "space/network/batches_torch.h"
#include "space/quantizer/integer_network_torch.h"
#include "space/support/error.h"
#include "tests/space/network/synthetic_data.h"
#include "tests/space/quantizer/recorder_torch.h"

namespace bitsearch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr NumberFormat kFp32 = NumberFormat::Float32();

BitChoice Bits(int weight, int activation) {
  return {NumberFormat::Integer(weight), NumberFormat::Integer(activation)};
}

QuantizationSpec SpecOf(Placement placement) {
  QuantizationSpec spec;
  spec.placement = placement;
  spec.calibration.clear();
  return spec;
}

struct ConvShape {
  std::int64_t batch, in, out, groups, height, width, kernel_y, kernel_x, stride, dilation;
  std::vector<std::int64_t> pads;  // y begin, x begin, y end, x end
};

std::vector<float> Normal(std::mt19937_64& random, std::int64_t count, float scale, float mean) {
  std::normal_distribution<float> normal(mean, scale);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// conv (with bias) → Relu → last (1×1), so that conv's result is requantized.
LayerGraph TwoConvs(const ConvShape& s, std::mt19937_64& random) {
  LayerGraph graph;
  const TensorIndex x = graph.AddInput("x", DataType::kFloat32, {-1, s.in, s.height, s.width});
  const Shape shape = {s.out, s.in / s.groups, s.kernel_y, s.kernel_x};
  Node conv{"conv", "Conv", "", {x}, {}, {}};
  conv.inputs.push_back(graph.AddConstant(
      "w", TensorValue::FromFloats(shape, Normal(random, ElementCount(shape), 0.3F, 0.05F))));
  conv.inputs.push_back(
      graph.AddConstant("b", TensorValue::FromFloats({s.out}, Normal(random, s.out, 1.0F, 0.0F))));
  conv.attributes.Set("kernel_shape", std::vector{s.kernel_y, s.kernel_x});
  conv.attributes.Set("strides", std::vector{s.stride, s.stride});
  conv.attributes.Set("dilations", std::vector{s.dilation, s.dilation});
  conv.attributes.Set("pads", s.pads);
  conv.attributes.Set("group", s.groups);
  const auto append = [&](Node node) {
    Tensor tensor;
    tensor.name = node.id;
    const TensorIndex index = graph.AddTensor(std::move(tensor));
    node.outputs = {index};
    graph.AddNode(std::move(node));
    return index;
  };
  const TensorIndex relu = append({"relu", "Relu", "", {append(std::move(conv))}, {}, {}});
  const TensorIndex w2 = graph.AddConstant(
      "w2", TensorValue::FromFloats({2, s.out, 1, 1}, Normal(random, 2 * s.out, 0.5F, 0.0F)));
  graph.AddOutput(append({"last", "Conv", "", {relu, w2}, {}, {}}));
  InferShapes(graph);
  graph.FindLayers();
  return graph;
}

// The accumulators of `conv` by plain loops over integers.
std::vector<std::int32_t> Accumulators(const ConvShape& s, const std::vector<float>& x,
                                       const std::vector<float>& w,
                                       const std::vector<std::int32_t>& bias, Shape* shape) {
  const auto extent = [&](std::int64_t size, std::int64_t kernel, std::int64_t pad) {
    return (size + pad - s.dilation * (kernel - 1) - 1) / s.stride + 1;
  };
  const std::int64_t rows = extent(s.height, s.kernel_y, s.pads[0] + s.pads[2]);
  const std::int64_t columns = extent(s.width, s.kernel_x, s.pads[1] + s.pads[3]);
  *shape = {s.batch, s.out, rows, columns};
  std::vector<std::int32_t> result;
  const std::int64_t in = s.in / s.groups;
  for (std::int64_t n = 0; n < s.batch; ++n) {
    for (std::int64_t o = 0; o < s.out; ++o) {
      for (std::int64_t y = 0; y < rows; ++y) {
        for (std::int64_t c = 0; c < columns; ++c) {
          std::int32_t sum = bias[static_cast<std::size_t>(o)];
          for (std::int64_t i = 0; i < in; ++i) {
            const std::int64_t plane = n * s.in + o / (s.out / s.groups) * in + i;
            for (std::int64_t ky = 0; ky < s.kernel_y; ++ky) {
              for (std::int64_t kx = 0; kx < s.kernel_x; ++kx) {
                const std::int64_t iy = y * s.stride + ky * s.dilation - s.pads[0];
                const std::int64_t ix = c * s.stride + kx * s.dilation - s.pads[1];
                if (iy < 0 || iy >= s.height || ix < 0 || ix >= s.width) continue;
                const auto at = static_cast<std::size_t>((plane * s.height + iy) * s.width + ix);
                const auto weight =
                    static_cast<std::size_t>(((o * in + i) * s.kernel_y + ky) * s.kernel_x + kx);
                sum += static_cast<std::int32_t>(x[at]) * static_cast<std::int32_t>(w[weight]);
              }
            }
          }
          result.push_back(sum);
        }
      }
    }
  }
  return result;
}

std::vector<float> ToVector(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return {dense.data_ptr<float>(), dense.data_ptr<float>() + dense.numel()};
}

AffineGrid GridOf(const CalibratedNetwork& network, const BitConfig& config,
                  const std::string& tensor) {
  for (const TensorGrid& entry : network.TensorGrids(config)) {
    if (entry.tensor == tensor) return entry.grid;
  }
  throw std::runtime_error("no grid for " + tensor);
}

TEST(IntegerNetwork, ConvolutionsEqualPlainLoopsOverIntegers) {
  std::mt19937_64 random(1);
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  const at::NoGradGuard no_grad;
  for (int round = 0; round < 60; ++round) {
    ConvShape s;
    s.groups = draw(0, 2) == 0 ? draw(2, 4) : 1;
    s.in = s.groups * draw(1, 6);
    s.out = s.groups * draw(1, 5);
    s.batch = round % 2 == 0 ? draw(1, 3) : draw(16, 20);  // LibTorch chooses kernels by batch.
    s.height = draw(7, 12);
    s.width = draw(7, 12);
    s.kernel_y = draw(1, 3);
    s.kernel_x = draw(1, 3);
    s.stride = draw(1, 2);
    s.dilation = draw(1, 2);
    s.pads = {draw(0, 2), draw(0, 2), draw(0, 2), draw(0, 2)};
    if (draw(0, 1) == 0) s.pads[2] = s.pads[0], s.pads[3] = s.pads[1];
    const LayerGraph graph = TwoConvs(s, random);
    QuantizationSpec spec = SpecOf(Placement::kInteger);
    spec.weight.symmetric = draw(0, 1) == 0;
    spec.weight.granularity = draw(0, 1) == 0 ? Granularity::kPerTensor : Granularity::kPerChannel;
    // 16 bits by 16 bits does not fit float32, nor int32 at once.
    const int weight_bits = round % 7 == 0 ? 11 : static_cast<int>(draw(2, 8));
    const int activation_bits = round % 7 == 0 ? 12 : static_cast<int>(draw(2, 8));
    const BitConfig config = BitConfig::Uniform(2, Bits(weight_bits, activation_bits));
    std::vector<TensorGrid> grids;
    const auto levels = static_cast<std::int32_t>((1 << activation_bits) - 1);
    const auto zero_point = static_cast<std::int32_t>(draw(0, levels));
    const NumberFormat format = NumberFormat::Integer(activation_bits);
    grids.push_back({"x", format, {3.0F / static_cast<float>(levels), zero_point, 0, levels}});
    grids.push_back({"relu", format, {4.0F / static_cast<float>(levels), 0, 0, levels}});
    const CalibratedNetwork network(graph, nullptr, spec, "cpu", {}, {.tensors = grids});
    IntegerHooks hooks(network, config, PrepareQuantization(network, config));
    EXPECT_TRUE(hooks.float_operators().empty());
    Recorder recorder(network.graph(), hooks);
    const at::Tensor input =
        at::from_blob(Normal(random, s.batch * s.in * s.height * s.width, 1.0F, 0.0F).data(),
                      {s.batch, s.in, s.height, s.width})
            .clone();
    network.network().Forward(input, &recorder);

    std::vector<float> steps(static_cast<std::size_t>(input.numel()));
    QuantizeToSteps(ToVector(input), steps, grids[0].grid);
    const QuantizedWeight& quantized = network.Weight(LayerIndex(0), config.choices[0].weight);
    const Shape weight_shape = {s.out, s.in / s.groups, s.kernel_y, s.kernel_x};
    const IntegerWeight weight = ToIntegers(quantized, weight_shape, 0);
    const std::span<const float> b = graph.tensor(*graph.FindTensor("b")).constant->Floats();
    std::vector<std::int32_t> bias;
    std::vector<DyadicMultiplier> multipliers;
    for (std::size_t c = 0; c < b.size(); ++c) {
      const float scale = grids[0].grid.scale * weight.scale[weight.scale.size() == 1 ? 0 : c];
      bias.push_back(QuantizeBias(b[c], scale));
      multipliers.push_back(
          ToDyadic(static_cast<double>(scale) / static_cast<double>(grids[1].grid.scale)));
    }
    Shape shape;
    const std::vector<std::int32_t> expected = Accumulators(s, steps, weight.steps, bias, &shape);
    const at::Tensor got = recorder.values.at("relu");
    ASSERT_EQ(got.sizes().vec(), shape);
    const std::vector<float> codes = ToVector(got);
    const auto plane = static_cast<std::size_t>(shape[2] * shape[3]);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const DyadicMultiplier m = multipliers[i / plane % b.size()];
      const std::int64_t exact =
          ShiftRounded(std::int64_t{expected[i]} * m.mantissa, m.shift, DyadicRounding::kHalfUp);
      ASSERT_EQ(codes[i], static_cast<float>(std::clamp<std::int64_t>(exact, 0, levels)))
          << "round " << round << " element " << i;
    }
  }
}

// x → conv1 → relu1 → conv2 ┐
//               └───────────┴ add → relu2 → pool → flat → fc
LayerGraph ResidualBlock(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  LayerGraph graph;
  const auto constant = [&](const std::string& name, const Shape& shape, float scale) {
    return graph.AddConstant(
        name, TensorValue::FromFloats(shape, Normal(random, ElementCount(shape), scale, 0.0F)));
  };
  const auto append = [&](const std::string& id, const std::string& op,
                          std::vector<std::optional<TensorIndex>> inputs) {
    Tensor tensor;
    tensor.name = id;
    Node node{id, op, "", std::move(inputs), {graph.AddTensor(std::move(tensor))}, {}};
    if (op == "Conv") node.attributes.Set("pads", std::vector<std::int64_t>{1, 1, 1, 1});
    const TensorIndex output = node.outputs[0];
    graph.AddNode(std::move(node));
    return output;
  };
  const TensorIndex x = graph.AddInput("x", DataType::kFloat32, {-1, 1, 8, 8});
  const TensorIndex conv1 =
      append("conv1", "Conv", {x, constant("w1", {6, 1, 3, 3}, 0.4F), constant("b1", {6}, 0.3F)});
  const TensorIndex relu1 = append("relu1", "Relu", {conv1});
  const TensorIndex conv2 = append(
      "conv2", "Conv", {relu1, constant("w2", {6, 6, 3, 3}, 0.2F), constant("b2", {6}, 0.3F)});
  const TensorIndex add = append("add", "Add", {conv2, relu1});
  const TensorIndex relu2 = append("relu2", "Relu", {add});
  const TensorIndex pool = append("pool", "GlobalAveragePool", {relu2});
  const TensorIndex flat = append("flat", "Flatten", {pool});
  graph.AddOutput(
      append("fc", "Gemm", {flat, constant("w3", {6, 10}, 0.5F), constant("b3", {10}, 0.3F)}));
  InferShapes(graph);
  graph.FindLayers();
  return graph;
}

TEST(IntegerNetwork, ResidualBlockByHand) {
  const at::NoGradGuard no_grad;
  const Dataset images = SyntheticDataset(64, 3);
  const CalibratedNetwork network(ResidualBlock(1), &images, SpecOf(Placement::kInteger), "cpu",
                                  {});
  const BitConfig config = BitConfig::Uniform(3, Bits(8, 8));
  IntegerHooks hooks(network, config, PrepareQuantization(network, config));
  EXPECT_THAT(hooks.float_operators(), ElementsAre());
  EXPECT_EQ(hooks.operator_count(), 8U);
  Recorder recorder(network.graph(), hooks);
  const at::Tensor logits = network.network().Forward(ImageBatch(images, 0, 64), &recorder);

  const AffineGrid left = GridOf(network, config, "conv2");
  const AffineGrid right = GridOf(network, config, "relu1");
  const AffineGrid sum = GridOf(network, config, "relu2");
  EXPECT_NE(left.zero_point, 0) << "in front of the addition values have both signs";
  EXPECT_EQ(right.zero_point, 0);
  const std::vector<float> a = ToVector(recorder.values.at("conv2"));
  const std::vector<float> b = ToVector(recorder.values.at("relu1"));
  const std::vector<float> added = ToVector(recorder.values.at("add"));
  const double scale = sum.scale;
  const std::vector<DyadicMultiplier> m =
      ToCommonDyadic(std::vector{left.scale / scale, right.scale / scale});
  int differing = 0;
  for (std::size_t i = 0; i < added.size(); ++i) {
    const std::int64_t exact = static_cast<std::int64_t>(a[i]) * m[0].mantissa +
                               static_cast<std::int64_t>(b[i]) * m[1].mantissa;
    const auto code = std::clamp<std::int64_t>(
        (exact + (std::int64_t{1} << (m[0].shift - 1))) >> m[0].shift, 0, 255);
    ASSERT_EQ(added[i], static_cast<float>(code));
    const double real =
        (static_cast<double>(a[i]) * left.scale + static_cast<double>(b[i]) * right.scale) / scale;
    const double rounded = std::clamp(std::nearbyint(real), 0.0, 255.0);
    ASSERT_LE(std::fabs(added[i] - rounded), 1.0);
    if (added[i] != rounded) ++differing;
  }
  EXPECT_LE(differing, 2) << "of " << added.size() << " sums";

  // The mean of 64 codes, halves to even; Flatten moves it on; the logits are real.
  const AffineGrid mean = GridOf(network, config, "pool");
  EXPECT_EQ(mean, GridOf(network, config, "flat"));
  const std::vector<float> codes = ToVector(recorder.values.at("relu2"));
  const std::vector<float> means = ToVector(recorder.values.at("flat"));
  for (std::size_t i = 0; i < means.size(); ++i) {
    std::int64_t total = 0;
    for (std::size_t k = 0; k < 64; ++k) total += static_cast<std::int64_t>(codes[64 * i + k]);
    const DyadicMultiplier multiplier = ToDyadic(sum.scale / (64.0 * mean.scale));
    ASSERT_EQ(
        means[i],
        static_cast<float>(std::clamp<std::int64_t>(
            ShiftRounded(total * multiplier.mantissa, multiplier.shift, DyadicRounding::kHalfEven),
            0, 255)));
  }
  EXPECT_LT(
      (logits - network.network().Forward(ImageBatch(images, 0, 64))).abs().max().item<float>(),
      0.2F);
}

TEST(IntegerNetwork, BiasesAreIntegersOnTheProductsScale) {
  const Dataset images = SyntheticDataset(64, 3);
  for (const bool corrected : {false, true}) {
    QuantizationSpec spec = SpecOf(Placement::kRuntime);
    if (!corrected) spec.calibration.clear();
    const CalibratedNetwork network(ResidualBlock(1), &images, spec, "cpu", {});
    const BitConfig config = BitConfig::Uniform(3, Bits(4, 8));
    const QuantizationHooks hooks = PrepareQuantization(network, config);
    const std::vector<std::string> inputs = {"x", "relu1", "flat"};
    for (std::size_t l = 0; l < 3; ++l) {
      const Layer& layer = network.graph().layers()[l];
      const auto& node = hooks.nodes[layer.node.value];
      const QuantizedWeight& weight = network.Weight(LayerIndex(l), NumberFormat::Integer(4));
      const float input_scale = GridOf(network, config, inputs[l]).scale;
      const std::vector<float> bias = ToVector(node.bias);
      const auto original = network.graph().tensor(*layer.bias).constant->Floats();
      ASSERT_EQ(node.integer_bias.size(), bias.size());
      for (std::size_t c = 0; c < bias.size(); ++c) {
        const float scale = input_scale * weight.grids[c].scale;
        EXPECT_EQ(bias[c], static_cast<float>(node.integer_bias[c]) * scale);
        if (!corrected) {
          EXPECT_LE(std::fabs(bias[c] - original[c]), 0.5001F * scale);
        }
      }
    }
  }
}

TEST(IntegerNetwork, WhatHasNoIntegerFormRunsInFloatAndIsNamed) {
  const at::NoGradGuard no_grad;
  const Dataset images = SyntheticDataset(64, 3);
  QuantizationSpec spec = SpecOf(Placement::kInteger);
  spec.weight.granularity = Granularity::kPerGroup;
  spec.weight.group_size = 9;
  const LayerGraph graph = ResidualBlock(1);
  const CalibratedNetwork network(graph, &images, spec, "cpu", {});
  BitConfig config = BitConfig::Uniform(3, Bits(8, 8));
  IntegerHooks hooks(network, config, PrepareQuantization(network, config));
  // conv1 has 9 weights per channel, so its groups are its channels; fc has 6.
  EXPECT_THAT(hooks.float_operators(), ElementsAre("Conv conv2"));
  const at::Tensor input = ImageBatch(images, 0, 64);
  QuantizationHooks simulated = PrepareQuantization(network, config);
  EXPECT_LT(
      (network.network().Forward(input, &hooks) - network.network().Forward(input, &simulated))
          .abs()
          .max()
          .item<float>(),
      0.05F);

  spec.weight = {};
  const CalibratedNetwork plain(graph, &images, spec, "cpu", {});
  config.choices[1].weight = kFp32;
  IntegerHooks mixed(plain, config, PrepareQuantization(plain, config));
  EXPECT_THAT(mixed.float_operators(), ElementsAre("Conv conv2", "Add add", "Relu relu2",
                                                   "GlobalAveragePool pool", "Flatten flat"));
  QuantizationHooks half = PrepareQuantization(plain, config);
  EXPECT_LT((plain.network().Forward(input, &mixed) - plain.network().Forward(input, &half))
                .abs()
                .max()
                .item<float>(),
            0.05F);
}

TEST(IntegerNetwork, StoredGridsTakeThePlaceOfCalibration) {
  const Dataset images = SyntheticDataset(64, 3);
  for (const Placement placement : {Placement::kRuntime, Placement::kInteger}) {
    const CalibratedNetwork measured(ResidualBlock(1), &images, SpecOf(placement), "cpu", {});
    const BitConfig config = BitConfig::Uniform(3, Bits(4, 5));
    const CalibratedNetwork stored(ResidualBlock(1), nullptr, SpecOf(placement), "cpu", {},
                                   {.tensors = measured.TensorGrids(config)});
    PtqEvaluator a(measured, images, {});
    PtqEvaluator b(stored, images, {});
    EXPECT_EQ(a.Evaluate(std::span(&config, 1))[0].loss_nats,
              b.Evaluate(std::span(&config, 1))[0].loss_nats);
    const BitConfig other = BitConfig::Uniform(3, Bits(4, 6));
    try {
      b.Evaluate(std::span(&other, 1));
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("--calibration"));
    }
  }
}

}  // namespace
}  // namespace bitsearch
