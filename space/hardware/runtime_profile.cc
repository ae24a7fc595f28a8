// Reading, naming and owning nodes. See runtime_profile.h.
#include "space/hardware/runtime_profile.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "onnx/onnx_pb.h"
#include "space/hardware/json_file.h"
#include "space/hardware/profile_rows.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr std::string_view kKernelTime = "_kernel_time";

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Names by which an optimizer's node can be told to be a layer's.
class LayerNames {
 public:
  explicit LayerNames(const LayerGraph& graph) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      const Layer& layer = graph.layers()[l];
      ids_.emplace(layer.id, LayerIndex(l));
      if (layer.weight) weights_.emplace(graph.tensor(*layer.weight).name, LayerIndex(l));
      AddOutputs(graph, LayerIndex(l));
    }
  }

  std::optional<LayerIndex> LayerOf(const OptimizedNode& node) const {
    const std::string name = WithoutOptimizerSuffixes(node.name);
    if (const auto found = Find(ids_, name)) return found;
    if (const auto found = Find(outputs_, name))
      return found;  // Blocked layouts: "relu_out_nchwc".
    for (const std::string& input : node.inputs) {
      if (const auto found = LayerOfWeight(input)) return found;
    }
    for (const std::string& output : node.outputs) {
      if (const auto found = Find(outputs_, WithoutOptimizerSuffixes(output))) return found;
    }
    return std::nullopt;
  }

 private:
  using Map = std::map<std::string, LayerIndex>;

  static std::optional<LayerIndex> Find(const Map& map, const std::string& name) {
    const auto found = map.find(name);
    return found == map.end() ? std::nullopt : std::optional(found->second);
  }

  /// The output of the layer, and of the operators behind it that may be fused into it.
  void AddOutputs(const LayerGraph& graph, LayerIndex index) {
    TensorIndex at = graph.layer(index).output;
    while (true) {
      outputs_.emplace(graph.tensor(at).name, index);
      const std::vector<NodeIndex>& consumers = graph.Consumers(at);
      if (consumers.size() != 1) return;
      const Node& next = graph.node(consumers.front());
      // Only what has this tensor as its sole activation can be fused into the layer.
      const auto activations =
          std::count_if(next.inputs.begin(), next.inputs.end(),
                        [&](const auto& input) { return input && !graph.tensor(*input).constant; });
      const bool is_layer =
          std::any_of(graph.layers().begin(), graph.layers().end(),
                      [&](const Layer& other) { return other.node == consumers.front(); });
      if (is_layer || activations != 1 || next.outputs.empty()) return;
      at = next.outputs.front();
    }
  }

  /// "conv1.weight" and "conv1.weight_quantized"; the longest name counts.
  std::optional<LayerIndex> LayerOfWeight(const std::string& input) const {
    for (std::string name = input; !name.empty();) {
      if (const auto found = Find(weights_, name)) return found;
      const std::size_t underscore = name.rfind('_');
      name.resize(underscore == std::string::npos ? 0 : underscore);
    }
    return std::nullopt;
  }

  Map ids_;
  Map weights_;
  Map outputs_;
};

/// Which layer comes before a node, and which behind it.
class Neighbours {
 public:
  explicit Neighbours(const std::vector<OptimizedNode>& nodes)
      : nodes_(nodes), before_(nodes.size()), after_(nodes.size()) {
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      for (const std::string& output : nodes[n].outputs) {
        if (!output.empty()) producer_[output] = n;
      }
      for (const std::string& input : nodes[n].inputs) {
        if (!input.empty()) consumers_[input].push_back(n);
      }
    }
  }

  std::optional<LayerIndex> OwnerOf(std::size_t node) {
    const auto before = Before(node);
    return before ? before : After(node);
  }

 private:
  using Memo = std::optional<std::optional<LayerIndex>>;

  std::optional<LayerIndex> Before(std::size_t node) {
    if (nodes_[node].kernel_of) return nodes_[node].kernel_of;
    if (before_[node]) return *before_[node];
    std::optional<LayerIndex> last;
    before_[node] = last;  // A cycle, which no model has, would end here.
    for (const std::string& input : nodes_[node].inputs) {
      const auto producer = producer_.find(input);
      if (producer == producer_.end()) continue;
      const auto layer = Before(producer->second);
      if (layer && (!last || *last < *layer)) last = layer;
    }
    before_[node] = last;
    return last;
  }

  std::optional<LayerIndex> After(std::size_t node) {
    if (nodes_[node].kernel_of) return nodes_[node].kernel_of;
    if (after_[node]) return *after_[node];
    std::optional<LayerIndex> first;
    after_[node] = first;
    for (const std::string& output : nodes_[node].outputs) {
      const auto consumers = consumers_.find(output);
      if (consumers == consumers_.end()) continue;
      for (const std::size_t consumer : consumers->second) {
        const auto layer = After(consumer);
        if (layer && (!first || *layer < *first)) first = layer;
      }
    }
    after_[node] = first;
    return first;
  }

  const std::vector<OptimizedNode>& nodes_;
  std::map<std::string, std::size_t> producer_;
  std::map<std::string, std::vector<std::size_t>> consumers_;
  std::vector<Memo> before_;
  std::vector<Memo> after_;
};

}  // namespace

bool IsLayerOperator(const std::string& op) {
  return Contains(op, "Conv") || Contains(op, "Gemm") || Contains(op, "MatMul");
}

bool IsIntegerOperator(const std::string& op) {
  return IsLayerOperator(op) && (op.starts_with("Q") || Contains(op, "Integer") ||
                                 Contains(op, "NBits") || op.starts_with("DynamicQuantize"));
}

RuntimeProfile ReadRuntimeProfile(const std::string& path) {
  RuntimeProfile profile;
  std::map<std::int64_t, std::size_t> position;
  for (const JsonValue& event : JsonValue::Read(path).Elements()) {
    const auto category = event.Find("cat");
    if (!category) continue;
    const std::string kind = category->String();
    if (kind == "Session" && event.At("name").String() == "model_run") {
      profile.run_ns.push_back(NanosecondsOfMilliseconds(event.At("dur").NonNegative() * 1e-3));
    }
    if (kind != "Node") continue;
    const std::string name = event.At("name").String();
    if (!name.ends_with(kKernelTime)) continue;  // Fences and the like.
    const JsonValue arguments = event.At("args");
    const std::int64_t index = arguments.At("node_index").Count();
    const auto [at, is_new] = position.emplace(index, profile.nodes.size());
    if (is_new) {
      profile.nodes.push_back({index,
                               name.substr(0, name.size() - kKernelTime.size()),
                               arguments.At("op_name").String(),
                               {}});
    }
    event.At("ts").NonNegative();
    profile.nodes[at->second].samples_ns.push_back(
        NanosecondsOfMilliseconds(event.At("dur").NonNegative() * 1e-3));
  }
  if (profile.nodes.empty()) {
    throw Error(ErrorId::kProfileFormat, "the profile has no Node event named …_kernel_time")
        .At({path, 1, 1})
        .Hint("switch profiling on (enable_profiling) and run the session before ending it");
  }
  return profile;
}

std::vector<OptimizedNode> ReadOptimizedModel(const std::string& path, const LayerGraph& graph) {
  onnx::ModelProto model;
  const std::vector<std::byte> bytes = ReadBinaryFile(path);
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw Error(ErrorId::kProfileFormat, "the optimized model is no ONNX file")
        .At({.file = path})
        .Hint("save it with the session option optimized_model_filepath");
  }
  const LayerNames names(graph);
  std::vector<OptimizedNode> nodes;
  for (const onnx::NodeProto& proto : model.graph().node()) {
    OptimizedNode node{proto.name(), proto.op_type(), {}, {}, std::nullopt};
    node.inputs.assign(proto.input().begin(), proto.input().end());
    node.outputs.assign(proto.output().begin(), proto.output().end());
    if (IsLayerOperator(node.op)) node.kernel_of = names.LayerOf(node);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

std::vector<std::optional<LayerIndex>> LayersOfNodes(const RuntimeProfile& profile,
                                                     const std::vector<OptimizedNode>& model) {
  std::map<std::string, std::vector<std::size_t>> by_name;
  for (std::size_t n = 0; n < model.size(); ++n) by_name[model[n].name].push_back(n);
  std::map<std::string, std::size_t> seen;
  Neighbours neighbours(model);
  std::vector<std::optional<LayerIndex>> layers;
  for (const RuntimeNode& node : profile.nodes) {
    const auto found = by_name.find(node.name);
    const std::size_t nth = seen[node.name]++;
    if (found == by_name.end() || nth >= found->second.size()) {
      layers.emplace_back();
    } else {
      layers.push_back(neighbours.OwnerOf(found->second[nth]));
    }
  }
  return layers;
}

}  // namespace bitsearch
