#pragma once
// The user's runtime as a child process: runs an ONNX model in ONNX Runtime (Node package
// onnxruntime-node) and gives back its outputs and times. Nothing of the runtime is linked.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "space/graph/tensor_value.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Where the runtime is.
struct RuntimeLocation {
  /// Program and arguments in front of the script, e.g. {"node"} or {"ssh", "board", "node"}.
  std::vector<std::string> command = {"node"};
  /// The folder node_modules that holds onnxruntime-node; empty: as Node finds it.
  std::filesystem::path modules;
};

/// The location from a command line `text` (split at blanks; empty: node) and the first folder that
/// holds the package: $BITSEARCH_RUNTIME_MODULES, runtime/node_modules beside the executable's
/// folder or one above (where cmake/install_runtime.sh puts it).
RuntimeLocation FindRuntime(const std::string& text,
                            const std::filesystem::path& executable_folder);

/// ONNX Runtime's levels of graph optimisation.
enum class OptimizationLevel : std::uint8_t { kDisabled, kBasic, kExtended, kAll };
std::string_view NameOf(OptimizationLevel level);

struct RuntimeInput {
  std::string name;
  Shape shape;                ///< Of one batch; no open extents.
  std::vector<float> values;  ///< All batches, one behind the other.
};

struct RuntimeRequest {
  std::filesystem::path model;
  std::vector<RuntimeInput> inputs;
  /// Names; empty: all outputs of the model.
  std::vector<std::string> outputs;
  OptimizationLevel level = OptimizationLevel::kAll;
  /// False switches off the fusion of Q/DQ into integer kernels (session.disable_quant_qdq).
  bool fusion = true;
  int threads = 1;
  std::int64_t batches = 1;
  /// Timed runs of the first batch after `warm_up` ones; 0: none.
  int repetitions = 0;
  int warm_up = 3;
  /// Keep the optimised model and the profile in this folder; empty: do not make them.
  std::filesystem::path profile_folder;
};

struct RuntimeOutput {
  std::string name;
  Shape shape;  ///< Of one batch.
  std::vector<float> values;
};

struct RuntimeAnswer {
  std::string version;  ///< "onnxruntime-node 1.30.0"
  std::vector<RuntimeOutput> outputs;
  std::vector<double> seconds;            ///< One per repetition.
  std::filesystem::path optimized_model;  ///< Set if a profile was asked for.
  std::filesystem::path profile;
};

/// Throws Error(kRuntimeMissing) where program or package are not there: to be asked before long
/// work.
void RequireRuntime(const RuntimeLocation& location, const RunContext& context);

/// Runs the model. Throws Error(kRuntimeMissing) where program or package are not there,
/// Error(kRuntimeFailed) with the runtime's own words where it refuses the model or dies,
/// Error(kInterrupted).
RuntimeAnswer RunInRuntime(const RuntimeLocation& location, const RuntimeRequest& request,
                           const RunContext& context);

}  // namespace bitsearch
