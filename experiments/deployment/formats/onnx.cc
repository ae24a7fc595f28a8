// The formats that are networks: ONNX with Q/DQ nodes, and QONNX.
#include "experiments/deployment/formats/formats.h"
#include "experiments/deployment/onnx_export.h"
#include "space/graph/onnx_writer.h"

namespace bitsearch {
namespace {

ExportedFile Write(const ExportRequest& request, bool qonnx) {
  OnnxExportOptions options = request.onnx;
  options.qonnx = qonnx;
  OnnxExport made = BuildQuantizedOnnx(*request.graph, request.document, options, request.place);
  std::string content = SerializeOnnx(made.graph);
  return {std::move(content), std::move(made.notes), std::move(made.graph)};
}

ConfigFormat Format(std::string name, std::string description, bool qonnx) {
  ConfigFormat format;
  format.name = std::move(name);
  format.description = std::move(description);
  format.binary = true;
  format.holds_quantizers = true;
  format.needs_ranges = true;
  format.holds_corrections = true;
  format.write = [qonnx](const ExportRequest& request) { return Write(request, qonnx); };
  format.recognises = [](const JsonValue&) { return false; };
  format.no_reader = "a network is not read back as a configuration";
  return format;
}

}  // namespace

ConfigFormat OnnxFormat() {
  return Format("onnx", "your network with QuantizeLinear/DequantizeLinear: runs in ONNX Runtime",
                false);
}

ConfigFormat QonnxFormat() {
  return Format("qonnx", "your network with QONNX's Quant nodes: any number of bits", true);
}

}  // namespace bitsearch
