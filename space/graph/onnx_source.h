#pragma once
// The model file behind an imported graph: what the writer needs to give the user's own model back.
// The only header of space/graph that shows protobuf; include it in .cc files only.

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <string>

#include "space/graph/tensor_value.h"

namespace bitsearch {

struct OnnxSource {
  onnx::ModelProto model;
  std::filesystem::path path;
  /// The initializers and Constant nodes as the reader delivered them, by tensor name: a constant
  /// of the graph that still shares their bytes has not been changed.
  std::map<std::string, TensorValue> constants;
};

}  // namespace bitsearch
