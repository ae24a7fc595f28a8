#pragma once
// The closed loop: the best configurations of a run are exported, timed and scored in the user's
// runtime, and one is chosen on what was measured. LibTorch only makes their scales.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/deployment/deploy_lines.h"
#include "experiments/deployment/onnx_export.h"
#include "experiments/search_run.h"
#include "space/hardware/onnx_runtime.h"
#include "space/support/run_context.h"

namespace bitsearch {

struct DeployOptions {
  std::filesystem::path run;
  std::size_t best = 5;
  /// Name of one of the run's budgets; empty where there is one.
  std::string budget;
  /// Score the first N records of each split; −1: all.
  std::int64_t samples = -1;
  Container container = Container::kCompute;
  RuntimeLocation runtime;
  /// Where the chosen file and its rivals go.
  std::filesystem::path out;
  /// Interleaved rounds over all files, each a session of its own with this many timed runs.
  int rounds = 20;
  int repetitions = 10;
};

/// What was found; a value.
struct Deployment {
  std::string runtime;  ///< "onnxruntime-node 1.30.0"
  std::string cpu;
  Budget budget;
  std::string placement;
  Container container = Container::kCompute;
  std::vector<DeployLine> lines;
  std::optional<double> limit_us;
  DeployDecision decision;
  Recalibration recalibration;
  /// The chosen one on the report records, scored once.
  std::int64_t report_samples = 0;
  std::int64_t report_correct = 0;
  /// What the user must know, in words.
  std::vector<std::string> notes;
  std::string chosen_file;         ///< Its name in DeployOptions::out.
  std::string recalibrated_table;  ///< Its name in the run's folder; empty: none.
};

/// File names within a run.
inline constexpr const char* kDeploymentName = "deployment.json";
inline constexpr const char* kRecalibratedName = "latency_recalibrated.csv";

/// Measures, decides and writes: RUN/deployment.json, RUN/latency_recalibrated.csv with its
/// transitions, and the chosen ONNX file to `out`. Throws Error(kRunNotFound) without a frontier,
/// Error(kUsage) for a budget or a number of points that the run does not have and for runs whose
/// layers would all run in floating point (weights only, no MatMul), Error(kRuntimeMissing),
/// Error(kRuntimeFailed), Error(kExportRefused), Error(kInterrupted).
Deployment Deploy(const DeployOptions& options, const BackendFactory& backend,
                  const RunContext& context);

/// A table for people, and `bitsearch/deployment/1`.
std::string DeploymentText(const Deployment& deployment);
std::string DeploymentJson(const Deployment& deployment);

}  // namespace bitsearch
