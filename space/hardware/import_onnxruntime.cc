// ONNX Runtime's profile and the optimized model it belongs to. See importers.h.
#include <algorithm>
#include <fstream>
#include <map>
#include <optional>

#include "onnx/onnx_pb.h"
#include "space/hardware/importers.h"
#include "space/hardware/json_file.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr std::string_view kKernelTime = "_kernel_time";

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Conv, FusedConv, QLinearConv, NhwcFusedConv, ConvInteger, Gemm, QGemm, MatMulNBits, ….
bool MayBeLayer(const std::string& op) {
  return Contains(op, "Conv") || Contains(op, "Gemm") || Contains(op, "MatMul");
}

bool ChangesFormat(const std::string& op) {
  for (const char* name : {"QuantizeLinear", "DequantizeLinear", "ReorderInput", "ReorderOutput",
                           "DynamicQuantizeLinear"}) {
    if (op == name) return true;
  }
  return false;
}

/// One node's runs.
struct NodeRuns {
  std::string name;
  std::string op;
  std::vector<std::int64_t> samples_ns;
};

/// Tensor names that tell a layer: its weight and, with distance 0 for its own output, the outputs
/// of operators behind it that a runtime may fuse.
std::map<std::string, std::string> NamesThatTellALayer(const LayerGraph& graph) {
  std::map<std::string, std::string> layer_of;
  for (const Layer& layer : graph.layers()) {
    if (layer.weight) layer_of.emplace(graph.tensor(*layer.weight).name, layer.id);
    TensorIndex at = layer.output;
    while (true) {
      layer_of.emplace(graph.tensor(at).name, layer.id);
      const std::vector<NodeIndex>& consumers = graph.Consumers(at);
      if (consumers.size() != 1) break;
      const Node& next = graph.node(consumers.front());
      // Only what has this tensor as its sole activation can be fused into the layer.
      std::size_t activations = 0;
      for (const auto& input : next.inputs) {
        activations += input && !graph.tensor(*input).constant ? 1 : 0;
      }
      const bool is_layer =
          std::any_of(graph.layers().begin(), graph.layers().end(),
                      [&](const Layer& other) { return other.node == consumers.front(); });
      if (is_layer || activations != 1 || next.outputs.empty()) break;
      at = next.outputs.front();
    }
  }
  return layer_of;
}

/// For each node of the optimized model, by name and by position, the layers it runs.
struct OptimizedNames {
  std::map<std::string, std::vector<std::string>> by_name;
  std::vector<std::vector<std::string>> by_index;
};

OptimizedNames ReadOptimized(const std::string& path, const LayerGraph& graph) {
  onnx::ModelProto model;
  const std::vector<std::byte> bytes = ReadBinaryFile(path);
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw Error(ErrorId::kProfileFormat, "the optimized model is no ONNX file")
        .At({.file = path})
        .Hint("save it with the session option optimized_model_filepath");
  }
  const std::map<std::string, std::string> tells = NamesThatTellALayer(graph);
  OptimizedNames names;
  for (const onnx::NodeProto& node : model.graph().node()) {
    std::vector<std::string> found;
    const auto look = [&](const std::string& tensor) {
      const auto layer = tells.find(tensor);
      if (layer != tells.end() && found.empty()) found.push_back(layer->second);
    };
    if (MayBeLayer(node.op_type())) {
      // The weight is the surest sign; outputs may be those of fused operators.
      for (const std::string& input : node.input()) {
        const auto layer = tells.find(input);
        const bool weight = layer != tells.end() && graph.FindTensor(input) &&
                            graph.tensor(*graph.FindTensor(input)).constant.has_value();
        if (weight) look(input);
      }
      for (const std::string& output : node.output()) look(output);
    }
    names.by_name[node.name()] = found;
    names.by_index.push_back(std::move(found));
  }
  return names;
}

}  // namespace

ImportedProfile ImportOnnxRuntime(const std::string& profile_path,
                                  const std::string& optimized_model_path, BitChoice choice,
                                  const std::vector<LayerKey>& layers, const LayerGraph* graph) {
  OptimizedNames optimized;
  if (!optimized_model_path.empty() && graph != nullptr) {
    optimized = ReadOptimized(optimized_model_path, *graph);
  }
  std::map<std::int64_t, NodeRuns> nodes;  // By node index: their order in the runtime's graph.
  std::vector<std::int64_t> order;
  std::vector<std::int64_t> run_ns;
  for (const JsonValue& event : JsonValue::Read(profile_path).Elements()) {
    const auto category = event.Find("cat");
    if (!category) continue;
    const std::string kind = category->String();
    if (kind == "Session" && event.At("name").String() == "model_run") {
      run_ns.push_back(NanosecondsOfMilliseconds(event.At("dur").NonNegative() * 1e-3));
    }
    if (kind != "Node") continue;
    const std::string name = event.At("name").String();
    if (!name.ends_with(kKernelTime)) continue;  // Fences and the like.
    const JsonValue arguments = event.At("args");
    const std::int64_t index = arguments.At("node_index").Count();
    const auto [node, is_new] = nodes.try_emplace(index);
    if (is_new) {
      order.push_back(index);
      node->second.name = name.substr(0, name.size() - kKernelTime.size());
      node->second.op = arguments.At("op_name").String();
    }
    event.At("ts").NonNegative();
    node->second.samples_ns.push_back(
        NanosecondsOfMilliseconds(event.At("dur").NonNegative() * 1e-3));
  }
  if (nodes.empty()) {
    throw Error(ErrorId::kProfileFormat, "the profile has no Node event named …_kernel_time")
        .At({profile_path, 1, 1})
        .Hint("switch profiling on (enable_profiling) and run the session before ending it");
  }
  std::vector<ProfileRow> rows;
  for (const std::int64_t index : order) {
    const NodeRuns& node = nodes.at(index);
    const SampleSummary summary = Summarize(node.samples_ns);
    ProfileRow row;
    row.names = {node.name};
    row.time = {summary.median_ns, summary.spread_ns, summary.samples};
    row.kind = ChangesFormat(node.op) ? ProfileRow::Kind::kReformat
               : MayBeLayer(node.op)  ? ProfileRow::Kind::kKernel
                                      : ProfileRow::Kind::kOther;
    if (row.kind == ProfileRow::Kind::kKernel) {
      const auto named = optimized.by_name.find(node.name);
      const auto position = static_cast<std::size_t>(index);
      if (named != optimized.by_name.end() && !named->second.empty()) {
        row.names = named->second;
      } else if (named == optimized.by_name.end() && position < optimized.by_index.size() &&
                 !optimized.by_index[position].empty()) {
        row.names = optimized.by_index[position];
      }
    }
    rows.push_back(std::move(row));
  }
  ImportedProfile result = AssembleProfile(rows, choice, layers, profile_path);
  result.table.SetProvenance("tool", "ONNX Runtime profile");
  const SampleSummary run = Summarize(run_ns);
  if (run.samples > 0) {
    result.table.SetProvenance(
        "end to end " + choice.ToString(),
        std::to_string(run.median_ns) + " ns, median of " + std::to_string(run.samples) + " runs");
  }
  return result;
}

}  // namespace bitsearch
