#pragma once
// Times of several files in the user's runtime, in rounds over all of them, so that what else the
// machine does hits them alike. Must not depend on LibTorch.

#include <filesystem>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/hardware/onnx_runtime.h"
#include "space/support/run_context.h"

namespace bitsearch {

struct InterleavedTimes {
  std::string runtime;  ///< "onnxruntime-node 1.30.0"
  /// [file][round]: median time of one sample on one thread, in µs.
  std::vector<std::vector<double>> round_us;
};

/// Runs every file once per round, each time in a session of its own with `repetitions` timed runs
/// on random numbers of `graph`'s input shape. Throws as RunInRuntime and RandomInputs.
InterleavedTimes TimeInterleaved(const RuntimeLocation& runtime,
                                 const std::vector<std::filesystem::path>& files,
                                 const LayerGraph& graph, int rounds, int repetitions,
                                 const RunContext& context);

}  // namespace bitsearch
