#include "space/network/builtin.h"

#include <cmath>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

// Appends operators to a graph, tracking shapes so that MACs are known at once.
class NetworkBuilder {
 public:
  NetworkBuilder(std::string name, std::uint64_t seed) : seed_(seed) {
    graph_.name = std::move(name);
  }

  TensorIndex Input(const NetworkShape& shape) {
    return graph_.AddInput("input", DataType::kFloat32,
                           {-1, shape.channels, shape.height, shape.width});
  }

  TensorIndex Conv(const std::string& id, TensorIndex input, std::int64_t out, std::int64_t kernel,
                   std::int64_t stride) {
    const Shape in = *graph_.tensor(input).shape;
    const std::int64_t pad = kernel / 2;
    const double deviation = std::sqrt(2.0 / static_cast<double>(out * kernel * kernel));
    const TensorIndex weight =
        graph_.AddConstant(id + ".weight", Normal(id, {out, in[1], kernel, kernel}, deviation));
    Node node{id, "Conv", "", {input, weight}, {}, {}};
    node.attributes.Set("kernel_shape", std::vector<std::int64_t>{kernel, kernel});
    node.attributes.Set("strides", std::vector<std::int64_t>{stride, stride});
    node.attributes.Set("pads", std::vector<std::int64_t>{pad, pad, pad, pad});
    node.attributes.Set("dilations", std::vector<std::int64_t>{1, 1});
    node.attributes.Set("group", std::int64_t{1});
    const auto extent = [&](std::int64_t size) { return (size + 2 * pad - kernel) / stride + 1; };
    return Append(std::move(node), {-1, out, extent(in[2]), extent(in[3])});
  }

  TensorIndex BatchNorm(const std::string& id, TensorIndex input) {
    const Shape shape = *graph_.tensor(input).shape;
    const std::vector<float> ones(static_cast<std::size_t>(shape[1]), 1.0F);
    const std::vector<float> zeros(static_cast<std::size_t>(shape[1]), 0.0F);
    const auto add = [&](const char* suffix, const std::vector<float>& values) {
      return graph_.AddConstant(id + suffix, TensorValue::FromFloats({shape[1]}, values));
    };
    Node node{id, "BatchNormalization", "", {input}, {}, {}};
    node.inputs.push_back(add(".weight", ones));
    node.inputs.push_back(add(".bias", zeros));
    node.inputs.push_back(add(".running_mean", zeros));
    node.inputs.push_back(add(".running_var", ones));
    node.attributes.Set("epsilon", 1e-5F);
    node.attributes.Set("momentum", 0.9F);
    return Append(std::move(node), shape);
  }

  TensorIndex Unary(const std::string& id, const char* op, TensorIndex input, Shape shape) {
    return Append(Node{id, op, "", {input}, {}, {}}, std::move(shape));
  }

  TensorIndex Relu(const std::string& id, TensorIndex input) {
    return Unary(id, "Relu", input, *graph_.tensor(input).shape);
  }

  TensorIndex Add(const std::string& id, TensorIndex a, TensorIndex b) {
    return Append(Node{id, "Add", "", {a, b}, {}, {}}, *graph_.tensor(a).shape);
  }

  TensorIndex Linear(const std::string& id, TensorIndex input, std::int64_t out) {
    const std::int64_t in = (*graph_.tensor(input).shape)[1];
    const double bound = 1.0 / std::sqrt(static_cast<double>(in));
    const TensorIndex weight = graph_.AddConstant(id + ".weight", Uniform(id, {out, in}, bound));
    const TensorIndex bias = graph_.AddConstant(
        id + ".bias",
        TensorValue::FromFloats({out}, std::vector<float>(static_cast<std::size_t>(out), 0.0F)));
    Node node{id, "Gemm", "", {input, weight, bias}, {}, {}};
    node.attributes.Set("transB", std::int64_t{1});
    return Append(std::move(node), {-1, out}, "logits");
  }

  /// x · W + b as exporters write a linear layer on batches: a MatMul and an addition.
  TensorIndex MatMul(const std::string& id, TensorIndex input, std::int64_t out,
                     std::string output_name = "") {
    const std::int64_t in = (*graph_.tensor(input).shape)[1];
    const double deviation = std::sqrt(2.0 / static_cast<double>(in));
    const TensorIndex weight = graph_.AddConstant(id + ".weight", Normal(id, {in, out}, deviation));
    const TensorIndex product = Append(Node{id, "MatMul", "", {input, weight}, {}, {}}, {-1, out});
    const TensorIndex bias = graph_.AddConstant(
        id + ".bias",
        TensorValue::FromFloats({out}, std::vector<float>(static_cast<std::size_t>(out), 0.0F)));
    return Append(Node{id + ".add", "Add", "", {product, bias}, {}, {}}, {-1, out},
                  std::move(output_name));
  }

  LayerGraph Finish(TensorIndex output) {
    graph_.AddOutput(output);
    graph_.FindLayers();
    return std::move(graph_);
  }

 private:
  TensorIndex Append(Node node, Shape shape, std::string tensor_name = "") {
    if (tensor_name.empty()) tensor_name = node.id + "_out";
    const TensorIndex output =
        graph_.AddTensor(Tensor{std::move(tensor_name), DataType::kFloat32, std::move(shape), {}});
    node.outputs = {output};
    graph_.AddNode(std::move(node));
    return output;
  }

  TensorValue Normal(const std::string& id, Shape shape, double deviation) const {
    RandomStream random(seed_, "init." + id);
    std::vector<float> values(static_cast<std::size_t>(ElementCount(shape)));
    for (float& value : values) value = static_cast<float>(deviation * random.Normal());
    return TensorValue::FromFloats(std::move(shape), values);
  }

  TensorValue Uniform(const std::string& id, Shape shape, double bound) const {
    RandomStream random(seed_, "init." + id);
    std::vector<float> values(static_cast<std::size_t>(ElementCount(shape)));
    for (float& value : values) value = static_cast<float>(bound * (2.0 * random.Uniform() - 1.0));
    return TensorValue::FromFloats(std::move(shape), values);
  }

  LayerGraph graph_;
  std::uint64_t seed_;
};

}  // namespace

LayerGraph BuildResNet(int depth, const NetworkShape& shape, std::uint64_t seed) {
  if (depth < 8 || (depth - 2) % 6 != 0) {
    throw Error(ErrorId::kUsage,
                "a CIFAR-style ResNet has 6n + 2 layers, got " + std::to_string(depth))
        .Hint("use 8, 14, 20, 32, 44, 56 or 110");
  }
  const int blocks = (depth - 2) / 6;
  NetworkBuilder net("resnet" + std::to_string(depth), seed);
  TensorIndex x = net.Input(shape);
  x = net.Relu("relu", net.BatchNorm("bn1", net.Conv("conv1", x, 16, 3, 1)));
  std::int64_t channels = 16;
  for (int stage = 0; stage < 3; ++stage) {
    const std::int64_t out = std::int64_t{16} << stage;
    for (int block = 0; block < blocks; ++block) {
      const std::string id =
          "layer" + std::to_string(stage + 1) + "." + std::to_string(block) + ".";
      const std::int64_t stride = (stage > 0 && block == 0) ? 2 : 1;
      TensorIndex y = net.BatchNorm(id + "bn1", net.Conv(id + "conv1", x, out, 3, stride));
      y = net.Relu(id + "relu1", y);
      y = net.BatchNorm(id + "bn2", net.Conv(id + "conv2", y, out, 3, 1));
      TensorIndex skip = x;
      if (stride != 1 || channels != out) {
        skip = net.BatchNorm(id + "shortcut.bn", net.Conv(id + "shortcut", x, out, 1, stride));
      }
      x = net.Relu(id + "relu2", net.Add(id + "add", y, skip));
      channels = out;
    }
  }
  x = net.Unary("avgpool", "GlobalAveragePool", x, {-1, channels, 1, 1});
  x = net.Unary("flatten", "Flatten", x, {-1, channels});
  return net.Finish(net.Linear("fc", x, shape.classes));
}

LayerGraph BuildPerceptron(std::int64_t width, int hidden, const NetworkShape& shape,
                           std::uint64_t seed) {
  if (width < 1 || hidden < 1) {
    throw Error(ErrorId::kUsage, "a perceptron has at least one hidden layer of one unit");
  }
  NetworkBuilder net("mlp" + std::to_string(width) + "x" + std::to_string(hidden), seed);
  const std::int64_t elements = shape.channels * shape.height * shape.width;
  TensorIndex x = net.Unary("flatten", "Flatten", net.Input(shape), {-1, elements});
  for (int layer = 1; layer <= hidden; ++layer) {
    const std::string index = std::to_string(layer);
    x = net.Relu("relu" + index, net.MatMul("fc" + index, x, width));
  }
  return net.Finish(net.MatMul("fc" + std::to_string(hidden + 1), x, shape.classes, "logits"));
}

namespace {

struct BuiltinName {
  int depth = 0;  ///< Of a residual network; else 0.
  std::int64_t width = 0;
  int hidden = 0;
};

BuiltinName Parse(const std::string& name) {
  static const std::regex kResNet("resnet([1-9][0-9]{0,3})");
  static const std::regex kPerceptron("mlp([1-9][0-9]{0,3})x([1-9])");
  std::smatch match;
  if (std::regex_match(name, match, kResNet)) {
    const int depth = std::stoi(match[1]);
    if (depth >= 8 && depth % 6 == 2) return {depth};
  } else if (std::regex_match(name, match, kPerceptron)) {
    return {0, std::stoi(match[1]), std::stoi(match[2])};
  }
  throw Error(
      ErrorId::kYamlChoice,
      "got \"" + name +
          "\", allowed resnet8, resnet14, resnet20, … (6n + 2 layers), mlp1024x3, … (hidden "
          "units x hidden layers)")
      .Hint("did you mean \"" + std::string(name.starts_with("m") ? "mlp1024x3" : "resnet20") +
            "\"?");
}

}  // namespace

void RequireBuiltin(const std::string& name) { Parse(name); }

LayerGraph BuildBuiltin(const std::string& name, const NetworkShape& shape, std::uint64_t seed) {
  const BuiltinName parsed = Parse(name);
  if (parsed.depth > 0) return BuildResNet(parsed.depth, shape, seed);
  return BuildPerceptron(parsed.width, parsed.hidden, shape, seed);
}

}  // namespace bitsearch
