#pragma once
// The one table of files that a configuration can be written to and read from: ours and those of
// other tools. A format is a row of ConfigFormats(); the command line knows none by name. Must not
// depend on LibTorch.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/config_file.h"
#include "experiments/deployment/onnx_export.h"
#include "space/graph/layer_graph.h"
#include "space/hardware/json_file.h"

namespace bitsearch {

/// What a writer is given. Everything referred to must outlive the call.
struct ExportRequest {
  const ConfigDocument& document;
  /// The network with BN folded; null where no model is given. Writers with needs_model may take it
  /// for given, and that the document's layers are its layers.
  const LayerGraph* graph = nullptr;
  /// The configuration's file, for messages.
  std::string place;
  /// NNCF names a module by its class: (glob of the module's path, "." for the network; class).
  std::vector<std::pair<std::string, std::string>> module_classes = {};
  /// Of the formats that are networks.
  OnnxExportOptions onnx = {};
};

/// What a writer makes.
struct ExportedFile {
  std::string content;
  /// What the file does not say as the configuration does, one sentence each.
  std::vector<std::string> notes;
  /// Of the formats that are networks: what was written.
  std::optional<LayerGraph> network = {};
};

/// What a reader makes.
struct ImportedConfig {
  ConfigDocument document;
  std::string format;              ///< A name of ConfigFormats().
  std::vector<std::string> notes;  ///< What of the file is left out, one sentence each.
};

/// One kind of file.
struct ConfigFormat {
  std::string name;
  std::string description;  ///< One line, for --help.
  /// The content is not text: it is not printed, and `--out` is needed.
  bool binary = false;
  /// Tensors or modules are named, so that reading and writing need the network.
  bool needs_model = true;
  /// Scales and zero points are written and read back, not only bits.
  bool holds_quantizers = false;
  /// The file is of no use without ranges of quantized inputs.
  bool needs_ranges = false;
  /// Grids of tensors that are no layer's input (placements runtime and integer) are written too.
  bool holds_tensors = false;
  /// Corrected biases and every placement are in the file.
  bool holds_corrections = false;
  /// Throws ErrorList of Error(kExportRefused), each naming a layer, where the file cannot hold the
  /// configuration.
  std::function<ExportedFile(const ExportRequest&)> write;
  /// True for a JSON file of this format; empty for formats that are not JSON.
  std::function<bool(const JsonValue&)> recognises;
  /// Empty where `no_reader` says why there is none. `notes` takes what is left out. Throws
  /// Error(kConfigLayers) with file, line and key.
  std::function<ConfigDocument(const JsonValue&, const LayerGraph&, std::vector<std::string>&)>
      read;
  std::string no_reader = {};
};

/// Every format, in the order of the help text.
const std::vector<ConfigFormat>& ConfigFormats();
/// Throws Error(kUsage) naming the nearest.
const ConfigFormat& ConfigFormatNamed(std::string_view name);

/// Writes `request.document` as `format`, and says in the notes what the format leaves out. Throws
/// Error(kUsage) if a model is needed and none is given, Error(kConfigLayers) if the document's
/// layers are not the network's, and what the writer throws.
ExportedFile ExportConfig(const ConfigFormat& format, const ExportRequest& request);

/// Reads a configuration in any format that has a reader, told apart by content. `graph` (BN
/// folded) may be null for our own JSON and for CSV; for others Error(kUsage) is thrown then.
/// Layers that another tool's file does not name stay float, where the tool leaves them so. Throws
/// Error(kFileNotFound), Error(kJsonSyntax), Error(kFormatVersion) (none of the formats),
/// Error(kConfigLayers), and for CSV what CsvTable throws and Error(kCsvBits).
ImportedConfig ReadAnyConfig(const std::filesystem::path& path, const LayerGraph* graph);

}  // namespace bitsearch
