// What is timed, in which order, and how samples become a table. See onednn_measure.h.
#include "space/hardware/onednn_measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "space/hardware/layer_edges.h"
#include "space/hardware/layer_signature.h"
#include "space/hardware/machine_info.h"
#include "space/hardware/onednn_kernels.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr BitChoice kFloatChoice{NumberFormat::Float32(), NumberFormat::Float32()};
constexpr BitChoice kIntegerChoice{NumberFormat::Integer(8), NumberFormat::Integer(8)};

/// What can be timed for a signature, and once for all layers that share it.
enum class WorkKind : std::uint8_t { kKernel, kKernelToFloat, kInput, kOutputReorder };

/// `integer`: the INT8 kernel; for kOutputReorder: f32 → u8 rather than back.
using WorkKey = std::tuple<std::string, WorkKind, bool>;

struct Timed {
  std::unique_ptr<OnednnWork> work;
  RawSamples raw;
};

/// All distinct work of a network, in the order of its layers.
class WorkList {
 public:
  WorkList(const LayerGraph& graph, std::int64_t batch)
      : graph_(graph),
        signatures_(SignaturesOf(graph)),
        edges_(LayerEdges(graph)),
        reads_input_(ReadsGraphInput(graph)),
        feeds_output_(FeedsGraphOutput(graph)),
        batch_(batch) {
    // A whole float network, then a whole integer one: each kernel finds the caches as its
    // predecessor in the network leaves them.
    for (const bool integer : {false, true}) {
      for (std::size_t l = 0; l < signatures_.size(); ++l) {
        if (reads_input_[l]) Add(l, WorkKind::kInput, integer);
        Add(l, KernelKind(l), integer);
      }
    }
    for (const LayerEdge& edge : edges_) {
      if (!edge.pays) continue;
      for (const bool quantize : {true, false}) {
        Add(edge.producer.value, WorkKind::kOutputReorder, quantize);
      }
    }
  }

  std::vector<Timed>& timed() { return timed_; }
  const std::vector<LayerEdge>& edges() const { return edges_; }
  const std::vector<LayerSignature>& signatures() const { return signatures_; }
  bool reads_input(std::size_t layer) const { return reads_input_[layer]; }
  WorkKind KernelKind(std::size_t layer) const {
    return feeds_output_[layer] ? WorkKind::kKernelToFloat : WorkKind::kKernel;
  }

  /// The samples of this work; null if oneDNN has no kernel for it.
  const RawSamples* Samples(std::size_t layer, WorkKind kind, bool integer) const {
    const auto found = index_.find({signatures_[layer].ToString(), kind, integer});
    return found == index_.end() ? nullptr : &timed_[found->second].raw;
  }

 private:
  void Add(std::size_t layer, WorkKind kind, bool integer) {
    const LayerSignature& signature = signatures_[layer];
    const WorkKey key{signature.ToString(), kind, integer};
    if (index_.contains(key)) return;
    Timed timed;
    timed.raw.name = graph_.layers()[layer].id;
    switch (kind) {
      case WorkKind::kKernel:
      case WorkKind::kKernelToFloat:
        timed.work = factory_.Kernel(
            signature, batch_, integer,
            kind == WorkKind::kKernel ? KernelOutput::kSameAsInput : KernelOutput::kFloat);
        timed.raw.kind = "kernel";
        timed.raw.formats = (integer ? kIntegerChoice : kFloatChoice).ToString();
        break;
      case WorkKind::kInput:
        timed.work = factory_.InputReorder(signature, batch_, integer);
        timed.raw.kind = "input";
        timed.raw.formats = integer ? "fp32 to 8" : "fp32 to fp32";
        break;
      case WorkKind::kOutputReorder:
        timed.work = factory_.OutputReorder(signature, batch_, integer);
        timed.raw.kind = integer ? "quantize" : "dequantize";
        timed.raw.formats = integer ? "fp32 to 8" : "8 to fp32";
        break;
    }
    if (!timed.work) return;
    timed.raw.implementation = timed.work->implementation();
    index_.emplace(key, timed_.size());
    timed_.push_back(std::move(timed));
  }

  const LayerGraph& graph_;
  OnednnFactory factory_;
  std::vector<LayerSignature> signatures_;
  std::vector<LayerEdge> edges_;
  std::vector<bool> reads_input_;
  std::vector<bool> feeds_output_;
  std::int64_t batch_;
  std::map<WorkKey, std::size_t> index_;
  std::vector<Timed> timed_;
};

void TakeSamples(const MeasureOptions& options, const RunContext& context,
                 std::vector<Timed>* timed) {
  using Clock = std::chrono::steady_clock;
  const int rounds = options.warmup + options.repetitions;
  for (int round = 0; round < rounds; ++round) {
    context.ThrowIfStopped();
    for (Timed& item : *timed) {
      const Clock::time_point start = Clock::now();
      item.work->Run();
      const auto elapsed = Clock::now() - start;
      if (round < options.warmup) continue;
      item.raw.samples_ns.push_back(
          std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count());
    }
    context.progress->Progress("measure", round + 1, rounds);
  }
}

LatencyEntry EntryOf(const RawSamples& raw) {
  const SampleSummary summary = Summarize(raw.samples_ns);
  return {summary.median_ns, summary.spread_ns, summary.samples};
}

/// Two times after each other; their noise is taken as independent.
LatencyEntry Sum(const LatencyEntry& a, const LatencyEntry& b) {
  const double spread = std::hypot(static_cast<double>(a.stddev_ns.value_or(0)),
                                   static_cast<double>(b.stddev_ns.value_or(0)));
  return {a.latency_ns + b.latency_ns, std::llround(spread), std::min(a.samples, b.samples)};
}

void FillTable(const LayerGraph& graph, const WorkList& work, Measurement* result) {
  std::vector<std::string> no_integer_kernel;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const std::string& id = graph.layers()[l].id;
    const WorkKind kind = work.KernelKind(l);
    for (const bool integer : {false, true}) {
      const RawSamples* kernel = work.Samples(l, kind, integer);
      if (kernel == nullptr) {
        if (integer) no_integer_kernel.push_back(id);
        continue;
      }
      LatencyEntry entry = EntryOf(*kernel);
      if (work.reads_input(l)) {
        if (const RawSamples* input = work.Samples(l, WorkKind::kInput, integer)) {
          entry = Sum(entry, EntryOf(*input));
        }
      }
      result->table.Add(id, integer ? kIntegerChoice : kFloatChoice, entry);
    }
    // Times that include the way from the network's input or to its output hold for that place
    // only.
    if (!work.reads_input(l) && kind == WorkKind::kKernel) {
      result->table.DeclareSignature(id, work.signatures()[l].ToString());
    }
  }
  for (const LayerEdge& edge : work.edges()) {
    if (!edge.pays) continue;
    const std::string& producer = graph.layer(edge.producer).id;
    const std::string& consumer = graph.layer(edge.consumer).id;
    for (const bool quantize : {true, false}) {
      const RawSamples* raw = work.Samples(edge.producer.value, WorkKind::kOutputReorder, quantize);
      if (raw == nullptr) continue;
      const NumberFormat from = quantize ? kFloatChoice.activation : kIntegerChoice.activation;
      const NumberFormat to = quantize ? kIntegerChoice.activation : kFloatChoice.activation;
      result->table.AddTransition({producer, consumer, from, to}, EntryOf(*raw));
    }
  }
  if (!no_integer_kernel.empty()) {
    result->warnings.push_back(std::to_string(no_integer_kernel.size()) +
                               " layers have no INT8 kernel in oneDNN and only a float entry, " +
                               no_integer_kernel.front() + " first");
  }
}

}  // namespace

std::vector<BitChoice> OnednnBackend::SupportedChoices() const {
  return {kFloatChoice, kIntegerChoice};
}

Measurement OnednnBackend::Measure(const LayerGraph& graph, const std::string& model_path,
                                   const MeasureOptions& options, const RunContext& context) {
  if (options.repetitions < 1 || options.warmup < 0 || options.batch < 1) {
    throw Error(ErrorId::kUsage, "repetitions and batch must be 1 or more, warm-up 0 or more");
  }
  Measurement result;
  // oneDNN fixes a primitive's number of threads when it is built. Built elsewhere, it would run
  // several OpenMP threads that wait for each other on the one pinned CPU.
  std::optional<WorkList> built;
  const int cpu = RunPinned([&] {
    built.emplace(graph, options.batch);
    TakeSamples(options, context, &built->timed());
  });
  WorkList& work = *built;
  LatencyTable& table = result.table;
  table.SetProvenance("backend", "onednn");
  table.SetProvenance("model", model_path.empty() ? graph.name : model_path);
  if (!options.command.empty()) table.SetProvenance("command", options.command);
  if (!options.date.empty()) table.SetProvenance("date", options.date);
  table.SetProvenance("cpu", CpuDescription());
  table.SetProvenance("library", OnednnFactory::Description());
  table.SetProvenance("threads",
                      cpu >= 0 ? "1, pinned to CPU " + std::to_string(cpu) : "1, not pinned");
  table.SetProvenance("batch", std::to_string(options.batch));
  table.SetProvenance("samples", std::to_string(options.repetitions) + " after " +
                                     std::to_string(options.warmup) + " warm-up rounds");
  table.SetProvenance("statistic", "median; stddev is 1.4826 x median absolute deviation");
  table.SetProvenance("includes",
                      "bias; bringing the network's input into the first layer's "
                      "format; float results in the last layer");
  table.SetProvenance("not included", "operators between layers");
  FillTable(graph, work, &result);
  for (Timed& timed : work.timed()) {
    if (timed.raw.implementation.starts_with("ref")) {
      result.warnings.push_back(timed.raw.name + " (" + timed.raw.formats +
                                ") runs oneDNN's slow reference implementation " +
                                timed.raw.implementation);
    }
    result.raw.push_back(std::move(timed.raw));
  }
  if (cpu < 0) result.warnings.push_back("the measuring thread could not be pinned to a CPU");
  return result;
}

}  // namespace bitsearch
