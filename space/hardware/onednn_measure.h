#pragma once
// The oneDNN backend: FP32 and INT8 kernels of every layer signature of a network, timed on this
// machine. Must not offer entries that were not measured.

#include "space/hardware/latency_backend.h"

namespace bitsearch {

/// Measures with oneDNN's kernels on one pinned thread.
///
/// Entries: fp32/fp32 and 8/8 (u8 activations, s8 weights with a scale per output channel, u8
/// result). One measurement serves all layers of a signature. A layer that reads the network's
/// input includes bringing the plain float tensor into its kernel's format; a layer whose result
/// leaves the network writes floats. Edges: f32→u8 and u8→f32 of a producer's output, between the
/// layouts of its two kernels. Not measured, so not in the table: operators between layers.
class OnednnBackend : public LatencyBackend {
 public:
  std::string_view name() const override { return "onednn"; }
  std::vector<BitChoice> SupportedChoices() const override;
  Measurement Measure(const LayerGraph& graph, const std::string& model_path,
                      const MeasureOptions& options, const RunContext& context) override;
};

}  // namespace bitsearch
