// The CSV files of a SensitivityReport. Strict: whatever cannot be right is an error with its
// place.
#include "sensitivity/sensitivity_report.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

#include "space/support/csv.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

NumberFormat FormatAt(const CsvTable& table, const CsvRow& row, std::size_t column) {
  const std::string& text = table.Text(row, column);
  const std::optional<NumberFormat> format = NumberFormat::Parse(text);
  if (format) return *format;
  throw Error(ErrorId::kCsvBits,
              fmt::format("{} '{}' is no number format", table.header()[column], text))
      .At(table.LocationOf(row, column))
      .Hint("allowed: 1 to 16, ternary, fp16, bf16, fp32 (or 32), 0 for a skipped block");
}

std::string NameAt(const CsvTable& table, const CsvRow& row, std::size_t column) {
  const std::string& text = table.Text(row, column);
  if (!text.empty()) return text;
  throw Error(ErrorId::kCsvEmptyName, "the layer has no name")
      .At(table.LocationOf(row, column))
      .Hint("write the layer's name, or remove the row");
}

SensitivityReport FromTable(const CsvTable& table) {
  table.AllowOnly({"layer", "weight_bits", "activation_bits", "loss_increase", "standard_error"});
  const std::size_t layer = table.Column("layer");
  const std::size_t weight = table.Column("weight_bits");
  const std::size_t activation = table.Column("activation_bits");
  const std::size_t loss = table.Column("loss_increase");
  const std::optional<std::size_t> error = table.FindColumn("standard_error");
  SensitivityReport report;
  for (const auto& [key, value] : table.comments()) report.notes.emplace_back(key, value);
  std::map<std::string, std::size_t> index_of;
  std::map<std::tuple<std::string, BitChoice>, int> line_of;
  table.ForEachRow([&](const CsvRow& row) {
    const std::string name = NameAt(table, row, layer);
    ChoiceSensitivity entry;
    entry.choice = {FormatAt(table, row, weight), FormatAt(table, row, activation)};
    entry.loss_increase = table.Number(row, loss);
    if (error && !table.Text(row, *error).empty()) {
      entry.standard_error = table.Number(row, *error);
      if (*entry.standard_error < 0.0) {
        throw Error(ErrorId::kCsvNumber,
                    fmt::format("standard_error {} (allowed: 0 or more)", *entry.standard_error))
            .At(table.LocationOf(row, *error))
            .Hint("correct the cell, or leave it empty");
      }
    }
    const auto [line, fresh] = line_of.try_emplace({name, entry.choice}, row.line);
    if (!fresh) {
      throw Error(ErrorId::kCsvDuplicateRow,
                  fmt::format("layer '{}' has {} twice, first in line {}", name,
                              entry.choice.ToString(), line->second))
          .At(table.LocationOf(row, layer))
          .Hint("keep one row for each layer and choice");
    }
    const auto [at, added] = index_of.try_emplace(name, report.layers.size());
    if (added) report.layers.push_back({name, {}});
    report.layers[at->second].choices.push_back(entry);
  });
  return report;
}

/// A name as a CSV cell, quoted where it must be.
std::string Cell(const std::string& name) {
  if (name.find_first_of(",\"\n") == std::string::npos) return name;
  std::string quoted = "\"";
  for (char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string NotesOf(const SensitivityReport& report) {
  std::string text;
  for (const auto& [key, value] : report.notes) text += fmt::format("# {}: {}\n", key, value);
  return text;
}

}  // namespace

std::string SensitivityReport::Note(std::string_view key) const {
  for (const auto& [name, value] : notes) {
    if (name == key) return value;
  }
  return "";
}

std::optional<std::size_t> SensitivityReport::FindLayer(std::string_view name) const {
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l].layer == name) return l;
  }
  return std::nullopt;
}

SensitivityReport ReadSensitivityCsv(const std::string& path) {
  return FromTable(CsvTable::Read(path));
}

SensitivityReport ParseSensitivityCsv(std::string_view text, const std::string& name) {
  return FromTable(CsvTable::Parse(text, name));
}

std::string SensitivityCsv(const SensitivityReport& report) {
  bool errors = false;
  for (const LayerSensitivity& layer : report.layers) {
    for (const ChoiceSensitivity& entry : layer.choices) errors |= entry.standard_error.has_value();
  }
  std::string text = NotesOf(report) + "layer,weight_bits,activation_bits,loss_increase";
  text += errors ? ",standard_error\n" : "\n";
  for (const LayerSensitivity& layer : report.layers) {
    for (const ChoiceSensitivity& entry : layer.choices) {
      text += fmt::format("{},{},{},{}", Cell(layer.layer), entry.choice.weight.ToString(),
                          entry.choice.activation.ToString(), entry.loss_increase);
      if (errors) text += ",";
      if (entry.standard_error) text += fmt::format("{}", *entry.standard_error);
      text += "\n";
    }
  }
  return text;
}

std::vector<PairSensitivity> ReadPairsCsv(const std::string& path) {
  const CsvTable table = CsvTable::Read(path);
  table.AllowOnly({"layer_a", "weight_bits_a", "activation_bits_a", "layer_b", "weight_bits_b",
                   "activation_bits_b", "loss_increase"});
  std::vector<PairSensitivity> pairs;
  table.ForEachRow([&](const CsvRow& row) {
    PairSensitivity pair;
    pair.layer_a = NameAt(table, row, table.Column("layer_a"));
    pair.choice_a = {FormatAt(table, row, table.Column("weight_bits_a")),
                     FormatAt(table, row, table.Column("activation_bits_a"))};
    pair.layer_b = NameAt(table, row, table.Column("layer_b"));
    pair.choice_b = {FormatAt(table, row, table.Column("weight_bits_b")),
                     FormatAt(table, row, table.Column("activation_bits_b"))};
    pair.loss_increase = table.Number(row, table.Column("loss_increase"));
    pairs.push_back(pair);
  });
  return pairs;
}

std::string PairsCsv(const SensitivityReport& report) {
  std::string text = NotesOf(report) +
                     "layer_a,weight_bits_a,activation_bits_a,layer_b,weight_bits_b,"
                     "activation_bits_b,loss_increase\n";
  for (const PairSensitivity& pair : report.pairs) {
    text += fmt::format("{},{},{},{},{},{},{}\n", Cell(pair.layer_a),
                        pair.choice_a.weight.ToString(), pair.choice_a.activation.ToString(),
                        Cell(pair.layer_b), pair.choice_b.weight.ToString(),
                        pair.choice_b.activation.ToString(), pair.loss_increase);
  }
  return text;
}

}  // namespace bitsearch
