#include "experiments/supernet_sections.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "experiments/budget.h"
#include "experiments/experiment_sections.h"
#include "space/quantizer/tensor_plan.h"

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMostEpochs = 1'000'000;
constexpr const char* kAdditiveName = "additive";

const std::vector<std::pair<std::string, SupernetMode>>& Modes() {
  static const std::vector<std::pair<std::string, SupernetMode>> table = {
      {"gumbel_soft", SupernetMode::kGumbelSoft},
      {"gumbel_hard", SupernetMode::kGumbelHard},
      {"composite", SupernetMode::kComposite},
      {"single_path", SupernetMode::kSinglePath}};
  return table;
}

const std::vector<std::pair<std::string, SearchCostTerm::Kind>>& Kinds() {
  static const std::vector<std::pair<std::string, SearchCostTerm::Kind>> table = {
      {"hinge", SearchCostTerm::Kind::kHinge},
      {"additive", SearchCostTerm::Kind::kAdditive},
      {"multiplicative", SearchCostTerm::Kind::kMultiplicative}};
  return table;
}

template <typename T>
std::string NameIn(const std::vector<std::pair<std::string, T>>& table, T value) {
  for (const auto& [name, entry] : table) {
    if (entry == value) return name;
  }
  return "?";
}

int Epochs(const YamlNode& node, int fallback, std::int64_t least) {
  return static_cast<int>(node.Integer(fallback, {least, kMostEpochs}));
}

SearchCostTerm ReadTerm(const YamlNode& node) {
  SearchCostTerm term;
  const std::vector<std::string>& resources = BudgetResources();
  const std::size_t index = node["resource"].Required().Choice(resources, 0);
  term.resource = resources[index];
  term.kind = node["kind"].Enum(Kinds(), term.kind);
  term.weight = node["weight"].Number(term.weight, {0.0, kInfinity, true});
  const YamlNode exponent = node["exponent"];
  term.exponent = exponent.Number(term.exponent);
  if (exponent.present() && term.kind != SearchCostTerm::Kind::kMultiplicative) {
    exponent.Fail(Error(ErrorId::kYamlConflict, "only kind multiplicative has an exponent")
                      .Hint("remove it, or set kind: multiplicative"));
  }
  return term;
}

}  // namespace

DnasSection ReadDnasSection(const YamlNode& search) {
  DnasSection section;
  DnasOptions& o = section.options;
  o.mode = search["mode"].Enum(Modes(), o.mode);
  o.scope = search["scope"].Enum<ChoiceScope>(
      {{"layer", ChoiceScope::kLayer}, {"block", ChoiceScope::kBlock}}, o.scope);
  o.epochs = Epochs(search["epochs"], o.epochs, 1);
  const YamlNode warmup = search["warmup_epochs"];
  o.warmup_epochs = Epochs(warmup, o.warmup_epochs, 0);
  if (o.warmup_epochs > o.epochs) {
    warmup.Fail(Error(ErrorId::kYamlConflict, "the warm-up is longer than the search")
                    .Hint("lower warmup_epochs or raise epochs"));
  }
  o.batch_size = search["batch_size"].Integer(o.batch_size, {1});
  o.bilevel = search["bilevel"].Boolean(o.bilevel);
  o.architecture_share =
      search["architecture_share"].Number(o.architecture_share, {0.0, 1.0, true, true});
  o.weight_rate = search["weight_rate"].Number(o.weight_rate, {0.0, kInfinity, true});
  o.momentum = search["momentum"].Number(o.momentum, {0.0, 1.0, false, true});
  o.weight_decay = search["weight_decay"].Number(o.weight_decay, {0.0});
  o.architecture_rate =
      search["architecture_rate"].Number(o.architecture_rate, {0.0, kInfinity, true});
  o.architecture_decay = search["architecture_decay"].Number(o.architecture_decay, {0.0});
  o.temperature = search["temperature"].Number(o.temperature, {0.0, kInfinity, true});
  o.temperature_decay = search["temperature_decay"].Number(o.temperature_decay, {0.0});
  o.stable_epochs = Epochs(search["stable_epochs"], o.stable_epochs, 0);
  constexpr std::int64_t kMostPadding = 1024;
  o.crop_padding =
      static_cast<int>(search["crop_padding"].Integer(o.crop_padding, {0, kMostPadding}));
  o.flip = search["flip"].Boolean(o.flip);
  for (const YamlNode& term : search["terms"].Items()) o.terms.push_back(ReadTerm(term));
  section.decode_samples = search["decode_samples"].Integer(section.decode_samples, {0});
  section.evaluate_best = search["evaluate_best"].Integer(section.evaluate_best, {1});
  return section;
}

FineTuneSection ReadFineTuneSection(const YamlNode& node, int search_epochs) {
  FineTuneSection section;
  FineTuneOptions& o = section.options;
  o.epochs = Epochs(node["epochs"], o.epochs, 0);
  section.control_epochs = Epochs(node["control_epochs"], o.epochs + search_epochs, 0);
  const YamlNode lines = node["lines"];
  section.lines =
      ReadNames(lines, {"fp32", "ours", "additive", "uniform", "random"}, FineTuneLines());
  if (std::find(section.lines.begin(), section.lines.end(), "ours") == section.lines.end()) {
    lines.Fail(Error(ErrorId::kYamlConflict, "\"ours\" is missing: the others are compared with it")
                   .Hint("add ours"));
  }
  o.batch_size = node["batch_size"].Integer(o.batch_size, {1});
  o.learning_rate = node["learning_rate"].Number(o.learning_rate, {0.0, kInfinity, true});
  o.warmup_epochs = node["warmup_epochs"].Number(o.warmup_epochs, {0.0});
  o.momentum = node["momentum"].Number(o.momentum, {0.0, 1.0, false, true});
  o.weight_decay = node["weight_decay"].Number(o.weight_decay, {0.0});
  o.label_smoothing = node["label_smoothing"].Number(o.label_smoothing, {0.0, 1.0, false, true});
  const bool learned = node["steps"].Enum<bool>({{"lsq", true}, {"max", false}}, true);
  o.quantizers.learn_weight_scales = learned;
  o.quantizers.learn_activation_scales = learned;
  o.quantizers.weight.narrow = node["narrow"].Boolean(o.quantizers.weight.narrow);
  o.quantizers.calibration_samples =
      node["calibration_samples"].Integer(o.quantizers.calibration_samples, {1});
  o.distillation = node["distillation"].Number(o.distillation, {0.0, 1.0});
  o.distillation_temperature =
      node["distillation_temperature"].Number(o.distillation_temperature, {0.0, kInfinity, true});
  const YamlNode lowering = node["lowering"];
  for (const YamlNode& stage : lowering.Items()) {
    constexpr std::int64_t kMostBits = 16;
    o.lowering.push_back(
        {Epochs(stage["first_epoch"].Required(), 0, 0),
         static_cast<int>(stage["least_bits"].Required().Integer(0, {0, kMostBits}))});
  }
  bool ascends = o.lowering.empty() || o.lowering.back().least_bits == 0;
  for (std::size_t i = 1; i < o.lowering.size(); ++i) {
    ascends = ascends && o.lowering[i - 1].first_epoch < o.lowering[i].first_epoch;
  }
  if (!ascends) {
    lowering.Fail(Error(ErrorId::kYamlConflict,
                        "stages must ascend by first_epoch, and the last have least_bits 0")
                      .Hint("for example [{first_epoch: 0, least_bits: 4}, "
                            "{first_epoch: 3, least_bits: 0}]"));
  }
  o.frozen_norm_epochs = Epochs(node["frozen_norm_epochs"], o.frozen_norm_epochs, 0);
  o.reestimation_batches = Epochs(node["reestimation_batches"], o.reestimation_batches, 0);
  constexpr std::int64_t kMostPadding = 1024;
  o.crop_padding =
      static_cast<int>(node["crop_padding"].Integer(o.crop_padding, {0, kMostPadding}));
  o.flip = node["flip"].Boolean(o.flip);
  return section;
}

void CheckSupernetSections(const YamlNode& root, const Experiment& experiment) {
  const bool has_dnas = experiment.dnas.has_value();
  if (!has_dnas && !experiment.finetune.has_value()) return;
  const std::string who = has_dnas ? "search.method: dnas" : "finetune";
  const auto conflict = [&](const YamlNode& node, const std::string& what,
                            const std::string& hint) {
    node.Fail(Error(ErrorId::kYamlConflict, what).Hint(hint));
  };
  if (root["data"].is_map()) root["data"]["train"].Required();
  root["budgets"].Required();
  const QuantizationSpec& quantization = experiment.quantization;
  if (QuantizesTensors(quantization.placement)) {
    conflict(root["space"]["placement"],
             fmt::format("{} trains with placement weights_only or layer_inputs", who),
             "choose one of the two");
  }
  if (!quantization.weight.symmetric) {
    conflict(root["quantizer"]["weights"]["symmetric"],
             fmt::format("{} trains weights on symmetric grids", who), "set symmetric: true");
  }
  if (experiment.finetune.has_value()) {
    // Lines that are asked for by name must be rows of the table.
    for (const YamlNode& item : root["finetune"]["lines"].Items()) {
      const std::vector<std::string>& rows = experiment.baselines.lines;
      const std::string line = item.String();
      const bool always = line == "fp32" || line == "ours" || line == kAdditiveName;
      if (always || std::find(rows.begin(), rows.end(), line) != rows.end()) continue;
      conflict(item, fmt::format("\"{}\" is no row of the table", line),
               "add it to baselines.lines");
    }
  }
  if (!has_dnas) return;
  const std::vector<YamlNode> terms = root["search"]["terms"].Items();
  for (std::size_t i = 0; i < experiment.dnas->options.terms.size(); ++i) {
    const SearchCostTerm& term = experiment.dnas->options.terms[i];
    if (term.resource == "latency_us" && experiment.costs.latency_file.empty()) {
      conflict(terms[i]["resource"], "a latency needs a latency table, none is given",
               "set costs.latency to a CSV; bitsearch latency measure makes one");
    }
    if (term.kind != SearchCostTerm::Kind::kHinge) continue;
    for (const Budget& budget : experiment.budgets) {
      const bool limited =
          std::any_of(budget.limits.begin(), budget.limits.end(),
                      [&](const BudgetLimit& limit) { return limit.resource == term.resource; });
      if (limited) continue;
      conflict(terms[i],
               fmt::format("a hinge needs a limit, and budget \"{}\" has none for {}", budget.name,
                           term.resource),
               "limit it in every budget, or choose kind: additive");
    }
  }
}

void WriteDnasSection(YAML::Emitter& out, const DnasSection& section) {
  const DnasOptions& o = section.options;
  const auto put = [&](const char* key, auto value) {
    out << YAML::Key << key << YAML::Value << value;
  };
  put("mode", NameIn(Modes(), o.mode));
  put("scope", std::string(o.scope == ChoiceScope::kLayer ? "layer" : "block"));
  put("epochs", o.epochs);
  put("warmup_epochs", o.warmup_epochs);
  put("batch_size", o.batch_size);
  put("bilevel", o.bilevel);
  put("architecture_share", o.architecture_share);
  put("weight_rate", o.weight_rate);
  put("momentum", o.momentum);
  put("weight_decay", o.weight_decay);
  put("architecture_rate", o.architecture_rate);
  put("architecture_decay", o.architecture_decay);
  put("temperature", o.temperature);
  put("temperature_decay", o.temperature_decay);
  put("stable_epochs", o.stable_epochs);
  put("crop_padding", o.crop_padding);
  put("flip", o.flip);
  if (!o.terms.empty()) {
    out << YAML::Key << "terms" << YAML::Value << YAML::BeginSeq;
    for (const SearchCostTerm& term : o.terms) {
      out << YAML::BeginMap;
      put("resource", term.resource);
      put("kind", NameIn(Kinds(), term.kind));
      put("weight", term.weight);
      if (term.kind == SearchCostTerm::Kind::kMultiplicative) put("exponent", term.exponent);
      out << YAML::EndMap;
    }
    out << YAML::EndSeq;
  }
  put("decode_samples", section.decode_samples);
  put("evaluate_best", section.evaluate_best);
}

void WriteFineTuneSection(YAML::Emitter& out, const FineTuneSection& section) {
  const FineTuneOptions& o = section.options;
  const auto put = [&](const char* key, auto value) {
    out << YAML::Key << key << YAML::Value << value;
  };
  out << YAML::Key << "lines" << YAML::Value << YAML::Flow << section.lines;
  put("control_epochs", section.control_epochs);
  put("epochs", o.epochs);
  put("batch_size", o.batch_size);
  put("learning_rate", o.learning_rate);
  put("warmup_epochs", o.warmup_epochs);
  put("momentum", o.momentum);
  put("weight_decay", o.weight_decay);
  put("label_smoothing", o.label_smoothing);
  put("steps", std::string(o.quantizers.learn_weight_scales ? "lsq" : "max"));
  put("narrow", o.quantizers.weight.narrow);
  put("calibration_samples", o.quantizers.calibration_samples);
  put("distillation", o.distillation);
  put("distillation_temperature", o.distillation_temperature);
  if (!o.lowering.empty()) {
    out << YAML::Key << "lowering" << YAML::Value << YAML::BeginSeq;
    for (const LoweringStage& stage : o.lowering) {
      out << YAML::BeginMap;
      put("first_epoch", stage.first_epoch);
      put("least_bits", stage.least_bits);
      out << YAML::EndMap;
    }
    out << YAML::EndSeq;
  }
  put("frozen_norm_epochs", o.frozen_norm_epochs);
  put("reestimation_batches", o.reestimation_batches);
  put("crop_padding", o.crop_padding);
  put("flip", o.flip);
}

}  // namespace bitsearch
