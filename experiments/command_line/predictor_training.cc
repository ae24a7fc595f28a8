// Names → layers → candidate space.
#include "experiments/command_line/predictor_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "experiments/problem_columns.h"
#include "space/support/csv.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kWeight = ".weight_bits";
constexpr std::string_view kActivation = ".activation_bits";
constexpr const char* kAccuracy = "top1_percent";

Error Bad(const std::string& what, const SourceLocation& where) {
  return Error(ErrorId::kPredictorData, what)
      .At(where)
      .Hint("docs/predictor.md describes what to train on");
}

std::string ValueText(const Json& value, const SourceLocation& where, const std::string& key) {
  const bool usable = value.is_string() || value.is_number_integer();
  if (!usable) throw Bad("needs a whole number or a text", where).Key(key);
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  const auto format = NumberFormat::Parse(text);
  return format ? format->ToString() : text;
}

MeasuredConfig FromJson(const Json& json, const SourceLocation& where) {
  if (!json.is_object()) throw Bad("needs an object", where);
  MeasuredConfig config;
  config.where = where;
  const auto accuracy = json.find(kAccuracy);
  if (accuracy == json.end() || !accuracy->is_number()) {
    throw Bad("needs the measured accuracy, a number", where).Key(kAccuracy);
  }
  config.top1_percent = accuracy->get<double>();
  if (const auto layers = json.find("layers"); layers != json.end() && layers->is_array()) {
    for (const Json& layer : *layers) {
      const auto name = layer.is_object() ? layer.find("name") : layer.end();
      if (!layer.is_object() || name == layer.end() || !name->is_string()) {
        throw Bad("each layer needs a \"name\"", where).Key("layers");
      }
      for (const std::string_view bits : {kWeight, kActivation}) {
        const std::string gene = name->get<std::string>() + std::string(bits);
        const auto value = layer.find(std::string(bits.substr(1)));
        if (value != layer.end()) config.values.emplace_back(gene, ValueText(*value, where, gene));
      }
    }
  }
  if (const auto values = json.find("values"); values != json.end() && values->is_object()) {
    for (auto item = values->begin(); item != values->end(); ++item) {
      config.values.emplace_back(item.key(), ValueText(item.value(), where, item.key()));
    }
  }
  if (config.values.empty()) throw Bad("needs \"layers\" or \"values\"", where);
  return config;
}

std::vector<MeasuredConfig> FromCsv(const CsvTable& table) {
  const std::size_t accuracy = table.Column(kAccuracy);
  std::vector<MeasuredConfig> configs;
  for (const CsvRow& row : table.rows()) {
    MeasuredConfig config;
    config.where = {table.path(), row.line, 0};
    config.top1_percent = table.Number(row, accuracy);
    for (std::size_t c = 0; c < table.header().size(); ++c) {
      if (c == accuracy || table.header()[c] == "id" || table.Text(row, c).empty()) continue;
      const auto format = NumberFormat::Parse(table.Text(row, c));
      config.values.emplace_back(table.header()[c],
                                 format ? format->ToString() : table.Text(row, c));
    }
    configs.push_back(std::move(config));
  }
  return configs;
}

struct LayerFormats {
  std::string name;
  std::set<NumberFormat> weight, activation;
};

std::vector<LayerFormats> LayersOf(const std::vector<MeasuredConfig>& configs) {
  std::vector<LayerFormats> layers;
  for (const MeasuredConfig& config : configs) {
    for (const auto& [gene, text] : config.values) {
      const bool weight = gene.ends_with(kWeight);
      if (!weight && !gene.ends_with(kActivation)) {
        throw Bad("a fixed network has bits alone: names end in .weight_bits or .activation_bits",
                  config.where)
            .Key(gene);
      }
      const auto format = NumberFormat::Parse(text);
      if (!format)
        throw Bad("got \"" + text + "\", which is no number format", config.where).Key(gene);
      const std::string name =
          gene.substr(0, gene.size() - (weight ? kWeight : kActivation).size());
      auto layer = std::find_if(layers.begin(), layers.end(),
                                [&name](const LayerFormats& of) { return of.name == name; });
      if (layer == layers.end()) layer = layers.insert(layers.end(), {name, {}, {}});
      (weight ? layer->weight : layer->activation).insert(*format);
    }
  }
  return layers;
}

/// The choices that a cost file has rows of the layer's own name for.
std::vector<std::vector<BitChoice>> ChoicesIn(const std::string& path,
                                              const std::vector<LayerFormats>& layers) {
  const CsvTable table = CsvTable::Read(path);
  const std::size_t name = table.Column("layer");
  const std::size_t weight = table.Column("weight_bits");
  const std::size_t activation = table.Column("activation_bits");
  std::vector<std::vector<BitChoice>> choices(layers.size());
  for (const CsvRow& row : table.rows()) {
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (layers[l].name != table.Text(row, name)) continue;
      choices[l].push_back({FormatAt(table, row, weight), FormatAt(table, row, activation)});
    }
  }
  return choices;
}

std::vector<FactoredCost> CostsFrom(const std::string& path, const CandidateSpace& space,
                                    const std::vector<LayerFormats>& layers,
                                    const std::vector<std::vector<BitChoice>>& choices) {
  std::vector<std::string> names;
  for (const LayerFormats& layer : layers) names.push_back(layer.name);
  std::vector<FactoredCost> costs;
  for (const RawResource& resource : ReadResourceColumns(path, names, choices)) {
    std::vector<CostTerm> terms;
    for (GeneIndex l = 0; l < layers.size(); ++l) {
      CostTerm term{{2 * l, 2 * l + 1}, kNoGene, {}};
      for (const NumberFormat weight : layers[l].weight) {
        for (const NumberFormat activation : layers[l].activation) {
          const auto at =
              std::find(choices[l].begin(), choices[l].end(), BitChoice{weight, activation});
          if (at == choices[l].end()) {
            term.values.push_back(FactoredCost::kForbidden);
            continue;
          }
          const PlacedDecimal& value =
              resource.cost[l][static_cast<std::size_t>(at - choices[l].begin())];
          term.values.push_back(ScaleTo(value.value, resource.decimals, value.where));
        }
      }
      terms.push_back(std::move(term));
    }
    const std::int64_t fixed =
        resource.fixed ? ScaleTo(resource.fixed->value, resource.decimals, resource.fixed->where)
                       : 0;
    costs.emplace_back(space, resource.name, resource.decimals, fixed, std::move(terms));
  }
  return costs;
}

}  // namespace

std::vector<MeasuredConfig> ReadMeasuredConfigs(const std::string& path) {
  if (path.ends_with(".csv")) return FromCsv(CsvTable::Read(path));
  const std::string text = ReadTextFile(path);
  std::vector<MeasuredConfig> configs;
  int line = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view content(text.data() + at, end - at);
    at = end + 1;
    ++line;
    if (content.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const SourceLocation where{path, line, 0};
    Json json;
    try {
      json = Json::parse(content);
    } catch (const Json::exception&) {
      throw Error(ErrorId::kJsonSyntax, "this line is not JSON")
          .At(where)
          .Hint("each line holds one JSON object, as bitsearch predictor train --help says");
    }
    configs.push_back(FromJson(json, where));
  }
  if (configs.empty()) throw Bad("the file holds no measured configuration", {path, 0, 0});
  return configs;
}

TrainingRows RowsIn(const CandidateSpace& space, const std::vector<MeasuredConfig>& configs) {
  TrainingRows rows;
  for (const MeasuredConfig& config : configs) {
    try {
      const std::vector<std::uint8_t> genome = space.Parse(config.values);
      rows.genomes.insert(rows.genomes.end(), genome.begin(), genome.end());
    } catch (Error& error) {
      throw error.At(config.where);
    }
    rows.top1_percent.push_back(config.top1_percent);
  }
  return rows;
}

CostedSpace SpaceOf(const std::string& name, const std::vector<MeasuredConfig>& configs,
                    const std::vector<std::string>& cost_files) {
  std::vector<LayerFormats> layers = LayersOf(configs);
  std::vector<std::vector<std::vector<BitChoice>>> choices;  // [file][layer][choice]
  for (const std::string& path : cost_files) {
    choices.push_back(ChoicesIn(path, layers));
    for (std::size_t l = 0; l < layers.size(); ++l) {
      for (const BitChoice choice : choices.back()[l]) {
        layers[l].weight.insert(choice.weight);
        layers[l].activation.insert(choice.activation);
      }
    }
  }
  std::vector<std::string> names;
  std::vector<std::vector<NumberFormat>> weight, activation;
  for (LayerFormats& layer : layers) {
    // What nothing says anything about stays in float.
    if (layer.weight.empty()) layer.weight.insert(NumberFormat::Float32());
    if (layer.activation.empty()) layer.activation.insert(NumberFormat::Float32());
    names.push_back(layer.name);
    weight.emplace_back(layer.weight.begin(), layer.weight.end());
    activation.emplace_back(layer.activation.begin(), layer.activation.end());
  }
  CostedSpace result{CandidateSpace::BitsOnly(name, names, weight, activation), {}};
  for (std::size_t f = 0; f < cost_files.size(); ++f) {
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (!choices[f][l].empty()) continue;
      // No row of its own name: rows of its signature must serve every choice, or it is an error.
      for (const NumberFormat w : layers[l].weight) {
        for (const NumberFormat a : layers[l].activation) choices[f][l].push_back({w, a});
      }
    }
    for (FactoredCost& cost : CostsFrom(cost_files[f], result.space, layers, choices[f])) {
      result.costs.push_back(std::move(cost));
    }
  }
  return result;
}

std::vector<MeasuredConfig> Joined(std::vector<MeasuredConfig> first,
                                   const std::vector<MeasuredConfig>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TransferProblem TransferProblemFrom(const std::vector<MeasuredConfig>& expensive,
                                    const std::vector<MeasuredConfig>& cheap) {
  const CandidateSpace space = SpaceOf("network", Joined(expensive, cheap), {}).space;
  TransferProblem problem;
  problem.encoding = Encoding::OneHot(space);
  problem.source_sees_bits = true;
  problem.target = RowsIn(space, expensive);
  const TrainingRows source = RowsIn(space, cheap);
  problem.source.genomes = source.genomes;
  problem.source.accuracies = Eigen::Map<const Eigen::VectorXd>(
      source.top1_percent.data(), static_cast<Eigen::Index>(source.top1_percent.size()));
  std::map<std::vector<std::uint8_t>, int> group_of;
  const auto groups = [&](const TrainingRows& rows) {
    std::vector<int> numbers;
    const auto genes = static_cast<std::ptrdiff_t>(space.size());
    for (auto at = rows.genomes.begin(); at != rows.genomes.end(); at += genes) {
      const int next = static_cast<int>(group_of.size());
      numbers.push_back(group_of.emplace(std::vector(at, at + genes), next).first->second);
    }
    return numbers;
  };
  problem.source_groups = groups(source);
  problem.target_groups = groups(problem.target);
  std::map<int, double> cheap_score;
  for (std::size_t r = 0; r < problem.source_groups.size(); ++r) {
    cheap_score[problem.source_groups[r]] = source.top1_percent[r];
  }
  problem.reference_name = "cheap score";
  for (const int group : problem.target_groups) {
    if (cheap_score.contains(group)) problem.reference.push_back(cheap_score[group]);
  }
  // A line of its own only where every expensive configuration was measured cheaply too.
  if (problem.reference.size() != problem.target_groups.size()) problem.reference.clear();
  return problem;
}

}  // namespace bitsearch
