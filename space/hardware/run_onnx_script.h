#pragma once
// The text of run_onnx.js, compiled in, so that the executable needs no files beside it.

#include <string_view>

namespace bitsearch {

/// Made from run_onnx.js at configure time.
extern const std::string_view kRunOnnxScript;

}  // namespace bitsearch
