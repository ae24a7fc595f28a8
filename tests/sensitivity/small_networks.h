#pragma once
// Tiny networks with random weights and random labelled images: small enough for exact Hessians and
// brute force. Torch-free.

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"
#include "space/support/random.h"

namespace bitsearch {

/// Builds graphs node by node; weights are normal with variance 2/fan-in, biases normal · 0.1.
class SmallNetworkBuilder {
 public:
  explicit SmallNetworkBuilder(std::uint64_t seed) : seed_(seed) {}

  LayerGraph graph;

  TensorIndex Op(const std::string& id, const std::string& op, std::vector<TensorIndex> inputs,
                 Shape shape, Attributes attributes = {}) {
    const TensorIndex output =
        graph.AddTensor(Tensor{id + "_out", DataType::kFloat32, std::move(shape), {}});
    Node node{id, op, "", {}, {output}, std::move(attributes)};
    for (const TensorIndex input : inputs) node.inputs.emplace_back(input);
    graph.AddNode(std::move(node));
    return output;
  }
  TensorIndex Conv(const std::string& id, TensorIndex input, std::int64_t out, std::int64_t kernel,
                   std::int64_t stride, bool bias = true) {
    const Shape in = *graph.tensor(input).shape;
    const std::int64_t pad = kernel / 2;
    Attributes attributes;
    attributes.Set("strides", std::vector<std::int64_t>{stride, stride});
    attributes.Set("pads", std::vector<std::int64_t>{pad, pad, pad, pad});
    std::vector<TensorIndex> inputs = {
        input, Weight(id + ".weight", {out, in[1], kernel, kernel}, in[1] * kernel * kernel)};
    if (bias) inputs.push_back(Weight(id + ".bias", {out}, 200));
    const auto extent = [&](std::int64_t size) { return (size + 2 * pad - kernel) / stride + 1; };
    return Op(id, "Conv", inputs, {-1, out, extent(in[2]), extent(in[3])}, std::move(attributes));
  }
  TensorIndex Linear(const std::string& id, TensorIndex input, std::int64_t out) {
    const std::int64_t in = (*graph.tensor(input).shape)[1];
    Attributes attributes;
    attributes.Set("transB", std::int64_t{1});
    return Op(id, "Gemm",
              {input, Weight(id + ".weight", {out, in}, in), Weight(id + ".bias", {out}, 200)},
              {-1, out}, std::move(attributes));
  }
  TensorIndex Relu(const std::string& id, TensorIndex input) {
    return Op(id, "Relu", {input}, *graph.tensor(input).shape);
  }
  LayerGraph Finish(TensorIndex output) {
    graph.AddOutput(output);
    graph.FindLayers();
    return std::move(graph);
  }

 private:
  TensorIndex Weight(const std::string& name, Shape shape, std::int64_t fan_in) {
    RandomStream random(seed_, "test." + name);
    std::vector<float> values(static_cast<std::size_t>(ElementCount(shape)));
    const double deviation = std::sqrt(2.0 / static_cast<double>(fan_in));
    for (float& value : values) value = static_cast<float>(deviation * random.Normal());
    return graph.AddConstant(name, TensorValue::FromFloats(std::move(shape), values));
  }

  std::uint64_t seed_;
};

/// stem → a → (+ stem) → b (stride 2, no bias) → pool → fc; four layers, 2 channels of 6×6, 5 classes.
inline LayerGraph SmallResidualNetwork(std::uint64_t seed) {
  SmallNetworkBuilder net(seed);
  TensorIndex x = net.graph.AddInput("input", DataType::kFloat32, {-1, 2, 6, 6});
  x = net.Relu("stem_relu", net.Conv("stem", x, 4, 3, 1));
  const TensorIndex a = net.Relu("a_relu", net.Conv("a", x, 4, 3, 1));
  x = net.Op("add", "Add", {a, x}, {-1, 4, 6, 6});
  x = net.Relu("b_relu", net.Conv("b", x, 6, 3, 2, /*bias=*/false));
  x = net.Op("pool", "GlobalAveragePool", {x}, {-1, 6, 1, 1});
  x = net.Op("flatten", "Flatten", {x}, {-1, 6});
  return net.Finish(net.Linear("fc", x, 5));
}

/// Two fully connected layers: 8 inputs (1×2×4 pixels) → `hidden` → 4 classes.
inline LayerGraph TwoLayerNetwork(std::uint64_t seed, std::int64_t hidden = 6) {
  SmallNetworkBuilder net(seed);
  TensorIndex x = net.graph.AddInput("input", DataType::kFloat32, {-1, 1, 2, 4});
  x = net.Op("flatten", "Flatten", {x}, {-1, 8});
  x = net.Relu("relu", net.Linear("first", x, hidden));
  return net.Finish(net.Linear("second", x, 4));
}

/// Uniformly random pixels and labels, normalised to mean 0 and variance 1.
inline Dataset RandomImages(std::int64_t count, std::int64_t channels, std::int64_t height,
                            std::int64_t width, int classes, std::uint64_t seed) {
  RandomStream random(seed, "test.images");
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * channels * height * width));
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(count));
  for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(random.Below(256));
  for (auto& label : labels) {
    label = static_cast<std::uint8_t>(random.Below(static_cast<std::uint64_t>(classes)));
  }
  return Dataset(channels, height, width, classes, std::move(pixels), std::move(labels), {0.5F},
                 {0.289F});
}

}  // namespace bitsearch
