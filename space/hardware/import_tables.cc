// Tables published with APQ, HAWQ and once-for-all. See importers.h.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "space/hardware/importers.h"
#include "space/hardware/json_file.h"
#include "space/hardware/layer_signature.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {
namespace {

// --- APQ -----------------------------------------------------------------------------------------

std::string ApqSignature(const JsonValue& layer) {
  LayerSignature signature;
  signature.op = "Conv";
  signature.in_channels = layer.At("in_channels").Count();
  signature.out_channels = layer.At("out_channels").Count();
  const auto square = [&](const char* field) {
    const std::int64_t extent = layer.At(field).Count();
    return std::vector<std::int64_t>{extent, extent};
  };
  signature.size = square("input_size");
  signature.kernel = square("kernel");
  signature.strides = square("stride");
  signature.dilations = {1, 1};
  const std::int64_t padding = layer.At("padding").Count();
  signature.pads = {padding, padding, padding, padding};
  signature.groups = layer.At("groups").Count();
  return signature.ToString();
}

/// "W4A8".
std::optional<BitChoice> ParseApqBits(const std::string& text) {
  const std::size_t a = text.find('A');
  if (!text.starts_with('W') || a == std::string::npos) return std::nullopt;
  const auto weight = NumberFormat::Parse(text.substr(1, a - 1));
  const auto activation = NumberFormat::Parse(text.substr(a + 1));
  if (!weight || !activation) return std::nullopt;
  return BitChoice{*weight, *activation};
}

constexpr int kEnergyDecimals = 9;

std::int64_t Unscaled(double value) { return std::llround(value * 1e9); }

// --- HAWQ ----------------------------------------------------------------------------------------

struct HawqArray {
  int bits = 0;
  std::size_t offset = 0;
  std::vector<double> milliseconds;
};

/// Every `latency_int<bits> = …[numbers]` of a text. A notebook is JSON whose strings hold such
/// lines whole, so that the same scan serves both.
std::vector<HawqArray> FindHawqArrays(const std::string& text, const std::string& path) {
  constexpr std::string_view kName = "latency_int";
  std::vector<HawqArray> arrays;
  for (std::size_t at = text.find(kName); at != std::string::npos; at = text.find(kName, at + 1)) {
    HawqArray array;
    array.offset = at;
    std::size_t next = at + kName.size();
    const auto bits = std::from_chars(text.data() + next, text.data() + text.size(), array.bits);
    if (bits.ec != std::errc()) continue;
    next = text.find_first_not_of(' ', static_cast<std::size_t>(bits.ptr - text.data()));
    if (next == std::string::npos || text[next] != '=') continue;  // A use, not the definition.
    const std::size_t open = text.find('[', next);
    const std::size_t line_end = text.find('\n', next);
    if (open == std::string::npos || open > line_end) continue;
    std::size_t i = open + 1;
    while (true) {
      i = text.find_first_not_of(" ,\n\r\t", i);
      const auto fault = [&](const std::string& message) {
        return Error(ErrorId::kProfileFormat, message)
            .At(LocationOfOffset(text, std::min(i, text.size()), path))
            .Key("latency_int" + std::to_string(array.bits));
      };
      if (i == std::string::npos) throw fault("the list is not closed");
      if (text[i] == ']') break;
      double value = 0.0;
      const auto number = std::from_chars(text.data() + i, text.data() + text.size(), value);
      if (number.ec != std::errc() || !(value >= 0.0) || !std::isfinite(value)) {
        throw fault("got '" + text.substr(i, 12) + "' (allowed: milliseconds of 0 or more)");
      }
      array.milliseconds.push_back(value);
      i = static_cast<std::size_t>(number.ptr - text.data());
    }
    if (array.bits < 1 || array.bits > 16) {
      throw Error(ErrorId::kProfileFormat,
                  "got " + std::to_string(array.bits) + " bits (allowed: 1 to 16)")
          .At(LocationOfOffset(text, at, path));
    }
    arrays.push_back(std::move(array));
  }
  return arrays;
}

// --- once-for-all --------------------------------------------------------------------------------

/// Throws unless `key` is `<type>-name:number[xnumber…]-name:…` with an input and an output.
void CheckBlockKey(const std::string& key, const YamlNode& node) {
  std::set<std::string> names;
  std::size_t at = key.find("-input:");
  const auto fault = [&](const std::string& message) {
    return Error(ErrorId::kProfileFormat, message)
        .At(node.location())
        .Key(key)
        .Hint("expected <type>-input:HxWxC-output:HxWxC[-expand:e-kernel:k-stride:s-idskip:i]");
  };
  if (at == std::string::npos || at == 0) throw fault("the key has no input shape");
  while (at < key.size()) {
    const std::size_t colon = key.find(':', at);
    if (colon == std::string::npos) throw fault("the key ends in '" + key.substr(at) + "'");
    names.insert(key.substr(at + 1, colon - at - 1));
    const std::size_t end = std::min(key.find('-', colon), key.size());
    const std::string value = key.substr(colon + 1, end - colon - 1);
    if (value.empty() || value.find_first_not_of("0123456789x") != std::string::npos) {
      throw fault("got '" + value + "' behind '" + key.substr(at + 1, colon - at) +
                  "' (allowed: numbers joined by x)");
    }
    at = end;
  }
  if (!names.contains("output")) throw fault("the key has no output shape");
}

}  // namespace

ImportedCosts ImportApq(const std::string& path) {
  const JsonValue root = JsonValue::Read(path);
  ImportedCosts result;
  LatencyTable& table = result.profile.table;
  table.source_name = path;
  result.energy = {.column = "energy_mj", .decimals = kEnergyDecimals, .fixed_unscaled = 0, .rows = {}};
  double fixed_ms = 0.0;
  double fixed_mj = 0.0;
  if (const auto fixed = root.Find("fixed_cost")) {
    for (const char* part : {"head", "tail"}) {
      fixed_ms += fixed->At(part).At("latency").NonNegative();
      fixed_mj += fixed->At(part).At("energy").NonNegative();
    }
  }
  table.set_fixed_ns(NanosecondsOfMilliseconds(fixed_ms));
  result.energy.fixed_unscaled = Unscaled(fixed_mj);
  for (const JsonValue& layer : root.At("layers").Elements()) {
    const std::string key = ApqSignature(layer);
    for (const auto& [bits, cost] : layer.At("latency_ms_energy_mJ").Members()) {
      const auto choice = ParseApqBits(bits);
      if (!choice) throw cost.Fault("got '" + bits + "' (allowed: W<bits>A<bits>)");
      const std::vector<JsonValue> pair = cost.Elements();
      if (pair.size() != 2) throw cost.Fault("expected [latency in ms, energy in mJ]");
      const LatencyEntry entry{NanosecondsOfMilliseconds(pair[0].NonNegative())};
      if (table.Find(key, *choice) != nullptr) {
        throw cost.Fault("a second entry for " + bits + " of " + key);
      }
      table.Add(key, *choice, entry);
      result.energy.rows.push_back({key, *choice, Unscaled(pair[1].NonNegative())});
    }
  }
  if (table.rows().empty()) throw root.At("layers").Fault("the table has no layer");
  table.SetProvenance("tool", "APQ, BitFusion simulator (a model, not a measurement)");
  return result;
}

ImportedProfile ImportHawq(const std::string& path, const std::vector<LayerKey>& layers) {
  const std::string text = ReadTextFile(path);
  const std::vector<HawqArray> arrays = FindHawqArrays(text, path);
  if (arrays.empty()) {
    throw Error(ErrorId::kProfileFormat, "the file has no array latency_int<bits>")
        .At({path, 1, 1})
        .Hint("expected lines such as latency_int8 = np.array([0.36, 0.31]) in milliseconds");
  }
  const std::size_t wanted = layers.empty() ? arrays.front().milliseconds.size() : layers.size();
  ImportedProfile result;
  result.table.source_name = path;
  for (const HawqArray& array : arrays) {
    if (array.milliseconds.size() != wanted) {
      if (!layers.empty()) continue;  // Another network of the same notebook.
      throw Error(ErrorId::kProfileFormat, "got " + std::to_string(array.milliseconds.size()) +
                                               " entries, the arrays before have " +
                                               std::to_string(wanted))
          .At(LocationOfOffset(text, array.offset, path))
          .Key("latency_int" + std::to_string(array.bits))
          .Hint("give the model, so that the arrays of its length are taken");
    }
    const NumberFormat format = NumberFormat::Integer(array.bits);
    for (std::size_t l = 0; l < wanted; ++l) {
      const std::string key = layers.empty() ? "layer" + std::to_string(l) : layers[l].id;
      try {
        result.table.Add(key, {format, format}, {NanosecondsOfMilliseconds(array.milliseconds[l])});
      } catch (Error& error) {
        throw error.At(LocationOfOffset(text, array.offset, path));
      }
    }
  }
  if (result.table.rows().empty()) {
    throw Error(ErrorId::kProfileUnmatched,
                "no array has " + std::to_string(wanted) + " entries, as the model has layers")
        .At({.file = path});
  }
  result.table.SetProvenance("tool", "HAWQ-V3 (published milliseconds)");
  return result;
}

ImportedProfile ImportOnceForAll(const std::string& path, BitChoice choice) {
  const YamlFile file = YamlFile::Read(path);
  ImportedProfile result;
  result.table.source_name = path;
  for (const auto& [key, node] : file.root().Entries()) {
    CheckBlockKey(key, node);
    LatencyEntry entry;
    const NumberRange time{.min = 0.0};
    entry.latency_ns = NanosecondsOfMilliseconds(node["mean"].Required().Number(0.0, time));
    entry.samples = node["count"].Integer(0, {.min = 0});
    // Either the deviation or its square is given.
    const YamlNode deviation = node["std"];
    const YamlNode variance = node["var"];
    if (deviation) {
      entry.stddev_ns = NanosecondsOfMilliseconds(deviation.Number(0.0, time));
    } else if (variance) {
      entry.stddev_ns = NanosecondsOfMilliseconds(std::sqrt(variance.Number(0.0, time)));
    }
    result.table.Add(key, choice, entry);
  }
  file.Finish();
  if (result.table.rows().empty()) {
    throw Error(ErrorId::kProfileFormat, "the file has no entry").At({path, 1, 1});
  }
  result.table.SetProvenance("tool", "once-for-all lookup table");
  return result;
}

}  // namespace bitsearch
