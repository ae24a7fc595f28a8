#include "experiments/benchmarks/dnas_table_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "search/solver.h"
#include "search/supernet/decode.h"
#include "sensitivity/sensitivity_report.h"
#include "space/hardware/costs.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

NumberFormat ActivationFormat(const TableBudget& budget) {
  return budget.activation_bits == 32 ? NumberFormat::Float32()
                                      : NumberFormat::Integer(budget.activation_bits);
}

// Candidates of all layers. With quantized activations the network's input (the images) stays at
// 8 bits, as everywhere in the field.
std::vector<std::vector<BitChoice>> ChoicesOf(const LayerGraph& graph, const TableJob& job,
                                              const TableSettings& settings) {
  std::vector<std::vector<BitChoice>> choices;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const bool reads_images = job.budget.activation_bits != 32 && l == 0;
    const NumberFormat activation =
        reads_images ? NumberFormat::Integer(8) : ActivationFormat(job.budget);
    choices.emplace_back();
    for (const NumberFormat weight : settings.weight_formats) {
      choices.back().push_back({weight, activation});
    }
  }
  return choices;
}

AssignmentProblem ProblemOf(const LayerGraph& graph, const TableBudget& budget,
                            const std::vector<std::vector<BitChoice>>& choices) {
  AssignmentProblem problem;
  Resource bits;
  bits.name = "weight_bits";
  std::int64_t parameters = 0;
  for (std::size_t l = 0; l < choices.size(); ++l) {
    const std::int64_t count = graph.layers()[l].parameter_count;
    parameters += count;
    bits.cost.emplace_back();
    for (const BitChoice& choice : choices[l]) bits.cost[l].push_back(count * choice.weight.bits());
    problem.loss.emplace_back(choices[l].size(), 0.0);
  }
  bits.limit = static_cast<std::int64_t>(
      std::floor(32.0 * static_cast<double>(parameters) / budget.compression + 1e-6));
  problem.resources.push_back(std::move(bits));
  return problem;
}

BitConfig ConfigOf(const std::vector<std::vector<BitChoice>>& choices,
                   const std::vector<ChoiceIndex>& picks) {
  BitConfig config;
  for (std::size_t l = 0; l < choices.size(); ++l) {
    config.choices.push_back(choices[l][picks[l].value]);
  }
  return config;
}

// The most bits that fit everywhere; what is left over raises layers by one step, from the first.
BitConfig Uniform(const std::vector<std::vector<BitChoice>>& choices,
                  const AssignmentProblem& problem) {
  std::vector<ChoiceIndex> picks(choices.size(), ChoiceIndex(0));
  const auto fits = [&] { return problem.Assess(picks).within_limits; };
  std::size_t level = 0;
  for (std::size_t c = 0; c < choices[0].size(); ++c) {
    std::fill(picks.begin(), picks.end(), ChoiceIndex(c));
    if (fits()) level = c;
  }
  std::fill(picks.begin(), picks.end(), ChoiceIndex(level));
  for (std::size_t l = 0; l < picks.size() && level + 1 < choices[0].size(); ++l) {
    picks[l] = ChoiceIndex(level + 1);
    if (!fits()) picks[l] = ChoiceIndex(level);
  }
  return ConfigOf(choices, picks);
}

// Uniformly drawn among configurations that take at least 99 % of the limit.
BitConfig Random(const std::vector<std::vector<BitChoice>>& choices,
                 const AssignmentProblem& problem, std::uint64_t seed) {
  const auto limit = static_cast<double>(*problem.resources[0].limit);
  RandomStream random(seed, "table.random");
  std::vector<ChoiceIndex> picks(choices.size());
  constexpr int kTries = 5'000'000;
  for (int i = 0; i < kTries; ++i) {
    for (std::size_t l = 0; l < picks.size(); ++l) {
      picks[l] = ChoiceIndex(random.Below(choices[l].size()));
    }
    const auto used = static_cast<double>(problem.Assess(picks).resources[0]);
    if (used <= limit && used >= 0.99 * limit) return ConfigOf(choices, picks);
  }
  throw Error(ErrorId::kBudgetInfeasible,
              "no random configuration within 1 % of the size was found");
}

BitConfig Hawq(const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices,
               AssignmentProblem problem, const fs::path& file, const RunContext& context) {
  if (file.empty()) {
    throw Error(ErrorId::kUsage, "HAWQ's rows need a sensitivity file")
        .Hint("make one with bitsearch sensitivity --method hessian");
  }
  const SensitivityReport report = ReadSensitivityCsv(file.string());
  for (std::size_t l = 0; l < choices.size(); ++l) {
    const auto layer = report.FindLayer(graph.layers()[l].id);
    for (std::size_t c = 0; c < choices[l].size(); ++c) {
      const ChoiceSensitivity* found = nullptr;
      if (layer) {
        for (const ChoiceSensitivity& row : report.layers[*layer].choices) {
          if (row.choice.weight == choices[l][c].weight) found = &row;
        }
      }
      if (found == nullptr) {
        throw Error(ErrorId::kUsage,
                    "no sensitivity of " + choices[l][c].weight.ToString() + "-bit weights")
            .At({file.string()})
            .Key(graph.layers()[l].id);
      }
      problem.loss[l][c] = found->loss_increase;
    }
  }
  const Solution solution = MakeSolver("auto")->Solve(problem, SolverOptions(), context);
  if (!solution.has_choice()) throw Error(ErrorId::kBudgetInfeasible, solution.message);
  return ConfigOf(choices, solution.choice);
}

std::string CorrectText(const std::vector<bool>& correct) {
  std::string text;
  for (const bool right : correct) text += right ? '1' : '0';
  return text;
}

TableResult ResultFromJson(const TableJob& job, const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  TableResult result;
  result.job = job;
  result.top1_percent = json.at("top1_percent").get<double>();
  result.compression = json.at("compression").get<double>();
  result.compression_with_scales = json.at("compression_with_scales").get<double>();
  for (const auto& layer : json.at("layers")) {
    result.config.choices.push_back(
        {*NumberFormat::Parse(layer.at("weight_bits").get<std::string>()),
         *NumberFormat::Parse(layer.at("activation_bits").get<std::string>())});
  }
  for (const char c : json.at("correct").get<std::string>()) {
    result.correct_per_sample.push_back(c == '1');
  }
  for (const auto& e : json.at("curve")) {
    result.curve.push_back(
        {e.at(0).get<int>(), e.at(1).get<double>(), e.at(2).get<double>(), e.at(3).get<double>()});
  }
  result.warnings = json.at("warnings").get<std::vector<std::string>>();
  return result;
}

std::string ToJson(const TableResult& result, const LayerGraph& graph) {
  nlohmann::ordered_json json;
  json["schema"] = "bitsearch/dnas-table-row/1";
  json["name"] = result.job.Name();
  json["top1_percent"] = result.top1_percent;
  json["compression"] = result.compression;
  json["compression_with_scales"] = result.compression_with_scales;
  for (std::size_t l = 0; l < result.config.choices.size(); ++l) {
    json["layers"].push_back({{"name", graph.layers()[l].id},
                              {"weight_bits", result.config.choices[l].weight.ToString()},
                              {"activation_bits", result.config.choices[l].activation.ToString()}});
  }
  json["curve"] = nlohmann::ordered_json::array();
  for (const FineTuneEpoch& e : result.curve) {
    json["curve"].push_back(
        {e.epoch, e.train_loss_nats, e.train_top1_percent, e.validation_top1_percent});
  }
  json["warnings"] = result.warnings;
  json["correct"] = CorrectText(result.correct_per_sample);
  return json.dump(1) + "\n";
}

}  // namespace

std::string TableJob::Name() const {
  if (method == "fp32") return fmt::format("fp32-seed{}", seed);
  return fmt::format("{}-a{}-{:.4g}x-seed{}", method, budget.activation_bits, budget.compression,
                     seed);
}

std::vector<TableJob> JobsOf(const TableSettings& settings) {
  std::vector<TableJob> jobs;
  for (std::size_t s = 0; s < settings.seeds.size(); ++s) {
    jobs.push_back({"fp32", {}, settings.seeds[s]});
    for (std::size_t b = 0; b < settings.budgets.size(); ++b) {
      if (s > 0 && b >= settings.budgets_with_seeds) continue;
      for (const char* method : {"dnas", "uniform", "hawq", "random"}) {
        jobs.push_back({method, settings.budgets[b], settings.seeds[s]});
      }
    }
  }
  return jobs;
}

std::optional<TableResult> ReadResult(const TableJob& job, const fs::path& folder) {
  const fs::path file = folder / job.Name() / "result.json";
  if (!fs::exists(file)) return std::nullopt;
  return ResultFromJson(job, ReadTextFile(file));
}

TableResult RunJob(const TableJob& job, const TableSettings& settings, const LayerGraph& graph,
                   const Dataset& train, const Dataset& test, const fs::path& parent,
                   const RunContext& context) {
  if (const auto done = ReadResult(job, parent)) return *done;
  const double start = CpuSeconds();
  const fs::path folder = parent / job.Name();
  fs::create_directories(folder);
  RunContext seeded = context;
  seeded.root_seed = job.seed;
  TableResult result;
  result.job = job;
  FineTuneOptions tune = settings.tune;
  tune.checkpoint = folder / "tune.pt";
  tune.resume = true;
  tune.epochs = settings.tune_epochs + settings.extra_control_epochs;
  const bool weights_only = job.budget.activation_bits == 32;
  tune.quantizers.placement = weights_only ? Placement::kWeightsOnly : Placement::kLayerInputs;
  LayerGraph start_graph = graph;
  if (job.method == "fp32") {
    result.config = BitConfig::Uniform(graph.layers().size(), BitChoice{});
    tune.quantizers.placement = Placement::kWeightsOnly;
  } else {
    const auto choices = ChoicesOf(graph, job, settings);
    const AssignmentProblem problem = ProblemOf(graph, job.budget, choices);
    if (job.method == "uniform") {
      result.config = Uniform(choices, problem);
    } else if (job.method == "random") {
      result.config = Random(choices, problem, job.seed);
    } else if (job.method == "hawq") {
      result.config = Hawq(graph, choices, problem,
                           weights_only ? settings.hawq_weights_only : settings.hawq_a4, seeded);
    } else {
      DnasOptions search = settings.search;
      search.epochs = settings.search_epochs;
      search.quantizers.placement = tune.quantizers.placement;
      search.terms = {{SearchCostTerm::Kind::kHinge, "weight_bits", 10.0, 0.0, 0.0}};
      search.checkpoint = folder / "search.pt";
      search.resume = true;
      const DnasResult found = SearchDnas(graph, choices, {}, problem, train, search, seeded);
      result.warnings = found.warnings;
      const DecodeResult decoded =
          DecodeDistributions(found.space, found.probabilities, choices, problem, {}, seeded);
      if (decoded.configs.empty()) throw Error(ErrorId::kBudgetInfeasible, decoded.exact.message);
      result.config = decoded.configs[0].config;
      start_graph = found.graph;
      tune.epochs = settings.tune_epochs;
    }
  }
  // The teacher is the pretrained network for every row, also where tuning starts elsewhere.
  constexpr std::int64_t kCurveImages = 2000;
  const Dataset curve_images = test.Slice(0, std::min(kCurveImages, test.size()));
  const FineTuneResult tuned =
      FineTune(start_graph, result.config, train, &curve_images, tune, seeded, &graph);
  const Evaluation evaluation = EvaluateTuned(tuned.network, test, seeded);
  result.top1_percent = evaluation.top1_percent();
  result.correct_per_sample = evaluation.correct_per_sample;
  result.curve = tuned.history;
  result.compression = WeightCompression(graph, result.config);
  double plain_bits = 0.0;
  double bits_with_scales = 0.0;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    const Layer& layer = graph.layers()[l];
    plain_bits += 32.0 * static_cast<double>(layer.parameter_count);
    bits_with_scales +=
        static_cast<double>(SizeBits(layer, result.config.choices[l]) - 32 * layer.bias_count);
  }
  result.compression_with_scales = plain_bits / bits_with_scales;
  result.cpu_seconds = CpuSeconds() - start;
  // Times live apart from results, which are compared byte for byte.
  WriteFileAtomically(
      folder / "timing.json",
      fmt::format("{{\"cpu_seconds_of_last_start\": {:.1f}}}\n", result.cpu_seconds));
  WriteFileAtomically(folder / "result.json", ToJson(result, graph));
  return result;
}

}  // namespace bitsearch
