// Candidates, resources, ties and limits of a network. Computes no losses.
#include "experiments/network_problem.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "search/solver.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/ties.h"
#include "space/hardware/capabilities.h"
#include "space/hardware/costs.h"
#include "space/hardware/latency_csv.h"
#include "space/hardware/layer_edges.h"
#include "space/hardware/layer_signature.h"
#include "space/hardware/table_warnings.h"
#include "space/network/data_fit.h"
#include "space/network/dataset.h"
#include "space/quantizer/float_network.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr int kLatencyDecimals = 3;  // nanoseconds, in µs
constexpr std::int64_t kBitsPerByte = 8;

LayerKey KeyOf(const LayerGraph& graph, const Layer& layer) {
  return {layer.id, SignatureOf(graph, layer).ToString()};
}

/// Σ parameters · bits of each layer and choice, each shared weight once.
std::vector<std::vector<std::int64_t>> ParameterBits(
    const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices) {
  const std::vector<bool> carries = CarriesWeight(graph);
  std::vector<std::vector<std::int64_t>> bits;
  for (std::size_t l = 0; l < choices.size(); ++l) {
    bits.emplace_back();
    for (const BitChoice& choice : choices[l]) {
      bits.back().push_back(carries[l] ? graph.layers()[l].parameter_count * choice.weight.bits()
                                       : 0);
    }
  }
  return bits;
}

void AddResource(NamedProblem* named, std::string name, int decimals,
                 std::vector<std::vector<std::int64_t>> cost, std::int64_t fixed = 0) {
  Resource resource;
  resource.name = std::move(name);
  resource.cost = std::move(cost);
  resource.fixed = fixed;
  named->problem.resources.push_back(std::move(resource));
  named->decimals.push_back(decimals);
}

void AddLatency(NetworkProblem* network) {
  const LatencyTable& table = *network->latency;
  NamedProblem& named = network->named;
  const std::vector<Layer>& layers = network->graph.layers();
  std::vector<std::vector<std::int64_t>> cost;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const LayerKey key = KeyOf(network->graph, layers[l]);
    cost.emplace_back();
    for (const BitChoice& choice : named.choices[l]) {
      const LatencyLookup found = table.Require(key, choice, network->missing);
      cost.back().push_back(found.entry.latency_ns);
      network->lookups.Count(found.kind);
    }
  }
  const ResourceIndex resource(named.problem.resources.size());
  AddResource(&named, "latency_us", kLatencyDecimals, std::move(cost), table.fixed_ns());
  for (const LayerEdge& edge : LayerEdges(network->graph)) {
    if (!edge.pays) continue;
    const std::vector<BitChoice>& from = named.choices[edge.producer.value];
    const std::vector<BitChoice>& to = named.choices[edge.consumer.value];
    std::vector<std::int64_t> times;
    for (const BitChoice& a : from) {
      for (const BitChoice& b : to) {
        times.push_back(
            table
                .RequireTransition({layers[edge.producer.value].id, layers[edge.consumer.value].id,
                                    a.activation, b.activation})
                .latency_ns);
      }
    }
    if (std::all_of(times.begin(), times.end(), [](std::int64_t t) { return t == 0; })) continue;
    named.problem.pairs.push_back({edge.producer, edge.consumer, {}, {{resource, times}}});
  }
}

/// Labels by which tied layers agree: the position of the tied format among those that occur.
void AddTies(NetworkProblem* network, Placement placement) {
  NamedProblem& named = network->named;
  for (const TieGroup& group : InferTies(network->graph, TieRulesOf(placement))) {
    for (const bool weights : {true, false}) {
      if (weights && group.kind == TieKind::kActivation) continue;
      if (!weights && group.kind == TieKind::kWeight) continue;
      std::map<NumberFormat, int> label_of;
      Tie tie;
      tie.name = group.name;
      tie.layers = group.layers;
      for (const LayerIndex layer : group.layers) {
        tie.label.emplace_back();
        for (const BitChoice& choice : named.choices[layer.value]) {
          const NumberFormat format = weights ? choice.weight : choice.activation;
          tie.label.back().push_back(
              label_of.try_emplace(format, static_cast<int>(label_of.size())).first->second);
        }
      }
      // One format everywhere ties nothing.
      if (label_of.size() > 1) named.problem.ties.push_back(std::move(tie));
    }
  }
}

/// The resource that a budget's name stands for, and how many of its units the budget's unit is.
struct BudgetUnit {
  std::string resource;
  std::int64_t factor = 1;
};

BudgetUnit UnitOf(const NetworkProblem& network, const std::string& name) {
  if (name == "size_bytes") return {ProblemResource(name), kBitsPerByte};
  if (name != "mean_weight_bits") return {ProblemResource(name), 1};
  const std::vector<bool> carries = CarriesWeight(network.graph);
  std::int64_t parameters = 0;
  for (std::size_t l = 0; l < carries.size(); ++l) {
    if (carries[l]) parameters += network.graph.layers()[l].parameter_count;
  }
  return {ProblemResource(name), parameters};
}

std::int64_t LimitInUnits(const NetworkProblem& network, const NamedProblem& named,
                          const BudgetLimit& limit) {
  const BudgetUnit unit = UnitOf(network, limit.resource);
  const Decimal number = ParseDecimal(limit.number, {});
  if (!limit.relative()) {
    const int decimals = named.decimals[named.FindResource(unit.resource).value];
    std::int64_t grid = unit.factor;
    for (int i = 0; i < decimals; ++i) grid *= 10;
    return ScaleDown(number, grid);
  }
  const BitConfig baseline =
      BitConfig::Uniform(network.graph.layers().size(), *ParseBaseline(limit.baseline));
  const auto cost = network.Cost(unit.resource, baseline);
  if (!cost.has_value()) {
    throw Error(ErrorId::kLatencyMissing,
                fmt::format("the table has no time for every layer at {}", limit.baseline))
        .At({network.latency->source_name, 0, 0})
        .Key(limit.resource)
        .Hint("add those rows, or write the limit as a number");
  }
  return ScaleDown(number, *cost);
}

}  // namespace

TieRules TieRulesOf(Placement placement) {
  TieRules rules;
  rules.activations = placement != Placement::kWeightsOnly;
  rules.joins = placement == Placement::kRuntime || placement == Placement::kInteger;
  return rules;
}

bool GlobMatches(const std::string& glob, const std::string& name) {
  return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0;
}

std::optional<std::int64_t> NetworkProblem::Cost(const std::string& resource,
                                                 const BitConfig& config) const {
  if (resource == "size_bits") return TotalSizeBits(graph, config, storage);
  if (resource == "bops") return TotalBops(graph, config);
  const std::vector<Layer>& layers = graph.layers();
  if (resource == "parameter_bits") {
    const std::vector<bool> carries = CarriesWeight(graph);
    std::int64_t bits = 0;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (carries[l]) bits += layers[l].parameter_count * config.choices[l].weight.bits();
    }
    return bits;
  }
  if (resource != "latency_us" || !latency.has_value()) return std::nullopt;
  std::int64_t total_ns = latency->fixed_ns();
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const auto found = latency->Lookup(KeyOf(graph, layers[l]), config.choices[l], missing);
    if (!found.has_value()) return std::nullopt;
    total_ns += found->entry.latency_ns;
  }
  for (const LayerEdge& edge : LayerEdges(graph)) {
    if (!edge.pays) continue;
    try {
      total_ns +=
          latency
              ->RequireTransition({layers[edge.producer.value].id, layers[edge.consumer.value].id,
                                   config.choices[edge.producer.value].activation,
                                   config.choices[edge.consumer.value].activation})
              .latency_ns;
    } catch (const Error&) {
      return std::nullopt;  // the table does not know this change of formats
    }
  }
  return total_ns;
}

namespace {

/// By the layer's id, or by its weight's name without ".weight", which is what frameworks call it.
bool PinMatches(const Pin& pin, const LayerGraph& graph, const Layer& layer) {
  if (GlobMatches(pin.glob, layer.id)) return true;
  if (!layer.weight.has_value()) return false;
  std::string name = graph.tensor(*layer.weight).name;
  constexpr std::string_view kSuffix = ".weight";
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  return GlobMatches(pin.glob, name);
}

}  // namespace

std::vector<std::vector<BitChoice>> Candidates(const Experiment& experiment,
                                               const LayerGraph& graph) {
  const SpaceSection& space = experiment.space;
  std::vector<std::string> names;
  for (const Layer& layer : graph.layers()) names.push_back(layer.id);
  for (const Pin& pin : space.pins) {
    const bool matches =
        std::any_of(graph.layers().begin(), graph.layers().end(),
                    [&](const Layer& layer) { return PinMatches(pin, graph, layer); });
    if (matches) continue;
    const std::string nearest = NearestName(pin.glob, names);
    throw Error(ErrorId::kPinUnmatched, "the pin matches no layer")
        .At(experiment.PlaceOf("space.pins." + pin.glob))
        .Key(fmt::format("space.pins.\"{}\"", pin.glob))
        .Hint(nearest.empty() ? "bitsearch layers lists the names"
                              : fmt::format("did you mean \"{}\"?", nearest));
  }
  std::vector<std::vector<BitChoice>> candidates;
  for (const Layer& layer : graph.layers()) {
    std::vector<NumberFormat> weights = space.weight_bits;
    std::vector<NumberFormat> activations = space.activation_bits;
    bool pinned = false;
    for (const Pin& pin : space.pins) {  // a later pin wins
      if (!PinMatches(pin, graph, layer)) continue;
      pinned = true;
      if (pin.weight.has_value()) weights = {*pin.weight};
      if (pin.activation.has_value()) activations = {*pin.activation};
    }
    if (!layer.weight.has_value()) weights = {NumberFormat::Float32()};
    candidates.emplace_back();
    for (const NumberFormat weight : weights) {
      for (const NumberFormat activation : activations) {
        const bool equal = !space.equal_bits || pinned || !layer.weight || weight == activation;
        if (equal) candidates.back().push_back({weight, activation});
      }
    }
    if (candidates.back().empty()) {
      throw Error(ErrorId::kYamlConflict,
                  "no format is in both weight_bits and activation_bits, and equal_bits is set")
          .Key("space.equal_bits")
          .Hint("name common formats, or set equal_bits: false");
    }
  }
  return candidates;
}

namespace {

/// Takes away the candidates that the device does not run, and enters what falling back takes.
void KeepWhatRuns(const Experiment& experiment, NetworkProblem* network) {
  const DeviceCapabilities device =
      ReadCapabilitiesFile(experiment.costs.capabilities_file.string());
  std::vector<CandidateLayer> layers;
  for (std::size_t l = 0; l < network->graph.layers().size(); ++l) {
    const Layer& layer = network->graph.layers()[l];
    layers.push_back({KeyOf(network->graph, layer), layer.op, network->named.choices[l]});
  }
  OfferedChoices offered = OfferChoices(device, network->latency.value_or(LatencyTable{}), layers,
                                        experiment.quantization.weight.granularity);
  network->named.choices = std::move(offered.choices);
  if (network->latency) network->latency = std::move(offered.table);
  network->notes.insert(network->notes.end(), offered.notes.begin(), offered.notes.end());
}

}  // namespace

LayerGraph ReadModelOf(const Experiment& experiment) {
  LayerGraph graph = ReadOnnx(experiment.model.file);
  if (!LeavesExtentsOpen(graph)) return graph;
  const DataSection& data = experiment.data;
  for (const std::optional<DataSpec>* spec : {&data.search, &data.calibration, &data.report}) {
    if (!spec->has_value()) continue;
    return ReadOnnxFor(experiment.model.file, Dataset::Load(**spec).shape());
  }
  return graph;
}

NetworkProblem BuildNetworkProblem(const Experiment& experiment) {
  NetworkProblem network;
  FloatNetwork prepared =
      PrepareFloatNetwork(ReadModelOf(experiment), experiment.model.fold_batch_norm,
                          experiment.quantization.calibration);
  network.graph = std::move(prepared.graph);
  network.statistics = std::move(prepared.statistics);
  if (network.graph.layers().empty()) {
    throw Error(ErrorId::kModelGraph, "the network has no layer that can be quantized")
        .At({experiment.model.file.string(), 0, 0})
        .Hint("Conv, ConvTranspose, Gemm and MatMul with constant weights are");
  }
  const WeightQuantizerSpec& weight = experiment.quantization.weight;
  network.storage = {weight.granularity, weight.group_size, !weight.symmetric};
  network.missing = experiment.costs.missing;
  NamedProblem& named = network.named;
  for (const Layer& layer : network.graph.layers()) named.layers.push_back(layer.id);
  named.choices = Candidates(experiment, network.graph);
  if (!experiment.costs.latency_file.empty()) {
    network.latency = ReadLatencyCsv(experiment.costs.latency_file.string());
    if (!experiment.costs.transitions_file.empty()) {
      ReadTransitionsCsv(experiment.costs.transitions_file.string(), &*network.latency);
    }
  }
  if (!experiment.costs.capabilities_file.empty()) KeepWhatRuns(experiment, &network);
  for (const auto& choices : named.choices) named.problem.loss.emplace_back(choices.size(), 0.0);
  AddResource(&named, "size_bits", 0,
              SizeBitsOfChoices(network.graph, named.choices, network.storage));
  AddResource(&named, "parameter_bits", 0, ParameterBits(network.graph, named.choices));
  AddResource(&named, "bops", 0, BopsOfChoices(network.graph, named.choices));
  if (network.latency) {
    AddLatency(&network);
    for (const std::string& warning : TableWarnings(*network.latency)) {
      network.notes.push_back(experiment.costs.latency_file.filename().string() + ": " + warning);
    }
  }
  AddTies(&network, experiment.quantization.placement);
  named.problem.Validate();
  return network;
}

namespace {

std::optional<LayerChoice> FindLayerChoice(const NamedProblem& named, const std::string& layer,
                                           const BitChoice& choice) {
  const auto at = std::find(named.layers.begin(), named.layers.end(), layer);
  if (at == named.layers.end()) return std::nullopt;
  const auto l = static_cast<std::size_t>(at - named.layers.begin());
  const std::vector<BitChoice>& choices = named.choices[l];
  const auto found = std::find(choices.begin(), choices.end(), choice);
  if (found == choices.end()) return std::nullopt;
  return LayerChoice{LayerIndex(l), static_cast<std::size_t>(found - choices.begin())};
}

}  // namespace

NamedProblem WithLosses(NamedProblem named, const SensitivityReport& report,
                        const std::string& source) {
  named.standard_error.clear();
  std::vector<std::string> known;
  for (const LayerSensitivity& layer : report.layers) known.push_back(layer.layer);
  bool any_error = false;
  for (std::size_t l = 0; l < named.layers.size(); ++l) {
    const auto missing = [&](ErrorId id, const std::string& what) {
      const std::string nearest = NearestName(named.layers[l], known);
      return Error(id, what)
          .At({source, 0, 0})
          .Key(named.layers[l])
          .Hint(nearest.empty() || nearest == named.layers[l]
                    ? "add the rows, or narrow space.weight_bits and space.activation_bits"
                    : fmt::format("the file has a layer \"{}\"", nearest));
    };
    const auto index = report.FindLayer(named.layers[l]);
    if (!index.has_value()) throw missing(ErrorId::kLayerUnknown, "the layer has no sensitivities");
    named.standard_error.emplace_back();
    for (std::size_t c = 0; c < named.choices[l].size(); ++c) {
      const std::vector<ChoiceSensitivity>& rows = report.layers[*index].choices;
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const ChoiceSensitivity& r) {
        return r.choice == named.choices[l][c];
      });
      if (row == rows.end()) {
        throw missing(ErrorId::kCostMissing,
                      fmt::format("no sensitivity for {}", named.choices[l][c].ToString()));
      }
      named.problem.loss[l][c] = row->loss_increase;
      named.standard_error.back().push_back(row->standard_error.value_or(0.0));
      any_error = any_error || row->standard_error.has_value();
    }
  }
  if (!any_error) named.standard_error.clear();
  PairLosses pairs(&named);
  for (const PairSensitivity& pair : report.pairs) {
    const auto a = FindLayerChoice(named, pair.layer_a, pair.choice_a);
    const auto b = FindLayerChoice(named, pair.layer_b, pair.choice_b);
    if (a && b) pairs.Add(*a, *b, pair.loss_increase);
  }
  return named;
}

AssignmentProblem WithoutPairLosses(AssignmentProblem problem) {
  for (PairTerm& pair : problem.pairs) pair.loss.clear();
  std::erase_if(problem.pairs, [](const PairTerm& pair) { return pair.cost.empty(); });
  return problem;
}

NamedProblem WithBudget(const NetworkProblem& network, NamedProblem named, const Budget& budget) {
  for (const BudgetLimit& limit : budget.limits) {
    const ResourceIndex index = named.FindResource(UnitOf(network, limit.resource).resource);
    std::optional<std::int64_t>& value = named.problem.resources[index.value].limit;
    const std::int64_t units = LimitInUnits(network, named, limit);
    value = value.has_value() ? std::min(*value, units) : units;
  }
  return named;
}

RunContext Quiet(RunContext context) {
  context.progress = std::make_shared<NullProgressSink>();
  return context;
}

void RequireFeasible(const NetworkProblem& network, const NamedProblem& named, const Budget& budget,
                     const RunContext& context) {
  NamedProblem probe = named;
  for (auto& losses : probe.problem.loss) std::fill(losses.begin(), losses.end(), 0.0);
  const Solution solution =
      MakeSolver("auto")->Solve(probe.problem, SolverOptions{}, Quiet(context));
  if (solution.status == SolveStatus::kInterrupted) context.ThrowIfStopped();
  if (solution.has_choice()) return;
  std::string what = "no configuration is within the budget";
  for (const LimitConflict& conflict : solution.conflicts) {
    const Resource& resource = probe.problem.resources[conflict.resource.value];
    std::string name = resource.name;
    std::string limit_text = probe.ValueText(conflict.resource, *resource.limit);
    // Where other limits fail too, no value of this one is enough.
    const std::int64_t least_units =
        conflict.least_feasible.value_or(conflict.least_alone.value_or(*resource.limit));
    std::string least = probe.ValueText(conflict.resource, least_units);
    // In the name and the unit that the budget uses.
    for (const BudgetLimit& limit : budget.limits) {
      const BudgetUnit unit = UnitOf(network, limit.resource);
      if (unit.resource != resource.name || unit.factor == 1) continue;
      const auto converted = [&](std::int64_t value) {
        return fmt::format("{:.6g}", InUnitOf(network, limit.resource, probe, value));
      };
      name = limit.resource;
      limit_text = converted(*resource.limit);
      least = converted(least_units);
    }
    what += fmt::format("; {}: the limit is {}, the least possible {}", name, limit_text, least);
  }
  throw Error(ErrorId::kBudgetInfeasible, what)
      .Key(fmt::format("budgets (\"{}\")", budget.name))
      .Hint(
          "raise the limit, or allow fewer bits in space.weight_bits, space.activation_bits or "
          "space.pins");
}

double InUnitOf(const NetworkProblem& network, const std::string& name, const NamedProblem& named,
                std::int64_t value) {
  const BudgetUnit unit = UnitOf(network, name);
  // ValueText knows the resource's own scale (ns of us).
  return std::stod(named.ValueText(named.FindResource(unit.resource), value)) /
         static_cast<double>(unit.factor);
}

std::string ProblemResource(const std::string& name) {
  if (name == "size_bytes") return "size_bits";
  if (name == "mean_weight_bits") return "parameter_bits";
  return name;
}

BitConfig ToBitConfig(const NamedProblem& named, const std::vector<ChoiceIndex>& choice) {
  BitConfig config;
  for (std::size_t l = 0; l < choice.size(); ++l) {
    config.choices.push_back(named.choices[l][choice[l].value]);
  }
  return config;
}

std::optional<std::vector<ChoiceIndex>> FindChoice(const NamedProblem& named,
                                                   const BitConfig& config) {
  std::vector<ChoiceIndex> choice;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    const std::vector<BitChoice>& candidates = named.choices[l];
    const auto found = std::find(candidates.begin(), candidates.end(), config.choices[l]);
    if (found == candidates.end()) return std::nullopt;
    choice.emplace_back(static_cast<std::size_t>(found - candidates.begin()));
  }
  return choice;
}

std::vector<ChoiceIndex> ToChoice(const NamedProblem& named, const BitConfig& config) {
  auto choice = FindChoice(named, config);
  if (!choice) throw Error(ErrorId::kInternal, "a configuration has a choice that is no candidate");
  return *std::move(choice);
}

std::vector<std::pair<std::string, std::string>> CostFiles(const NetworkProblem& network) {
  const NamedProblem& named = network.named;
  const std::vector<Layer>& layers = network.graph.layers();
  std::string layer_text = "layer,op,parameters,bias_elements,macs,output_channels\n";
  for (const Layer& layer : layers) {
    layer_text +=
        fmt::format("{},{},{},{},{},{}\n", CsvCell(layer.id), layer.op, layer.parameter_count,
                    layer.bias_count, layer.macs, layer.output_channels);
  }
  const auto columns = [&](const std::vector<std::string>& resources, const std::string& head) {
    std::string text = head + "layer,weight_bits,activation_bits";
    for (const std::string& name : resources) text += "," + name;
    text += "\n";
    for (std::size_t l = 0; l < layers.size(); ++l) {
      for (std::size_t c = 0; c < named.choices[l].size(); ++c) {
        const BitChoice& choice = named.choices[l][c];
        text += fmt::format("{},{},{}", CsvCell(named.layers[l]), choice.weight.ToString(),
                            choice.activation.ToString());
        for (const std::string& name : resources) {
          const ResourceIndex r = named.FindResource(name);
          text += "," + named.ValueText(r, named.problem.resources[r.value].cost[l][c]);
        }
        text += "\n";
      }
    }
    return text;
  };
  std::vector<std::pair<std::string, std::string>> files = {
      {"layers.csv", layer_text},
      {"costs.csv", columns({"size_bits", "parameter_bits", "bops"}, "")}};
  if (network.latency.has_value()) {
    const std::string fixed = fmt::format(
        "# fixed_latency_us: {}\n# lookups: {} exact, {} by signature, {} interpolated\n",
        MicrosecondsText(network.latency->fixed_ns()), network.lookups.exact,
        network.lookups.signature, network.lookups.interpolated);
    files.emplace_back("latency.csv", columns({"latency_us"}, fixed));
  }
  std::string ties;
  for (const Tie& tie : named.problem.ties) {
    const std::string what = tie.name.starts_with("weight:") ? "weight" : "activation";
    for (const LayerIndex layer : tie.layers) {
      ties +=
          fmt::format("{},{},{}\n", CsvCell(tie.name), CsvCell(named.layers[layer.value]), what);
    }
  }
  if (!ties.empty()) files.emplace_back("ties.csv", "group,layer,what\n" + ties);
  std::string transitions;
  for (const PairTerm& pair : named.problem.pairs) {
    const std::vector<BitChoice>& from = named.choices[pair.first.value];
    const std::vector<BitChoice>& to = named.choices[pair.second.value];
    std::set<std::pair<NumberFormat, NumberFormat>> written;
    for (std::size_t i = 0; i < from.size() * to.size(); ++i) {
      const NumberFormat a = from[i / to.size()].activation;
      const NumberFormat b = to[i % to.size()].activation;
      if (!written.emplace(a, b).second) continue;
      transitions += fmt::format("{},{},{},{},{}\n", CsvCell(named.layers[pair.first.value]),
                                 CsvCell(named.layers[pair.second.value]), a.ToString(),
                                 b.ToString(), MicrosecondsText(pair.cost[0].second[i]));
    }
  }
  if (!transitions.empty()) {
    files.emplace_back("transitions.csv",
                       "producer,consumer,from_bits,to_bits,latency_us\n" + transitions);
  }
  return files;
}

}  // namespace bitsearch
