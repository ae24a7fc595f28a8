// Exports, rounds, and how profiles become a table. See onnxruntime_measure.h.
#include "space/hardware/onnxruntime_measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "space/hardware/layer_edges.h"
#include "space/hardware/machine_info.h"
#include "space/hardware/runtime_profile.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/child_process.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 5;  // Each a new session: its memory lies elsewhere.
constexpr double kMicrosecond = 1e-3;

/// One file that is run, and what was measured of it.
struct Export {
  BitConfig config;
  std::string formats;
  fs::path file;
  LayerSamples layers;
  std::vector<std::int64_t> end_to_end_ns;
  /// What the profile's times are multiplied by, so that the layers add up to the whole: profiling
  /// takes time itself, and the profile leaves out the time between nodes.
  double scale = 1.0;
  std::optional<Alternation> alternation = std::nullopt;  ///< None: a uniform network.

  void SetScale() {
    std::int64_t sum = 0;
    for (const auto& samples : layers.by_layer) sum += Summarize(samples).median_ns;
    const std::int64_t whole = Summarize(end_to_end_ns).median_ns;
    if (sum > 0) scale = static_cast<double>(whole) / static_cast<double>(sum);
  }

  LatencyEntry EntryOf(std::size_t layer) const {
    const SampleSummary summary = Summarize(layers.by_layer[layer]);
    const auto scaled = [this](std::int64_t ns) {
      return std::llround(scale * static_cast<double>(ns));
    };
    return {scaled(summary.median_ns), scaled(summary.spread_ns), summary.samples};
  }
};

/// Uniform exports first, in the order of the choices; then those in which two activation formats
/// alternate.
std::vector<Export> PlanExports(const LayerGraph& graph, const std::vector<BitChoice>& choices) {
  std::vector<Export> exports;
  for (const BitChoice choice : choices) {
    Export uniform;
    uniform.config = BitConfig::Uniform(graph.layers().size(), choice);
    uniform.formats = choice.ToString();
    exports.push_back(std::move(uniform));
  }
  std::vector<BitChoice> formats;  // The first choice of each activation format.
  for (const BitChoice choice : choices) {
    const bool known = std::any_of(formats.begin(), formats.end(), [&](const BitChoice& other) {
      return other.activation == choice.activation;
    });
    if (!known) formats.push_back(choice);
  }
  for (const BitChoice first : formats) {
    for (const BitChoice second : formats) {
      if (first == second) continue;
      for (const Alternation where : {Alternation::kEverywhere, Alternation::kAtJoins}) {
        Export mixed;
        mixed.config = AlternatingConfig(graph, first, second, where);
        mixed.formats = first.ToString() + " and " + second.ToString() + " alternating" +
                        (where == Alternation::kAtJoins ? " at joins" : "");
        mixed.alternation = where;
        // A network without joins would be uniform.
        if (mixed.config != BitConfig::Uniform(graph.layers().size(), first)) {
          exports.push_back(std::move(mixed));
        }
      }
    }
  }
  return exports;
}

void Append(LayerSamples&& more, LayerSamples* all) {
  if (all->by_layer.empty()) {
    *all = std::move(more);
    return;
  }
  for (std::size_t l = 0; l < more.by_layer.size(); ++l) {
    all->by_layer[l].insert(all->by_layer[l].end(), more.by_layer[l].begin(),
                            more.by_layer[l].end());
  }
}

/// Tensors that layers read and that several layers' outputs reach.
std::set<TensorIndex> JoinedTensors(const LayerGraph& graph) {
  std::map<TensorIndex, std::set<LayerIndex>> producers;
  for (const LayerEdge& edge : LayerEdges(graph)) {
    producers[graph.layer(edge.consumer).input].insert(edge.producer);
  }
  std::set<TensorIndex> joined;
  for (const auto& [tensor, layers] : producers) {
    if (layers.size() > 1) joined.insert(tensor);
  }
  return joined;
}

/// Where a layer's additional time goes: the edge that pays for the tensor which its first reader
/// reads; for a layer that nothing reads, the one which pays for its own input.
std::vector<std::optional<LayerEdge>> EdgesOfLayers(const LayerGraph& graph,
                                                    const std::vector<LayerEdge>& edges) {
  std::map<TensorIndex, LayerEdge> payer;
  for (const LayerEdge& edge : edges) {
    if (edge.pays) payer.emplace(graph.layer(edge.consumer).input, edge);
  }
  const auto paying = [&](LayerIndex reader) {
    const auto found = payer.find(graph.layer(reader).input);
    return found == payer.end() ? std::optional<LayerEdge>() : found->second;
  };
  std::vector<std::optional<LayerEdge>> of(graph.layers().size());
  for (const LayerEdge& edge : edges) {  // Ascending: the nearest reader comes first.
    if (!of[edge.producer.value]) of[edge.producer.value] = paying(edge.consumer);
  }
  for (std::size_t l = 0; l < of.size(); ++l) {
    if (!of[l]) of[l] = paying(LayerIndex(l));
  }
  return of;
}

void FillEdges(const LayerGraph& graph, const std::vector<Export>& exports, std::size_t uniform,
               LatencyTable* table) {
  const std::vector<std::optional<LayerEdge>> edge_of = EdgesOfLayers(graph, LayerEdges(graph));
  const std::set<TensorIndex> joined = JoinedTensors(graph);
  std::map<TransitionKey, LatencyEntry> times;
  std::vector<TransitionKey> order;
  for (std::size_t e = uniform; e < exports.size(); ++e) {
    const Export& mixed = exports[e];
    for (std::size_t l = 0; l < edge_of.size(); ++l) {
      if (!edge_of[l]) continue;
      const LayerEdge& edge = *edge_of[l];
      // Edges behind a join are measured with all branches alike, the others one by one.
      const bool join = joined.contains(graph.layer(edge.consumer).input);
      if (join != (mixed.alternation == Alternation::kAtJoins)) continue;
      const TransitionKey key{graph.layer(edge.producer).id, graph.layer(edge.consumer).id,
                              mixed.config.choices[edge.producer.value].activation,
                              mixed.config.choices[edge.consumer.value].activation};
      const LatencyEntry here = mixed.EntryOf(l);
      const LatencyEntry alone = *table->Find(graph.layers()[l].id, mixed.config.choices[l]);
      const LatencyEntry more{here.latency_ns - alone.latency_ns,
                              std::llround(std::hypot(static_cast<double>(*here.stddev_ns),
                                                      static_cast<double>(*alone.stddev_ns))),
                              std::min(here.samples, alone.samples)};
      const auto [known, is_new] = times.emplace(key, more);
      if (is_new) {
        order.push_back(key);
      } else {
        known->second.latency_ns += more.latency_ns;
        known->second.stddev_ns = std::llround(std::hypot(
            static_cast<double>(*known->second.stddev_ns), static_cast<double>(*more.stddev_ns)));
      }
    }
  }
  for (const TransitionKey& key : order) {
    LatencyEntry entry = times.at(key);
    entry.latency_ns = std::max<std::int64_t>(entry.latency_ns, 0);  // Noise about nothing.
    table->AddTransition(key, entry);
  }
}

/// Layers whose integer bits ran in floating point, and what that costs.
void WarnOfFallbacks(const LayerGraph& graph, const std::vector<Export>& exports,
                     std::size_t uniform, const LatencyTable& table,
                     std::vector<std::string>* warnings) {
  const BitChoice fp32{NumberFormat::Float32(), NumberFormat::Float32()};
  for (std::size_t e = 0; e < uniform; ++e) {
    const Export& item = exports[e];
    const BitChoice choice = item.config.choices.front();
    if (choice.weight.is_float()) continue;
    std::string first;
    std::vector<double> ratios;
    std::size_t count = 0;
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      if (item.layers.integer[l]) continue;
      const std::string& id = graph.layers()[l].id;
      if (count++ == 0) first = id + ": " + item.layers.operators[l];
      const LatencyEntry* plain = table.Find(id, fp32);
      const LatencyEntry* here = table.Find(id, choice);
      if (plain == nullptr || here == nullptr || plain->latency_ns == 0) continue;
      ratios.push_back(static_cast<double>(here->latency_ns) /
                       static_cast<double>(plain->latency_ns));
    }
    if (count == 0) continue;
    std::string text = fmt::format("{} of {} layers at {} run in floating point ({})", count,
                                   graph.layers().size(), choice.ToString(), first);
    if (!ratios.empty()) {
      text += fmt::format("; they take {:.2f} times as long as fp32 (median)",
                          Median(std::move(ratios)));
    }
    warnings->push_back(std::move(text));
  }
  for (std::size_t e = uniform; e < exports.size(); ++e) {
    std::size_t integers = 0, lost = 0;
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      const BitChoice choice = exports[e].config.choices[l];
      if (choice.weight.is_float() || choice.activation.is_float()) continue;
      const auto same = std::find_if(exports.begin(), exports.end(), [&](const Export& other) {
        return other.config.choices[l] == choice;
      });
      if (!same->layers.integer[l]) continue;
      ++integers;
      if (!exports[e].layers.integer[l]) ++lost;
    }
    if (lost == 0) continue;
    warnings->push_back(fmt::format(
        "{}: {} of {} integer layers fall back to floating point beside neighbours of another "
        "format; the edges hold that time",
        exports[e].formats, lost, integers));
  }
}

void NoteWholeTimes(const std::vector<Export>& exports, LatencyTable* table) {
  for (const Export& item : exports) {
    table->SetProvenance(
        "end to end " + item.formats,
        fmt::format("{:.1f} us without profiling, median of {}; profile x {:.3f}",
                    kMicrosecond * static_cast<double>(Summarize(item.end_to_end_ns).median_ns),
                    item.end_to_end_ns.size(), item.scale));
  }
}

}  // namespace

std::vector<RuntimeInput> RandomInputs(const LayerGraph& graph, std::int64_t batch) {
  std::vector<RuntimeInput> inputs;
  for (const TensorIndex index : graph.inputs()) {
    const Tensor& tensor = graph.tensor(index);
    if (tensor.constant) continue;
    if (!tensor.sample_shape || ElementCount(*tensor.sample_shape) < 0) {
      throw Error(ErrorId::kLayerShape, "the shape of this input is unknown")
          .Key(tensor.name)
          .Hint("give --shape, or a model with fixed extents (the batch may be free)");
    }
    RuntimeInput input{tensor.name, *tensor.sample_shape, {}};
    if (tensor.shape && !tensor.shape->empty() && tensor.shape->front() < 0) {
      input.shape.front() = batch;
    }
    input.values.resize(static_cast<std::size_t>(ElementCount(input.shape)));
    RandomStream random(0, "latency input", inputs.size());
    for (float& value : input.values) value = static_cast<float>(random.Normal());
    inputs.push_back(std::move(input));
  }
  return inputs;
}

BitConfig AlternatingConfig(const LayerGraph& graph, BitChoice first, BitChoice second,
                            Alternation where) {
  const std::set<TensorIndex> joined = JoinedTensors(graph);
  std::map<TensorIndex, LayerIndex> payer;
  for (const LayerEdge& edge : LayerEdges(graph)) {
    if (edge.pays) payer.emplace(graph.layer(edge.consumer).input, edge.producer);
  }
  std::vector<bool> is_second(graph.layers().size(), false);
  BitConfig config;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {  // Producers come before consumers.
    const TensorIndex input = graph.layers()[l].input;
    if (const auto found = payer.find(input); found != payer.end()) {
      const bool changes = where == Alternation::kEverywhere || joined.contains(input);
      is_second[l] = is_second[found->second.value] != changes;
    }
    config.choices.push_back(is_second[l] ? second : first);
  }
  return config;
}

LayerSamples ReadLayerSamples(const std::string& profile_path, const std::string& optimized_model,
                              const LayerGraph& graph, std::size_t runs) {
  const RuntimeProfile profile = ReadRuntimeProfile(profile_path);
  const std::vector<std::optional<LayerIndex>> owner =
      LayersOfNodes(profile, ReadOptimizedModel(optimized_model, graph));
  LayerSamples samples;
  samples.by_layer.assign(graph.layers().size(), std::vector<std::int64_t>(runs, 0));
  samples.operators.resize(graph.layers().size());
  samples.integer.assign(graph.layers().size(), false);
  bool any = false;
  for (std::size_t n = 0; n < profile.nodes.size(); ++n) {
    const RuntimeNode& node = profile.nodes[n];
    if (!owner[n] || node.samples_ns.size() < runs) continue;
    any = true;
    const std::size_t l = owner[n]->value;
    const std::size_t skip = node.samples_ns.size() - runs;
    for (std::size_t r = 0; r < runs; ++r) {
      samples.by_layer[l][r] += node.samples_ns[skip + r];
    }
    samples.operators[l] += (samples.operators[l].empty() ? "" : " + ") + node.op;
    if (IsIntegerOperator(node.op)) samples.integer[l] = true;
  }
  if (!any) {
    throw Error(ErrorId::kProfileUnmatched, "no node of the profile belongs to a layer")
        .At({.file = profile_path})
        .Hint("is the profile that of this model?");
  }
  return samples;
}

Measurement OnnxRuntimeBackend::Measure(const LayerGraph& graph, const std::string& model_path,
                                        const MeasureOptions& options, const RunContext& context) {
  if (options.repetitions < 1 || options.warmup < 0 || options.batch < 1 || choices_.empty()) {
    throw Error(ErrorId::kUsage, "repetitions and batch must be 1 or more, warm-up 0 or more");
  }
  const ScratchFolder scratch;
  std::vector<Export> exports = PlanExports(graph, choices_);
  for (std::size_t e = 0; e < exports.size(); ++e) {
    exports[e].file = scratch.path() / fmt::format("export_{}.onnx", e);
    writer_(exports[e].config, exports[e].file);
  }
  const int rounds = std::min(kRounds, options.repetitions);
  const int runs = (options.repetitions + rounds - 1) / rounds;
  RuntimeRequest request;
  request.inputs = RandomInputs(graph, options.batch);
  request.repetitions = runs;
  request.warm_up = options.warmup;
  std::string version;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t e = 0; e < exports.size(); ++e) {
      request.model = exports[e].file;
      request.profile_folder.clear();
      for (const double seconds : RunInRuntime(runtime_, request, context).seconds) {
        exports[e].end_to_end_ns.push_back(std::llround(seconds * 1e9));
      }
      request.profile_folder = scratch.path() / fmt::format("profile_{}_{}", e, round);
      fs::create_directory(request.profile_folder);
      const RuntimeAnswer answer = RunInRuntime(runtime_, request, context);
      version = answer.version;
      Append(ReadLayerSamples(answer.profile.string(), answer.optimized_model.string(), graph,
                              static_cast<std::size_t>(runs)),
             &exports[e].layers);
      fs::remove_all(request.profile_folder);
      context.progress->Progress(
          "measure",
          static_cast<std::int64_t>(round) * static_cast<std::int64_t>(exports.size()) +
              static_cast<std::int64_t>(e) + 1,
          rounds * static_cast<std::int64_t>(exports.size()));
    }
  }

  for (Export& item : exports) item.SetScale();
  Measurement result;
  LatencyTable& table = result.table;
  table.SetProvenance("backend", std::string(name()));
  table.SetProvenance("model", model_path.empty() ? graph.name : model_path);
  if (!options.command.empty()) table.SetProvenance("command", options.command);
  if (!options.date.empty()) table.SetProvenance("date", options.date);
  table.SetProvenance("cpu", CpuDescription());
  table.SetProvenance("runtime", version);
  table.SetProvenance("threads", "1, not pinned");
  table.SetProvenance("batch", std::to_string(options.batch));
  table.SetProvenance("samples", fmt::format("{} in {} interleaved sessions, each after {} warm-up "
                                             "runs",
                                             rounds * runs, rounds, options.warmup));
  table.SetProvenance("statistic", "median; stddev is 1.4826 x median absolute deviation");
  table.SetProvenance("includes",
                      "a layer: its kernel and the operators behind it up to the next "
                      "layer; an edge: what different formats cost beyond that");
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    for (std::size_t e = 0; e < choices_.size(); ++e) {
      table.Add(graph.layers()[l].id, choices_[e], exports[e].EntryOf(l));
    }
  }
  FillEdges(graph, exports, choices_.size(), &table);
  NoteWholeTimes(exports, &table);
  WarnOfFallbacks(graph, exports, choices_.size(), table, &result.warnings);
  for (Export& item : exports) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      result.raw.push_back({graph.layers()[l].id, "kernel", item.formats, item.layers.operators[l],
                            std::move(item.layers.by_layer[l])});
    }
    result.raw.push_back(
        {"network", "end_to_end", item.formats, version, std::move(item.end_to_end_ns)});
  }
  return result;
}

}  // namespace bitsearch
