#pragma once
// From a network and an experiment to an AssignmentProblem: candidates, costs, ties, limits. The
// losses are filled in later, so that feasibility is known before anything is computed.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/budget.h"
#include "experiments/experiment.h"
#include "experiments/problem_files.h"
#include "search/solution.h"
#include "sensitivity/sensitivity_report.h"
#include "space/choices/bit_config.h"
#include "space/graph/layer_graph.h"
#include "space/graph/rewrites.h"
#include "space/graph/ties.h"
#include "space/hardware/costs.h"
#include "space/hardware/latency_table.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// A configuration that the experiment starts from.
struct StartConfig {
  std::string name;  ///< "start FOLDER/FILE": the row in the result table.
  BitConfig config;
};

/// A network's problem without losses, and what its costs are made of. Immutable after building.
struct NetworkProblem {
  /// BN folded, if the experiment says so, and equalised, if its calibration does.
  LayerGraph graph;
  BatchNormMap statistics;  ///< Of what was folded.
  std::optional<LatencyTable> latency;
  WeightStorage storage;
  MissingPolicy missing = MissingPolicy::kError;
  /// Losses are 0. Resources: size_bits, parameter_bits (Σ parameters · bits), bops and, with a
  /// table, latency_us.
  NamedProblem named;
  std::vector<StartConfig> starts;  ///< Of `search.start`, in order.
  /// How the table's times were found: by name, by signature, between two of them.
  LookupCounts lookups;
  /// What the user must know of the device, in words: choices that it does not run, a table that
  /// shows no gain for fewer bits.
  std::vector<std::string> notes;

  /// Exact cost of any configuration in the resource's integer unit; nothing where the table has
  /// no entry for it.
  std::optional<std::int64_t> Cost(const std::string& resource, const BitConfig& config) const;
};

/// The experiment's model, BN not folded. Extents that it leaves open are those of the records.
LayerGraph ReadModelOf(const Experiment& experiment);

/// What a placement ties.
TieRules TieRulesOf(Placement placement);

/// The candidates of every layer: the experiment's formats, narrowed by its pins. A layer without
/// weights keeps fp32 weights. Throws Error(kPinUnmatched) for a glob that matches no layer.
std::vector<std::vector<BitChoice>> Candidates(const Experiment& experiment,
                                               const LayerGraph& graph);

/// Reads model and latency table and builds the problem, without starting configurations. Throws
/// the errors of ReadOnnx, ReadLatencyCsv and Candidates, Error(kLatencyMissing).
NetworkProblem BuildNetworkProblem(const Experiment& experiment);

/// `named` with the report's losses and pair terms. Throws Error(kLayerUnknown),
/// Error(kCostMissing) if a layer or choice of the problem is not in the report; `source` names the
/// report in messages. Pair terms of choices that the problem does not have are left out.
NamedProblem WithLosses(NamedProblem named, const SensitivityReport& report,
                        const std::string& source);

/// `problem` without what pairs of layers add to the loss; transitions stay.
AssignmentProblem WithoutPairLosses(AssignmentProblem problem);

/// `named` with the limits of a budget: relative ones from the uniform configuration's cost.
/// Throws Error(kLatencyMissing) where that has none.
NamedProblem WithBudget(const NetworkProblem& network, NamedProblem named, const Budget& budget);

/// `context` without its progress sink: for the many small solves whose logs nobody would read.
RunContext Quiet(RunContext context);

/// Throws Error(kBudgetInfeasible) naming each limit that cannot be kept and the least value that
/// can, if no configuration is within the budget.
void RequireFeasible(const NetworkProblem& network, const NamedProblem& named, const Budget& budget,
                     const RunContext& context);

/// A value of the problem's resource in the unit of the name that experiments use for it: bits in
/// bytes, parameter bits in bits per parameter.
double InUnitOf(const NetworkProblem& network, const std::string& name, const NamedProblem& named,
                std::int64_t value);

/// The problem's resource behind a name that experiments use: "size_bytes" is kept as size_bits,
/// "mean_weight_bits" as parameter_bits.
std::string ProblemResource(const std::string& name);

/// The configuration that a solver's choice stands for.
BitConfig ToBitConfig(const NamedProblem& named, const std::vector<ChoiceIndex>& choice);

/// The solver's choice that a configuration stands for; nothing if some choice is no candidate.
std::optional<std::vector<ChoiceIndex>> FindChoice(const NamedProblem& named,
                                                   const BitConfig& config);
/// The same where every choice must be a candidate.
std::vector<ChoiceIndex> ToChoice(const NamedProblem& named, const BitConfig& config);

/// Files for people and for `bitsearch solve`: layers.csv, costs.csv and, where there are any,
/// ties.csv, latency.csv, transitions.csv. Name → text.
std::vector<std::pair<std::string, std::string>> CostFiles(const NetworkProblem& network);

/// Shell glob (`*`, `?`, `[…]`) against a whole name.
bool GlobMatches(const std::string& glob, const std::string& name);

}  // namespace bitsearch
