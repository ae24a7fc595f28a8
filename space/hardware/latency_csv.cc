// Reading and writing latency tables. See latency_csv.h.
#include "space/hardware/latency_csv.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "space/support/csv.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr int kDecimalsOfNs = 3;  // Of a microsecond.

/// Decimal microseconds → nanoseconds, rounded half up.
std::int64_t Nanoseconds(std::string_view text, const SourceLocation& where) {
  Decimal decimal = ParseDecimal(text, where);
  if (decimal.decimals <= kDecimalsOfNs) return ScaleTo(decimal, kDecimalsOfNs, where);
  std::int64_t divisor = 1;
  for (int i = kDecimalsOfNs; i < decimal.decimals; ++i) divisor *= 10;
  const std::int64_t sign = decimal.unscaled < 0 ? -1 : 1;
  return decimal.unscaled / divisor +
         (2 * (decimal.unscaled % divisor) * sign >= divisor ? sign : 0);
}

NumberFormat BitsAt(const CsvTable& csv, const CsvRow& row, std::size_t column) {
  const std::string& text = csv.Text(row, column);
  if (const auto format = NumberFormat::Parse(text)) return *format;
  throw Error(ErrorId::kLatencyBits, "got '" + text +
                                         "' (allowed: 1 to 16, ternary, fp16, bf16, "
                                         "fp32, or 0 for a skipped block)")
      .At(csv.LocationOf(row, column))
      .Key(csv.header()[column]);
}

/// The columns of a time and its noise, in either file.
struct TimeColumns {
  std::size_t latency;
  std::optional<std::size_t> stddev;
  std::optional<std::size_t> samples;
};

std::int64_t NonNegative(const CsvTable& csv, const CsvRow& row, std::size_t column,
                         std::int64_t value) {
  if (value >= 0) return value;
  throw Error(ErrorId::kLatencyValue, "got " + csv.Text(row, column) + " (allowed: 0 or more)")
      .At(csv.LocationOf(row, column))
      .Key(csv.header()[column]);
}

LatencyEntry EntryAt(const CsvTable& csv, const CsvRow& row, const TimeColumns& columns) {
  LatencyEntry entry;
  const auto time = [&](std::size_t column) {
    return NonNegative(csv, row, column,
                       Nanoseconds(csv.Text(row, column), csv.LocationOf(row, column)));
  };
  entry.latency_ns = time(columns.latency);
  if (columns.stddev && !csv.Text(row, *columns.stddev).empty()) {
    entry.stddev_ns = time(*columns.stddev);
  }
  if (columns.samples && !csv.Text(row, *columns.samples).empty()) {
    entry.samples = NonNegative(csv, row, *columns.samples, csv.Integer(row, *columns.samples));
  }
  return entry;
}

/// Adds what the comment lines at the head of the file say.
void ApplyComments(const CsvTable& csv, LatencyTable* table) {
  std::vector<std::pair<int, nlohmann::json>> signatures;
  for (const auto& [key, value] : csv.comments()) {
    if (key == "fixed_latency_us") {
      const SourceLocation where{.file = csv.path()};
      const std::int64_t fixed_ns = Nanoseconds(value, where);
      if (fixed_ns < 0) {
        throw Error(ErrorId::kLatencyValue, "got " + value + " (allowed: 0 or more)")
            .At(where)
            .Key(key);
      }
      table->set_fixed_ns(fixed_ns);
    } else if (key.starts_with("signature ")) {
      int number = 0;
      std::from_chars(key.data() + 10, key.data() + key.size(), number);
      nlohmann::json names = nlohmann::json::parse(value, nullptr, false);
      bool good = names.is_array() && names.size() >= 2;
      for (const auto& name : names) good = good && name.is_string();
      if (!good) {
        throw Error(ErrorId::kLatencyValue,
                    "got '" + value + "' (allowed: a JSON list of a signature and its layers)")
            .At({.file = csv.path()})
            .Key(key);
      }
      signatures.emplace_back(number, std::move(names));
    } else {
      table->SetProvenance(key, value);
    }
  }
  std::stable_sort(signatures.begin(), signatures.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [number, names] : signatures) {
    for (std::size_t i = 1; i < names.size(); ++i) {
      table->DeclareSignature(names[i].get<std::string>(), names[0].get<std::string>());
    }
  }
}

LatencyTable FromCsv(const CsvTable& csv) {
  csv.AllowOnly({"layer", "weight_bits", "activation_bits", "latency_us", "stddev_us", "samples"});
  const std::size_t layer = csv.Column("layer");
  const std::size_t weight = csv.Column("weight_bits");
  const std::size_t activation = csv.Column("activation_bits");
  const TimeColumns time{csv.Column("latency_us"), csv.FindColumn("stddev_us"),
                         csv.FindColumn("samples")};
  LatencyTable table;
  table.source_name = csv.path();
  ApplyComments(csv, &table);
  csv.ForEachRow([&](const CsvRow& row) {
    const std::string& key = csv.Text(row, layer);
    if (key.empty()) {
      throw Error(ErrorId::kLatencyValue, "the name is empty")
          .At(csv.LocationOf(row, layer))
          .Key("layer")
          .Hint("write the layer's name, or remove the row");
    }
    const BitChoice choice{BitsAt(csv, row, weight), BitsAt(csv, row, activation)};
    try {
      table.Add(key, choice, EntryAt(csv, row, time));
    } catch (Error& error) {
      if (error.location().file.empty()) error.At(csv.LocationOf(row, weight));
      throw;
    }
  });
  return table;
}

void TransitionsFromCsv(const CsvTable& csv, LatencyTable* table) {
  const std::size_t producer = csv.Column("producer");
  const std::size_t consumer = csv.Column("consumer");
  const std::size_t from = csv.Column("from_bits");
  const std::size_t to = csv.Column("to_bits");
  const std::optional<std::size_t> latency = csv.FindColumn("latency_us");
  if (!latency) return;
  const TimeColumns time{*latency, csv.FindColumn("stddev_us"), csv.FindColumn("samples")};
  csv.ForEachRow([&](const CsvRow& row) {
    const TransitionKey key{csv.Text(row, producer), csv.Text(row, consumer),
                            BitsAt(csv, row, from), BitsAt(csv, row, to)};
    try {
      table->AddTransition(key, EntryAt(csv, row, time));
    } catch (Error& error) {
      if (error.location().file.empty()) error.At(csv.LocationOf(row, from));
      throw;
    }
  });
}

/// Comment values are one line each.
std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string TimeCells(const LatencyEntry& entry, bool with_noise) {
  std::string text = MicrosecondsText(entry.latency_ns);
  if (!with_noise) return text;
  text += ',';
  if (entry.stddev_ns) text += MicrosecondsText(*entry.stddev_ns);
  text += ',';
  if (entry.samples > 0) text += std::to_string(entry.samples);
  return text;
}

bool HasNoise(const LatencyEntry& entry) { return entry.stddev_ns || entry.samples > 0; }

}  // namespace

std::string CsvCell(std::string_view text) {
  const bool plain = text.find_first_of(",\"\n\r") == std::string_view::npos &&
                     (text.empty() || (text.front() != ' ' && text.back() != ' '));
  if (plain) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string MicrosecondsText(std::int64_t nanoseconds) {
  std::string text = nanoseconds < 0 ? "-" : "";
  const std::int64_t magnitude = nanoseconds < 0 ? -nanoseconds : nanoseconds;
  text += std::to_string(magnitude / 1000);
  std::string decimals = std::to_string(1000 + magnitude % 1000).substr(1);
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  return decimals.empty() ? text : text + "." + decimals;
}

LatencyTable ReadLatencyCsv(const std::string& path) { return FromCsv(CsvTable::Read(path)); }

LatencyTable ParseLatencyCsv(std::string_view text, const std::string& name) {
  return FromCsv(CsvTable::Parse(text, name));
}

void ReadTransitionsCsv(const std::string& path, LatencyTable* table) {
  TransitionsFromCsv(CsvTable::Read(path), table);
}

void ParseTransitionsCsv(std::string_view text, const std::string& name, LatencyTable* table) {
  TransitionsFromCsv(CsvTable::Parse(text, name), table);
}

std::string LatencyCsvText(const LatencyTable& table) {
  std::string text;
  for (const auto& [key, value] : table.provenance()) {
    text += "# " + key + ": " + OneLine(value) + "\n";
  }
  if (table.fixed_ns() != 0) {
    text += "# fixed_latency_us: " + MicrosecondsText(table.fixed_ns()) + "\n";
  }
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (const auto& [layer, signature] : table.declared_signatures()) {
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& known) { return known.first == signature; });
    if (group == groups.end()) {
      groups.push_back({signature, {signature}});
      group = std::prev(groups.end());
    }
    group->second.push_back(layer);
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    text += "# signature " + std::to_string(i + 1) + ": " +
            nlohmann::json(groups[i].second).dump() + "\n";
  }
  bool noise = false;
  for (const LatencyTable::Row& row : table.rows()) noise = noise || HasNoise(row.entry);
  text += "layer,weight_bits,activation_bits,latency_us";
  text += noise ? ",stddev_us,samples\n" : "\n";
  for (const LatencyTable::Row& row : table.rows()) {
    text += CsvCell(row.key) + "," + row.choice.weight.ToString() + "," +
            row.choice.activation.ToString() + "," + TimeCells(row.entry, noise) + "\n";
  }
  return text;
}

std::string TransitionsCsvText(const LatencyTable& table) {
  bool noise = false;
  for (const auto& [key, entry] : table.transitions()) noise = noise || HasNoise(entry);
  std::string text = "producer,consumer,from_bits,to_bits,latency_us";
  text += noise ? ",stddev_us,samples\n" : "\n";
  for (const auto& [key, entry] : table.transitions()) {
    text += CsvCell(key.producer) + "," + CsvCell(key.consumer) + "," + key.from.ToString() + "," +
            key.to.ToString() + "," + TimeCells(entry, noise) + "\n";
  }
  return text;
}

void WriteLatencyCsv(const LatencyTable& table, const std::string& path,
                     const std::string& transitions_path) {
  WriteFileAtomically(path, LatencyCsvText(table));
  if (transitions_path.empty()) return;
  if (table.transitions().empty()) {
    // Edges of an earlier table beside this one would be taken for its own.
    std::filesystem::remove(transitions_path);
  } else {
    WriteFileAtomically(transitions_path, TransitionsCsvText(table));
  }
}

std::string TransitionsPathFor(const std::string& latency_path) {
  constexpr std::string_view kSuffix = ".csv";
  std::string stem = latency_path;
  if (stem.ends_with(kSuffix)) stem.resize(stem.size() - kSuffix.size());
  return stem + ".transitions.csv";
}

}  // namespace bitsearch
