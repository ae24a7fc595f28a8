// Runs stages, skips finished ones. Must not know what the stages compute.
#include "experiments/pipeline.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "space/support/error.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

/// Increase where the meaning of a stage's output changes, so that old runs are computed again.
constexpr const char* kPipelineVersion = "bitsearch/pipeline/1";

bool Lists(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Lengths keep neighbouring texts apart.
void Append(std::string& text, std::string_view part) {
  text += std::to_string(part.size());
  text += ':';
  text += part;
}

std::string ParametersText(const Stage& stage) {
  std::string text;
  Append(text, kPipelineVersion);
  Append(text, stage.name);
  Append(text, stage.parameters);
  return text;
}

std::string InputHash(const Stage& stage, const RunDirectory& run) {
  std::string text = ParametersText(stage);
  for (const std::string& input : stage.inputs) {
    Append(text, input);
    Append(text, Sha256OfFile(run.PathOf(input)));
  }
  return Sha256(std::string_view(text));
}

bool IsFinished(const Stage& stage, const std::string& input_hash, RunDirectory& run) {
  const auto artifacts = run.journal().FinishedStage(stage.name, input_hash);
  if (!artifacts.has_value() || artifacts->size() != stage.outputs.size()) return false;
  return std::all_of(artifacts->begin(), artifacts->end(), [&](const ArtifactRecord& artifact) {
    return Lists(stage.outputs, artifact.name) && run.Has(artifact.name) &&
           Sha256OfFile(run.PathOf(artifact.name)) == artifact.sha256;
  });
}

/// Of a stage that is not finished: why, if it once was.
std::string WhyAnew(const Stage& stage, const std::string& input_hash, RunDirectory& run) {
  if (run.journal().FinishedStage(stage.name, input_hash).has_value()) {
    return ": computed anew, for its files are not as it left them";
  }
  if (run.journal().WasFinished(stage.name)) {
    return ": computed anew, for what it depends on has changed";
  }
  return "";
}

void WriteTiming(RunDirectory& run) {
  nlohmann::ordered_json seconds = nlohmann::ordered_json::object();
  for (const auto& [stage, value] : run.journal().Seconds()) seconds[stage] = value;
  run.Write(RunDirectory::kTiming,
            nlohmann::ordered_json{{"format", "bitsearch/timing/1"}, {"seconds", seconds}}.dump(2) +
                "\n");
}

/// Adds the time of a scope to a stage, also where an exception ends it.
class Stopwatch {
 public:
  Stopwatch(RunDirectory& run, std::string stage) : run_(run), stage_(std::move(stage)) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    try {
      run_.journal().AddSeconds(stage_, spent.count());
    } catch (const std::exception&) {
      // The time of a stage is not worth an error of its own.
    }
  }

 private:
  RunDirectory& run_;
  std::string stage_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Answers to other options than those of this start would be taken for answers to these.
void RemoveStale(const std::vector<Stage>& stages, RunDirectory& run, const RunContext& context) {
  for (const std::string& name : run.journal().ArtifactNames()) {
    const bool wanted = std::any_of(stages.begin(), stages.end(),
                                    [&](const Stage& stage) { return Lists(stage.outputs, name); });
    std::error_code failed;
    if (wanted || !std::filesystem::remove(run.PathOf(name), failed)) continue;
    context.progress->Log(name + ": removed, no stage of this start writes it");
  }
}

}  // namespace

std::string StageScope::Read(std::string_view name) const {
  if (!Lists(stage_.inputs, name)) {
    throw Error(ErrorId::kInternal, "stage " + stage_.name + " reads " + std::string(name) +
                                        ", which it does not list");
  }
  return run_.Read(name);
}

void StageScope::Write(std::string_view name, std::string_view content) {
  if (!Lists(stage_.outputs, name)) {
    throw Error(ErrorId::kInternal, "stage " + stage_.name + " writes " + std::string(name) +
                                        ", which it does not list");
  }
  run_.Write(name, content);
}

std::optional<std::string> StageScope::Known(const std::string& key) const {
  return run_.journal().Item(stage_.name, item_hash_, key);
}

void StageScope::Record(const std::string& key, const std::string& payload) {
  run_.journal().AddItem(stage_.name, item_hash_, key, payload);
}

std::string StageScope::Item(const std::string& key, const std::function<std::string()>& compute) {
  if (auto known = Known(key)) return *std::move(known);
  context_.ThrowIfStopped();
  std::string payload = compute();
  Record(key, payload);
  return payload;
}

PipelineSummary RunStages(const std::vector<Stage>& stages, RunDirectory& run,
                          const RunContext& context) {
  PipelineSummary summary;
  RemoveStale(stages, run, context);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Stage& stage = stages[i];
    context.ThrowIfStopped();
    const std::string hash = InputHash(stage, run);
    const std::string title =
        std::to_string(i + 1) + "/" + std::to_string(stages.size()) + " " + stage.name;
    if (IsFinished(stage, hash, run)) {
      context.progress->Log(title + ": finished before, kept");
      summary.skipped.push_back(stage.name);
      continue;
    }
    context.progress->Log(title + WhyAnew(stage, hash, run));
    {
      const Stopwatch stopwatch(run, stage.name);
      StageScope scope(stage, Sha256(std::string_view(ParametersText(stage))), run, context);
      stage.work(scope);
    }
    std::vector<ArtifactRecord> artifacts;
    for (const std::string& output : stage.outputs) {
      if (!run.Has(output)) {
        throw Error(ErrorId::kInternal, "stage " + stage.name + " did not write " + output);
      }
      artifacts.push_back({output, Sha256OfFile(run.PathOf(output))});
    }
    run.journal().FinishStage(stage.name, hash, artifacts);
    WriteTiming(run);
    summary.computed.push_back(stage.name);
  }
  return summary;
}

}  // namespace bitsearch
