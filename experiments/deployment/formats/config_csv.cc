// A configuration as CSV: bits only, with what identifies the network in comments at the head.
#include <fmt/format.h>

#include <set>

#include "experiments/deployment/formats/formats.h"
#include "space/support/csv.h"

namespace bitsearch {
namespace {

std::string Quoted(const std::string& text) {
  if (text.find_first_of(",\"\n#") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

NumberFormat Bits(const CsvTable& table, const CsvRow& row, std::size_t column) {
  const std::string& text = table.Text(row, column);
  const auto format = NumberFormat::Parse(text);
  if (!format) {
    throw Error(ErrorId::kCsvBits, "got '" + text + "'")
        .At(table.LocationOf(row, column))
        .Key(table.header()[column])
        .Hint("allowed: 0 to 16, 32, ternary, fp16, bf16, fp32");
  }
  return *format;
}

}  // namespace

std::string ConfigCsv(const ConfigDocument& document) {
  std::string text;
  if (!document.model.empty()) text += "# model: " + document.model + "\n";
  if (!document.model_sha256.empty()) text += "# model_sha256: " + document.model_sha256 + "\n";
  text += fmt::format("# placement: {}\nlayer,weight_bits,activation_bits\n",
                      NameOf(document.placement));
  for (const ConfigLayer& layer : document.layers) {
    text += fmt::format("{},{},{}\n", Quoted(layer.name), layer.choice.weight.ToString(),
                        layer.choice.activation.ToString());
  }
  return text;
}

ConfigDocument ReadConfigCsv(const std::filesystem::path& path) {
  const CsvTable table = CsvTable::Read(path.string());
  table.AllowOnly({"layer", "weight_bits", "activation_bits"});
  const std::size_t name = table.Column("layer");
  const std::size_t weight = table.Column("weight_bits");
  const std::size_t activation = table.Column("activation_bits");
  ConfigDocument document;
  const auto comment = [&](const char* key) {
    const auto at = table.comments().find(key);
    return at == table.comments().end() ? "" : at->second;
  };
  document.model = comment("model");
  document.model_sha256 = comment("model_sha256");
  std::set<std::string> names;
  bool quantized = false;
  for (const CsvRow& row : table.rows()) {
    ConfigLayer layer;
    layer.name = table.Text(row, name);
    if (layer.name.empty() || !names.insert(layer.name).second) {
      throw Error(
          layer.name.empty() ? ErrorId::kCsvEmptyName : ErrorId::kCsvDuplicateRow,
          layer.name.empty() ? "the layer has no name" : "layer '" + layer.name + "' stands twice")
          .At(table.LocationOf(row, name))
          .Hint("one row for each layer; `bitsearch layers MODEL.onnx` lists them");
    }
    layer.choice = {Bits(table, row, weight), Bits(table, row, activation)};
    quantized = quantized || layer.choice.activation != NumberFormat::Float32();
    document.layers.push_back(std::move(layer));
  }
  document.placement = ParsePlacement(comment("placement"))
                           .value_or(quantized ? Placement::kLayerInputs : Placement::kWeightsOnly);
  return document;
}

}  // namespace bitsearch
