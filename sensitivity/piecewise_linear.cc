#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "sensitivity/gauss_newton.h"

namespace bitsearch {
namespace {

constexpr auto kPiecewiseLinear = std::to_array<std::string_view>(
    {"Add",         "AveragePool", "BatchNormalization", "Cast",    "Clip",      "Concat",
     "Dropout",     "Flatten",     "GlobalAveragePool",  "Identity", "LeakyRelu", "MaxPool",
     "GlobalMaxPool", "PRelu",     "Pad",                "ReduceMean", "ReduceSum", "Relu",
     "Reshape",     "Slice",       "Split",              "Squeeze", "Sub",       "Transpose",
     "Unsqueeze",   "Upsample",    "Resize"});

constexpr auto kLinearInOneInput =
    std::to_array<std::string_view>({"Conv", "ConvTranspose", "Div", "Gemm", "MatMul", "Mul"});

bool Contains(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool HessianBlockIsGaussNewton(const LayerGraph& graph, LayerIndex index) {
  const Layer& layer = graph.layer(index);
  std::vector<bool> reached(graph.tensors().size(), false);
  reached[layer.output.value] = true;
  for (std::size_t n = layer.node.value + 1; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    std::size_t moving = 0;
    for (std::size_t slot = 0; slot < node.inputs.size(); ++slot) {
      if (!node.inputs[slot] || !reached[node.inputs[slot]->value]) continue;
      ++moving;
      // The divisor, or a second moving factor, bends the function.
      if (node.op == "Div" && slot == 1) return false;
    }
    if (moving == 0) continue;
    const bool linear = Contains(kLinearInOneInput, node.op) && moving == 1;
    if (!linear && !Contains(kPiecewiseLinear, node.op)) return false;
    for (const TensorIndex output : node.outputs) reached[output.value] = true;
    // The layer's own weight used again further on.
    for (const auto& input : node.inputs) {
      if (layer.weight && input && *input == *layer.weight) return false;
    }
  }
  return true;
}

}  // namespace bitsearch
