// Artifacts → what a page embeds of them: checked, and without what no section shows.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "experiments/artifact_json.h"
#include "experiments/network_outline.h"
#include "experiments/report/report.h"
#include "experiments/report/report_facts.h"
#include "experiments/result_rows.h"
#include "experiments/result_table.h"
#include "experiments/search_run.h"
#include "experiments/search_stages.h"
#include "space/hardware/latency_csv.h"
#include "space/support/csv.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

/// The format that an artifact must have; nothing for one that no report shows.
std::optional<std::string> FormatOf(const std::string& name) {
  const auto numbered = [&](const char* prefix) {
    return name.starts_with(prefix) && name.ends_with(".json");
  };
  if (name == kResultsName) return "bitsearch/results/1";
  if (name == kRefinedName) return "bitsearch/lines/1";
  if (name == kGoalName) return "bitsearch/goal/1";
  if (name == kNetworkName) return "bitsearch/network/1";
  if (name == "deployment.json") return "bitsearch/deployment/1";
  if (name == "transfer_curve.json") return "bitsearch/transfer-curve/1";
  if (name == "finetune.json") return "bitsearch/finetune/1";
  if (name == "tuned_results.json") return "bitsearch/results/1";
  if (numbered("config_")) return "bitsearch/config/1";
  if (numbered("frontier_")) return "bitsearch/frontier/1";
  if (numbered("solution_")) return "bitsearch/solution/1";
  if (numbered("explanation_")) return "bitsearch/explanation/1";
  if (numbered("dnas_")) return "bitsearch/dnas/1";
  return std::nullopt;
}

const std::vector<std::string>& CsvNames() {
  static const std::vector<std::string> names = {kSensitivityName, "layers.csv",      "costs.csv",
                                                 "latency.csv",    "transitions.csv", "ties.csv",
                                                 kCandidatesName};
  return names;
}

Json Parsed(const std::string& text, const std::string& place, const std::string& format) {
  const JsonValue checked = ParseArtifact(text, place);
  RequireFormat(checked, place, format);
  if (format == "bitsearch/results/1") {
    ParseResultsJson(text, place);
  } else if (format == "bitsearch/config/1") {
    for (const JsonValue& layer : checked.At("layers").Elements()) {
      layer.At("name").String();
      layer.At("weight_bits");
      layer.At("activation_bits");
    }
  } else if (format == "bitsearch/frontier/1") {
    for (const JsonValue& point : checked.At("points").Elements()) {
      point.At("objective").Number();
      point.At("resources").Members();
      point.At("choice").Elements();
    }
  }
  return Json::parse(text);
}

/// Bits without the grids that they become: no section shows them, and they take megabytes.
void LeaveOutQuantizers(Json* config) {
  for (const char* key : {"tensors", "quantizer"}) config->erase(key);
  for (Json& layer : (*config)["layers"]) {
    for (const char* key : {"weight_quantizer", "activation_quantizer", "bias", "output_shift"}) {
      layer.erase(key);
    }
  }
}

/// At most `most` points: the ends, both sides of each limit, and others spread over the losses.
void Thin(Json* frontier, const std::string& resource, const std::vector<double>& limits,
          std::size_t most) {
  Json& points = (*frontier)["points"];
  const std::size_t count = points.size();
  if (count <= most) return;
  std::set<std::size_t> kept = {0, count - 1};
  for (const double limit : limits) {
    const std::size_t at = LastPointWithin(points, resource, limit);
    if (at == count) continue;
    kept.insert(at);
    if (at + 1 < count) kept.insert(at + 1);
  }
  const auto loss = [&](std::size_t i) { return points[i].at("objective").get<double>(); };
  const bool logarithmic = loss(count - 1) > 0.0;
  const auto scale = [&](std::size_t i) { return logarithmic ? std::log(loss(i)) : loss(i); };
  const std::size_t room = most - std::min(most, kept.size());
  const double step = (scale(count - 1) - scale(0)) / static_cast<double>(room + 1);
  std::size_t at = 0;
  for (std::size_t n = 1; n <= room; ++n) {
    const double target = scale(0) + step * static_cast<double>(n);
    while (at + 1 < count && scale(at) > target) ++at;
    kept.insert(at);
  }
  Json thinned = Json::array();
  for (const std::size_t i : kept) thinned.push_back(std::move(points[i]));
  points = std::move(thinned);
  (*frontier)["points_in_file"] = count;  // last: members are kept in a vector
}

/// Rows that cost something; where those are too many, only those that a configuration of the run
/// (`used`: producer, consumer, from, to) meets.
std::string ShorterTransitions(const std::string& text, const std::vector<BitConfig>& configs,
                               const std::vector<std::string>& layers) {
  constexpr std::size_t kLongest = 200'000;
  const CsvTable table = CsvTable::Parse(text, "transitions.csv");
  std::map<std::string, std::size_t> index;
  for (std::size_t l = 0; l < layers.size(); ++l) index[layers[l]] = l;
  const auto met = [&](const CsvRow& row) {
    const auto producer = index.find(row.cells[0]);
    const auto consumer = index.find(row.cells[1]);
    if (producer == index.end() || consumer == index.end()) return false;
    return std::any_of(configs.begin(), configs.end(), [&](const BitConfig& config) {
      return config.choices.size() == layers.size() &&
             config.choices[producer->second].activation.ToString() == row.cells[2] &&
             config.choices[consumer->second].activation.ToString() == row.cells[3];
    });
  };
  const auto rows = [&](bool only_met) {
    std::string shorter = fmt::format("{}\n", fmt::join(table.header(), ","));
    for (const CsvRow& row : table.rows()) {
      const bool free = std::all_of(row.cells.begin() + 4, row.cells.end(),
                                    [](const std::string& cell) { return cell == "0"; });
      if (free || (only_met && !met(row))) continue;
      for (std::size_t i = 0; i < row.cells.size(); ++i) {
        shorter += (i == 0 ? "" : ",") + CsvCell(row.cells[i]);
      }
      shorter += "\n";
    }
    return shorter;
  };
  std::string shorter = rows(false);
  return shorter.size() <= kLongest ? shorter : rows(true);
}

/// Every configuration that the run names.
std::vector<BitConfig> ConfigsOf(const Json& files) {
  std::vector<BitConfig> configs;
  if (!files.contains(kRefinedName)) return configs;
  for (const BudgetLines& budget : ParseLinesJson(files.at(kRefinedName).dump())) {
    for (const ResultLine& line : budget.lines) {
      configs.insert(configs.end(), line.configs.begin(), line.configs.end());
    }
  }
  return configs;
}

void ThinFrontiers(Json* files) {
  std::vector<std::string> frontiers;
  for (const auto& [name, content] : files->items()) {
    if (name.starts_with("frontier_")) frontiers.push_back(name);
  }
  // A point of a network of a thousand layers is a kilobyte; a page should stay below 3 MB.
  constexpr std::size_t kMostChoices = 400'000;
  constexpr std::size_t kFewestPoints = 20;
  for (const std::string& name : frontiers) {
    Json& frontier = (*files)[name];
    const std::string resource = ResourceOfFrontier(name);
    std::vector<double> limits;
    for (const auto& [other, explanation] : files->items()) {
      if (!other.starts_with("explanation_")) continue;
      for (const Json& limit : explanation.at("limits")) {
        if (limit.at("resource") == resource) limits.push_back(limit.at("limit").get<double>());
      }
    }
    const std::size_t layers = std::max<std::size_t>(frontier.at("layers").size(), 1);
    const std::size_t most = std::min(kMostFrontierPoints, kMostChoices / layers);
    Thin(&frontier, resource, limits, std::max(most, kFewestPoints) / frontiers.size());
  }
}

}  // namespace

ReportData ReadReportData(const ReportSource& source) {
  ReportData data;
  data.records = source.records;
  Json files = Json::object();
  // Any order of the names gives the same page. "config_10" comes after "config_9".
  std::vector<std::string> names = source.names;
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), a) < std::pair(b.size(), b);
  });
  for (const std::string& name : names) {
    const bool csv = std::find(CsvNames().begin(), CsvNames().end(), name) != CsvNames().end();
    if (csv) {
      files[name] = source.read(name);
    } else if (const auto format = FormatOf(name); format.has_value()) {
      files[name] = Parsed(source.read(name), (source.folder / name).string(), *format);
      if (*format == "bitsearch/config/1") LeaveOutQuantizers(&files[name]);
    }
  }
  if (files.contains("transitions.csv") && files.contains(ConfigName(0))) {
    std::vector<std::string> layers;
    for (const Json& layer : files.at(ConfigName(0)).at("layers")) {
      layers.push_back(layer.at("name").get<std::string>());
    }
    files["transitions.csv"] = ShorterTransitions(files.at("transitions.csv").get<std::string>(),
                                                  ConfigsOf(files), layers);
  }
  // Facts are of the files as they are, so before points are left out.
  data.json = {{"title", source.title}, {"facts", ReportFacts(files)}};
  ThinFrontiers(&files);
  data.json["files"] = std::move(files);
  const bool evaluated =
      std::find(source.names.begin(), source.names.end(), kEvaluationsName) != source.names.end();
  if (evaluated && data.json.at("files").contains(kRefinedName)) {
    const Json all = Json::parse(source.read(kEvaluationsName));
    for (const BudgetLines& budget :
         ParseLinesJson(data.json.at("files").at(kRefinedName).dump())) {
      const std::string ours = budget.lines.front().configs.front().Canonical();
      if (!all.contains(ours)) continue;
      data.correct[budget.budget] =
          ParseEvaluationJson(all.at(ours).get<std::string>()).correct_per_sample;
    }
  }
  return data;
}

}  // namespace bitsearch
