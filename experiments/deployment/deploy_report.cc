// What was found, for people and for programs. See deploy.h.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/deployment/deploy.h"
#include "experiments/json_values.h"
#include "space/hardware/sample_statistics.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

std::string Ordinal(std::size_t n) {
  const bool teen = n % 100 >= 11 && n % 100 <= 13;
  const char* ending = teen || n % 10 > 3 || n % 10 == 0 ? "th"
                       : n % 10 == 1                     ? "st"
                       : n % 10 == 2                     ? "nd"
                                                         : "rd";
  return std::to_string(n) + ending;
}

/// "mixed", or the choice of a uniform configuration.
std::string BitsText(const BitConfig& config) {
  const BitChoice first = config.choices.front();
  const bool uniform = std::all_of(config.choices.begin(), config.choices.end(),
                                   [&](const BitChoice& choice) { return choice == first; });
  return uniform ? first.ToString() : "mixed";
}

bool KeepsLimit(const Deployment& deployment, const DeployLine& line) {
  return !deployment.limit_us || line.measured_us() <= *deployment.limit_us;
}

std::string Words(const Deployment& deployment) {
  const DeployDecision& decision = deployment.decision;
  const DeployLine& best = deployment.lines[decision.predicted_best];
  std::string text = fmt::format("the predicted best ({}) is {} of {} by measurement\n", best.name,
                                 Ordinal(decision.predicted_best_rank), decision.ranking.size());
  const DeployLine& chosen = deployment.lines[decision.chosen];
  if (decision.within_limit) {
    text += fmt::format("chosen: {}\n", chosen.name);
  } else {
    text +=
        fmt::format("NO CANDIDATE KEEPS THE LIMIT of {:.1f} us as measured; the fastest is {}\n",
                    *deployment.limit_us, chosen.name);
  }
  return text;
}

Json LineJson(const Deployment& deployment, std::size_t index) {
  const DeployLine& line = deployment.lines[index];
  const MedianInterval interval = MedianInterval95(line.round_us);
  const auto& ranking = deployment.decision.ranking;
  const auto rank = std::find(ranking.begin(), ranking.end(), index);
  Json json = {{"name", line.name}, {"candidate", line.candidate}};
  json["rank"] = rank == ranking.end() ? Json(nullptr) : Json(rank - ranking.begin() + 1);
  json["predicted_loss_nats"] =
      line.predicted_loss_nats ? Json(*line.predicted_loss_nats) : Json(nullptr);
  json["predicted_latency_us"] = line.predicted_us ? Json(*line.predicted_us) : Json(nullptr);
  json["measured_latency_us"] = line.measured_us();
  json["interval_us"] = {interval.low, interval.high};
  json["rounds"] = line.round_us.size();
  json["within_limit"] = KeepsLimit(deployment, line);
  json["samples"] = line.samples;
  json["correct"] = line.correct;
  json["top1_percent"] = line.top1_percent();
  json["file_bytes"] = line.file_bytes;
  json["configuration"] = line.config.Canonical();
  return json;
}

}  // namespace

std::string DeploymentText(const Deployment& deployment) {
  std::string text =
      fmt::format("{}, one thread, placement {}, container {}; budget {}: {}\n", deployment.runtime,
                  deployment.placement, NameOf(deployment.container), deployment.budget.name,
                  LimitsText(deployment.budget));
  if (deployment.limit_us) {
    text += fmt::format("limit as measured here: {:.1f} us\n", *deployment.limit_us);
  }
  std::size_t width = 4;
  for (const DeployLine& line : deployment.lines) width = std::max(width, line.name.size());
  text += fmt::format("\n{:<{}}  {:<8} {:>10} {:>12} {:>12} {:>20} {:>6} {:>10} {:>8}\n", "line",
                      width, "bits", "pred. loss", "predicted us", "measured us", "95 % interval",
                      "keeps", "search", "top-1 %");
  for (const DeployLine& line : deployment.lines) {
    const MedianInterval interval = MedianInterval95(line.round_us);
    text += fmt::format(
        "{:<{}}  {:<8} {:>10} {:>12} {:>12.1f} {:>20} {:>6} {:>10} {:>8.2f}\n", line.name, width,
        BitsText(line.config),
        line.predicted_loss_nats ? fmt::format("{:.5f}", *line.predicted_loss_nats) : "-",
        line.predicted_us ? fmt::format("{:.1f}", *line.predicted_us) : "-", line.measured_us(),
        fmt::format("{:.1f} to {:.1f}", interval.low, interval.high),
        KeepsLimit(deployment, line) ? "yes" : "no",
        fmt::format("{}/{}", line.correct, line.samples), line.top1_percent());
  }
  text += "\n" + Words(deployment);
  if (deployment.report_samples > 0) {
    text += fmt::format("on the report records: {} of {} correct ({:.2f} %)\n",
                        deployment.report_correct, deployment.report_samples,
                        100.0 * static_cast<double>(deployment.report_correct) /
                            static_cast<double>(deployment.report_samples));
  }
  const Recalibration& fit = deployment.recalibration;
  if (fit.points > 0 && !fit.note.empty()) text += "calibration: " + fit.note + "\n";
  if (fit.usable) {
    text += fmt::format(
        "calibration on {} lines: measured = {:.1f} us + {:.3f} x predicted; relative error "
        "(median, largest) {:.1f} %, {:.1f} % before, {:.1f} %, {:.1f} % after\n",
        fit.points, fit.fit.offset, fit.fit.slope, 100.0 * fit.before.median_relative_error,
        100.0 * fit.before.largest_relative_error, 100.0 * fit.after.median_relative_error,
        100.0 * fit.after.largest_relative_error);
  }
  for (const std::string& note : deployment.notes) text += "note: " + note + "\n";
  return text;
}

std::string DeploymentJson(const Deployment& deployment) {
  Json lines = Json::array();
  for (std::size_t i = 0; i < deployment.lines.size(); ++i) {
    lines.push_back(LineJson(deployment, i));
  }
  const DeployDecision& decision = deployment.decision;
  Json json = {{"format", "bitsearch/deployment/1"},
               {"runtime", deployment.runtime},
               {"cpu", deployment.cpu},
               {"threads", 1},
               {"placement", deployment.placement},
               {"container", NameOf(deployment.container)},
               {"budget", deployment.budget.name},
               {"limits", LimitsText(deployment.budget)}};
  json["latency_limit_us"] = deployment.limit_us ? Json(*deployment.limit_us) : Json(nullptr);
  json["lines"] = std::move(lines);
  json["chosen"] = deployment.lines[decision.chosen].name;
  json["within_limit"] = decision.within_limit;
  json["file"] = deployment.chosen_file;
  json["predicted_best"] = deployment.lines[decision.predicted_best].name;
  json["predicted_best_rank"] = decision.predicted_best_rank;
  json["report"] = {{"samples", deployment.report_samples}, {"correct", deployment.report_correct}};
  const Recalibration& fit = deployment.recalibration;
  json["calibration"] = {{"points", fit.points}, {"note", fit.note}};
  if (fit.usable) {
    json["calibration"]["slope"] = fit.fit.slope;
    json["calibration"]["offset_us"] = fit.fit.offset;
    json["calibration"]["before"] = QualityJson(fit.before);
    json["calibration"]["after"] = QualityJson(fit.after);
  }
  json["recalibrated_table"] = deployment.recalibrated_table;
  json["notes"] = deployment.notes;
  return json.dump(1) + "\n";
}

}  // namespace bitsearch
