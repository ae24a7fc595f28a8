#include "experiments/deployment/formats/config_format.h"

#include <algorithm>

#include "experiments/deployment/formats/formats.h"
#include "space/quantizer/tensor_plan.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr const char* kOurPrefix = "bitsearch/";

ConfigFormat CsvFormat() {
  return {.name = "csv",
          .description = "layer,weight_bits,activation_bits: any bits, nothing else",
          .needs_model = false,
          .write =
              [](const ExportRequest& request) {
                return ExportedFile{ConfigCsv(request.document), {}};
              },
          .no_reader = "CSV is told apart by not being JSON (ReadAnyConfig)"};
}

ConfigFormat JsonFormat() {
  return {.name = "json",
          .description = "bitsearch/config/1: everything",
          .needs_model = false,
          .holds_quantizers = true,
          .write =
              [](const ExportRequest& request) {
                return ExportedFile{ConfigJson(request.document), {}};
              },
          .no_reader = "ReadConfigJson reads it (ReadAnyConfig)"};
}

/// Networks are written only.
std::string FormatNames(bool with_networks) {
  std::string names;
  for (const ConfigFormat& format : ConfigFormats()) {
    if (with_networks || !format.binary) names += (names.empty() ? "" : ", ") + format.name;
  }
  return names;
}

/// What of the document no other tool's file holds.
void NoteLosses(const ConfigFormat& format, const ConfigDocument& document,
                std::vector<std::string>& notes) {
  if (format.name == "json") return;
  const auto any = [&](auto&& holds) {
    return std::any_of(document.layers.begin(), document.layers.end(), holds);
  };
  if (!format.holds_quantizers && any([](const ConfigLayer& layer) {
        return layer.quantizers.weight || layer.quantizers.activation;
      })) {
    notes.emplace_back("the format holds bits only: scales and ranges are not in the file");
  }
  const auto has_step = [&](auto&& wanted) {
    const auto& table = CalibrationStepTable();
    return std::any_of(table.begin(), table.end(), [&](const CalibrationStepInfo& info) {
      return wanted(info.phase) &&
             std::find(document.calibration.begin(), document.calibration.end(), info.name) !=
                 document.calibration.end();
    });
  };
  const bool corrects =
      has_step([](CalibrationPhase phase) { return phase == CalibrationPhase::kBiases; });
  const bool rewrites =
      has_step([](CalibrationPhase phase) { return phase == CalibrationPhase::kNetwork; });
  const bool chooses = any([](const ConfigLayer& layer) {
    return layer.quantizers.weight && !layer.quantizers.weight->codes.empty();
  });
  if (chooses && !format.holds_corrections) {
    notes.emplace_back(
        "the integers that learned rounding chose for the weights are not in the file: another "
        "tool rounds to the nearest");
  }
  if (rewrites && !format.holds_corrections) {
    notes.emplace_back(
        "the bits were measured on the network after equalisation, which is not in the file");
  }
  if (corrects && !format.holds_corrections) {
    notes.emplace_back(
        "the corrected biases with which the configuration was measured are not in the file");
  }
  const bool has_tensors =
      format.holds_corrections || (format.holds_tensors && !document.tensors.empty());
  if (format.name != "csv" && !has_tensors && QuantizesTensors(document.placement)) {
    notes.push_back("the file says how layers' inputs are quantized; what placement " +
                    std::string(NameOf(document.placement)) +
                    " quantizes beside them is not in it");
  }
}

/// `//` comments become blanks, so that places stay: NNCF's own files have some.
std::string WithoutComments(std::string text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text.compare(i, 2, "//") == 0) {
      for (; i < text.size() && text[i] != '\n'; ++i) text[i] = ' ';
    }
  }
  return text;
}

/// True for a text whose first line that is no comment looks like a header of ours.
bool LooksLikeCsv(const std::string& text) {
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    if (line.empty() || line.front() == '#' || line == "\r") continue;
    return line.find(',') != std::string::npos && line.find_first_of("{[") == std::string::npos;
  }
  return false;
}

bool IsOurs(const JsonValue& file) {
  if (!file.is_object()) return false;
  const auto format = file.Find("format");
  return format && format->is_string() && format->String().starts_with(kOurPrefix);
}

void RequireModel(const ConfigFormat& format, const LayerGraph* graph, const std::string& place) {
  if (!format.needs_model || graph != nullptr) return;
  throw Error(ErrorId::kUsage, "a file of format " + format.name +
                                   " names tensors or modules of the network, and none is given")
      .At({place})
      .Hint("add --model MODEL.onnx");
}

}  // namespace

const std::vector<ConfigFormat>& ConfigFormats() {
  static const std::vector<ConfigFormat> formats = {
      OnnxFormat(),        QonnxFormat(),   AimetFormat(), Aimet2Format(),
      ModelOptFormat(),    TorchaoFormat(), HawqFormat(),  NncfFormat(),
      OnnxRuntimeFormat(), CsvFormat(),     JsonFormat()};
  return formats;
}

const ConfigFormat& ConfigFormatNamed(std::string_view name) {
  std::vector<std::string> names;
  for (const ConfigFormat& format : ConfigFormats()) {
    if (format.name == name) return format;
    names.push_back(format.name);
  }
  const std::string nearest = NearestName(name, names);
  throw Error(ErrorId::kUsage,
              "got \"" + std::string(name) + "\" (allowed: " + FormatNames(true) + ")")
      .Key("--format")
      .Hint(nearest.empty() ? "bitsearch export --help says what each holds"
                            : "did you mean \"" + nearest + "\"?");
}

ExportedFile ExportConfig(const ConfigFormat& format, const ExportRequest& request) {
  RequireModel(format, request.graph, request.place);
  if (request.graph != nullptr) ConfigForGraph(request.document, *request.graph, request.place);
  ExportedFile file = format.write(request);
  NoteLosses(format, request.document, file.notes);
  return file;
}

ImportedConfig ReadAnyConfig(const std::filesystem::path& path, const LayerGraph* graph) {
  std::string text = ReadTextFile(path);
  // A protobuf message: the model's IR version comes first.
  if (text.empty() || text[0] == '\x08') {
    throw Error(ErrorId::kFormatVersion,
                text.empty() ? "the file is empty" : "this looks like an ONNX model")
        .At({path.string()})
        .Hint("bits are read from a JSON or CSV file, as bitsearch export writes them");
  }
  if (LooksLikeCsv(text)) return {ReadConfigCsv(path), "csv", {}};
  const JsonFaults faults{ErrorId::kJsonSyntax, ErrorId::kConfigLayers,
                          "is it a configuration file, as bitsearch export writes them?"};
  const std::string place = path.string();
  const JsonValue file = JsonValue::Parse(WithoutComments(std::move(text)), place, faults);
  if (IsOurs(file)) return {ReadConfigJson(path), "json", {}};
  for (const ConfigFormat& format : ConfigFormats()) {
    if (!format.read || !format.recognises(file)) continue;
    RequireModel(format, graph, place);
    ImportedConfig imported{{}, format.name, {}};
    imported.document = format.read(file, *graph, imported.notes);
    return imported;
  }
  throw Error(ErrorId::kFormatVersion, "the content is that of no known format")
      .At({place})
      .Key("format")
      .Hint("is this a bitsearch configuration, or one of " + FormatNames(false) + "?");
}

}  // namespace bitsearch
