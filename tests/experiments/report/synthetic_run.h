#pragma once
// The artifacts of a made-up run of any depth, as text: small enough to read, and as large and as
// hostile as a test wants.

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/report/report.h"
#include "experiments/result_table.h"
#include "space/hardware/latency_csv.h"

namespace bitsearch {

/// What a synthetic run is made of.
struct SyntheticRun {
  std::vector<std::string> layers = {"conv1", "block.conv", "fc"};
  std::size_t points = 6;  ///< Of the frontier.
  double limit = 30.0;     ///< Of latency_us, whose range is about `layers` · 2 … `layers` · 8.
};

/// Every layer has 2, 4 and 8 bits; layer l loses (l + 1)·1e-3·4^−bits, takes `bits` µs.
inline std::map<std::string, std::string> SyntheticArtifacts(const SyntheticRun& run) {
  using Json = nlohmann::ordered_json;
  const std::vector<int> bits = {2, 4, 8};
  const std::size_t count = run.layers.size();
  const auto loss = [](std::size_t l, int b) {
    return static_cast<double>(l + 1) * 1e-3 * std::pow(4.0, -b);
  };
  std::map<std::string, std::string> files;
  std::string sensitivity =
      "# method: kl\n# samples: 512\nlayer,weight_bits,activation_bits,loss_increase,"
      "standard_error\n";
  std::string latency = "# fixed_latency_us: 1.5\nlayer,weight_bits,activation_bits,latency_us\n";
  std::string costs = "layer,weight_bits,activation_bits,size_bits,parameter_bits,bops\n";
  std::string layers = "layer,op,parameters,bias_elements,macs,output_channels\n";
  std::string transitions = "producer,consumer,from_bits,to_bits,latency_us\n";
  Json choices = Json::array();
  Json names = Json::array();
  Json nodes = Json::array();
  Json edges = Json::array();
  Json votes = Json::array();
  for (std::size_t l = 0; l < count; ++l) {
    const std::string cell = CsvCell(run.layers[l]);
    layers += fmt::format("{},Conv,100,4,1000,4\n", cell);
    Json of_layer = Json::array();
    for (const int b : bits) {
      sensitivity += fmt::format("{},{},8,{},{}\n", cell, b, loss(l, b), loss(l, b) / 10);
      latency += fmt::format("{},{},8,{}\n", cell, b, b);
      costs += fmt::format("{},{},8,{},{},{}\n", cell, b, 100 * b + 32, 100 * b, 8000 * b);
      of_layer.push_back({b, 8});
    }
    choices.push_back(of_layer);
    names.push_back(run.layers[l]);
    nodes.push_back({{"name", run.layers[l]}, {"op", "Conv"}, {"layer", l}});
    votes.push_back(Json::array({Json::array({4, 8, 97}), Json::array({8, 8, 3})}));
    if (l == 0) continue;
    edges.push_back({l - 1, l});
    transitions += fmt::format("{},{},8,8,0.25\n", CsvCell(run.layers[l - 1]), cell);
  }
  // Point p: the last layers have 8 bits first, then the ones before; the ends are 2 and 8 bits.
  Json points = Json::array();
  for (std::size_t p = 0; p < run.points; ++p) {
    const std::size_t raised =
        (2 * count * p + run.points / 2) / std::max<std::size_t>(run.points - 1, 1);
    Json choice = Json::array();
    double total = 0.0;
    double us = 1.5 + 0.25 * static_cast<double>(count - 1);
    for (std::size_t l = 0; l < count; ++l) {
      const std::size_t turn = count - 1 - l;
      const std::size_t c = (raised > turn ? 1U : 0U) + (raised > turn + count ? 1U : 0U);
      choice.push_back(c);
      total += loss(l, bits[c]);
      us += bits[c];
    }
    points.push_back({{"objective", total},
                      {"resources", {{"latency_us", us + 1e-3 * static_cast<double>(p)}}},
                      {"choice", choice}});
  }
  files["frontier_latency_us.json"] = Json{
      {"format", "bitsearch/frontier/1"},
      {"exact", true},
      {"epsilon", 0},
      {"computed_points", run.points},
      {"layers", names},
      {"choices", choices},
      {"points", points}}.dump();
  Json chosen = Json::array();
  Json runner_ups = Json::array();
  std::string canonical;
  double total = 0.0;
  for (std::size_t l = 0; l < count; ++l) {
    chosen.push_back({{"name", run.layers[l]},
                      {"op", "Conv"},
                      {"weight_bits", 4},
                      {"activation_bits", 8},
                      {"weight_quantizer", {{"scale", {0.5}}}}});
    runner_ups.push_back({{"name", run.layers[l]},
                          {"weight_bits", 8},
                          {"activation_bits", 8},
                          {"loss_increase", 1e-4},
                          {"exact", true}});
    canonical += l == 0 ? "4/8" : ",4/8";
    total += loss(l, 4);
  }
  const double us = 1.5 + 4.25 * static_cast<double>(count) - 0.25;
  files["config_1.json"] = Json{
      {"format", "bitsearch/config/1"},
      {"chosen_by", "predicted"},
      {"predicted_loss_nats", total},
      {"lower_bound_nats", total},
      {"gap", 0.0},
      {"stability",
       {{"redraws", 100}, {"configuration", 0.9}, {"layers", std::vector<double>(count, 0.97)}}},
      {"layers", chosen}}.dump();
  files["solution_1.json"] = Json{
      {"format", "bitsearch/solution/1"},
      {"status", "optimal"},
      {"objective", total},
      {"layers", chosen}}.dump();
  files["explanation_1.json"] = Json{
      {"format", "bitsearch/explanation/1"},
      {"budget", "fast"},
      {"status", "optimal"},
      {"objective", total},
      {"limits", {{{"resource", "latency_us"}, {"limit", run.limit}, {"used", us}}}},
      {"shadow_prices", {{{"limit", "latency_us"}, {"loss_per_unit", 2e-5}}}},
      {"runner_ups", runner_ups},
      {"redraws", 100},
      {"votes", votes}}.dump();
  files["network.json"] =
      Json{{"format", "bitsearch/network/1"}, {"nodes", nodes}, {"edges", edges}}.dump();
  files["refined.json"] =
      Json{{"format", "bitsearch/lines/1"},
           {"budgets",
            {{{"budget", "fast"},
              {"limits", "latency_us <= 0.5 x int8"},
              {"lower_bound", total},
              {"gap", 0.0},
              {"lines",
               {{{"name", "ours"}, {"note", ""}, {"configs", {canonical}}},
                {{"name", "uniform"}, {"note", ""}, {"configs", {canonical}}}}}}}}}
          .dump();
  files["candidates.csv"] =
      "budget,configuration,predicted_loss_nats,measured_kl_nats\n" +
      fmt::format("fast,\"{0}\",{1},{2}\nfast,\"{0}\",{2},{2}\n", canonical, total, total * 1.3);
  ResultRow fp32;
  fp32.line = "fp32";
  fp32.bits = "fp32";
  fp32.mean_weight_bits = 32.0;
  fp32.costs = {{"size_bytes", "4000"}, {"latency_us", "100"}};
  fp32.samples = 5000;
  fp32.top1_percent = 92.0;
  fp32.predicted_loss_nats = 0.0;
  fp32.kl_nats = 0.0;
  ResultRow ours = fp32;
  ours.budget = "fast";
  ours.line = "ours";
  ours.bits = "W4A8";
  ours.mean_weight_bits = 4.0;
  ours.costs = {{"size_bytes", "500"}, {"latency_us", fmt::format("{}", us)}};
  ours.top1_percent = 91.5;
  ours.predicted_loss_nats = total;
  ours.kl_nats = total * 1.1;
  ResultRow uniform = ours;
  uniform.line = "uniform";
  uniform.p_value = 0.0005;
  uniform.top1_percent = 90.0;
  uniform.kl_nats = total * 2;
  files["results.json"] = ResultsJson({fp32, ours, uniform});
  files["sensitivity.csv"] = sensitivity;
  files["latency.csv"] = latency;
  files["costs.csv"] = costs;
  files["layers.csv"] = layers;
  files["transitions.csv"] = transitions;
  return files;
}

/// What the stages leave that not every run has: a differentiable search and fine-tuning of two
/// epochs, a deployment, a transfer curve.
inline void AddEveryStage(const SyntheticRun& run, std::map<std::string, std::string>* files) {
  using Json = nlohmann::ordered_json;
  Json groups = Json::array();
  Json uniform = Json::array();
  Json zeros = Json::array();
  for (const std::string& layer : run.layers) {
    groups.push_back({{"name", layer},
                      {"kind", "weight"},
                      {"layers", {layer}},
                      {"candidates", {"2", "4", "8"}},
                      {"probabilities", {0.05, 0.92, 0.03}}});
    uniform.push_back({0.3, 0.4, 0.3});
    zeros.push_back(0.5);
  }
  Json epochs = Json::array();
  for (int e = 0; e < 2; ++e) {
    epochs.push_back({{"epoch", e},
                      {"weight_loss_nats", 1.5 - e},
                      {"architecture_loss_nats", e == 0 ? Json() : Json(0.75)},
                      {"train_top1_percent", 80.0 + e},
                      {"temperature", 5.0},
                      {"expected", {{"latency_us", 14.5 - e}}},
                      {"relative_entropy", zeros},
                      {"margin", zeros},
                      {"argmax", zeros},
                      {"probabilities", uniform}});
  }
  (*files)["dnas_1.json"] = Json{
      {"format", "bitsearch/dnas/1"},
      {"budget", "fast"},
      {"limits", {{"latency_us", "30"}}},
      {"warmup_epochs", 1},
      {"warnings", {"flat parameters"}},
      {"groups", groups},
      {"epochs", epochs}}.dump();
  Json curve = Json::array();
  for (int e = 0; e < 2; ++e) {
    curve.push_back({{"epoch", e},
                     {"train_loss_nats", 0.4},
                     {"train_top1_percent", 93.0},
                     {"validation_top1_percent", 91.0 + e}});
  }
  (
      *files)["finetune.json"] = Json{
      {"format", "bitsearch/finetune/1"},
      {"lines",
       {{{"budget", "fast"},
         {"line", "ours"},
         {"start", "supernet"},
         {"epochs", 2},
         {"curve", curve},
         {"samples", 5000},
         {"correct", 4600},
         {"top1_percent", 92.0}}}}}.dump();
  const auto line = [](const char* name, double predicted, double measured) {
    return Json{{"name", name},
                {"predicted_latency_us", predicted},
                {"measured_latency_us", measured},
                {"interval_us", {measured - 1, measured + 1}},
                {"within_limit", measured < 30},
                {"samples", 500},
                {"correct", 450},
                {"file_bytes", 1234}};
  };
  (*files)["deployment.json"] = Json{
      {"format", "bitsearch/deployment/1"},
      {"runtime", "a runtime"},
      {"cpu", "a processor"},
      {"latency_limit_us", 30.0},
      {"lines", {line("frontier 1", 14, 20), line("fp32", 40, 50)}},
      {"chosen", "frontier 1"},
      {"report", {{"samples", 5000}, {"correct", 4575}}},
      {"notes", {"a note"}}}.dump();
  Json points = Json::array();
  for (const int samples : {50, 100}) {
    for (const int split : {0, 1}) {
      points.push_back({{"method", "transferred"},
                        {"samples", samples},
                        {"split", split},
                        {"pairwise_accuracy", 0.7 + 0.001 * samples + 0.01 * split}});
    }
  }
  (*files)["transfer_curve.json"] = Json{
      {"format", "bitsearch/transfer-curve/1"},
      {"points", points},
      {"comparisons", Json::array()}}.dump();
}

/// A source of `files`.
inline ReportSource SourceOf(const std::map<std::string, std::string>& files,
                             const std::string& title) {
  ReportSource source;
  source.title = title;
  for (const auto& [name, text] : files) source.names.push_back(name);
  source.read = [&files](const std::string& name) { return files.at(name); };
  return source;
}

}  // namespace bitsearch
