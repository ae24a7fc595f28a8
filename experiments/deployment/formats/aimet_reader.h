#pragma once
// Reading AIMET encodings, 1.0.0 and 2.0.0; aimet.cc writes them. Entries of tensors that are no
// layer's weight or input are left out with a note.

#include "experiments/deployment/formats/config_format.h"

namespace bitsearch {

/// Each is a ConfigFormat::read.
ConfigDocument ReadAimet1(const JsonValue& file, const LayerGraph& graph,
                          std::vector<std::string>& notes);
ConfigDocument ReadAimet2(const JsonValue& file, const LayerGraph& graph,
                          std::vector<std::string>& notes);

}  // namespace bitsearch
