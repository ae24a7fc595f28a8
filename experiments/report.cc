// The HTML page: result table, frontiers as inline SVG, the chosen bits layer by layer. No script,
// no link to anything outside.
#include "experiments/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "experiments/artifact_json.h"
#include "experiments/result_table.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr const char* kStyle =
    R"(body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1b1f24}
h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25em .7em;text-align:right;border-bottom:1px solid #d8dee4}
th:first-child,td:first-child,td.text{text-align:left}
tr.ours{font-weight:600;background:#ddf4ff}tr.budget th{text-align:left;background:#f6f8fa}
.bar{display:inline-block;height:.8em;background:#0969da;vertical-align:middle}
.muted{color:#57606a}svg{max-width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:#57606a})";

std::string Escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Cell(const std::string& text) { return "<td>" + Escape(text) + "</td>"; }

std::string Cell(const std::optional<double>& value, const char* form) {
  return Cell(value.has_value() && std::isfinite(*value) ? fmt::format(fmt::runtime(form), *value)
                                                         : std::string());
}

/// A p-value too small for a double is small, not zero.
std::string PValueCell(const std::optional<double>& p_value) {
  constexpr double kLeastShown = 1e-300;
  return p_value.has_value() && *p_value < kLeastShown ? Cell("< 1e-300") : Cell(p_value, "{:.3g}");
}

std::string RemarkSection(const std::vector<ResultRow>& rows) {
  std::string html;
  for (const std::string& remark : Remarks(rows)) {
    html += "<p><strong>" + Escape(remark) + "</strong></p>\n";
  }
  return html;
}

std::string ResultSection(const std::vector<ResultRow>& rows) {
  std::string html =
      "<h2>Results</h2>\n<table>\n<tr><th>line</th><th>bits</th><th>mean weight bits</th>";
  const std::size_t cost_columns = rows.empty() ? 0 : rows.front().costs.size();
  for (std::size_t i = 0; i < cost_columns; ++i) {
    html += "<th>" + Escape(rows.front().costs[i].first) + "</th>";
  }
  html +=
      "<th>predicted loss</th><th>measured top-1 %</th><th>measured loss</th><th>KL to fp32</th>"
      "<th>p</th><th>against ours</th></tr>\n";
  std::string budget;
  const ResultRow* ours = nullptr;
  constexpr std::size_t kOtherColumns = 9;
  for (const ResultRow& row : rows) {
    if (row.budget != budget) {
      budget = row.budget;
      html += fmt::format("<tr class=\"budget\"><th colspan=\"{}\">budget: {}</th></tr>\n",
                          kOtherColumns + cost_columns, Escape(budget));
    }
    if (row.line == "ours") ours = &row;
    html += row.line == "ours" ? "<tr class=\"ours\">" : "<tr>";
    html += Cell(row.line) + Cell(row.bits) + Cell(row.mean_weight_bits, "{:.3f}");
    for (const auto& [name, value] : row.costs) html += Cell(value);
    html += Cell(row.predicted_loss_nats, "{:.5f}") + Cell(row.top1_percent, "{:.2f}") +
            Cell(row.loss_nats, "{:.4f}") + Cell(row.kl_nats, "{:.5f}") + PValueCell(row.p_value);
    std::string verdict =
        ours != nullptr && ours->budget == row.budget ? Verdict(row, *ours) : std::string();
    if (!row.note.empty()) verdict += (verdict.empty() ? "" : "; ") + row.note;
    html += "<td class=\"text\">" + Escape(verdict) + "</td></tr>\n";
  }
  return html +
         fmt::format(
             "</table>\n<p class=\"muted\">p: exact McNemar test on the same samples, against "
             "the row \"ours\" of the budget; at {} or more the two are not "
             "distinguishable. Accuracies are of records on which no choice was made.</p>\n",
             kSignificance) +
         RemarkSection(rows);
}

/// A frontier as steps: the least loss that is possible up to each value of the resource.
std::string FrontierSvg(const JsonValue& frontier, const std::string& resource) {
  std::vector<std::pair<double, double>> points;
  for (const JsonValue& point : frontier.At("points").Elements()) {
    points.emplace_back(point.At("resources").At(resource).Number(),
                        point.At("objective").Number());
  }
  if (points.size() < 2) return "<p>The frontier is a single point.</p>\n";
  constexpr double kWidth = 720.0;
  constexpr double kHeight = 300.0;
  constexpr double kMargin = 60.0;
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const auto& [x, y] : points) {
    low = std::min(low, y);
    high = std::max(high, y);
  }
  // Losses span decades; a logarithmic axis shows them unless some are not positive.
  const bool logarithmic = low > 0.0 && high > 20.0 * low;
  const auto scale = [&](double y) { return logarithmic ? std::log10(y) : y; };
  const double left = points.front().first;
  const double right = points.back().first;
  const double span = std::max(scale(high) - scale(low), 1e-300);
  const auto place_x = [&](double x) {
    return kMargin + (x - left) / std::max(right - left, 1e-300) * (kWidth - 2 * kMargin);
  };
  const auto place_y = [&](double y) {
    return kHeight - kMargin - (scale(y) - scale(low)) / span * (kHeight - 2 * kMargin);
  };
  std::string path;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto& [x, y] = points[i];
    path += i == 0 ? fmt::format("M{:.1f} {:.1f}", place_x(x), place_y(y))
                   : fmt::format("H{:.1f}V{:.1f}", place_x(x), place_y(y));
  }
  return fmt::format(
      "<svg viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n"
      "<path d=\"M{2} {3}V{4}H{5}\" fill=\"none\" stroke=\"#8c959f\"/>\n"
      "<path d=\"{6}\" fill=\"none\" stroke=\"#0969da\" stroke-width=\"2\"/>\n"
      "<text x=\"{2}\" y=\"{7}\">{8:g}</text><text x=\"{5}\" y=\"{7}\" "
      "text-anchor=\"end\">{9:g}</text>\n"
      "<text x=\"{10}\" y=\"{11}\" text-anchor=\"middle\">{12}</text>\n"
      "<text x=\"{13}\" y=\"{3}\" text-anchor=\"end\">{14:.3g}</text>"
      "<text x=\"{13}\" y=\"{4}\" text-anchor=\"end\">{15:.3g}</text>\n"
      "<text x=\"{2}\" y=\"{16}\">predicted loss{17}</text>\n</svg>\n",
      kWidth, kHeight, kMargin, kMargin, kHeight - kMargin, kWidth - kMargin, path,
      kHeight - kMargin + 18, left, right, kWidth / 2, kHeight - 18, Escape(resource), kMargin - 6,
      high, low, kMargin - 14, logarithmic ? " (logarithmic)" : "");
}

std::string LayerSection(const std::vector<JsonValue>& configs) {
  if (configs.empty()) return "";
  std::string html = "<h2>Chosen bits</h2>\n<table>\n<tr><th>layer</th>";
  for (std::size_t s = 0; s < configs.size(); ++s) {
    html += fmt::format("<th colspan=\"2\">budget {}</th>", s + 1);
  }
  html += "</tr>\n";
  constexpr double kPixelsPerBit = 8.0;
  const auto bits_text = [](const JsonValue& bits) {
    return bits.is_string() ? bits.String() : std::to_string(bits.Count());
  };
  std::vector<std::vector<JsonValue>> layers;
  for (const JsonValue& config : configs) {
    layers.push_back(config.At("layers").Elements());
    if (layers.back().size() != layers.front().size()) {
      throw config.At("layers").Fault("another number of layers than in the first configuration");
    }
  }
  for (std::size_t l = 0; l < layers.front().size(); ++l) {
    html += "<tr>" + Cell(layers.front()[l].At("name").String());
    for (const std::vector<JsonValue>& config : layers) {
      const JsonValue weight = config[l].At("weight_bits");
      const double width = weight.is_number() ? kPixelsPerBit * weight.Number() : 0.0;
      html += Cell("W" + bits_text(weight) + " A" + bits_text(config[l].At("activation_bits")));
      html += fmt::format(
          "<td class=\"text\"><span class=\"bar\" style=\"width:{}px\"></span></td>", width);
    }
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

}  // namespace

std::string ReportHtml(const std::string& title, const ReportInputs& inputs,
                       const std::function<std::string(const std::string&)>& read) {
  constexpr const char* kResults = "results.json";
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>{0}</title>\n"
      "<style>{1}</style></head>\n<body>\n<h1>{0}</h1>\n",
      Escape(title), kStyle);
  html += ResultSection(ParseResultsJson(read(kResults), kResults));
  if (!inputs.frontiers.empty()) html += "<h2>Frontier of predicted loss</h2>\n";
  std::vector<JsonValue> configs;
  for (const std::string& name : inputs.frontiers) {
    const JsonValue frontier = ParseArtifact(read(name), name);
    RequireFormat(frontier, name, "bitsearch/frontier/1");
    // "frontier_size_bits.json" is drawn against size_bits.
    const std::size_t start = name.find('_') + 1;
    const std::string resource = name.substr(start, name.rfind('.') - start);
    html += FrontierSvg(frontier, resource);
    html += fmt::format("<p class=\"muted\">{} points{}.</p>\n",
                        frontier.At("points").Elements().size(),
                        frontier.At("exact").Bool() ? "" : ", not all there are");
  }
  for (const std::string& name : inputs.configs) {
    configs.push_back(ParseArtifact(read(name), name));
    RequireFormat(configs.back(), name, "bitsearch/config/1");
  }
  html += LayerSection(configs);
  return html + "</body></html>\n";
}

}  // namespace bitsearch
