// Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

namespace bitsearch {
namespace {

std::string ShapeText(const std::optional<Shape>& shape) {
  return shape ? ToString(*shape) : std::string("unknown");
}

/// Characters, not bytes: names may hold any UTF-8.
std::size_t DisplayWidth(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

/// Columns padded to their widest cell; numbers right-aligned.
std::string Aligned(const std::vector<std::vector<std::string>>& rows,
                    const std::vector<bool>& right) {
  std::vector<std::size_t> widths(right.size(), 0);
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], DisplayWidth(row[c]));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string padding(widths[c] - DisplayWidth(row[c]), ' ');
      line += (c > 0 ? "  " : "") + (right[c] ? padding + row[c] : row[c] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string_view NameOf(TieKind kind) {
  switch (kind) {
    case TieKind::kBoth:
      return "both";
    case TieKind::kWeight:
      return "weight";
    case TieKind::kActivation:
      return "activation";
  }
  return "";
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + "\"";
}

/// What hinders a Conv, ConvTranspose, Gemm or MatMul from being a layer.
std::string ReasonFor(const LayerGraph& graph, const Node& node) {
  const auto fact = [&](std::size_t slot) -> const Tensor* {
    if (slot >= node.inputs.size() || !node.inputs[slot]) return nullptr;
    return &graph.tensor(*node.inputs[slot]);
  };
  const Tensor* left = fact(0);
  const Tensor* right = fact(1);
  if (left == nullptr || right == nullptr) return "an input is absent";
  if (left->constant && right->constant) return "both inputs are constant";
  if (left->type != DataType::kFloat32 || right->type != DataType::kFloat32) {
    return fmt::format("it computes in {} and {}", NameOf(left->type), NameOf(right->type));
  }
  if (node.op == "Einsum") return "Einsum has no integer kernel; write it as MatMul";
  if (!right->constant) return "its weight is computed at run time";
  return "its weight has an unexpected shape " + ToString(right->constant->shape());
}

}  // namespace

std::vector<SkippedLayer> FindSkippedLayers(const LayerGraph& graph) {
  static constexpr std::array<std::string_view, 5> kProducts = {"Conv", "ConvTranspose", "Gemm",
                                                                "MatMul", "Einsum"};
  std::vector<bool> is_layer(graph.nodes().size(), false);
  for (const Layer& layer : graph.layers()) is_layer[layer.node.value] = true;
  std::vector<SkippedLayer> skipped;
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (is_layer[n] || std::find(kProducts.begin(), kProducts.end(), node.op) == kProducts.end()) {
      continue;
    }
    skipped.push_back({NodeIndex(n), ReasonFor(graph, node)});
  }
  return skipped;
}

std::string DescribeLayers(const LayerGraph& graph, const std::vector<TieGroup>& ties) {
  std::map<LayerIndex, std::string> tied;
  for (std::size_t g = 0; g < ties.size(); ++g) {
    for (const LayerIndex layer : ties[g].layers) {
      std::string& text = tied[layer];
      text += (text.empty() ? "" : " ") + fmt::format("t{}", g + 1);
    }
  }
  std::vector<std::vector<std::string>> rows = {
      {"#", "layer", "op", "weight", "input", "output", "parameters", "MACs", "ties"}};
  std::int64_t parameters = 0;
  std::int64_t macs = 0;
  bool macs_known = true;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    parameters += layer.parameter_count;
    macs += layer.macs;
    macs_known &= layer.macs > 0;
    rows.push_back({std::to_string(l), layer.id, layer.op,
                    layer.weight ? ToString(graph.tensor(*layer.weight).constant->shape()) : "-",
                    ShapeText(graph.tensor(layer.input).shape),
                    ShapeText(graph.tensor(layer.output).shape),
                    std::to_string(layer.parameter_count),
                    layer.macs > 0 ? std::to_string(layer.macs) : "?", tied[LayerIndex(l)]});
  }
  std::string text = Aligned(rows, {true, false, false, false, false, false, true, true, false});
  text += fmt::format("\n{} layers, {} weights, {}{} multiply-accumulates per sample\n",
                      graph.layers().size(), parameters, macs_known ? "" : "at least ", macs);
  if (!macs_known) {
    text += "MACs marked ? need the extents that the model leaves open: give the input's shape\n";
  }
  for (const SkippedLayer& skipped : FindSkippedLayers(graph)) {
    const Node& node = graph.node(skipped.node);
    text += fmt::format("not quantizable: {} ({}): {}\n", node.id, node.op, skipped.reason);
  }
  for (std::size_t g = 0; g < ties.size(); ++g) {
    text += fmt::format("t{} ties the {} bits of", g + 1, NameOf(ties[g].kind));
    for (std::size_t i = 0; i < ties[g].layers.size(); ++i) {
      text += (i > 0 ? ", " : " ") + graph.layer(ties[g].layers[i]).id;
    }
    text += fmt::format(" ({})\n", ties[g].name);
  }
  return text;
}

std::string DescribeAsDot(const LayerGraph& graph) {
  std::vector<bool> is_layer(graph.nodes().size(), false);
  for (const Layer& layer : graph.layers()) is_layer[layer.node.value] = true;
  std::string dot = "digraph network {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    dot += fmt::format("  in{} [label={}, shape=ellipse];\n", i,
                       Quoted(graph.tensor(graph.inputs()[i]).name));
  }
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    std::string label = Quoted(node.op);
    label.insert(label.size() - 1, "\\n" + Quoted(node.id).substr(1, Quoted(node.id).size() - 2));
    dot += fmt::format("  n{} [label={}{}];\n", n, label,
                       is_layer[n] ? ", style=filled, fillcolor=lightblue" : "");
  }
  const auto edges = [&](const std::string& from, TensorIndex tensor) {
    for (const NodeIndex reader : graph.Consumers(tensor)) {
      dot += fmt::format("  {} -> n{} [label={}];\n", from, reader.value,
                         Quoted(ShapeText(graph.tensor(tensor).shape)));
    }
  };
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    edges(fmt::format("in{}", i), graph.inputs()[i]);
  }
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    for (const TensorIndex output : graph.nodes()[n].outputs) edges(fmt::format("n{}", n), output);
  }
  for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
    const Tensor& tensor = graph.tensor(graph.outputs()[i]);
    dot += fmt::format("  out{} [label={}, shape=ellipse];\n", i, Quoted(tensor.name));
    if (const std::optional<NodeIndex> producer = graph.producer(graph.outputs()[i])) {
      dot += fmt::format("  n{} -> out{} [label={}];\n", producer->value, i,
                         Quoted(ShapeText(tensor.shape)));
    }
  }
  return dot + "}\n";
}

}  // namespace bitsearch
