// Do scores of single layers rank whole configurations of equal size? Measures random
// configurations on records that no score has seen, and compares. Resumable: every measured
// configuration and every score is journaled in OUT; may be killed at any time. The table is of
// what has been measured.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/benchmarks/ranking_study/configurations.h"
#include "experiments/benchmarks/ranking_study/measurement.h"
#include "experiments/benchmarks/ranking_study/ranking_table.h"
#include "experiments/benchmarks/ranking_study/scores.h"
#include "experiments/journal.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

struct Options {
  std::string model;
  std::string train;
  std::string test;
  std::string out;
  std::vector<float> mean = {0.485F, 0.456F, 0.406F};
  std::vector<float> deviation = {0.229F, 0.224F, 0.225F};
  std::int64_t calibration_samples = 512;
  std::int64_t samples = 1024;
  std::vector<std::string> only;
  std::string phase;
  BandSettings bands;
  std::uint64_t seed = 1;
};

Dataset Load(const std::string& text, const Options& options, std::int64_t first,
             std::int64_t samples) {
  DataSpec spec = DataSpec::Parse(text);
  spec.mean = options.mean;
  spec.std = options.deviation;
  spec.first = first;
  spec.samples = samples;
  return Dataset::Load(spec);
}

class ErrorOutput : public ProgressSink {
 public:
  void Progress(std::string_view, std::int64_t, std::int64_t) override {}
  void Log(std::string_view line) override { fmt::print(stderr, "{}\n", line); }
  void Warning(std::string_view line) override { fmt::print(stderr, "warning: {}\n", line); }
};

bool Wanted(const Options& options, const std::string& setting) {
  return options.only.empty() ||
         std::find(options.only.begin(), options.only.end(), setting) != options.only.end();
}

class Study {
 public:
  explicit Study(const Options& options)
      : options_(options),
        graph_(FoldBatchNorm(ReadOnnx(options.model))),
        configs_(DrawBands(graph_, options.bands, options.seed)),
        calibration_(Load(options.train, options, 0, options.calibration_samples)),
        files_(Sha256OfFile(options.model)) {
    std::filesystem::create_directories(options.out);
    for (const std::string& spec : {options.train, options.test}) {
      for (const auto& path : DataSpec::Parse(spec).paths) {
        files_ += ' ';
        files_ += Sha256OfFile(path);
      }
    }
  }

  void Measure(const StudySetting& setting) {
    Journal journal(MeasurementsPath());
    const Dataset test = Load(options_.test, options_, 0, -1);
    const CalibratedNetwork network(graph_, &calibration_, setting.spec, "cpu", {});
    const BlockMeasurement measurement(network, test);
    for (std::size_t i = 0; i < configs_.size(); ++i) {
      const BitConfig config = setting.Of(configs_[i].config);
      if (journal.Item("measure", MeasurementHash(setting), config.Canonical())) continue;
      journal.AddItem("measure", MeasurementHash(setting), config.Canonical(),
                      measurement.Measure(config).ToText());
      fmt::print(stderr, "{}: {} of {}\n", setting.name, i + 1, configs_.size());
    }
  }

  /// Computes and journals the scores that are not journaled yet.
  void Score(const StudySetting& setting) {
    Journal journal(ScoresPath());
    // After the calibration's records, so that no estimator is flattered by ranges made for it.
    const Dataset data =
        Load(options_.train, options_, options_.calibration_samples, options_.samples);
    RunContext context;
    context.progress = std::make_shared<ErrorOutput>();
    const auto add = [&](const StudySetting& of, const auto& columns) {
      const std::string hash = ScoresHash(of);
      const CalibratedNetwork network(graph_, &calibration_, of.spec, "cpu", {});
      std::vector<BitConfig> configs;
      for (const BandConfig& config : configs_) configs.push_back(of.Of(config.config));
      columns(
          ScoreInputs{network, data, configs, options_.bands, of.activation,
                      [&](const std::string& name) { return journal.Item("score", hash, name); },
                      [&](const std::string& name, const std::string& text) {
                        journal.AddItem("score", hash, name, text);
                      },
                      context});
    };
    add(CurvatureSetting(), AddBlindColumns);
    add(setting, AddMeasuredColumns);
    add(CurvatureSetting(), AddCurvatureColumns);
  }

  /// Writes OUT/ranking.md and OUT/ranking.csv from what has been measured so far.
  void WriteTables(const std::vector<StudySetting>& settings) {
    std::string markdown;
    std::string csv = "setting,score,what,tau,low,high\n";
    Journal journal(MeasurementsPath());
    for (const StudySetting& setting : settings) {
      std::vector<MeasuredConfig> measured;
      std::vector<std::size_t> indices;
      for (std::size_t i = 0; i < configs_.size(); ++i) {
        const auto text = journal.Item("measure", MeasurementHash(setting),
                                       setting.Of(configs_[i].config).Canonical());
        const auto sums = text ? BlockSums::FromText(*text) : std::nullopt;
        if (!sums) continue;
        measured.push_back({configs_[i].band, *sums});
        indices.push_back(i);
      }
      if (measured.size() < 10 * options_.bands.mean_bits.size()) continue;
      std::vector<ScoreColumn> columns;
      for (const ScoreColumn& column : JournaledScores(setting)) {
        ScoreColumn& kept = columns.emplace_back();
        kept.name = column.name;
        for (const std::size_t i : indices) kept.values.push_back(column.values[i]);
      }
      const RankingTable table = CompareScores(measured, columns, BlindNames(), options_.seed);
      markdown += fmt::format("{}: {} configurations\n\n{}\n", setting.name, measured.size(),
                              RankingMarkdown(table));
      csv += RankingCsv(table, setting.name);
    }
    WriteFileAtomically(std::filesystem::path(options_.out) / "ranking.md", markdown);
    WriteFileAtomically(std::filesystem::path(options_.out) / "ranking.csv", csv);
    fmt::print("{}", markdown);
  }

 private:
  /// Curvature and what is blind to the network are the same in every setting.
  static StudySetting CurvatureSetting() {
    StudySetting plain = StudySettings().front();
    plain.name = "curvature";
    plain.spec.calibration.clear();
    return plain;
  }
  std::vector<ScoreColumn> JournaledScores(const StudySetting& setting) const {
    Journal journal(ScoresPath());
    std::vector<ScoreColumn> columns;
    const auto add = [&](const StudySetting& of, const std::vector<std::string>& names) {
      for (const std::string& name : names) {
        const auto text = journal.Item("score", ScoresHash(of), name);
        auto values = text ? ParseColumn(*text) : std::nullopt;
        if (values) columns.push_back({name, *std::move(values)});
      }
    };
    add(CurvatureSetting(), BlindNames());
    add(setting, MeasuredNames());
    add(CurvatureSetting(), CurvatureNames());
    return columns;
  }
  std::filesystem::path ScoresPath() const {
    return std::filesystem::path(options_.out) / "scores.sqlite";
  }
  std::filesystem::path MeasurementsPath() const {
    return std::filesystem::path(options_.out) / "measurements.sqlite";
  }
  /// What a measured configuration depends on beside its bits.
  std::string MeasurementHash(const StudySetting& setting) const {
    return Sha256(
        fmt::format("{} calibration {} {}", setting.name, options_.calibration_samples, files_));
  }
  std::string ScoresHash(const StudySetting& setting) const {
    std::string text = fmt::format("{} samples {}", MeasurementHash(setting), options_.samples);
    for (const BandConfig& config : configs_) text += fmt::format(" {}", config.config.Canonical());
    return Sha256(text);
  }

  const Options& options_;
  LayerGraph graph_;
  std::vector<BandConfig> configs_;
  Dataset calibration_;
  std::string files_;
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Kendall's tau between scores and measured losses at equal size, resumable");
  app.add_option("--model", options.model, "ONNX network; its BN is folded")->required();
  app.add_option("--train", options.train, "SPEC: calibration, then sensitivities")->required();
  app.add_option("--test", options.test, "SPEC: what configurations are measured on")->required();
  app.add_option("--out", options.out, "folder of the study")->required();
  app.add_option("--mean", options.mean)->delimiter(',');
  app.add_option("--std", options.deviation)->delimiter(',');
  app.add_option("--only", options.only, "settings: w, w+bias, wa8, wa8+bias")->delimiter(',');
  app.add_option("--per-band", options.bands.per_band, "configurations of each size");
  app.add_option("--samples", options.samples, "training records of the sensitivities");
  app.add_option("--phase", options.phase, "only this one; without: all three")
      ->check(CLI::IsMember({"measure", "scores", "table"}));
  app.add_option("--seed", options.seed);
  CLI11_PARSE(app, argc, argv);
  std::vector<StudySetting> settings = StudySettings();
  std::erase_if(settings,
                [&](const StudySetting& setting) { return !Wanted(options, setting.name); });
  Study study(options);
  const auto runs = [&](const char* phase) {
    return options.phase.empty() || options.phase == phase;
  };
  for (const StudySetting& setting : settings) {
    if (runs("measure")) study.Measure(setting);
    if (runs("scores")) study.Score(setting);
  }
  if (runs("table")) study.WriteTables(settings);
  return 0;
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) {
  try {
    return bitsearch::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
