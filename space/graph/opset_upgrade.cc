// One function per kind of change, and a table of which operator changed how in which opset.
// Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/opset_upgrade.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {
namespace {

Error NoEqualForm(const Node& node, std::int64_t from, std::int64_t to, const std::string& why) {
  return Error(ErrorId::kOperatorUnsupported, "operator " + node.op + " of opset " +
                                                  std::to_string(from) + " has no equal form in " +
                                                  std::to_string(to) + ": " + why)
      .Key(node.id)
      .Hint("export the float model with opset " + std::to_string(to) + " and start from that");
}

/// What an upgrade function is given: one node of the graph and the two opsets.
struct Upgrade {
  LayerGraph& graph;
  NodeIndex index;
  std::int64_t from;
  std::int64_t to;

  const Node& node() const { return graph.node(index); }
  bool HasInput(std::size_t slot) const {
    return slot < node().inputs.size() && node().inputs[slot].has_value();
  }
  void DropAttribute(const std::string& name) const {
    Attributes kept;
    for (const auto& [key, value] : node().attributes.values()) {
      if (key != name) kept.Set(key, value);
    }
    graph.SetAttributes(index, std::move(kept));
  }
  void SetAttribute(const std::string& name, AttributeValue value) const {
    Attributes changed = node().attributes;
    changed.Set(name, std::move(value));
    graph.SetAttributes(index, std::move(changed));
  }
  void SetConstantInput(std::size_t slot, const std::string& what, TensorValue value) const {
    std::string name = node().id + "_" + what;
    while (graph.FindTensor(name)) name += "'";
    graph.SetNodeInput(index, slot, graph.AddConstant(name, std::move(value)));
  }
  /// A list of integers that was an attribute and became an input.
  void MoveInts(const std::string& name, std::size_t slot) const {
    if (!node().attributes.Has(name)) return;
    const std::vector<std::int64_t> values = node().attributes.Ints(name);
    const Shape shape = {static_cast<std::int64_t>(values.size())};
    SetConstantInput(slot, name, TensorValue::FromInt64s(shape, values));
    DropAttribute(name);
  }
  /// A float that was an attribute and became a scalar input.
  void MoveFloat(const std::string& name, std::size_t slot) const {
    if (!node().attributes.Has(name)) return;
    const float value = node().attributes.Float(name, 0.0F);
    SetConstantInput(slot, name, TensorValue::FromFloats({}, std::span(&value, 1)));
    DropAttribute(name);
  }
};

void ClipTo11(const Upgrade& upgrade) {
  upgrade.MoveFloat("min", 1);
  upgrade.MoveFloat("max", 2);
}

void PadTo11(const Upgrade& upgrade) {
  upgrade.MoveInts("pads", 1);
  upgrade.MoveFloat("value", 2);
}

void SliceTo10(const Upgrade& upgrade) {
  upgrade.MoveInts("starts", 1);
  upgrade.MoveInts("ends", 2);
  upgrade.MoveInts("axes", 3);
}

void AxesToInput(const Upgrade& upgrade) { upgrade.MoveInts("axes", 1); }

void SplitTo13(const Upgrade& upgrade) { upgrade.MoveInts("split", 1); }

void SplitTo18(const Upgrade& upgrade) {
  if (upgrade.HasInput(1) || upgrade.node().attributes.Has("num_outputs")) return;
  upgrade.SetAttribute("num_outputs", static_cast<std::int64_t>(upgrade.node().outputs.size()));
}

void TopKTo10(const Upgrade& upgrade) {
  if (!upgrade.node().attributes.Has("k")) return;
  const std::int64_t k = upgrade.node().attributes.Int("k", 1);
  upgrade.SetConstantInput(1, "k", TensorValue::FromInt64s({1}, std::span(&k, 1)));
  upgrade.DropAttribute("k");
}

void DropoutTo12(const Upgrade& upgrade) { upgrade.DropAttribute("ratio"); }

/// Before opset 13 softmax ran over all axes from `axis` on, flattened.
void SoftmaxTo13(const Upgrade& upgrade) {
  const std::optional<Shape>& shape = upgrade.graph.tensor(*upgrade.node().inputs[0]).shape;
  const std::int64_t given = upgrade.node().attributes.Int("axis", 1);
  if (!shape) {
    throw NoEqualForm(upgrade.node(), upgrade.from, upgrade.to, "its input's rank is not known");
  }
  const auto rank = static_cast<std::int64_t>(shape->size());
  const std::int64_t first = given < 0 ? given + rank : given;
  std::int64_t axis = std::max<std::int64_t>(0, rank - 1);
  int wide = 0;
  for (std::int64_t a = first; a < rank; ++a) {
    if ((*shape)[static_cast<std::size_t>(a)] == 1) continue;
    axis = a;
    ++wide;
  }
  if (wide > 1) {
    throw NoEqualForm(upgrade.node(), upgrade.from, upgrade.to,
                      "it runs over " + std::to_string(wide) + " axes at once");
  }
  upgrade.SetAttribute("axis", axis);
}

/// Opset 10 had (X, scales) and the asymmetric, flooring rule; 11 names the rule, and has a roi.
void ResizeTo11(const Upgrade& upgrade) {
  const std::optional<TensorIndex> scales = upgrade.node().inputs.at(1);
  upgrade.graph.SetNodeInput(upgrade.index, 1, std::nullopt);
  upgrade.graph.SetNodeInput(upgrade.index, 2, scales);
  upgrade.SetAttribute("coordinate_transformation_mode", std::string("asymmetric"));
  upgrade.SetAttribute("nearest_mode", std::string("floor"));
}

void ResizeTo13(const Upgrade& upgrade) {
  if (upgrade.node().attributes.String("coordinate_transformation_mode", "") ==
      "tf_half_pixel_for_nn") {
    throw NoEqualForm(upgrade.node(), upgrade.from, upgrade.to,
                      "tf_half_pixel_for_nn was taken out of the standard");
  }
}

void UpsampleToResize(const Upgrade& upgrade) {
  const std::string mode = upgrade.node().attributes.String("mode", "nearest");
  std::optional<TensorIndex> scales;
  if (upgrade.HasInput(1)) {
    scales = upgrade.node().inputs[1];
  } else {
    const std::vector<float> values = upgrade.node().attributes.Floats("scales");
    const Shape shape = {static_cast<std::int64_t>(values.size())};
    scales = upgrade.graph.AddConstant(upgrade.node().id + "_scales",
                                       TensorValue::FromFloats(shape, values));
  }
  upgrade.graph.ReplaceOperator(upgrade.index, "Resize");
  upgrade.graph.SetNodeInput(upgrade.index, 1, scales);
  upgrade.SetAttribute("mode", mode);
}

/// Opset 18 scaled per group; opset 21 corrected that to per channel.
void GroupNormalizationTo21(const Upgrade& upgrade) {
  const std::optional<Shape>& shape = upgrade.graph.tensor(*upgrade.node().inputs[0]).shape;
  const auto groups = static_cast<std::size_t>(upgrade.node().attributes.Int("num_groups", 1));
  if (!shape || shape->size() < 2 || (*shape)[1] < 0) {
    throw NoEqualForm(upgrade.node(), upgrade.from, upgrade.to, "its channels are not known");
  }
  const auto channels = static_cast<std::size_t>((*shape)[1]);
  for (const std::size_t slot : {std::size_t{1}, std::size_t{2}}) {
    const Tensor& tensor = upgrade.graph.tensor(*upgrade.node().inputs[slot]);
    if (!tensor.constant) {
      throw NoEqualForm(upgrade.node(), upgrade.from, upgrade.to, "its scale is not constant");
    }
    const std::vector<float> per_group = tensor.constant->ToFloats();
    std::vector<float> per_channel(channels);
    for (std::size_t c = 0; c < channels; ++c) per_channel[c] = per_group[c * groups / channels];
    upgrade.SetConstantInput(slot, slot == 1 ? "scale" : "bias",
                             TensorValue::FromFloats({(*shape)[1]}, per_channel));
  }
}

struct Change {
  std::string_view op;
  std::int64_t opset;  ///< The first opset with the new form.
  void (*apply)(const Upgrade&);
};

// Ascending in opset: a node goes through every change behind its own opset.
constexpr Change kChanges[] = {
    {"Slice", 10, SliceTo10},
    {"TopK", 10, TopKTo10},
    {"Upsample", 10, UpsampleToResize},
    {"Clip", 11, ClipTo11},
    {"Pad", 11, PadTo11},
    {"Resize", 11, ResizeTo11},
    {"Dropout", 12, DropoutTo12},
    {"LogSoftmax", 13, SoftmaxTo13},
    {"ReduceSum", 13, AxesToInput},
    {"Resize", 13, ResizeTo13},
    {"Softmax", 13, SoftmaxTo13},
    {"Split", 13, SplitTo13},
    {"Squeeze", 13, AxesToInput},
    {"Unsqueeze", 13, AxesToInput},
    {"ReduceL1", 18, AxesToInput},
    {"ReduceL2", 18, AxesToInput},
    {"ReduceLogSum", 18, AxesToInput},
    {"ReduceLogSumExp", 18, AxesToInput},
    {"ReduceMax", 18, AxesToInput},
    {"ReduceMean", 18, AxesToInput},
    {"ReduceMin", 18, AxesToInput},
    {"ReduceProd", 18, AxesToInput},
    {"ReduceSumSquare", 18, AxesToInput},
    {"Split", 18, SplitTo18},
    {"GroupNormalization", 21, GroupNormalizationTo21},
};

}  // namespace

void UpgradeOpset(LayerGraph& graph, std::int64_t opset) {
  if (opset > kNewestUpgradeOpset) {
    throw Error(ErrorId::kInternal,
                "UpgradeOpset knows opsets up to " + std::to_string(kNewestUpgradeOpset));
  }
  if (graph.opset >= opset) return;
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Upgrade upgrade{graph, NodeIndex(n), graph.opset, opset};
    for (const Change& change : kChanges) {
      if (change.opset <= graph.opset || change.opset > opset) continue;
      const std::string& domain = upgrade.node().domain;
      if (upgrade.node().op == change.op && (domain.empty() || domain == "ai.onnx")) {
        change.apply(upgrade);
      }
    }
  }
  graph.opset = opset;
}

}  // namespace bitsearch
