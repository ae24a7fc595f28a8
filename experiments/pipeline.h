#pragma once
// A run as a list of stages, each from artifacts to artifacts. Finished stages are skipped on a
// resume if their inputs are the same; long stages journal their items. Must not know what the
// stages compute.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/run_directory.h"
#include "space/support/run_context.h"

namespace bitsearch {

class StageScope;

/// One step of a run.
struct Stage {
  std::string name;
  /// Everything outside the run directory that the result depends on, as canonical text: the part
  /// of the configuration, SHA-256 of model and data files. No paths, no times, no thread counts.
  std::string parameters;
  /// Artifacts of earlier stages that the work reads.
  std::vector<std::string> inputs;
  /// Files that the work writes, relative to the run directory.
  std::vector<std::string> outputs;
  /// Deterministic: the outputs depend on `parameters` and `inputs` only. The result of an item
  /// (StageScope::Item) may depend on `parameters` and its key only: it is kept when inputs change.
  std::function<void(StageScope&)> work;
};

/// What a stage's work is given.
class StageScope {
 public:
  StageScope(const Stage& stage, std::string item_hash, RunDirectory& run, RunContext context)
      : stage_(stage), item_hash_(std::move(item_hash)), run_(run), context_(std::move(context)) {}

  const RunContext& context() const { return context_; }
  /// An artifact of an earlier stage; it must be listed in Stage::inputs.
  std::string Read(std::string_view name) const;
  /// Writes an output; it must be listed in Stage::outputs.
  void Write(std::string_view name, std::string_view content);

  /// The journalled result of an item, or nothing.
  std::optional<std::string> Known(const std::string& key) const;
  /// Journals the result of an item: it survives the death of the process from now on.
  void Record(const std::string& key, const std::string& payload);
  /// Known(key), or else computes and journals it. Throws Error(kInterrupted) after a stop request
  /// before it computes anything.
  std::string Item(const std::string& key, const std::function<std::string()>& compute);

 private:
  const Stage& stage_;
  std::string item_hash_;
  RunDirectory& run_;
  RunContext context_;
};

/// What RunStages did.
struct PipelineSummary {
  std::vector<std::string> computed;
  std::vector<std::string> skipped;
};

/// Runs the stages in order. A stage is skipped if the journal says that it was finished on the
/// same inputs and its outputs are still what it wrote. Artifacts of an earlier start that no stage
/// of this one writes are removed first. After each stage timing.json is rewritten.
/// Whatever a stage throws passes through; finished stages and items stay.
PipelineSummary RunStages(const std::vector<Stage>& stages, RunDirectory& run,
                          const RunContext& context);

}  // namespace bitsearch
