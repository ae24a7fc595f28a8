// ONNX Runtime's profile and the optimized model it belongs to. See importers.h.
#include <map>

#include "space/hardware/importers.h"
#include "space/hardware/runtime_profile.h"
#include "space/hardware/sample_statistics.h"

namespace bitsearch {
namespace {

bool ChangesFormat(const std::string& op) {
  for (const char* name : {"QuantizeLinear", "DequantizeLinear", "ReorderInput", "ReorderOutput",
                           "DynamicQuantizeLinear"}) {
    if (op == name) return true;
  }
  return false;
}

/// For each node of the optimized model, by name and by position, the layers it runs.
struct OptimizedNames {
  std::map<std::string, std::vector<std::string>> by_name;
  std::vector<std::vector<std::string>> by_index;
};

OptimizedNames ReadOptimized(const std::string& path, const LayerGraph& graph) {
  OptimizedNames names;
  for (const OptimizedNode& node : ReadOptimizedModel(path, graph)) {
    std::vector<std::string> found;
    if (node.kernel_of) found.push_back(graph.layer(*node.kernel_of).id);
    names.by_name[node.name] = found;
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
  const RuntimeProfile profile = ReadRuntimeProfile(profile_path);
  std::vector<ProfileRow> rows;
  for (const RuntimeNode& node : profile.nodes) {
    const SampleSummary summary = Summarize(node.samples_ns);
    ProfileRow row;
    row.names = {node.name};
    row.time = {summary.median_ns, summary.spread_ns, summary.samples};
    row.kind = ChangesFormat(node.op)     ? ProfileRow::Kind::kReformat
               : IsLayerOperator(node.op) ? ProfileRow::Kind::kKernel
                                          : ProfileRow::Kind::kOther;
    if (row.kind == ProfileRow::Kind::kKernel) {
      const auto named = optimized.by_name.find(node.name);
      const auto position = static_cast<std::size_t>(node.index);
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
  const SampleSummary run = Summarize(profile.run_ns);
  if (run.samples > 0) {
    result.table.SetProvenance(
        "end to end " + choice.ToString(),
        std::to_string(run.median_ns) + " ns, median of " + std::to_string(run.samples) + " runs");
  }
  return result;
}

}  // namespace bitsearch
