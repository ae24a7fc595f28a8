// trtexec's two JSON files. See importers.h.
#include <algorithm>
#include <map>
#include <optional>

#include "space/hardware/importers.h"
#include "space/hardware/json_file.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

std::vector<std::string> SplitFused(const std::string& name) {
  constexpr std::string_view kJoint = " + ";
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (true) {
    const std::size_t joint = name.find(kJoint, at);
    parts.push_back(name.substr(at, joint - at));
    if (joint == std::string::npos) return parts;
    at = joint + kJoint.size();
  }
}

/// The names in "[ONNX Layer: a]\x1e[ONNX Layer: b]".
std::vector<std::string> OnnxNames(const std::string& metadata) {
  constexpr std::string_view kOpen = "[ONNX Layer: ";
  std::vector<std::string> names;
  for (std::size_t at = metadata.find(kOpen); at != std::string::npos;
       at = metadata.find(kOpen, at)) {
    at += kOpen.size();
    const std::size_t close = metadata.find(']', at);
    if (close == std::string::npos) break;
    names.push_back(metadata.substr(at, close - at));
  }
  return names;
}

/// What --exportLayerInfo says about an engine layer.
struct EngineLayer {
  std::vector<std::string> onnx_names;
  std::string type;
  std::string input_type;  ///< "Int8 NC/32HW32", "Row major linear FP32", "INT8"; may be empty.
};

/// The datatype of a tensor, of TensorRT up to 10 ("Format/Datatype") or 11 ("Datatype").
std::string TypeOfTensor(const JsonValue& tensor) {
  for (const char* key : {"Format/Datatype", "Datatype"}) {
    if (const auto value = tensor.Find(key)) return value->String();
  }
  return "";
}

std::map<std::string, EngineLayer> ReadLayerInfo(const std::string& path) {
  std::map<std::string, EngineLayer> layers;
  for (const JsonValue& item : JsonValue::Read(path).At("Layers").Elements()) {
    // The default verbosity writes names only.
    if (item.is_string()) {
      layers[item.String()];
      continue;
    }
    EngineLayer& layer = layers[item.At("Name").String()];
    if (const auto type = item.Find("LayerType")) layer.type = type->String();
    if (const auto metadata = item.Find("Metadata")) {
      layer.onnx_names = OnnxNames(metadata->String());
    }
    if (const auto inputs = item.Find("Inputs")) {
      const std::vector<JsonValue> tensors = inputs->Elements();
      if (!tensors.empty()) layer.input_type = TypeOfTensor(tensors.front());
    }
  }
  return layers;
}

bool SaysFloat(std::string type) {
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* name : {"fp32", "fp16", "float", "half", "bf16"}) {
    if (type.find(name) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

ImportedProfile ImportTensorRt(const std::string& profile_path, const std::string& layer_info_path,
                               BitChoice choice, const std::vector<LayerKey>& layers) {
  std::map<std::string, EngineLayer> info;
  if (!layer_info_path.empty()) info = ReadLayerInfo(layer_info_path);
  const std::vector<JsonValue> items = JsonValue::Read(profile_path).Elements();
  if (items.empty() || !items.front().Find("count")) {
    const JsonValue root = JsonValue::Read(profile_path);
    throw root.Fault("the first element is not {\"count\": N}")
        .Hint("write the file with trtexec --exportProfile=FILE");
  }
  const std::int64_t count = items.front().At("count").Count();
  std::vector<ProfileRow> rows;
  std::vector<std::string> fallen_back;
  for (std::size_t i = 1; i < items.size(); ++i) {
    const std::string name = items[i].At("name").String();
    // All the numbers must be sound, although only the median is used.
    items[i].At("timeMs").NonNegative();
    items[i].At("averageMs").NonNegative();
    items[i].At("percentage").NonNegative();
    ProfileRow row;
    row.time.latency_ns = NanosecondsOfMilliseconds(items[i].At("medianMs").NonNegative());
    row.time.samples = count;
    row.names = SplitFused(name);
    const auto engine = info.find(name);
    bool reformat = name.starts_with("Reformatting CopyNode");
    if (engine != info.end()) {
      reformat = reformat || engine->second.type == "Reformat";
      const auto& onnx = engine->second.onnx_names;
      if (!onnx.empty()) row.names = onnx;
      if (!reformat && !choice.activation.is_float() && SaysFloat(engine->second.input_type)) {
        fallen_back.push_back(name + " (" + engine->second.input_type + ")");
      }
    }
    if (reformat) row.kind = ProfileRow::Kind::kReformat;
    rows.push_back(std::move(row));
  }
  ImportedProfile result = AssembleProfile(rows, choice, layers, profile_path);
  if (!fallen_back.empty()) {
    result.warnings.push_back(std::to_string(fallen_back.size()) + " kernels of the " +
                              choice.ToString() + " profile read floats, " + fallen_back.front() +
                              " first: they fell back, or run between layers");
  }
  result.table.SetProvenance("tool", "TensorRT trtexec --exportProfile");
  result.table.SetProvenance("samples", std::to_string(count));
  return result;
}

}  // namespace bitsearch
