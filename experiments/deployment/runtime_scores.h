#pragma once
// How many records a file classifies correctly in the user's runtime. Must not depend on LibTorch.

#include <cstdint>
#include <filesystem>

#include "space/graph/layer_graph.h"
#include "space/hardware/onnx_runtime.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Records of `data` whose largest output of `file`, with every optimisation on, is their label.
/// Takes whole batches, then the rest; a network of a fixed batch runs whole batches only, and
/// records beyond them are left out of `samples`. Throws as RunInRuntime, Error(kRuntimeFailed) if
/// the first output is no row of scores for each record.
struct RuntimeScore {
  std::int64_t samples = 0;
  std::int64_t correct = 0;
};
RuntimeScore ScoreInRuntime(const RuntimeLocation& runtime, const std::filesystem::path& file,
                            const LayerGraph& graph, const Dataset& data,
                            const RunContext& context);

}  // namespace bitsearch
