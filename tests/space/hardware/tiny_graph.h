#pragma once
// A residual block with a stem and a classifier, built in code with its shapes: what the tests of
// this room measure, cost and connect.

#include <string>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Builds graphs node by node with known shapes.
class GraphBuilder {
 public:
  LayerGraph graph;

  TensorIndex Input(const std::string& name, Shape shape) {
    const TensorIndex tensor = graph.AddInput(name, DataType::kFloat32, shape);
    graph.SetSampleShape(tensor, shape);
    return tensor;
  }
  TensorIndex Weight(const std::string& name, Shape shape) {
    const std::vector<float> values(static_cast<std::size_t>(ElementCount(shape)), 0.5f);
    return graph.AddConstant(name, TensorValue::FromFloats(shape, values));
  }
  /// A node with one output of `shape`, which is named `<id>_out`.
  TensorIndex Op(const std::string& id, const std::string& op, std::vector<TensorIndex> inputs,
                 Shape shape, Attributes attributes = {}) {
    Tensor tensor;
    tensor.name = id + "_out";
    tensor.shape = shape;
    tensor.sample_shape = shape;
    const TensorIndex output = graph.AddTensor(std::move(tensor));
    Node node;
    node.id = id;
    node.op = op;
    for (const TensorIndex input : inputs) node.inputs.emplace_back(input);
    node.outputs = {output};
    node.attributes = std::move(attributes);
    graph.AddNode(std::move(node));
    return output;
  }
  /// A square convolution over H×W with bias, pads kernel/2.
  TensorIndex Conv(const std::string& id, TensorIndex input, std::int64_t in, std::int64_t out,
                   std::int64_t size, std::int64_t kernel, std::int64_t stride,
                   std::int64_t groups = 1) {
    Attributes attributes;
    const std::int64_t pad = kernel / 2;
    attributes.Set("strides", std::vector<std::int64_t>{stride, stride});
    attributes.Set("pads", std::vector<std::int64_t>{pad, pad, pad, pad});
    attributes.Set("group", groups);
    const std::int64_t out_size = (size + 2 * pad - kernel) / stride + 1;
    const TensorIndex weight = Weight(id + ".weight", {out, in / groups, kernel, kernel});
    const TensorIndex bias = Weight(id + ".bias", {out});
    return Op(id, "Conv", {input, weight, bias}, {1, out, out_size, out_size},
              std::move(attributes));
  }
};

/// input 1×3×8×8 → stem Conv 3→4 → Relu → [a: Conv 4→8 stride 2 → Relu → b: Conv 8→8] + [down: 1×1
/// stride 2] → Add → Relu → GlobalAveragePool → Flatten → fc: Gemm 8→10.
inline LayerGraph TinyResidualGraph() {
  GraphBuilder build;
  const TensorIndex input = build.Input("input", {1, 3, 8, 8});
  TensorIndex x = build.Conv("stem", input, 3, 4, 8, 3, 1);
  x = build.Op("stem_relu", "Relu", {x}, {1, 4, 8, 8});
  TensorIndex y = build.Conv("a", x, 4, 8, 8, 3, 2);
  y = build.Op("a_relu", "Relu", {y}, {1, 8, 4, 4});
  y = build.Conv("b", y, 8, 8, 4, 3, 1);
  const TensorIndex skip = build.Conv("down", x, 4, 8, 8, 1, 2);
  x = build.Op("add", "Add", {y, skip}, {1, 8, 4, 4});
  x = build.Op("add_relu", "Relu", {x}, {1, 8, 4, 4});
  x = build.Op("pool", "GlobalAveragePool", {x}, {1, 8, 1, 1});
  x = build.Op("flatten", "Flatten", {x}, {1, 8});
  Attributes gemm;
  gemm.Set("transB", std::int64_t{1});
  const TensorIndex weight = build.Weight("fc.weight", {10, 8});
  const TensorIndex bias = build.Weight("fc.bias", {10});
  x = build.Op("fc", "Gemm", {x, weight, bias}, {1, 10}, std::move(gemm));
  build.graph.AddOutput(x);
  build.graph.FindLayers();
  return std::move(build.graph);
}

}  // namespace bitsearch
