// The CIFAR-10 table: DNAS, HAWQ + exact, uniform and random at equal size and equal training time,
// from one pretrained network. Resumable: every row is a folder; the table marks what is missing.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>

#include "experiments/benchmarks/dnas_table_jobs.h"
#include "space/graph/onnx_reader.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/statistics.h"

namespace bitsearch {
namespace {

class ErrorOutput : public ProgressSink {
 public:
  void Progress(std::string_view, std::int64_t, std::int64_t) override {}
  void Log(std::string_view line) override { Print("", line); }
  void Warning(std::string_view line) override { Print("warning: ", line); }

 private:
  static void Print(const char* prefix, std::string_view line) {
    std::fprintf(stderr, "%s%.*s\n", prefix, static_cast<int>(line.size()), line.data());
  }
};

struct RowKey {
  int activation_bits = 32;
  double compression = 0.0;
  std::string method;
  auto operator<=>(const RowKey&) const = default;
};

std::string MeanText(const std::vector<double>& values) {
  double mean = 0.0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  if (values.size() < 2) return fmt::format("{:.2f}", mean);
  double square = 0.0;
  for (const double value : values) square += (value - mean) * (value - mean);
  return fmt::format("{:.2f} ± {:.2f}", mean,
                     std::sqrt(square / static_cast<double>(values.size() - 1)));
}

// The table in Markdown: one line a method and budget, seeds averaged, drops from the float line of
// the same seed, McNemar's test against uniform (all seeds' samples together).
std::string Table(const TableSettings& settings, const std::filesystem::path& folder) {
  std::map<std::uint64_t, double> float_line;
  std::map<RowKey, std::vector<TableResult>> rows;
  std::size_t missing = 0;
  for (const TableJob& job : JobsOf(settings)) {
    const auto result = ReadResult(job, folder);
    if (job.method == "fp32") {
      if (result) float_line[job.seed] = result->top1_percent;
      missing += result ? 0 : 1;
      continue;
    }
    auto& row = rows[{job.budget.activation_bits, job.budget.compression, job.method}];
    if (result) row.push_back(*result);
    missing += result ? 0 : 1;
  }
  std::vector<double> floats;
  for (const auto& [seed, top1] : float_line) floats.push_back(top1);
  std::string text = fmt::format(
      "FP32, fine-tuned like the controls ({} epochs): {} %\n\n"
      "| activations | method | compression | with scales | top-1 % | drop from FP32 | epochs | "
      "seeds | against uniform |\n|---|---|---|---|---|---|---|---|---|\n",
      settings.tune_epochs + settings.extra_control_epochs,
      floats.empty() ? "not run yet" : MeanText(floats));
  for (const auto& [key, results] : rows) {
    const std::string epochs =
        key.method == "dnas"
            ? fmt::format("{} search + {}", settings.search_epochs, settings.tune_epochs)
            : fmt::format("{}", settings.tune_epochs + settings.extra_control_epochs);
    if (results.empty()) {
      text += fmt::format("| {} | {} | ≥ {:.4g} | | not run yet | | {} | 0 | |\n",
                          key.activation_bits, key.method, key.compression, epochs);
      continue;
    }
    std::vector<double> top1;
    std::vector<double> drop;
    std::int64_t only_ours = 0;
    std::int64_t only_uniform = 0;
    bool compared = false;
    for (const TableResult& result : results) {
      top1.push_back(result.top1_percent);
      const auto reference = float_line.find(result.job.seed);
      if (reference != float_line.end()) drop.push_back(reference->second - result.top1_percent);
      for (const TableResult& uniform : rows[{key.activation_bits, key.compression, "uniform"}]) {
        if (key.method == "uniform" || uniform.job.seed != result.job.seed) continue;
        compared = true;
        for (std::size_t i = 0; i < result.correct_per_sample.size(); ++i) {
          only_ours += result.correct_per_sample[i] && !uniform.correct_per_sample[i] ? 1 : 0;
          only_uniform += !result.correct_per_sample[i] && uniform.correct_per_sample[i] ? 1 : 0;
        }
      }
    }
    std::string against;
    if (compared) {
      const double p = McNemarExactPValue(only_ours, only_uniform);
      against =
          p < 0.01 ? fmt::format("{}, p = {:.2g}", only_ours > only_uniform ? "better" : "worse", p)
                   : fmt::format("not distinguishable, p = {:.2f}", p);
    }
    text += fmt::format("| {} | {} | {:.2f}x | {:.2f}x | {} | {} | {} | {} | {} |\n",
                        key.activation_bits, key.method, results[0].compression,
                        results[0].compression_with_scales, MeanText(top1),
                        drop.empty() ? "" : MeanText(drop), epochs, results.size(), against);
  }
  text += fmt::format(
      "\n{} of {} runs have not finished yet. With one seed no difference below 0.3 "
      "points means anything.\n",
      missing, JobsOf(settings).size());
  return text;
}

int Main(int argc, char** argv) {
  CLI::App app("DNAS against its controls on CIFAR-10, resumable");
  std::string model;
  std::string train_spec;
  std::string test_spec;
  std::string folder;
  std::string only;
  std::vector<float> mean = {0.485F, 0.456F, 0.406F};
  std::vector<float> std_of = {0.229F, 0.224F, 0.225F};
  bool table_only = false;
  int threads = 1;
  TableSettings settings;
  settings.budgets = {{16.0, 32}, {13.1, 4}, {10.66, 32}, {10.66, 4}};
  for (const int bits : {1, 2, 3, 4, 8}) {
    settings.weight_formats.push_back(NumberFormat::Integer(bits));
  }
  settings.search.mode = SupernetMode::kGumbelSoft;
  settings.search.temperature = 2.0;
  settings.search.temperature_decay = 0.25;
  settings.search.weight_rate = 0.01;
  settings.tune.learning_rate = 0.02;
  settings.tune.distillation = 0.7;
  std::string hawq_w;
  std::string hawq_a;
  app.add_option("--model", model, "pretrained ONNX network with its BN")->required();
  app.add_option("--train", train_spec, "SPEC of the training images")->required();
  app.add_option("--test", test_spec, "SPEC of the test images")->required();
  app.add_option("--out", folder, "folder of the runs")->required();
  app.add_option("--mean", mean)->delimiter(',');
  app.add_option("--std", std_of)->delimiter(',');
  app.add_option("--hawq-weights-only", hawq_w, "sensitivity CSV for 32-bit activations");
  app.add_option("--hawq-a4", hawq_a, "sensitivity CSV for 4-bit activations");
  app.add_option("--tune-epochs", settings.tune_epochs);
  app.add_option("--search-epochs", settings.search_epochs);
  app.add_option("--extra-control-epochs", settings.extra_control_epochs);
  app.add_option("--threads", threads);
  app.add_option("--only", only, "run only jobs whose name contains this");
  app.add_flag("--table", table_only, "print the table of what has finished; run nothing");
  CLI11_PARSE(app, argc, argv);
  settings.hawq_weights_only = hawq_w;
  settings.hawq_a4 = hawq_a;
  if (!table_only) {
    const auto load = [&](const std::string& text) {
      DataSpec spec = DataSpec::Parse(text);
      spec.mean = mean;
      spec.std = std_of;
      return Dataset::Load(spec);
    };
    const Dataset train = load(train_spec);
    const Dataset test = load(test_spec);
    const LayerGraph graph = ReadOnnx(model);
    RunContext context;
    context.threads = threads;
    context.progress = std::make_shared<ErrorOutput>();
    for (const TableJob& job : JobsOf(settings)) {
      if (job.Name().find(only) == std::string::npos) continue;
      const bool waits =
          job.method == "hawq" && (job.budget.activation_bits == 32 ? hawq_w : hawq_a).empty();
      if (waits) {
        std::fprintf(stderr, "%s waits for its sensitivity file\n", job.Name().c_str());
        continue;
      }
      std::fprintf(stderr, "%s\n", job.Name().c_str());
      const TableResult result = RunJob(job, settings, graph, train, test, folder, context);
      std::fprintf(stderr, "%s: %.2f %% at %.2fx\n", job.Name().c_str(), result.top1_percent,
                   result.compression);
    }
  }
  std::fputs(Table(settings, folder).c_str(), stdout);
  return 0;
}

}  // namespace
}  // namespace bitsearch

int main(int argc, char** argv) {
  try {
    return bitsearch::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
