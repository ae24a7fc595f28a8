#pragma once
// ONNX Runtime's profile of a session and the optimized model that belongs to it: which nodes ran,
// for how long, and of which layer's time they are part. Shared by the importer and by measuring;
// must not know either.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// One node of the runtime's own graph.
struct RuntimeNode {
  std::int64_t index = 0;  ///< `node_index` of the profile; gaps are where nodes were fused away.
  std::string name;
  std::string op;
  std::vector<std::int64_t> samples_ns;  ///< One per run.
};

struct RuntimeProfile {
  std::vector<RuntimeNode> nodes;    ///< In order of their first run.
  std::vector<std::int64_t> run_ns;  ///< Whole runs, profiling included.
};

/// A node of the model that a session saved.
struct OptimizedNode {
  std::string name;
  std::string op;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  /// The layer whose kernel it is, if it is one.
  std::optional<LayerIndex> kernel_of;
};

/// True for the operators that layers run as: Conv, FusedConv, QLinearConv, ConvInteger, Gemm,
/// QGemm, MatMulNBits, ….
bool IsLayerOperator(const std::string& op);

/// True for those among them that compute with integers.
bool IsIntegerOperator(const std::string& op);

/// Reads the Chrome trace: `Node` events `<node>_kernel_time` with `dur` in µs. Throws
/// Error(kProfileFormat) with place for anything else.
RuntimeProfile ReadRuntimeProfile(const std::string& path);

/// Reads the optimized model and finds each layer's kernel: by the node's name without optimizers'
/// suffixes (the layer's or its output's), by its weight (also renamed: `<weight>_…`), or by an
/// output of the layer or of the operators behind it that a runtime may fuse. Throws
/// Error(kProfileFormat).
std::vector<OptimizedNode> ReadOptimizedModel(const std::string& path, const LayerGraph& graph);

/// For each node of the profile the layer whose time it is part of. A kernel belongs to its layer;
/// any other node (addition, pooling, quantizing, reordering) to the last layer before it; where
/// there is none before it, to the first one behind it. Nothing for nodes between no layers, and
/// for nodes that the model does not list. Nodes of one name are matched in their order.
std::vector<std::optional<LayerIndex>> LayersOfNodes(const RuntimeProfile& profile,
                                                     const std::vector<OptimizedNode>& model);

}  // namespace bitsearch
