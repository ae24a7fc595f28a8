// Arithmetic on artifacts. Everything here ends up on the page and in the Markdown summary alike.
#include "experiments/report/report_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "experiments/result_table.h"
#include "experiments/search_run.h"
#include "sensitivity/sensitivity_report.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

/// `3` or `"fp32"` as text.
std::string BitsText(const Json& bits) {
  return bits.is_string() ? bits.get<std::string>() : bits.dump();
}

/// What the sensitivities say of one layer's choice.
struct LayerLoss {
  std::size_t layer = 0;
  double loss = 0.0;
  double standard_error = 0.0;
};

std::optional<LayerLoss> LossOf(const SensitivityReport& report, std::size_t l, const Json& layer) {
  const std::string weight = BitsText(layer.at("weight_bits"));
  const std::string activation = BitsText(layer.at("activation_bits"));
  const auto row = report.FindLayer(layer.at("name").get<std::string>());
  if (!row.has_value()) return std::nullopt;
  for (const ChoiceSensitivity& choice : report.layers[*row].choices) {
    if (choice.choice.weight.ToString() != weight ||
        choice.choice.activation.ToString() != activation) {
      continue;
    }
    return LayerLoss{l, choice.loss_increase, choice.standard_error.value_or(0.0)};
  }
  return LayerLoss{l, 0.0, 0.0};  // left in float, which no sensitivity lists
}

/// The chosen configuration's predicted loss, with its error, and the layers that make it up.
void AddLosses(const SensitivityReport& report, const Json& config, Json* facts) {
  std::vector<LayerLoss> losses;
  double total = 0.0;
  double variance = 0.0;
  const Json& layers = config.at("layers");
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::optional<LayerLoss> loss = LossOf(report, l, layers[l]);
    if (!loss.has_value()) return;
    losses.push_back(*loss);
    total += loss->loss;
    variance += loss->standard_error * loss->standard_error;
  }
  std::stable_sort(losses.begin(), losses.end(),
                   [](const LayerLoss& a, const LayerLoss& b) { return a.loss > b.loss; });
  (*facts)["predicted"] = {{"loss_nats", total}, {"standard_error", std::sqrt(variance)}};
  constexpr std::size_t kMostLayers = 5;
  Json limiting = Json::array();
  for (std::size_t i = 0; i < std::min(losses.size(), kMostLayers) && losses[i].loss > 0.0; ++i) {
    const Json& layer = layers[losses[i].layer];
    limiting.push_back({{"name", layer.at("name")},
                        {"weight_bits", layer.at("weight_bits")},
                        {"activation_bits", layer.at("activation_bits")},
                        {"loss_nats", losses[i].loss},
                        {"standard_error", losses[i].standard_error},
                        {"share", total > 0.0 ? losses[i].loss / total : 0.0}});
  }
  (*facts)["limiting_layers"] = limiting;
}

/// The amount of a resource that people think in: "one more ms".
std::pair<double, const char*> UnitOf(const std::string& resource) {
  constexpr double kBitsPerKilobyte = 8000.0;
  if (resource == "latency_us") return {1000.0, "ms"};
  if (resource == "size_bits" || resource == "parameter_bits") return {kBitsPerKilobyte, "kB"};
  if (resource == "bops") return {1e6, "MBOPs"};
  return {1.0, "unit"};
}

/// What one unit more, and some percent more, of each limited resource would save in predicted
/// loss.
void AddPurchases(const Json& files, const Json* solution, Json* facts) {
  Json all = Json::array();
  // A budget of mean bits has a frontier of sizes: there what the optimum takes is where one
  // stands.
  Json standing = facts->at("limits");
  for (const auto& [name, file] : files.items()) {
    if (!name.starts_with("frontier_") || solution == nullptr) continue;
    const std::string resource = ResourceOfFrontier(name);
    const bool limited = std::any_of(standing.begin(), standing.end(), [&](const Json& limit) {
      return limit.at("resource") == resource;
    });
    if (limited || !solution->at("resources").contains(resource)) continue;
    standing.push_back({{"resource", resource},
                        {"limit", solution->at("resources").at(resource)},
                        {"unlimited", true}});
  }
  for (const Json& limit : standing) {
    const auto resource = limit.at("resource").get<std::string>();
    const std::string name = FrontierName(resource);
    if (!files.contains(name)) continue;
    const Json& points = files.at(name).at("points");
    const double value = limit.at("limit").get<double>();
    const std::size_t here = LastPointWithin(points, resource, value);
    if (here == points.size()) continue;
    const double now = points[here].at("objective").get<double>();
    const auto bought = [&](double extra) {
      const std::size_t there = LastPointWithin(points, resource, value + extra);
      const double then = points[there].at("objective").get<double>();
      return Json{{"extra", extra},
                  {"loss_nats", then},
                  {"saved_nats", now - then},
                  {"beyond", there + 1 == points.size()}};
    };
    const auto [unit, unit_name] = UnitOf(resource);
    Json one = bought(unit);
    one["unit"] = unit_name;
    Json buys = Json::array();
    for (const double percent : {1.0, 5.0, 10.0, 20.0, 50.0}) {
      Json buy = bought(value * percent / 100.0);
      buy["percent"] = percent;
      buys.push_back(std::move(buy));
    }
    Json entry = {{"resource", resource},
                  {"limit", value},
                  {"limited", !limit.contains("unlimited")},
                  {"loss_nats", now},
                  {"one_unit", std::move(one)},
                  {"buys", std::move(buys)}};
    if (here + 1 < points.size()) {
      const Json& next = points[here + 1];
      entry["next"] = {{"extra", next.at("resources").at(resource).get<double>() - value},
                       {"saved_nats", now - next.at("objective").get<double>()}};
    }
    all.push_back(std::move(entry));
  }
  (*facts)["more_budget"] = all;
}

bool SameBits(const Json& a, const Json& b) {
  return a.at("weight_bits") == b.at("weight_bits") &&
         a.at("activation_bits") == b.at("activation_bits");
}

/// How often the redraws keep each layer's choice and all of them, as the configuration file says;
/// and where measuring went another way.
void AddStability(const Json* solution, const Json& config, Json* facts) {
  const Json& chosen = config.at("layers");
  std::int64_t moved = 0;
  for (std::size_t l = 0; l < chosen.size(); ++l) {
    if (solution != nullptr && !SameBits(solution->at("layers")[l], chosen[l])) ++moved;
  }
  Json stability = {{"redraws", 0},
                    {"layers", chosen.size()},
                    {"steady_layers", nullptr},
                    {"configuration", nullptr},
                    {"moved_by_measuring", moved}};
  if (config.contains("stability")) {
    const Json& figures = config.at("stability");
    const Json& shares = figures.at("layers");
    stability["redraws"] = figures.at("redraws");
    stability["configuration"] = figures.at("configuration");
    stability["steady_layers"] = std::count_if(shares.begin(), shares.end(), [](const Json& share) {
      return share.get<double>() >= kSteadyShare;
    });
  }
  (*facts)["stability"] = std::move(stability);
}

/// A measured accuracy with its interval.
Json Top1Json(double percent, std::int64_t samples) {
  const auto count = static_cast<double>(samples);
  const auto [low, high] = WilsonPercent(percent / 100.0 * count, count);
  return {{"percent", percent}, {"low", low}, {"high", high}, {"samples", samples}};
}

/// Accuracy with its interval, and what the comparison with each line says: after training at these
/// bits (`tuned`), where there was one.
void AddAccuracy(const std::vector<ResultRow>& all, const std::vector<ResultRow>& tuned,
                 const std::string& budget, Json* facts) {
  const ResultRow* untuned = OursOf(all, budget);
  const bool trained = OursOf(tuned, budget) != nullptr;
  const std::vector<ResultRow>& rows = trained ? tuned : all;
  const ResultRow* ours = OursOf(rows, budget);
  for (const ResultRow& row : rows) {
    if (row.line == "fp32" && row.top1_percent) {
      (*facts)["fp32_top1_percent"] = *row.top1_percent;
      if (!row.costs.empty()) {
        Json costs = Json::object();
        for (const auto& [name, value] : row.costs) costs[name] = value;
        (*facts)["fp32_costs"] = costs;
      }
    }
  }
  if (ours == nullptr) return;
  if (trained && untuned != nullptr && untuned->top1_percent) {
    (*facts)["top1_before_training_percent"] = *untuned->top1_percent;
  }
  (*facts)["bits"] = ours->bits;
  (*facts)["note"] = ours->note;
  if (ours->mean_weight_bits) (*facts)["mean_weight_bits"] = *ours->mean_weight_bits;
  Json costs = Json::object();
  for (const auto& [name, value] : ours->costs) costs[name] = value;
  (*facts)["costs"] = costs;
  if (ours->top1_percent) {
    (*facts)["top1"] = Top1Json(*ours->top1_percent, ours->samples);
  }
  if (ours->kl_nats) (*facts)["kl_nats"] = *ours->kl_nats;
  if (ours->output_error_percent) {
    (*facts)["output_error_percent"] = *ours->output_error_percent;
    (*facts)["samples"] = ours->samples;
  }
  for (const char* verdict : {"worse", "not distinguishable", "better"}) {
    Json lines = Json::array();
    for (const ResultRow& row : rows) {
      if (row.budget == budget && Verdict(row, *ours) == verdict) lines.push_back(row.line);
    }
    (*facts)["lines"][verdict] = lines;
  }
}

const Json* Find(const Json& files, const std::string& name) {
  const auto found = files.find(name);
  return found == files.end() ? nullptr : &*found;
}

}  // namespace

std::pair<double, double> WilsonPercent(double correct, double samples) {
  constexpr double kNormal975 = 1.959963984540054;
  if (samples <= 0.0) return {0.0, 100.0};
  const double z2 = kNormal975 * kNormal975;
  const double share = correct / samples;
  const double centre = (share + z2 / (2.0 * samples)) / (1.0 + z2 / samples);
  const double half = kNormal975 / (1.0 + z2 / samples) *
                      std::sqrt(share * (1.0 - share) / samples + z2 / (4.0 * samples * samples));
  return {100.0 * (centre - half), 100.0 * (centre + half)};
}

std::string ResourceOfFrontier(const std::string& name) {
  const std::size_t start = name.find('_') + 1;
  return name.substr(start, name.rfind('.') - start);
}

std::size_t LastPointWithin(const Json& points, const std::string& resource, double limit) {
  std::size_t last = points.size();
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].at("resources").at(resource).get<double>() <= limit) last = i;
  }
  return last;
}

Json ReportFacts(const Json& files) {
  Json facts = {{"remarks", Json::array()}, {"budgets", Json::array()}};
  std::vector<ResultRow> rows;
  std::vector<ResultRow> tuned;
  if (const Json* results = Find(files, kTunedResultsName)) {
    tuned = ParseResultsJson(results->dump(), kTunedResultsName);
  }
  if (const Json* results = Find(files, kResultsName)) {
    rows = ParseResultsJson(results->dump(), kResultsName);
    // What untrained lines reach says nothing of what one takes away after training.
    facts["remarks"] = Remarks(tuned.empty() ? rows : tuned);
  }
  std::optional<SensitivityReport> sensitivity;
  if (const Json* csv = Find(files, kSensitivityName)) {
    sensitivity = ParseSensitivityCsv(csv->get<std::string>(), kSensitivityName);
  }
  for (std::size_t b = 0;; ++b) {
    const Json* config = Find(files, ConfigName(b));
    if (config == nullptr) break;
    const Json* refined = Find(files, "refined.json");
    const Json* explanation = Find(files, ExplanationName(b));
    Json budget = {{"name", fmt::format("{}", b + 1)}, {"config", ConfigName(b)}};
    if (refined != nullptr && b < refined->at("budgets").size()) {
      budget["name"] = refined->at("budgets")[b].at("budget");
      budget["asked"] = refined->at("budgets")[b].at("limits");
    }
    for (const char* key : {"chosen_by", "lower_bound_nats", "gap"}) {
      if (config->contains(key)) budget[key] = config->at(key);
    }
    budget["limits"] = explanation != nullptr ? explanation->at("limits") : Json::array();
    AddAccuracy(rows, tuned, budget.at("name").get<std::string>(), &budget);
    if (sensitivity.has_value()) AddLosses(*sensitivity, *config, &budget);
    AddPurchases(files, Find(files, SolutionName(b)), &budget);
    AddStability(Find(files, SolutionName(b)), *config, &budget);
    facts["budgets"].push_back(std::move(budget));
  }
  if (const Json* config = Find(files, kGoalConfigName)) {
    Json goal = {{"name", "goal"}, {"config", kGoalConfigName}, {"limits", Json::array()}};
    goal["chosen_by"] = "goal";
    if (const Json* answer = Find(files, kGoalName)) goal["minimise"] = answer->at("minimise");
    if (sensitivity.has_value()) AddLosses(*sensitivity, *config, &goal);
    if (config->contains("costs")) {
      for (const auto& [name, value] : config->at("costs").items()) {
        goal["costs"][name] = value.is_string() ? value : Json(value.dump());
      }
    }
    if (config->contains("measured")) {
      const Json& measured = config->at("measured");
      if (measured.contains("output_error_percent")) {
        goal["output_error_percent"] = measured.at("output_error_percent");
        goal["samples"] = measured.at("samples");
      } else if (measured.contains("correct")) {
        goal["top1"] = Top1Json(measured.at("top1_percent").get<double>(),
                                measured.at("samples").get<std::int64_t>());
      }
    }
    facts["goal"] = std::move(goal);
  }
  return facts;
}

}  // namespace bitsearch
