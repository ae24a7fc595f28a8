// The page: template, style and scripts around one block of data.
#include <algorithm>
#include <string>
#include <string_view>

#include "experiments/report/report.h"
#include "experiments/report/report_assets.h"
#include "space/support/hash.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

/// For text between tags.
std::string Escape(std::string_view text) {
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
      default:
        escaped += c;
    }
  }
  return escaped;
}

/// JSON that cannot end the element it stands in: in strings `<` may be written as an escape, and
/// elsewhere JSON has none. Bytes that are not UTF-8 (names from a file) are replaced.
std::string ScriptSafe(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

/// What only both runs together tell, by budgets of equal position: whether their choices differ
/// on the same records.
Json Comparison(const ReportData& a, const ReportData& b) {
  Json budgets = Json::array();
  const Json& first = a.json.at("facts").at("budgets");
  const Json& second = b.json.at("facts").at("budgets");
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    const auto right_a = a.correct.find(first[i].at("name").get<std::string>());
    const auto right_b = b.correct.find(second[i].at("name").get<std::string>());
    const bool paired = right_a != a.correct.end() && right_b != b.correct.end() &&
                        !a.records.empty() && a.records == b.records &&
                        right_a->second.size() == right_b->second.size() &&
                        !right_a->second.empty();
    budgets.push_back(
        {{"p_value",
          paired ? Json(McNemarExactPValue(right_a->second, right_b->second)) : Json(nullptr)}});
  }
  return {{"budgets", budgets}};
}

/// `text` with `{{key}}` replaced, once for each pair. Values are not looked into again.
std::string Fill(std::string_view text,
                 std::initializer_list<std::pair<std::string_view, std::string_view>> values) {
  std::string filled;
  while (true) {
    const std::size_t open = text.find("{{");
    if (open == std::string_view::npos) return filled.append(text);
    const std::size_t close = text.find("}}", open);
    const std::string_view key = text.substr(open + 2, close - open - 2);
    filled.append(text.substr(0, open));
    for (const auto& [name, value] : values) {
      if (name == key) filled.append(value);
    }
    text.remove_prefix(close + 2);
  }
}

}  // namespace

std::string ReportHtml(const std::vector<ReportData>& runs, const LiveState& live) {
  Json page = {{"format", "bitsearch/report/1"}, {"runs", Json::array()}};
  std::string title;
  for (const ReportData& run : runs) {
    page["runs"].push_back(run.json);
    title += (title.empty() ? "" : " | ") + run.json.at("title").get<std::string>();
  }
  if (runs.size() > 1) page["comparison"] = Comparison(runs[0], runs[1]);
  if (live.running || live.reload_seconds > 0) {
    page["live"] = {{"running", live.running}, {"stages", live.stages}};
  }
  const std::string reload =
      live.reload_seconds > 0
          ? "<meta http-equiv=\"refresh\" content=\"" + std::to_string(live.reload_seconds) + "\">"
          : "";
  return Fill(kReportTemplate, {{"title", Escape(title)},
                                {"reload", reload},
                                {"style", kReportStyle},
                                {"data", ScriptSafe(page)},
                                {"plots", kReportPlots},
                                {"script", kReportScript}});
}

std::string ReportTemplateHash() {
  std::string all;
  for (const std::string_view part : {kReportTemplate, kReportStyle, kReportPlots, kReportScript}) {
    all += Sha256(part);
  }
  return Sha256(all);
}

}  // namespace bitsearch
