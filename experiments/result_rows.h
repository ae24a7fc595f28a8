#pragma once
// From configurations and their evaluations to the rows of the result table; and the file in which
// a search hands its lines to the evaluation.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/network_problem.h"
#include "experiments/result_table.h"
#include "space/hardware/network_latency.h"

namespace bitsearch {

/// The solver's optimum of the predicted losses, beside what measuring chose.
inline constexpr const char* kAdditiveLine = "additive";

/// One line of a budget: ours or a baseline.
struct ResultLine {
  std::string name;
  std::string note;
  std::vector<BitConfig> configs;
};

/// The lines of one budget; the first is ours, with one configuration.
struct BudgetLines {
  std::string budget;
  std::string limits;  ///< "size_bytes <= 0.5 x int8", for readers.
  double lower_bound = 0.0;
  double gap = 0.0;
  std::vector<ResultLine> lines;
};

std::string LinesJson(const std::vector<BudgetLines>& budgets);
/// Throws Error(kRunDamaged) where the text was not written by LinesJson.
std::vector<BudgetLines> ParseLinesJson(const std::string& text);

/// Reads BitConfig::Canonical()'s form; nothing for other text.
std::optional<BitConfig> ParseCanonical(const std::string& text);

/// "W4A8" if all layers agree, else "mixed".
std::string BitsText(const BitConfig& config);

/// Costs as exact decimals: size_bytes, bops and, with a table, latency_us.
std::vector<std::pair<std::string, std::string>> CostTexts(const NetworkProblem& network,
                                                           const BitConfig& config);

/// What `config` takes beyond `reference` by the latency table; nothing where that has no entry for
/// one of them.
std::optional<LatencyDifference> LatencyBeyond(const NetworkProblem& network,
                                               const BitConfig& config, const BitConfig& reference);

/// Σ of the layers' losses and of their pair terms; 0 for layers left in fp32; nothing if a choice
/// has no loss.
std::optional<double> PredictedLoss(const NamedProblem& named, const BitConfig& config);

/// The row of one configuration, without a budget, a line's name and a comparison.
ResultRow RowOf(const NetworkProblem& network, const NamedProblem& named, const BitConfig& config,
                const Evaluation& evaluation);

/// The rows: fp32 first, then each budget's lines. "random" gives two rows: the best by measured
/// accuracy, and the mean. `evaluations` is by BitConfig::Canonical() and must hold every
/// configuration. `redrawn` is by budget; it may be empty.
std::vector<ResultRow> ResultRows(const NetworkProblem& network, const NamedProblem& named,
                                  const std::vector<BudgetLines>& budgets,
                                  const std::map<std::string, Evaluation>& evaluations,
                                  const std::optional<BitConfig>& fp32,
                                  const std::vector<RedrawnOptima>& redrawn = {});

}  // namespace bitsearch
