// Texts of result tables and evaluations. Must not know how they were found.
#include "experiments/result_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/artifact_json.h"
#include "experiments/json_values.h"
#include "space/hardware/latency_csv.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "bitsearch/results/1";
constexpr unsigned kHexBits = 4;
constexpr double kTwoSided95 = 1.959963984540054;
/// What an evaluation's text is called in messages: it stands in the journal and in a file.
constexpr const char* kEvaluationName = "evaluations.json";

Json OrNull(const std::optional<double>& value) {
  return value.has_value() && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

std::optional<double> NumberOf(const JsonValue& json, const char* key) {
  const auto found = json.Find(key);
  if (!found || found->is_null()) return std::nullopt;
  return found->Number();
}

std::string Text(const std::optional<double>& value, const char* form) {
  return value.has_value() && std::isfinite(*value) ? fmt::format(fmt::runtime(form), *value) : "";
}

/// What rows are compared by, more is better: accuracy, or without labels nearness of the outputs.
std::optional<double> Merit(const ResultRow& row) {
  if (row.top1_percent || !row.output_error_percent) return row.top1_percent;
  return -*row.output_error_percent;
}

}  // namespace

const ResultRow* OursOf(const std::vector<ResultRow>& rows, const std::string& budget) {
  for (const ResultRow& row : rows) {
    if (row.budget == budget && row.line == "ours") return &row;
  }
  return nullptr;
}

std::string Verdict(const ResultRow& row, const ResultRow& ours) {
  if (!row.p_value.has_value() || !Merit(row) || !Merit(ours)) return "";
  if (*row.p_value >= kSignificance) return "not distinguishable";
  return *Merit(row) > *Merit(ours) ? "better" : "worse";
}

namespace {

/// True if `row` costs no more than `ours` in any column, and noticeably less in one.
bool CostsLess(const ResultRow& row, const ResultRow& ours) {
  constexpr double kNoticeable = 0.05;
  bool less = false;
  for (std::size_t i = 0; i < row.costs.size() && i < ours.costs.size(); ++i) {
    if (row.costs[i].second.empty() || ours.costs[i].second.empty()) return false;
    const double theirs = std::stod(row.costs[i].second);
    const double reference = std::stod(ours.costs[i].second);
    if (theirs > reference) return false;
    less = less || theirs < (1.0 - kNoticeable) * reference;
  }
  return less;
}

}  // namespace

namespace {

/// How many of the redraws, as people count.
std::string InRedraws(double share, std::int64_t redraws) {
  return fmt::format("{} of {}", std::llround(share * static_cast<double>(redraws)), redraws);
}

std::string StabilityRemark(const std::string& budget, const ResultRow& ours,
                            const ResultRow* optimum) {
  const Stability& stability = *ours.stability;
  const auto steady = std::count_if(stability.layers.begin(), stability.layers.end(),
                                    [](double share) { return share >= kSteadyShare; });
  const double least = *std::min_element(stability.layers.begin(), stability.layers.end());
  std::string text = fmt::format(
      "budget {}: with the sensitivities drawn anew within their errors, the predicted optimum is "
      "ours as a whole in {} redraws; {} of {} layers keep its bits in at least {:.0f} %, the "
      "least "
      "steady one in {}",
      budget, InRedraws(stability.configuration, stability.redraws), steady,
      stability.layers.size(), 100.0 * kSteadyShare, InRedraws(least, stability.redraws));
  if (optimum != nullptr && optimum->stability) {
    text += fmt::format("; the row {} as a whole in {}", optimum->line,
                        InRedraws(optimum->stability->configuration, optimum->stability->redraws));
  }
  return text;
}

}  // namespace

std::vector<std::string> Remarks(const std::vector<ResultRow>& rows) {
  std::vector<std::string> remarks;
  // One row per budget: the cheapest in the last column (latency, where there is a table), among
  // equals the most accurate.
  const auto before = [](const ResultRow& a, const ResultRow& b) {
    const double cost_a = std::stod(a.costs.back().second);
    const double cost_b = std::stod(b.costs.back().second);
    return cost_a != cost_b ? cost_a < cost_b : *Merit(a) > *Merit(b);
  };
  std::map<std::string, const ResultRow*> preferred;
  std::vector<std::string> order;
  for (const ResultRow& row : rows) {
    const ResultRow* ours = OursOf(rows, row.budget);
    if (ours == nullptr || &row == ours) continue;
    const std::string verdict = Verdict(row, *ours);
    if ((verdict != "better" && verdict != "not distinguishable") || !CostsLess(row, *ours)) {
      continue;
    }
    const auto [entry, first] = preferred.try_emplace(row.budget, &row);
    if (first) order.push_back(row.budget);
    if (before(row, *entry->second)) entry->second = &row;
  }
  for (const std::string& budget : order) {
    const ResultRow& row = *preferred.at(budget);
    const ResultRow& ours = *OursOf(rows, budget);
    // The divergence from the float network shows differences that few records' labels do not.
    const bool as_close = !row.kl_nats || !ours.kl_nats || *row.kl_nats <= *ours.kl_nats;
    const std::string verdict = Verdict(row, ours);
    remarks.push_back(fmt::format(
        "budget {}: {} ({}) costs no more in any column and is {} in {}{} on {} records; {}",
        budget, row.line, row.bits, verdict, row.top1_percent ? "accuracy" : "output error",
        verdict == "better" ? " than ours" : " from ours", row.samples,
        as_close || verdict == "better"
            ? "prefer it"
            : fmt::format("it is further from the float network, though (KL {:.4f}, ours {:.4f})",
                          *row.kl_nats, *ours.kl_nats)));
  }
  for (const ResultRow& row : rows) {
    // The interval of a difference that is none is nobody's concern.
    if (!row.latency_beyond_ours_us || *row.latency_beyond_ours_us == 0.0) continue;
    const double bound = kTwoSided95 * row.latency_error_us.value_or(0.0);
    if (std::abs(*row.latency_beyond_ours_us) > bound) continue;
    remarks.push_back(fmt::format(
        "budget {}: {} takes {:+.3g} us beyond ours, which is within the latency table's noise "
        "(95 % interval +-{:.3g} us)",
        row.budget, row.line, *row.latency_beyond_ours_us, bound));
  }
  for (const ResultRow& ours : rows) {
    if (ours.line != "ours" || !ours.stability || ours.stability->layers.empty()) continue;
    const auto optimum = std::find_if(rows.begin(), rows.end(), [&](const ResultRow& row) {
      return row.budget == ours.budget && &row != &ours && row.stability.has_value();
    });
    remarks.push_back(
        StabilityRemark(ours.budget, ours, optimum == rows.end() ? nullptr : &*optimum));
  }
  return remarks;
}

std::string ResultsJson(const std::vector<ResultRow>& rows) {
  Json list = Json::array();
  for (const ResultRow& row : rows) {
    Json costs = Json::object();
    // Texts, because they are exact decimals.
    for (const auto& [name, value] : row.costs) costs[name] = value;
    list.push_back({{"budget", row.budget},
                    {"line", row.line},
                    {"note", row.note},
                    {"bits", row.bits},
                    {"mean_weight_bits", OrNull(row.mean_weight_bits)},
                    {"costs", costs},
                    {"predicted_loss_nats", OrNull(row.predicted_loss_nats)},
                    {"samples", row.samples},
                    {"top1_percent", OrNull(row.top1_percent)},
                    {"loss_nats", OrNull(row.loss_nats)},
                    {"kl_nats", OrNull(row.kl_nats)},
                    {"output_error_percent", OrNull(row.output_error_percent)},
                    {"p_value", OrNull(row.p_value)},
                    {"latency_beyond_ours_us", OrNull(row.latency_beyond_ours_us)},
                    {"latency_error_us", OrNull(row.latency_error_us)}});
    if (row.stability) list.back()["stability"] = FiguresJson(*row.stability);
  }
  return Json{{"format", kFormat}, {"significance", kSignificance}, {"rows", list}}.dump(2) + "\n";
}

std::vector<ResultRow> ParseResultsJson(const std::string& text, const std::string& name) {
  const JsonValue json = ParseArtifact(text, name);
  RequireFormat(json, name, kFormat);
  std::vector<ResultRow> rows;
  for (const JsonValue& item : json.At("rows").Elements()) {
    ResultRow row;
    row.budget = item.At("budget").String();
    row.line = item.At("line").String();
    row.note = item.At("note").String();
    row.bits = item.At("bits").String();
    row.mean_weight_bits = NumberOf(item, "mean_weight_bits");
    for (const auto& [key, value] : item.At("costs").Members()) {
      row.costs.emplace_back(key, value.String());
    }
    row.predicted_loss_nats = NumberOf(item, "predicted_loss_nats");
    row.samples = item.At("samples").Count();
    row.top1_percent = NumberOf(item, "top1_percent");
    row.loss_nats = NumberOf(item, "loss_nats");
    row.kl_nats = NumberOf(item, "kl_nats");
    row.output_error_percent = NumberOf(item, "output_error_percent");
    row.p_value = NumberOf(item, "p_value");
    row.latency_beyond_ours_us = NumberOf(item, "latency_beyond_ours_us");
    row.latency_error_us = NumberOf(item, "latency_error_us");
    if (const auto stability = item.Find("stability")) {
      row.stability = ParseStabilityFigures(*stability);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string ResultsCsv(const std::vector<ResultRow>& rows) {
  std::string text = "budget,line,bits,mean_weight_bits";
  if (!rows.empty()) {
    for (const auto& [name, value] : rows.front().costs) text += "," + name;
  }
  text +=
      ",predicted_loss_nats,samples,top1_percent,loss_nats,kl_nats,output_error_percent,p_value,"
      "verdict,note\n";
  for (const ResultRow& row : rows) {
    const ResultRow* ours = OursOf(rows, row.budget);
    text += fmt::format("{},{},{},{}", CsvCell(row.budget), CsvCell(row.line), CsvCell(row.bits),
                        Text(row.mean_weight_bits, "{}"));
    for (const auto& [name, value] : row.costs) text += "," + value;
    text += fmt::format(",{},{},{},{},{},{},{},{},{}\n", Text(row.predicted_loss_nats, "{}"),
                        row.samples, Text(row.top1_percent, "{}"), Text(row.loss_nats, "{}"),
                        Text(row.kl_nats, "{}"), Text(row.output_error_percent, "{}"),
                        Text(row.p_value, "{}"), ours == nullptr ? "" : Verdict(row, *ours),
                        CsvCell(row.note));
  }
  return text;
}

std::string ResultsText(const std::vector<ResultRow>& rows) {
  std::vector<std::vector<std::string>> table = {{"line", "bits", "mean W bits"}};
  if (!rows.empty()) {
    for (const auto& [name, value] : rows.front().costs) table[0].push_back(name);
  }
  table[0].emplace_back("predicted loss");
  const std::vector<ResultColumn> measured = MeasuredColumns(rows);
  for (const ResultColumn& column : measured) table[0].emplace_back(column.title);
  table[0].emplace_back("against ours");
  std::vector<std::string> budget_of = {""};
  for (const ResultRow& row : rows) {
    const ResultRow* ours = OursOf(rows, row.budget);
    std::vector<std::string> cells = {row.line, row.bits, Text(row.mean_weight_bits, "{:.3f}")};
    for (const auto& [name, value] : row.costs) cells.push_back(value);
    cells.push_back(Text(row.predicted_loss_nats, "{:.5f}"));
    for (const ResultColumn& column : measured) cells.push_back(column.TextOf(row));
    std::string verdict = ours == nullptr ? "" : Verdict(row, *ours);
    if (!row.note.empty()) verdict += (verdict.empty() ? "" : "; ") + row.note;
    cells.push_back(verdict);
    table.push_back(std::move(cells));
    budget_of.push_back(row.budget);
  }
  std::vector<std::size_t> widths(table[0].size(), 0);
  for (const auto& cells : table) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  std::string text;
  std::string budget;
  for (std::size_t r = 0; r < table.size(); ++r) {
    if (budget_of[r] != budget) {
      budget = budget_of[r];
      text += fmt::format("budget {}\n", budget);
    }
    std::string line;
    for (std::size_t i = 0; i < table[r].size(); ++i) {
      // Names to the left, numbers to the right.
      const bool left = i < 2 || i + 1 == table[r].size();
      line += left ? fmt::format("{:<{}}  ", table[r][i], widths[i])
                   : fmt::format("{:>{}}  ", table[r][i], widths[i]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  for (const std::string& remark : Remarks(rows)) text += remark + "\n";
  return text;
}

std::vector<ResultColumn> MeasuredColumns(const std::vector<ResultRow>& rows) {
  const std::vector<ResultColumn> all = {{"top-1 %", &ResultRow::top1_percent, 2},
                                         {"output error %", &ResultRow::output_error_percent, 4},
                                         {"KL", &ResultRow::kl_nats, 5}};
  std::vector<ResultColumn> columns;
  for (const ResultColumn& column : all) {
    const bool any = std::any_of(rows.begin(), rows.end(), [&](const ResultRow& row) {
      return (row.*column.value).has_value();
    });
    if (any) columns.push_back(column);
  }
  return columns;
}

std::string ResultColumn::TextOf(const ResultRow& row) const {
  const std::optional<double>& number = row.*value;
  return number && std::isfinite(*number) ? fmt::format("{:.{}f}", *number, digits) : "";
}

std::string EvaluationJson(const Evaluation& evaluation) {
  std::string hex;
  for (std::size_t i = 0; i < evaluation.correct_per_sample.size(); i += kHexBits) {
    unsigned digit = 0;
    for (std::size_t j = i; j < i + kHexBits; ++j) {
      const bool bit = j < evaluation.correct_per_sample.size() && evaluation.correct_per_sample[j];
      digit = digit * 2U + (bit ? 1U : 0U);
    }
    hex += "0123456789abcdef"[digit];
  }
  Json json{{"samples", evaluation.samples},
            {"correct", evaluation.correct},
            {"loss_nats", OrNull(evaluation.loss_nats)},
            {"kl_nats", OrNull(evaluation.kl_nats)},
            {"correct_per_sample", hex}};
  if (!evaluation.labelled()) {
    json["output_error_percent_per_sample"] = evaluation.output_error_percent_per_sample;
  }
  return json.dump();
}

Evaluation ParseEvaluationJson(const std::string& text) {
  const JsonValue json = ParseArtifact(text, kEvaluationName, ErrorId::kRunDamaged);
  Evaluation evaluation;
  evaluation.samples = json.At("samples").Count();
  evaluation.correct = json.At("correct").Count();
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  evaluation.loss_nats = NumberOf(json, "loss_nats").value_or(kUnknown);
  evaluation.kl_nats = NumberOf(json, "kl_nats").value_or(kUnknown);
  if (const auto errors = json.Find("output_error_percent_per_sample")) {
    for (const JsonValue& error : errors->Elements()) {
      // An infinite error is null in JSON.
      evaluation.output_error_percent_per_sample.push_back(
          error.is_null() ? std::numeric_limits<float>::infinity()
                          : static_cast<float>(error.Number()));
    }
    return evaluation;
  }
  for (const char c : json.At("correct_per_sample").String()) {
    const unsigned digit =
        c <= '9' ? static_cast<unsigned>(c - '0') : static_cast<unsigned>(c - 'a') + 10U;
    for (unsigned mask = 1U << (kHexBits - 1); mask != 0; mask >>= 1U) {
      if (evaluation.correct_per_sample.size() == static_cast<std::size_t>(evaluation.samples)) {
        break;
      }
      evaluation.correct_per_sample.push_back((digit & mask) != 0);
    }
  }
  return evaluation;
}

}  // namespace bitsearch
