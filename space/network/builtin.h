#pragma once
// Built-in networks as LayerGraphs, freshly initialised. They take the same path as imported ones.
// Must not depend on LibTorch.

#include <cstdint>
#include <string>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// What a built-in network is fed with and returns.
struct NetworkShape {
  std::int64_t channels = 3;
  std::int64_t height = 32;
  std::int64_t width = 32;
  std::int64_t classes = 10;
};

/// A CIFAR-style residual network of 6n + 2 layers (He et al. 2016): a 3×3 stem, three stages of n
/// basic blocks with 16, 32 and 64 channels, projection shortcuts (1×1 convolution), global average
/// pooling, one linear layer. Weights are Kaiming-normal (fan out), BN is identity.
/// Input `input` N×C×H×W, output `logits` N×classes; node ids are PyTorch-like ("layer1.0.conv1").
/// Throws Error(kUsage) unless depth = 6n + 2, n ≥ 1.
LayerGraph BuildResNet(int depth, const NetworkShape& shape, std::uint64_t seed);

/// A perceptron of `hidden` layers of `width` units: Flatten, then MatMul and Add with ReLU
/// between. Input and output as BuildResNet's; layers "fc1", "fc2", …. Throws Error(kUsage) unless
/// both are at least 1.
LayerGraph BuildPerceptron(std::int64_t width, int hidden, const NetworkShape& shape,
                           std::uint64_t seed);

/// "resnet20" (any 6n + 2), "mlp1024x3" (three hidden layers of 1024 units). Throws
/// as RequireBuiltin.
LayerGraph BuildBuiltin(const std::string& name, const NetworkShape& shape, std::uint64_t seed);

/// Throws Error(kYamlChoice) for a name that BuildBuiltin does not know.
void RequireBuiltin(const std::string& name);

}  // namespace bitsearch
