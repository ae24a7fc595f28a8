// Rows of the result table. Runs nothing.
#include "experiments/result_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/artifact_json.h"
#include "experiments/problem_columns.h"
#include "space/hardware/latency_csv.h"
#include "space/hardware/network_latency.h"
#include "space/support/error.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "bitsearch/lines/1";

/// Means of what was measured; what the evaluations do not have stays away.
void SetMeasured(const std::vector<const Evaluation*>& evaluations, ResultRow* row) {
  const auto mean = [&](auto figure) -> std::optional<double> {
    double sum = 0.0;
    for (const Evaluation* evaluation : evaluations) sum += figure(*evaluation);
    if (std::isnan(sum)) return std::nullopt;
    return sum / static_cast<double>(evaluations.size());
  };
  row->samples = evaluations.front()->samples;
  row->top1_percent = mean([](const Evaluation& e) { return e.top1_percent(); });
  row->loss_nats = mean([](const Evaluation& e) { return e.loss_nats; });
  row->kl_nats = mean([](const Evaluation& e) { return e.kl_nats; });
  row->output_error_percent = mean([](const Evaluation& e) { return e.output_error_percent(); });
}

/// True if `a` did better on its records than `b`.
bool IsBetter(const Evaluation& a, const Evaluation& b) {
  return a.labelled() ? a.correct > b.correct : a.output_error_percent() < b.output_error_percent();
}

/// Exact paired test of two evaluations of the same records; nothing if they cannot be paired.
std::optional<double> PairedPValue(const Evaluation& a, const Evaluation& b) {
  if (a.labelled()) {
    if (b.correct_per_sample.empty()) return std::nullopt;
    return McNemarExactPValue(a.correct_per_sample, b.correct_per_sample);
  }
  std::int64_t nearer = 0;
  std::int64_t farther = 0;
  for (std::size_t i = 0; i < a.output_error_percent_per_sample.size(); ++i) {
    const float mine = a.output_error_percent_per_sample[i];
    const float theirs = b.output_error_percent_per_sample[i];
    nearer += mine < theirs ? 1 : 0;
    farther += mine > theirs ? 1 : 0;
  }
  // The sign test is McNemar's with "nearer" for "right".
  return McNemarExactPValue(nearer, farther);
}

ResultRow MeanRow(const NetworkProblem& network, const NamedProblem& named,
                  const std::vector<BitConfig>& configs,
                  const std::map<std::string, Evaluation>& evaluations) {
  ResultRow mean;
  double weight_bits = 0.0;
  double predicted = 0.0;
  std::vector<const Evaluation*> measured;
  for (const BitConfig& config : configs) {
    measured.push_back(&evaluations.at(config.Canonical()));
    weight_bits += MeanWeightBits(network.graph, config);
    predicted += PredictedLoss(named, config).value_or(std::nan(""));
  }
  const auto count = static_cast<double>(configs.size());
  mean.mean_weight_bits = weight_bits / count;
  mean.predicted_loss_nats = predicted / count;
  SetMeasured(measured, &mean);
  mean.costs = CostTexts(network, configs.front());
  for (auto& [name, value] : mean.costs) value.clear();  // each has its own
  return mean;
}

}  // namespace

std::string BitsText(const BitConfig& config) {
  const bool uniform =
      std::all_of(config.choices.begin(), config.choices.end(),
                  [&](const BitChoice& choice) { return choice == config.choices.front(); });
  return uniform ? config.choices.front().ToString() : "mixed";
}

ResultRow RowOf(const NetworkProblem& network, const NamedProblem& named, const BitConfig& config,
                const Evaluation& evaluation) {
  ResultRow row;
  row.bits = BitsText(config);
  row.mean_weight_bits = MeanWeightBits(network.graph, config);
  row.costs = CostTexts(network, config);
  row.predicted_loss_nats = PredictedLoss(named, config);
  SetMeasured({&evaluation}, &row);
  return row;
}

std::string LinesJson(const std::vector<BudgetLines>& budgets) {
  Json list = Json::array();
  for (const BudgetLines& budget : budgets) {
    Json lines = Json::array();
    for (const ResultLine& line : budget.lines) {
      Json configs = Json::array();
      for (const BitConfig& config : line.configs) configs.push_back(config.Canonical());
      lines.push_back({{"name", line.name}, {"note", line.note}, {"configs", configs}});
    }
    list.push_back({{"budget", budget.budget},
                    {"limits", budget.limits},
                    {"lower_bound", budget.lower_bound},
                    {"gap", budget.gap},
                    {"lines", lines}});
  }
  return Json{{"format", kFormat}, {"budgets", list}}.dump(1) + "\n";
}

std::vector<BudgetLines> ParseLinesJson(const std::string& text) {
  const JsonValue json = ParseArtifact(text, "lines.json", ErrorId::kRunDamaged);
  std::vector<BudgetLines> budgets;
  for (const JsonValue& item : json.At("budgets").Elements()) {
    BudgetLines budget;
    budget.budget = item.At("budget").String();
    budget.limits = item.At("limits").String();
    // Null is how JSON writes what is infinite: a search that time cut short has no bound.
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const auto number = [&](const char* key, double infinite) {
      const JsonValue value = item.At(key);
      return value.is_null() ? infinite : value.Number();
    };
    budget.lower_bound = number("lower_bound", -kInfinity);
    budget.gap = number("gap", kInfinity);
    for (const JsonValue& entry : item.At("lines").Elements()) {
      ResultLine line{entry.At("name").String(), entry.At("note").String(), {}};
      for (const JsonValue& config : entry.At("configs").Elements()) {
        auto parsed = ParseCanonical(config.String());
        if (!parsed.has_value()) throw config.Fault("this is no configuration");
        line.configs.push_back(*std::move(parsed));
      }
      budget.lines.push_back(std::move(line));
    }
    budgets.push_back(std::move(budget));
  }
  return budgets;
}

std::optional<BitConfig> ParseCanonical(const std::string& text) {
  BitConfig config;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, comma - at);
    const std::size_t slash = part.find('/');
    if (slash == std::string::npos) return std::nullopt;
    const auto weight = NumberFormat::Parse(part.substr(0, slash));
    const auto activation = NumberFormat::Parse(part.substr(slash + 1));
    if (!weight.has_value() || !activation.has_value()) return std::nullopt;
    config.choices.push_back({*weight, *activation});
    at = comma + 1;
  }
  return config;
}

std::vector<std::pair<std::string, std::string>> CostTexts(const NetworkProblem& network,
                                                           const BitConfig& config) {
  constexpr std::int64_t kBitsPerByte = 8;
  constexpr std::int64_t kThousandths = 1000;  // an eighth has three decimals
  std::vector<std::pair<std::string, std::string>> costs;
  const std::int64_t size_bits = *network.Cost("size_bits", config);
  costs.emplace_back("size_bytes", DecimalText(size_bits * (kThousandths / kBitsPerByte), 3));
  costs.emplace_back("bops", std::to_string(*network.Cost("bops", config)));
  if (network.latency.has_value()) {
    const auto latency_ns = network.Cost("latency_us", config);
    costs.emplace_back("latency_us", latency_ns.has_value() ? MicrosecondsText(*latency_ns) : "");
  }
  return costs;
}

std::optional<LatencyDifference> LatencyBeyond(const NetworkProblem& network,
                                               const BitConfig& config,
                                               const BitConfig& reference) {
  if (!network.latency || !network.Cost("latency_us", config) ||
      !network.Cost("latency_us", reference)) {
    return std::nullopt;
  }
  return CompareLatency(*network.latency, LayerKeysOf(network.graph), config, reference,
                        network.missing);
}

std::optional<double> PredictedLoss(const NamedProblem& named, const BitConfig& config) {
  const BitChoice fp32{NumberFormat::Float32(), NumberFormat::Float32()};
  double loss = 0.0;
  std::vector<std::optional<std::size_t>> chosen;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    const std::vector<BitChoice>& choices = named.choices[l];
    const auto found = std::find(choices.begin(), choices.end(), config.choices[l]);
    chosen.emplace_back();
    if (found != choices.end()) {
      chosen.back() = static_cast<std::size_t>(found - choices.begin());
      loss += named.problem.loss[l][*chosen.back()];
    } else if (config.choices[l] != fp32) {
      return std::nullopt;
    }
  }
  // A layer in fp32 interacts with none.
  for (const PairTerm& pair : named.problem.pairs) {
    const auto& first = chosen[pair.first.value];
    const auto& second = chosen[pair.second.value];
    if (pair.loss.empty() || !first || !second) continue;
    loss += pair.loss[*first * named.choices[pair.second.value].size() + *second];
  }
  return loss;
}

std::vector<ResultRow> ResultRows(const NetworkProblem& network, const NamedProblem& named,
                                  const std::vector<BudgetLines>& budgets,
                                  const std::map<std::string, Evaluation>& evaluations,
                                  const std::optional<BitConfig>& fp32,
                                  const std::vector<RedrawnOptima>& redrawn) {
  std::vector<ResultRow> rows;
  if (fp32.has_value()) {
    ResultRow row = RowOf(network, named, *fp32, evaluations.at(fp32->Canonical()));
    row.line = "fp32";
    row.bits = "fp32";
    rows.push_back(std::move(row));
  }
  for (std::size_t b = 0; b < budgets.size(); ++b) {
    const BudgetLines& budget = budgets[b];
    const BitConfig& ours_config = budget.lines.front().configs.front();
    const Evaluation& ours = evaluations.at(ours_config.Canonical());
    const auto add = [&](ResultRow row, const std::string& name, const std::string& note) {
      row.budget = budget.budget;
      row.line = name;
      row.note = note;
      rows.push_back(std::move(row));
    };
    for (const ResultLine& line : budget.lines) {
      if (line.configs.empty()) {
        ResultRow row;
        row.costs = CostTexts(network, budget.lines.front().configs.front());
        for (auto& [name, value] : row.costs) value.clear();
        add(std::move(row), line.name, line.note);
        continue;
      }
      const auto best = std::max_element(
          line.configs.begin(), line.configs.end(), [&](const BitConfig& x, const BitConfig& y) {
            return IsBetter(evaluations.at(y.Canonical()), evaluations.at(x.Canonical()));
          });
      const Evaluation& evaluation = evaluations.at(best->Canonical());
      ResultRow row = RowOf(network, named, *best, evaluation);
      const bool many = line.name == "random";
      if (line.name != "ours") {
        row.p_value = PairedPValue(evaluation, ours);
        if (const auto beyond = LatencyBeyond(network, *best, ours_config)) {
          row.latency_beyond_ours_us = beyond->difference_ns * 1e-3;
          row.latency_error_us = beyond->standard_error_ns * 1e-3;
        }
      }
      const bool answers = &line == &budget.lines.front() || line.name == kAdditiveLine;
      if (answers && b < redrawn.size() && redrawn[b].redraws > 0) {
        row.stability = StabilityOf(redrawn[b], *best);
      }
      add(std::move(row),
          many ? fmt::format("random (best of {})", line.configs.size()) : line.name, line.note);
      if (many) {
        add(MeanRow(network, named, line.configs, evaluations),
            fmt::format("random (mean of {})", line.configs.size()), line.note);
      }
    }
  }
  return rows;
}

}  // namespace bitsearch
