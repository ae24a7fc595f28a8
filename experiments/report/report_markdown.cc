// The summary as Markdown: the same facts as the page's first screen, for an issue or a wiki.
#include <fmt/format.h>

#include <cmath>

#include "experiments/report/report.h"
#include "experiments/result_table.h"
#include "experiments/search_run.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

/// Text in a table's cell or a sentence: nothing in it is Markdown or HTML.
std::string Plain(const std::string& text) {
  std::string plain;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      plain += ' ';
      continue;
    }
    if (c == '<' || c == '>' || c == '&') {
      plain += c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;";
      continue;
    }
    if (std::string_view("\\`*_[]|#~").find(c) != std::string_view::npos) plain += '\\';
    plain += c;
  }
  return plain;
}

/// A resource's value for people.
std::string Amount(const std::string& resource, double value) {
  constexpr double kBitsPerByte = 8.0;
  const auto scaled = [](double number, const char* unit) {
    const char* prefixes[] = {"", "k", "M", "G", "T"};
    std::size_t p = 0;
    while (std::abs(number) >= 1000.0 && p + 1 < std::size(prefixes)) {
      number /= 1000.0;
      ++p;
    }
    return fmt::format("{:.4g} {}{}", number, prefixes[p], unit);
  };
  if (resource == "size_bits") return scaled(value / kBitsPerByte, "B");
  if (resource == "size_bytes") return scaled(value, "B");
  if (resource == "latency_us") {
    return std::abs(value) >= 1000.0 ? fmt::format("{:.4g} ms", value / 1000.0)
                                     : fmt::format("{:.4g} µs", value);
  }
  if (resource == "bops") return scaled(value, "BOPs");
  return fmt::format("{:.6g} {}", value, resource);
}

std::string Bits(const Json& layer) {
  const auto text = [](const Json& bits) {
    return bits.is_string() ? bits.get<std::string>() : bits.dump();
  };
  return "W" + text(layer.at("weight_bits")) + " A" + text(layer.at("activation_bits"));
}

std::string Names(const Json& lines) {
  std::string names;
  for (const Json& line : lines) {
    names += (names.empty() ? "" : ", ") + Plain(line.get<std::string>());
  }
  return names;
}

std::string Choice(const Json& budget) {
  std::string text;
  if (budget.contains("top1")) {
    const Json& top1 = budget.at("top1");
    text +=
        fmt::format("- **Accuracy** {:.2f} % top-1 (95 % interval {:.2f} to {:.2f}) on {} records",
                    top1.at("percent").get<double>(), top1.at("low").get<double>(),
                    top1.at("high").get<double>(), top1.at("samples").get<std::int64_t>());
    if (budget.contains("fp32_top1_percent")) {
      text += fmt::format(
          ", {:+.2f} points against float",
          top1.at("percent").get<double>() - budget.at("fp32_top1_percent").get<double>());
    }
    if (budget.contains("top1_before_training_percent")) {
      text += fmt::format(", after training at these bits (before: {:.2f} %)",
                          budget.at("top1_before_training_percent").get<double>());
    }
    text += ".\n";
  }
  if (budget.contains("output_error_percent")) {
    text += fmt::format(
        "- **Output error** {:.4g} % of the float network's output on {} records "
        "without labels.\n",
        budget.at("output_error_percent").get<double>(), budget.at("samples").get<std::int64_t>());
  }
  if (budget.contains("costs")) {
    text += "- **Cost** ";
    bool first = true;
    for (const auto& [name, value] : budget.at("costs").items()) {
      const auto exact = value.get<std::string>();
      if (exact.empty()) continue;
      text += (first ? "" : ", ") + Amount(name, std::stod(exact));
      if (budget.contains("fp32_costs") && budget.at("fp32_costs").contains(name)) {
        const auto float_cost = budget.at("fp32_costs").at(name).get<std::string>();
        if (!float_cost.empty() && std::stod(exact) > 0.0) {
          text += fmt::format(" ({:.2f} times less than float)",
                              std::stod(float_cost) / std::stod(exact));
        }
      }
      first = false;
    }
    text += ".\n";
  }
  return text;
}

std::string Limiting(const Json& budget) {
  if (!budget.contains("limiting_layers") || budget.at("limiting_layers").empty()) return "";
  std::string text = "- **What limits the accuracy** ";
  std::size_t shown = 0;
  constexpr std::size_t kMost = 3;
  for (const Json& layer : budget.at("limiting_layers")) {
    if (shown == kMost) break;
    text +=
        fmt::format("{}{} at {} ({:.0f} % of the predicted loss, {:.3g} ± {:.2g} nats)",
                    shown == 0 ? "" : "; then ", Plain(layer.at("name").get<std::string>()),
                    Plain(Bits(layer)), 100.0 * layer.at("share").get<double>(),
                    layer.at("loss_nats").get<double>(), layer.at("standard_error").get<double>());
    ++shown;
  }
  return text + ".\n";
}

/// "12.3 % less loss".
std::string Saved(const Json& buy, double now) {
  const auto saved = buy.at("saved_nats").get<double>();
  if (now <= 0.0 || saved <= 0.0) return "nothing";
  return fmt::format("{:.1f} % less loss{}", 100.0 * saved / now,
                     buy.at("beyond").get<bool>() ? " (the end of the frontier)" : "");
}

std::string MoreBudget(const Json& budget) {
  std::string text;
  for (const Json& entry : budget.value("more_budget", Json::array())) {
    const auto resource = entry.at("resource").get<std::string>();
    const double now = entry.at("loss_nats").get<double>();
    const Json& one = entry.at("one_unit");
    text += fmt::format("- **What more budget would buy** one more {} on top of {}: {}",
                        one.at("unit").get<std::string>(),
                        Amount(resource, entry.at("limit").get<double>()), Saved(one, now));
    for (const Json& buy : entry.at("buys")) {
      text += fmt::format("; +{:.0f} %: {}", buy.at("percent").get<double>(), Saved(buy, now));
    }
    text += ".\n";
  }
  return text;
}

std::string Certainty(const Json& budget) {
  std::string text = "- **How sure**";
  if (budget.contains("stability")) {
    const Json& stability = budget.at("stability");
    const auto redraws = stability.at("redraws").get<std::int64_t>();
    if (redraws > 0) {
      text += fmt::format(
          " {} of {} layers keep their bits in at least 95 % of {} redraws of the sensitivities "
          "within their errors, the whole configuration in {:.0f} %;",
          stability.at("steady_layers").get<std::int64_t>(),
          stability.at("layers").get<std::int64_t>(), redraws,
          100.0 * stability.at("configuration").get<double>());
    }
    const auto moved = stability.at("moved_by_measuring").get<std::int64_t>();
    if (moved > 0 && budget.value("chosen_by", "") == "measured")
      text += fmt::format(" measuring moved {} layers off the predicted optimum;", moved);
  }
  if (budget.contains("lines")) {
    for (const auto& [verdict, lines] : budget.at("lines").items()) {
      if (lines.empty()) continue;
      const bool same = verdict == "not distinguishable";
      text += fmt::format(" {} {} ours: {};", verdict, same ? "from" : "than", Names(lines));
    }
  }
  if (text.back() != ';') return "";
  text.back() = '.';
  return text + "\n";
}

std::string Table(const Json& results) {
  const std::vector<ResultRow> rows = ParseResultsJson(results.dump(), kResultsName);
  if (rows.empty()) return "";
  std::string text = "\n| budget | line | bits |";
  std::string rule = "\n|---|---|---|";
  for (const auto& [name, value] : rows.front().costs) {
    text += " " + Plain(name) + " |";
    rule += "---:|";
  }
  text += " predicted loss |";
  const std::vector<ResultColumn> measured = MeasuredColumns(rows);
  for (const ResultColumn& column : measured) {
    text += fmt::format(" {} |", column.title);
    rule += "---:|";
  }
  text += " against ours |" + rule + "---:|---|\n";
  std::map<std::string, const ResultRow*> ours;
  for (const ResultRow& row : rows) {
    if (row.line == "ours") ours[row.budget] = &row;
  }
  for (const ResultRow& row : rows) {
    const bool bold = row.line == "ours";
    text += fmt::format("| {} | {}{}{} | {} |", Plain(row.budget), bold ? "**" : "",
                        Plain(row.line), bold ? "**" : "", Plain(row.bits));
    for (const auto& [name, value] : row.costs) text += " " + value + " |";
    const auto reference = ours.find(row.budget);
    text += fmt::format(" {} |", row.predicted_loss_nats
                                     ? fmt::format("{:.5f}", *row.predicted_loss_nats)
                                     : std::string());
    for (const ResultColumn& column : measured) text += " " + column.TextOf(row) + " |";
    text += fmt::format(" {} |\n", reference == ours.end() ? "" : Verdict(row, *reference->second));
  }
  return text;
}

/// One answer to a goal: what it costs.
std::string GoalCosts(const std::string& name, const Json& answer) {
  std::string text = "- " + name + ":";
  for (const auto& [resource, value] : answer.at("costs").items()) {
    if (!value.get<std::string>().empty()) {
      text += " " + Amount(resource, std::stod(value.get<std::string>())) + ",";
    }
  }
  text.back() = '\n';
  return text;
}

}  // namespace

std::string ReportMarkdown(const ReportData& data) {
  const Json& facts = data.json.at("facts");
  std::string text = "# " + Plain(data.json.at("title").get<std::string>()) + "\n";
  for (const Json& budget : facts.at("budgets")) {
    text += "\n## Budget " + Plain(budget.at("name").get<std::string>());
    if (budget.contains("asked")) text += ": " + Plain(budget.at("asked").get<std::string>());
    text += "\n\n" + Choice(budget) + Limiting(budget) + MoreBudget(budget) + Certainty(budget);
  }
  for (const Json& remark : facts.at("remarks")) {
    text += "\n> " + Plain(remark.get<std::string>()) + "\n";
  }
  const Json& files = data.json.at("files");
  if (files.contains(kGoalName)) {
    const Json& goal = files.at(kGoalName);
    const bool of_output = goal.contains("output_error_percent");
    text += fmt::format(
        "\n## Goal\n\nLeast {} with {} of at most {} {}: {}.\n",
        Plain(goal.at("minimise").get<std::string>()), of_output ? "an output error" : "a drop",
        goal.at(of_output ? "output_error_percent" : "accuracy_drop_percent").dump(),
        of_output ? "%" : "points", Plain(goal.at("status").get<std::string>()));
    text +=
        GoalCosts("found", goal) + GoalCosts("greedy fallback by sensitivity", goal["fallback"]);
  }
  if (files.contains(kResultsName)) text += Table(files.at(kResultsName));
  if (files.contains(kTunedResultsName)) {
    text += "\nAfter training at these bits:\n" + Table(files.at(kTunedResultsName));
  }
  return text;
}

}  // namespace bitsearch
