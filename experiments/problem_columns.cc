// Exact decimals of resource columns.
#include "experiments/problem_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

/// Layers by the name that rows may use for them: their own, or that of their signature.
std::map<std::string, std::vector<std::size_t>> LayersByRowName(
    const CsvTable& table, const std::vector<std::string>& layers) {
  std::map<std::string, std::vector<std::size_t>> result;
  for (std::size_t l = 0; l < layers.size(); ++l) result[layers[l]].push_back(l);
  for (const auto& [key, value] : table.comments()) {
    if (!key.starts_with("signature ")) continue;
    const nlohmann::json list = nlohmann::json::parse(value, nullptr, false);
    if (!list.is_array() || list.empty()) continue;
    for (std::size_t i = 1; i < list.size(); ++i) {
      if (!list[i].is_string()) continue;
      const auto at = std::find(layers.begin(), layers.end(), list[i].get<std::string>());
      if (at == layers.end() || !list[0].is_string()) continue;
      result[list[0].get<std::string>()].push_back(static_cast<std::size_t>(at - layers.begin()));
    }
  }
  return result;
}

}  // namespace

NumberFormat FormatAt(const CsvTable& table, const CsvRow& row, std::size_t column) {
  const std::string& text = table.Text(row, column);
  const std::optional<NumberFormat> format = NumberFormat::Parse(text);
  if (format) return *format;
  throw Error(ErrorId::kCsvBits,
              fmt::format("{} '{}' is no number format", table.header()[column], text))
      .At(table.LocationOf(row, column))
      .Hint("allowed: 1 to 16, ternary, fp16, bf16, fp32 (or 32), 0 for a skipped block");
}

LayerIndex LayerAt(const CsvTable& table, const CsvRow& row, std::size_t column,
                   const std::vector<std::string>& layers) {
  const std::string& name = table.Text(row, column);
  const auto at = std::find(layers.begin(), layers.end(), name);
  if (at != layers.end()) return LayerIndex(static_cast<std::size_t>(at - layers.begin()));
  const std::string nearest = NearestName(name, layers);
  throw Error(ErrorId::kLayerUnknown,
              fmt::format("layer '{}' is not in the sensitivity file", name))
      .At(table.LocationOf(row, column))
      .Hint(nearest.empty() ? "its layers are those that can be chosen"
                            : "did you mean '" + nearest + "'?");
}

bool IsMeasurementColumn(std::string_view name) {
  return name == "samples" || name.starts_with("stddev");
}

std::vector<RawResource> ReadResourceColumns(const std::string& path,
                                             const std::vector<std::string>& layers,
                                             const std::vector<std::vector<BitChoice>>& choices) {
  const CsvTable table = CsvTable::Read(path);
  const std::size_t layer_column = table.Column("layer");
  const std::size_t weight_column = table.Column("weight_bits");
  const std::size_t activation_column = table.Column("activation_bits");
  std::vector<std::size_t> columns;
  std::vector<RawResource> resources;
  for (std::size_t c = 0; c < table.header().size(); ++c) {
    if (c == layer_column || c == weight_column || c == activation_column ||
        IsMeasurementColumn(table.header()[c])) {
      continue;
    }
    columns.push_back(c);
    RawResource resource;
    resource.name = table.header()[c];
    for (const auto& of_layer : choices) resource.cost.emplace_back(of_layer.size());
    const auto fixed = table.comments().find("fixed_" + resource.name);
    if (fixed != table.comments().end()) {
      const SourceLocation where{path, 0, 0};
      resource.fixed = PlacedDecimal{ParseDecimal(fixed->second, where), where};
      resource.Note(*resource.fixed);
    }
    resources.push_back(std::move(resource));
  }
  if (columns.empty()) {
    throw Error(ErrorId::kCsvMissingColumn, "the file has no resource column")
        .At({path, 0, 0})
        .Hint("add a column such as latency_us or size_bytes");
  }
  const auto by_name = LayersByRowName(table, layers);
  std::map<std::tuple<std::string, BitChoice>, int> line_of;
  // 0: no row yet, 1: a row of its signature, 2: a row of the layer itself, which wins.
  std::vector<std::vector<std::uint8_t>> filled;
  for (const auto& of_layer : choices) filled.emplace_back(of_layer.size(), 0);
  table.ForEachRow([&](const CsvRow& row) {
    const std::string& name = table.Text(row, layer_column);
    const BitChoice choice{FormatAt(table, row, weight_column),
                           FormatAt(table, row, activation_column)};
    const auto [first, fresh] = line_of.try_emplace({name, choice}, row.line);
    if (!fresh) {
      throw Error(ErrorId::kCsvDuplicateRow,
                  fmt::format("layer '{}' has {} twice, first in line {}", name, choice.ToString(),
                              first->second))
          .At(table.LocationOf(row, layer_column))
          .Hint("keep one row for each layer and choice");
    }
    std::vector<PlacedDecimal> values;
    for (std::size_t c : columns) {
      const SourceLocation where = table.LocationOf(row, c);
      values.push_back({ParseDecimal(table.Text(row, c), where), where});
    }
    const auto targets = by_name.find(name);
    if (targets == by_name.end()) return;
    for (std::size_t l : targets->second) {
      const auto at = std::find(choices[l].begin(), choices[l].end(), choice);
      if (at == choices[l].end()) continue;
      const auto c = static_cast<std::size_t>(at - choices[l].begin());
      const bool own = layers[l] == name;
      if (filled[l][c] == 2 && !own) continue;
      filled[l][c] = own ? 2 : 1;
      for (std::size_t r = 0; r < resources.size(); ++r) resources[r].cost[l][c] = values[r];
    }
  });
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (std::size_t c = 0; c < choices[l].size(); ++c) {
      if (filled[l][c]) continue;
      std::vector<std::string> names;
      for (const auto& [key, line] : line_of) names.push_back(std::get<0>(key));
      names.erase(std::unique(names.begin(), names.end()), names.end());
      const bool known = std::find(names.begin(), names.end(), layers[l]) != names.end();
      const std::string nearest = known ? "" : NearestName(layers[l], names);
      throw Error(
          ErrorId::kCostMissing,
          fmt::format("no row for layer '{}' at {} weight and {} activation bits", layers[l],
                      choices[l][c].weight.ToString(), choices[l][c].activation.ToString()))
          .At({path, 0, 0})
          .Hint(nearest.empty() ? "every choice of the sensitivity file needs its costs: add the "
                                  "row, or leave the choice out of the sensitivity file"
                                : "the file has a layer '" + nearest + "': is that the one?");
    }
  }
  for (RawResource& resource : resources) {
    for (const auto& of_layer : resource.cost) {
      for (const PlacedDecimal& value : of_layer) resource.Note(value);
    }
  }
  return resources;
}

std::optional<std::int64_t> FloorToGrid(std::string_view text, int decimals) {
  std::string digits;
  bool negative = false;
  std::size_t i = 0;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) negative = text[i++] == '-';
  long exponent = decimals;
  bool point = false;
  bool any = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '.') {
      if (point) return std::nullopt;
      point = true;
    } else if (text[i] >= '0' && text[i] <= '9') {
      digits += text[i];
      any = true;
      if (point) --exponent;
    } else {
      break;
    }
  }
  if (!any) return std::nullopt;
  if (i < text.size()) {
    if (text[i] != 'e' && text[i] != 'E') return std::nullopt;
    const std::string rest(text.substr(i + 1));
    char* end = nullptr;
    const long power = std::strtol(rest.c_str(), &end, 10);
    if (rest.empty() || end == rest.c_str() || *end != '\0' || std::abs(power) > 400) {
      return std::nullopt;
    }
    exponent += power;
  }
  bool lost = false;
  while (exponent < 0 && !digits.empty()) {
    lost = lost || digits.back() != '0';
    digits.pop_back();
    ++exponent;
  }
  std::int64_t value = 0;
  for (char digit : digits) {
    if (value > 400'000'000'000'000'000) return std::nullopt;
    value = value * 10 + (digit - '0');
  }
  for (; exponent > 0 && value != 0; --exponent) {
    if (value > 400'000'000'000'000'000) return std::nullopt;
    value *= 10;
  }
  if (!negative) return value;
  return lost ? -value - 1 : -value;
}

}  // namespace bitsearch
