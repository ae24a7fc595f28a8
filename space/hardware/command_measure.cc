// Steps through a network with somebody else's stop watch. See command_measure.h.
#include "space/hardware/command_measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "space/hardware/machine_info.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/child_process.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModelMark = "{model}";

/// A network whose first layers have another choice than the reference.
struct Step {
  BitConfig config;
  std::vector<std::size_t> changed;  ///< Layers that differ from the step before.
  fs::path file;
  std::vector<std::int64_t> samples_ns;
};

/// Layers in network order; those that read one tensor are together.
std::vector<std::vector<std::size_t>> LayerGroups(const LayerGraph& graph) {
  std::vector<std::vector<std::size_t>> groups;
  std::map<TensorIndex, std::size_t> group_of;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const auto [known, is_new] = group_of.emplace(graph.layers()[l].input, groups.size());
    if (is_new) groups.emplace_back();
    groups[known->second].push_back(l);
  }
  return groups;
}

/// `total` shared out over `layers` by their multiply-accumulates; the parts add up to it.
std::vector<std::int64_t> SharedOut(const LayerGraph& graph, const std::vector<std::size_t>& layers,
                                    std::int64_t total) {
  double macs = 0.0;
  for (const std::size_t l : layers) macs += static_cast<double>(graph.layers()[l].macs);
  std::vector<std::int64_t> parts;
  double before = 0.0;
  std::int64_t given = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    before += macs > 0.0 ? static_cast<double>(graph.layers()[layers[i]].macs) / macs
                         : 1.0 / static_cast<double>(layers.size());
    const std::int64_t until =
        i + 1 == layers.size() ? total : std::llround(before * static_cast<double>(total));
    parts.push_back(until - given);
    given = until;
  }
  return parts;
}

std::vector<std::int64_t> RunOnce(const std::string& command, const fs::path& model,
                                  const RunContext& context) {
  ChildProcess child;
  child.command = CommandFor(command, model.string());
  child.should_stop = [&context] { return context.stop.StopRequested(); };
  const ChildResult answer = RunChild(child);
  context.ThrowIfStopped();
  if (!answer.started) {
    throw Error(ErrorId::kRuntimeMissing, "'" + child.command.front() + "' cannot be started")
        .Key("--command")
        .Hint("name a program in PATH or with its folder");
  }
  if (answer.exit_status != 0) {
    throw Error(ErrorId::kRuntimeFailed,
                fmt::format("'{}' ended with status {}: {}", child.command.front(),
                            answer.exit_status, answer.errors))
        .Key("--command");
  }
  std::vector<std::int64_t> samples;
  for (const double seconds : ParseSeconds(answer.output, child.command.front())) {
    samples.push_back(std::llround(seconds * 1e9));
  }
  return samples;
}

}  // namespace

std::vector<std::string> CommandFor(const std::string& command, const std::string& model) {
  std::vector<std::string> words;
  std::istringstream text(command);
  bool placed = false;
  for (std::string word; text >> word;) {
    const std::size_t mark = word.find(kModelMark);
    if (mark != std::string::npos) {
      word.replace(mark, std::string_view(kModelMark).size(), model);
      placed = true;
    }
    words.push_back(word);
  }
  if (words.empty()) {
    throw Error(ErrorId::kUsage, "no command is given")
        .Key("--command")
        .Hint("for example --command 'my_benchmark {model}', which prints seconds");
  }
  if (!placed) words.push_back(model);
  return words;
}

std::vector<double> ParseSeconds(const std::string& output, const std::string& program) {
  std::vector<double> seconds;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string::npos) continue;
    const std::string word = line.substr(start, line.find_last_not_of(" \t\r") + 1 - start);
    double value = 0.0;
    const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (fault != std::errc() || end != word.data() + word.size() || !std::isfinite(value) ||
        value <= 0.0) {
      throw Error(ErrorId::kRuntimeFailed,
                  fmt::format("'{}' printed \"{}\" where a time in seconds is due", program, word))
          .Key("--command")
          .Hint("it must print one positive number a line and nothing else");
    }
    seconds.push_back(value);
  }
  if (seconds.empty()) {
    throw Error(ErrorId::kRuntimeFailed, fmt::format("'{}' printed no time", program))
        .Key("--command")
        .Hint("it must print one positive number a line, in seconds");
  }
  return seconds;
}

Measurement CommandBackend::Measure(const LayerGraph& graph, const std::string& model_path,
                                    const MeasureOptions& options, const RunContext& context) {
  if (options.repetitions < 1 || choices_.empty()) {
    throw Error(ErrorId::kUsage, "repetitions must be 1 or more, and there must be a choice");
  }
  const ScratchFolder scratch;
  const std::size_t layer_count = graph.layers().size();
  const BitChoice reference = choices_.front();
  std::vector<Step> steps = {{BitConfig::Uniform(layer_count, reference), {}, {}, {}}};
  const std::vector<std::vector<std::size_t>> groups = LayerGroups(graph);
  for (std::size_t c = 1; c < choices_.size(); ++c) {
    BitConfig config = steps.front().config;
    for (const std::vector<std::size_t>& group : groups) {
      for (const std::size_t l : group) config.choices[l] = choices_[c];
      steps.push_back({config, group, {}, {}});
    }
  }
  for (std::size_t s = 0; s < steps.size(); ++s) {
    steps[s].file = scratch.path() / fmt::format("step_{}.onnx", s);
    writer_(steps[s].config, steps[s].file);
  }
  for (int round = 0; round < options.repetitions; ++round) {
    for (std::size_t s = 0; s < steps.size(); ++s) {
      const auto samples = RunOnce(command_, steps[s].file, context);
      steps[s].samples_ns.insert(steps[s].samples_ns.end(), samples.begin(), samples.end());
      context.progress->Progress(
          "measure",
          static_cast<std::int64_t>(round) * static_cast<std::int64_t>(steps.size()) +
              static_cast<std::int64_t>(s) + 1,
          options.repetitions * static_cast<std::int64_t>(steps.size()));
    }
  }

  Measurement result;
  LatencyTable& table = result.table;
  table.SetProvenance("backend", std::string(name()));
  table.SetProvenance("model", model_path.empty() ? graph.name : model_path);
  if (!options.command.empty()) table.SetProvenance("command", options.command);
  if (!options.date.empty()) table.SetProvenance("date", options.date);
  table.SetProvenance("measuring program", command_);
  table.SetProvenance("started on", CpuDescription());
  table.SetProvenance("samples", fmt::format("{} a model, in {} interleaved rounds",
                                             steps.front().samples_ns.size(), options.repetitions));
  table.SetProvenance(
      "includes", fmt::format("the whole network: other choices differ from {} by what each layer "
                              "saves or costs; the rest is shared out by multiply-accumulates",
                              reference.ToString()));
  const SampleSummary whole = Summarize(steps.front().samples_ns);
  // What each layer saves at each choice: [step − 1][layer of the step].
  std::vector<std::vector<std::int64_t>> differences;
  std::vector<std::int64_t> saved(layer_count, 0);  // The most at any choice.
  for (std::size_t s = 1; s < steps.size(); ++s) {
    const bool first = (s - 1) % groups.size() == 0;
    const std::int64_t before =
        first ? whole.median_ns : Summarize(steps[s - 1].samples_ns).median_ns;
    differences.push_back(
        SharedOut(graph, steps[s].changed, Summarize(steps[s].samples_ns).median_ns - before));
    for (std::size_t i = 0; i < steps[s].changed.size(); ++i) {
      std::int64_t& most = saved[steps[s].changed[i]];
      most = std::max(most, -differences.back()[i]);
    }
  }
  std::int64_t rest = whole.median_ns;
  for (const std::int64_t ns : saved) rest -= ns;
  std::vector<std::size_t> all(layer_count);
  for (std::size_t l = 0; l < layer_count; ++l) all[l] = l;
  std::vector<std::int64_t> at_reference = SharedOut(graph, all, std::max<std::int64_t>(rest, 0));
  const std::vector<std::int64_t> spreads = SharedOut(graph, all, whole.spread_ns);
  for (std::size_t l = 0; l < layer_count; ++l) {
    at_reference[l] += saved[l];
    table.Add(graph.layers()[l].id, reference, {at_reference[l], spreads[l], whole.samples});
  }
  for (std::size_t s = 1; s < steps.size(); ++s) {
    const SampleSummary now = Summarize(steps[s].samples_ns);
    for (std::size_t i = 0; i < steps[s].changed.size(); ++i) {
      const std::size_t l = steps[s].changed[i];
      table.Add(graph.layers()[l].id, steps[s].config.choices[l],
                {at_reference[l] + differences[s - 1][i], now.spread_ns, now.samples});
    }
  }
  if (rest < 0) {
    result.warnings.push_back(
        "single layers save more than the whole network takes (the times are noisy): sums of "
        "entries are above what was measured");
  }
  for (Step& step : steps) {
    const std::string what =
        step.changed.empty() ? "network" : "up to " + graph.layers()[step.changed.back()].id;
    result.raw.push_back(
        {what, "end_to_end",
         step.config.choices[step.changed.empty() ? 0 : step.changed.back()].ToString(), command_,
         std::move(step.samples_ns)});
  }
  return result;
}

}  // namespace bitsearch
