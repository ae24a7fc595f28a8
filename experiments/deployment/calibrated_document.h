#pragma once
// A configuration file and a calibrated network, one made from the other: what exporting,
// verifying and evaluating a configuration share. Must not depend on LibTorch.

#include <string>
#include <vector>

#include "experiments/config_file.h"
#include "experiments/torch_backend.h"
#include "space/graph/layer_graph.h"

namespace bitsearch {

/// The document's calibration steps. Throws Error(kConfigLayers) for an unknown one, and for an
/// order that makes no sense.
std::vector<CalibrationStep> StepsOf(const ConfigDocument& document, const std::string& path);

/// Gives the document other steps: what earlier ones found (ranges, biases, integers) is removed.
/// Scales that training found stay.
void SetSteps(const std::vector<CalibrationStep>& steps, ConfigDocument& document);

/// How to calibrate `graph` so that it runs as the document says: its placement, quantizers and
/// steps, with the ranges, biases and integers that it stores. `graph` is that of
/// PrepareFloatNetwork for StepsOf(document). `path` names the document in messages. Throws
/// Error(kConfigLayers).
CalibrationRequest CalibrationFor(const ConfigDocument& document, const LayerGraph& graph,
                                  const std::string& path);

/// True if running the document under `placement` needs a range of an activation that it does not
/// store.
bool LacksRanges(const ConfigDocument& document, Placement placement);

/// Writes the session's ranges, scales and corrected biases into the document.
void StoreQuantizers(QuantizationSession& session, const std::string& path,
                     ConfigDocument& document);

}  // namespace bitsearch
