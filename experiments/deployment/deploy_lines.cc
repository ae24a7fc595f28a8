// The plan, the rules of the decision, and the fit. See deploy_lines.h.
#include "experiments/deployment/deploy_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "experiments/artifact_json.h"
#include "experiments/config_file.h"
#include "experiments/search_run.h"
#include "experiments/search_stages.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/csv.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

constexpr double kNanosecondsPerMicrosecond = 1e3;

struct FrontierPoint {
  double loss = 0.0;
  BitConfig config;
};

BitChoice ChoiceOf(const JsonValue& pair) {
  const std::vector<JsonValue> parts = pair.Elements();
  if (parts.size() != 2) throw pair.Fault("a choice is [weight, activation]");
  const auto format = [](const JsonValue& value) {
    const std::string text = value.is_number() ? std::to_string(value.Count()) : value.String();
    const auto parsed = NumberFormat::Parse(text);
    if (!parsed) throw value.Fault("not a number format");
    return *parsed;
  };
  return {format(parts[0]), format(parts[1])};
}

std::vector<FrontierPoint> ReadFrontier(const fs::path& path, const LayerGraph& graph) {
  const JsonValue json = ParseArtifact(ReadTextFile(path), path.string(), ErrorId::kRunDamaged);
  RequireFormat(json, path.string(), "bitsearch/frontier/1");
  const std::vector<JsonValue> names = json.At("layers").Elements();
  std::vector<std::vector<BitChoice>> choices;
  for (const JsonValue& layer : json.At("choices").Elements()) {
    choices.emplace_back();
    for (const JsonValue& choice : layer.Elements()) choices.back().push_back(ChoiceOf(choice));
  }
  const std::size_t layers = graph.layers().size();
  bool fits = names.size() == layers && choices.size() == layers;
  for (std::size_t l = 0; fits && l < layers; ++l) {
    fits = names[l].String() == graph.layers()[l].id;
  }
  if (!fits) throw json.Fault("the frontier is of another network than the run's model");
  std::vector<FrontierPoint> points;
  for (const JsonValue& item : json.At("points").Elements()) {
    FrontierPoint point;
    point.loss = item.At("objective").Number();
    const std::vector<JsonValue> indices = item.At("choice").Elements();
    if (indices.size() != layers) throw item.Fault("a point needs a choice for every layer");
    for (std::size_t l = 0; l < layers; ++l) {
      const auto index = static_cast<std::size_t>(indices[l].Count());
      if (index >= choices[l].size()) throw indices[l].Fault("no such choice");
      point.config.choices.push_back(choices[l][index]);
    }
    points.push_back(std::move(point));
  }
  return points;
}

/// The frontier against latency if there is one, else the first.
fs::path FrontierFile(const fs::path& run, const Experiment& experiment) {
  std::vector<std::string> resources = FrontierResources(experiment);
  std::stable_partition(resources.begin(), resources.end(),
                        [](const std::string& name) { return name == "latency_us"; });
  for (const std::string& resource : resources) {
    const fs::path path = run / FrontierName(resource);
    if (fs::exists(path)) return path;
  }
  throw Error(ErrorId::kRunNotFound, "the run has no frontier to choose from")
      .At({run.string()})
      .Hint("finish it (bitsearch run FILE.yaml --resume), with budgets or search.frontier");
}

bool Keeps(const NetworkProblem& network, const NamedProblem& limited, const BitConfig& config) {
  for (const Resource& resource : limited.problem.resources) {
    if (!resource.limit) continue;
    const auto cost = network.Cost(resource.name, config);
    if (!cost || *cost > *resource.limit) return false;
  }
  return true;
}

std::string ReferenceName(BitChoice choice) {
  if (choice.weight == NumberFormat::Float32() && choice.activation == NumberFormat::Float32()) {
    return "fp32";
  }
  return "w" + choice.weight.ToString() + "a" + choice.activation.ToString();
}

}  // namespace

double DeployLine::measured_us() const { return Median(round_us); }

double DeployLine::top1_percent() const {
  return samples > 0 ? 100.0 * static_cast<double>(correct) / static_cast<double>(samples) : 0.0;
}

std::vector<DeployLine> PlanDeployment(const fs::path& run, const Experiment& experiment,
                                       const NetworkProblem& network, std::size_t budget,
                                       std::size_t count) {
  const Budget& wanted = experiment.budgets.at(budget);
  const NamedProblem limited = WithBudget(network, network.named, wanted);
  std::vector<FrontierPoint> points = ReadFrontier(FrontierFile(run, experiment), network.graph);
  std::erase_if(points,
                [&](const FrontierPoint& point) { return !Keeps(network, limited, point.config); });
  std::stable_sort(points.begin(), points.end(),
                   [](const auto& a, const auto& b) { return a.loss < b.loss; });
  if (points.size() < count) {
    throw Error(ErrorId::kUsage, fmt::format("got {}, but {} points of the frontier keep {}", count,
                                             points.size(), LimitsText(wanted)))
        .At({run.string()})
        .Key("--best")
        .Hint(points.empty() ? "the frontier was thinned: raise search.max_points"
                             : fmt::format("--best {} is the most", points.size()));
  }
  std::vector<DeployLine> lines;
  const auto add = [&](const std::string& name, bool candidate, const BitConfig& config,
                       std::optional<double> loss) {
    for (DeployLine& line : lines) {
      if (line.config != config) continue;
      line.name += ", " + name;
      line.candidate = line.candidate || candidate;
      return;
    }
    DeployLine line{name, candidate, config, loss, {}, {}, 0, 0, 0};
    if (const auto cost = network.Cost("latency_us", config)) {
      line.predicted_us = static_cast<double>(*cost) / kNanosecondsPerMicrosecond;
    }
    lines.push_back(std::move(line));
  };
  for (std::size_t p = 0; p < count; ++p) {
    add("frontier " + std::to_string(p + 1), true, points[p].config, points[p].loss);
  }
  const fs::path chosen = run / ConfigName(budget);
  if (!fs::exists(chosen)) {
    throw Error(ErrorId::kRunNotFound, "the run has not chosen a configuration yet")
        .At({run.string()})
        .Hint("finish it: bitsearch run FILE.yaml --resume");
  }
  const ConfigDocument document = ReadConfigJson(chosen);
  add("run", true, ConfigForGraph(document, network.graph, chosen.string()),
      document.predicted_loss_nats);
  std::vector<BitChoice> references = {{NumberFormat::Float32(), NumberFormat::Float32()},
                                       {NumberFormat::Integer(8), NumberFormat::Integer(8)}};
  for (const BudgetLimit& limit : wanted.limits) {
    if (limit.resource == "latency_us" && limit.relative()) {
      references.push_back(*ParseBaseline(limit.baseline));
    }
  }
  for (const BitChoice reference : references) {
    const BitConfig config = BitConfig::Uniform(network.graph.layers().size(), reference);
    const bool known = std::any_of(lines.begin(), lines.end(), [&](const DeployLine& line) {
      return !line.candidate && line.config == config;
    });
    if (!known) add(ReferenceName(reference), false, config, std::nullopt);
  }
  return lines;
}

std::optional<double> MeasuredLatencyLimit(const Budget& budget,
                                           const std::vector<DeployLine>& lines) {
  for (const BudgetLimit& limit : budget.limits) {
    if (limit.resource != "latency_us") continue;
    const Decimal decimal = ParseDecimal(limit.number, {});
    const double number = static_cast<double>(decimal.unscaled) / std::pow(10.0, decimal.decimals);
    if (!limit.relative()) return number;
    const BitChoice choice = *ParseBaseline(limit.baseline);
    for (const DeployLine& line : lines) {
      if (line.config == BitConfig::Uniform(line.config.choices.size(), choice)) {
        return number * line.measured_us();
      }
    }
    throw Error(ErrorId::kInternal, "the baseline " + limit.baseline + " was not measured");
  }
  return std::nullopt;
}

DeployDecision Decide(const std::vector<DeployLine>& lines, std::optional<double> limit_us) {
  DeployDecision decision;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].candidate) decision.ranking.push_back(i);
  }
  if (decision.ranking.empty()) throw Error(ErrorId::kInternal, "nothing to choose from");
  const auto keeps = [&](std::size_t i) {
    return !limit_us || lines[i].measured_us() <= *limit_us;
  };
  decision.predicted_best = decision.ranking.front();
  for (const std::size_t i : decision.ranking) {
    const auto& loss = lines[i].predicted_loss_nats;
    const auto& least = lines[decision.predicted_best].predicted_loss_nats;
    if (loss && (!least || *loss < *least)) decision.predicted_best = i;
  }
  std::stable_sort(decision.ranking.begin(), decision.ranking.end(),
                   [&](std::size_t a, std::size_t b) {
                     if (keeps(a) != keeps(b)) return keeps(a);
                     if (keeps(a) && lines[a].correct != lines[b].correct) {
                       return lines[a].correct > lines[b].correct;
                     }
                     return lines[a].measured_us() < lines[b].measured_us();
                   });
  decision.chosen = decision.ranking.front();
  decision.within_limit = keeps(decision.chosen);
  const auto at =
      std::find(decision.ranking.begin(), decision.ranking.end(), decision.predicted_best);
  decision.predicted_best_rank = static_cast<std::size_t>(at - decision.ranking.begin()) + 1;
  return decision;
}

Recalibration FitRecalibration(const std::vector<DeployLine>& lines, std::int64_t fixed_ns) {
  Recalibration result;
  std::vector<double> predicted, measured;
  for (const DeployLine& line : lines) {
    if (!line.predicted_us || line.round_us.empty()) continue;
    predicted.push_back(*line.predicted_us);
    measured.push_back(line.measured_us());
  }
  result.points = predicted.size();
  const bool differ = std::any_of(predicted.begin(), predicted.end(),
                                  [&](double value) { return value != predicted.front(); });
  if (!differ) {
    result.note = "fewer than two different predictions: nothing to fit";
    return result;
  }
  result.before = Compare(predicted, measured);
  result.fit = FitAffine(predicted, measured);
  if (result.fit.slope <= 0.0) {
    result.note =
        "what the table predicts to be slower is measured to be faster: no calibration "
        "of this table helps";
    result.fit = {};
    result.after = result.before;
    return result;
  }
  if (result.fit(static_cast<double>(fixed_ns) / kNanosecondsPerMicrosecond) < 0.0) {
    const double squares =
        std::inner_product(predicted.begin(), predicted.end(), predicted.begin(), 0.0);
    result.fit = {
        std::inner_product(predicted.begin(), predicted.end(), measured.begin(), 0.0) / squares,
        0.0};
    result.note = "an offset would make the fixed time negative: only a factor is fitted";
  }
  std::vector<double> fitted;
  for (const double value : predicted) fitted.push_back(result.fit(value));
  result.after = Compare(fitted, measured);
  result.usable = true;
  return result;
}

LatencyTable Recalibrated(const LatencyTable& table, const Recalibration& recalibration) {
  const double slope = recalibration.fit.slope;
  const auto scaled = [&](std::int64_t ns) {
    return std::llround(slope * static_cast<double>(ns));
  };
  const auto entry = [&](LatencyEntry of) {
    of.latency_ns = scaled(of.latency_ns);
    if (of.stddev_ns) of.stddev_ns = scaled(*of.stddev_ns);
    return of;
  };
  LatencyTable result;
  result.source_name = table.source_name;
  for (const auto& [name, value] : table.provenance()) result.SetProvenance(name, value);
  result.SetProvenance("recalibrated",
                       fmt::format("times x {:.6g}, fixed time + {:.6g} us, fitted to {} measured "
                                   "end-to-end times",
                                   slope, recalibration.fit.offset, recalibration.points));
  for (const LatencyTable::Row& row : table.rows()) {
    result.Add(row.key, row.choice, entry(row.entry));
  }
  for (const auto& [layer, signature] : table.declared_signatures()) {
    result.DeclareSignature(layer, signature);
  }
  for (const auto& [key, time] : table.transitions()) result.AddTransition(key, entry(time));
  result.set_fixed_ns(scaled(table.fixed_ns()) +
                      std::llround(recalibration.fit.offset * kNanosecondsPerMicrosecond));
  return result;
}

}  // namespace bitsearch
