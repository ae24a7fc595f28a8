#include "experiments/deployment/table_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "experiments/deployment/fixed_ranges.h"
#include "experiments/deployment/interleaved_times.h"
#include "experiments/json_values.h"
#include "space/graph/ties.h"
#include "space/hardware/costs.h"
#include "space/hardware/machine_info.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/child_process.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostRuns = 6;
/// A line through fewer others says nothing of them.
constexpr std::size_t kFewestToFit = 6;

/// A few runs of layers, each with one choice.
BitConfig InRuns(std::size_t layers, const std::vector<BitChoice>& choices, double share,
                 RandomStream& random) {
  BitConfig config;
  std::size_t left = 0;
  BitChoice choice;
  for (std::size_t l = 0; l < layers; ++l, --left) {
    if (left == 0) {
      left = 1 + random.Below(std::max<std::size_t>(1, 2 * layers / kMostRuns));
      choice =
          random.Uniform() < share ? choices[0] : choices[1 + random.Below(choices.size() - 1)];
    }
    config.choices.push_back(choice);
  }
  return config;
}

BitConfig LayerByLayer(std::size_t layers, const std::vector<BitChoice>& choices, double share,
                       RandomStream& random) {
  BitConfig config;
  for (std::size_t l = 0; l < layers; ++l) {
    config.choices.push_back(
        random.Uniform() < share ? choices[0] : choices[1 + random.Below(choices.size() - 1)]);
  }
  return config;
}

/// "12 x Wfp32Afp32, 8 x W8A8".
std::string CountsText(const BitConfig& config) {
  std::vector<std::pair<BitChoice, int>> counts;
  for (const BitChoice& choice : config.choices) {
    const auto found = std::find_if(counts.begin(), counts.end(),
                                    [&](const auto& entry) { return entry.first == choice; });
    if (found == counts.end()) {
      counts.emplace_back(choice, 1);
    } else {
      ++found->second;
    }
  }
  std::string text;
  for (const auto& [choice, count] : counts) {
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, choice.ToString());
  }
  return text;
}

/// Round by round, so that what else the machine did in a round cancels.
std::vector<double> Differences(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    differences.push_back(a[i] - b[i]);
  }
  return differences;
}

std::string NumberOr(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

std::string QualityText(const std::string& name, const PredictionQuality& quality) {
  return fmt::format("{:<32} {:>8} {:>8} {:>7} {:>7}\n", name,
                     NumberOr(100.0 * quality.median_relative_error, 1) + " %",
                     NumberOr(100.0 * quality.largest_relative_error, 1) + " %",
                     NumberOr(quality.r_squared, 3), NumberOr(quality.kendall_tau, 3));
}

}  // namespace

double TableCheckLine::predicted_without_edges_us() const {
  return static_cast<double>(predicted.layers_ns + predicted.fixed_ns) * 1e-3;
}

double TableCheckLine::measured_us() const { return Median(round_us); }

MedianInterval TableCheckLine::beyond(const TableCheckLine& first) const {
  return MedianInterval95(Differences(round_us, first.round_us));
}

double TableCheckLine::median_beyond_us(const TableCheckLine& first) const {
  return Median(Differences(round_us, first.round_us));
}

std::vector<BitChoice> CommonChoices(const LatencyTable& table,
                                     const std::vector<LayerKey>& layers) {
  std::vector<BitChoice> common;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::vector<BitChoice> of_layer = table.ChoicesOf(layers[l]);
    if (l == 0) common = of_layer;
    std::erase_if(common, [&](const BitChoice& choice) {
      return std::find(of_layer.begin(), of_layer.end(), choice) == of_layer.end();
    });
  }
  if (common.size() < 2) {
    throw Error(ErrorId::kLatencyMissing,
                fmt::format("the table has {} choices for all {} layers: nothing can be mixed",
                            common.size(), layers.size()))
        .At({table.source_name})
        .Hint("is it a table of this network? measure it with --choices W,A");
  }
  return common;
}

std::vector<NamedConfig> MixedConfigs(const LayerGraph& graph,
                                      const std::vector<BitChoice>& choices, std::size_t count,
                                      std::uint64_t seed) {
  constexpr std::size_t kTries = 50;
  const std::vector<TieGroup> ties = InferTies(graph, {/*activations=*/true, /*joins=*/false});
  std::vector<NamedConfig> configs;
  std::set<std::string> seen;
  for (const BitChoice& choice : choices) {
    seen.insert(BitConfig::Uniform(graph.layers().size(), choice).Canonical());
  }
  for (std::size_t i = 0; i < count; ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    RandomStream random(seed, "table_check", i);
    for (std::size_t attempt = 0; attempt < kTries; ++attempt) {
      BitConfig config = i % 2 == 0 ? InRuns(graph.layers().size(), choices, share, random)
                                    : LayerByLayer(graph.layers().size(), choices, share, random);
      for (const TieGroup& tie : ties) {
        for (const LayerIndex layer : tie.layers) {
          config.choices[layer.value] = config.choices[tie.layers.front().value];
        }
      }
      if (!seen.insert(config.Canonical()).second) continue;
      configs.push_back({fmt::format("mix {}", configs.size() + 1), std::move(config)});
      break;
    }
  }
  return configs;
}

TableCheck CheckTable(const LatencyTable& table, const LayerGraph& graph,
                      const std::vector<NamedConfig>& configs, const TableCheckOptions& options,
                      const RunContext& context) {
  const std::vector<LayerKey> layers = LayerKeysOf(graph);
  const ModelWriter write = FixedRangeWriter(graph, options.container);
  const ScratchFolder scratch;
  TableCheck check;
  check.cpu = CpuDescription();
  std::vector<std::filesystem::path> files;
  for (const NamedConfig& given : configs) {
    context.ThrowIfStopped();
    TableCheckLine line;
    line.name = given.name;
    line.config = given.config;
    line.predicted = PredictLatency(table, layers, given.config);
    line.bops = TotalBops(graph, given.config);
    line.size_bits = TotalSizeBits(graph, given.config);
    files.push_back(scratch.path() / fmt::format("{}.onnx", files.size()));
    write(given.config, files.back());
    check.lines.push_back(std::move(line));
  }
  InterleavedTimes times =
      TimeInterleaved(options.runtime, files, graph, options.rounds, options.repetitions, context);
  check.runtime = times.runtime;
  std::vector<double> measured;
  std::vector<double> with_edges;
  std::vector<double> without_edges;
  std::vector<double> bops;
  std::vector<double> bytes;
  for (std::size_t i = 0; i < files.size(); ++i) {
    TableCheckLine& line = check.lines[i];
    line.round_us = std::move(times.round_us[i]);
    measured.push_back(line.measured_us());
    with_edges.push_back(line.predicted_us());
    without_edges.push_back(line.predicted_without_edges_us());
    bops.push_back(static_cast<double>(line.bops));
    bytes.push_back(static_cast<double>(line.size_bits));
  }
  check.with_edges = Compare(with_edges, measured);
  check.without_edges = Compare(without_edges, measured);
  if (files.size() >= kFewestToFit) {
    check.fitted = JudgePredictors({"table", "table without edges", "BOPs", "bytes"},
                                   {with_edges, without_edges, bops, bytes}, measured);
  }
  return check;
}

std::string TableCheckText(const TableCheck& check) {
  std::string text = fmt::format("{}, one thread; {}\n\n", check.runtime, check.cpu);
  std::size_t width = 4;
  for (const TableCheckLine& line : check.lines) width = std::max(width, line.name.size());
  text += fmt::format("{:<{}} {:>11} {:>9} {:>11} {:>20} {:>8}  {}\n", "name", width, "predicted",
                      "of it", "measured", "95 % interval", "residual", "layers");
  text += fmt::format("{:<{}} {:>11} {:>9} {:>11} {:>20}\n", "", width, "us", "edges", "us", "us");
  double least = 0.0;
  double most = 0.0;
  for (const TableCheckLine& line : check.lines) {
    const MedianInterval interval = MedianInterval95(line.round_us);
    const double measured = line.measured_us();
    least = least == 0.0 ? measured : std::min(least, measured);
    most = std::max(most, measured);
    text +=
        fmt::format("{:<{}} {:>11.1f} {:>9.1f} {:>11.1f} {:>20} {:>+7.1f}%  {}\n", line.name, width,
                    line.predicted_us(), static_cast<double>(line.predicted.edges_ns) * 1e-3,
                    measured, fmt::format("{:.1f} to {:.1f}", interval.low, interval.high),
                    100.0 * (line.predicted_us() - measured) / measured, CountsText(line.config));
  }
  // The extremes of fewer values hold the median less often than 95 times in 100.
  constexpr std::size_t kFewestRounds = 6;
  if (check.lines.front().round_us.size() < kFewestRounds) {
    text += fmt::format("\nintervals and comparisons need {} rounds, these are {}\n", kFewestRounds,
                        check.lines.front().round_us.size());
  } else if (check.lines.size() > 1) {
    const TableCheckLine& first = check.lines.front();
    text += fmt::format("\nbeyond {}, round by round (median, 95 % interval):\n", first.name);
    for (std::size_t i = 1; i < check.lines.size(); ++i) {
      const TableCheckLine& line = check.lines[i];
      const MedianInterval interval = line.beyond(first);
      text += fmt::format("{:<{}} {:>+11.1f} us, {:+.1f} to {:+.1f}: {}\n", line.name, width,
                          line.median_beyond_us(first), interval.low, interval.high,
                          interval.low > 0.0    ? "slower"
                          : interval.high < 0.0 ? "faster"
                                                : "not distinguishable");
    }
  }
  text += fmt::format("\nmeasured times spread {:.2f} times\n\n", most / std::max(least, 1e-9));
  text += fmt::format("{:<32} {:>8} {:>8} {:>7} {:>7}\n", "relative error", "median", "largest",
                      "R2", "Kendall");
  text += QualityText("table as it is", check.with_edges);
  text += QualityText("table as it is, without edges", check.without_edges);
  if (!check.fitted.empty()) {
    text += "after an affine fit to the other configurations:\n";
    for (const PredictorQuality& line : check.fitted) {
      text += QualityText("  " + line.name, line.quality);
    }
    const auto better = std::find_if(check.fitted.begin() + 2, check.fitted.end(),
                                     [&](const PredictorQuality& other) {
                                       return other.quality.median_relative_error <=
                                              check.fitted.front().quality.median_relative_error;
                                     });
    if (better != check.fitted.end()) {
      text += fmt::format("note: {} predict(s) as well as the table here\n", better->name);
    }
  }
  return text;
}

std::string TableCheckJson(const TableCheck& check) {
  const auto quality = [](const std::string& name, bool fitted, const PredictionQuality& of) {
    Json json = {{"predictor", name}, {"fitted", fitted}};
    json.update(QualityJson(of));
    return json;
  };
  Json lines = Json::array();
  for (const TableCheckLine& line : check.lines) {
    const MedianInterval interval = MedianInterval95(line.round_us);
    const MedianInterval beyond = line.beyond(check.lines.front());
    lines.push_back({{"name", line.name},
                     {"configuration", line.config.Canonical()},
                     {"predicted_us", line.predicted_us()},
                     {"predicted_edges_us", static_cast<double>(line.predicted.edges_ns) * 1e-3},
                     {"measured_us", line.measured_us()},
                     {"interval_us", {interval.low, interval.high}},
                     {"round_us", line.round_us},
                     {"beyond_first_us", line.median_beyond_us(check.lines.front())},
                     {"beyond_first_interval_us", {beyond.low, beyond.high}},
                     {"bops", line.bops},
                     {"size_bits", line.size_bits}});
  }
  Json predictors = Json::array();
  predictors.push_back(quality("table", false, check.with_edges));
  predictors.push_back(quality("table without edges", false, check.without_edges));
  for (const PredictorQuality& line : check.fitted) {
    predictors.push_back(quality(line.name, true, line.quality));
  }
  return Json{{"format", "bitsearch/table-check/1"},
              {"runtime", check.runtime},
              {"cpu", check.cpu},
              {"threads", 1},
              {"configurations", std::move(lines)},
              {"predictors", std::move(predictors)}}
             .dump(1) +
         "\n";
}

}  // namespace bitsearch
