#pragma once
// The onnxruntime backend: per-layer and end-to-end times of quantized exports in the user's
// runtime, through its profiles. Must not know how a model is quantized: a writer is given.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/hardware/latency_backend.h"
#include "space/hardware/onnx_runtime.h"

namespace bitsearch {

/// Writes the network under a configuration as a file that the runtime loads.
using ModelWriter = std::function<void(const BitConfig&, const std::filesystem::path&)>;

/// Measures by running the network in ONNX Runtime on one thread, with all its optimisations.
///
/// Entries: for each choice the whole network at that choice. A layer's time is that of its kernel
/// and of the operators behind it up to the next layer, conversions of formats among them (those in
/// front of the first layer count for it), so the entries of a choice add up to what the profile
/// has. Edges: in four further exports for each pair of activation formats neighbours have
/// different formats, everywhere or (all branches alike) only at joins; what these cost beyond the
/// layers' own times is the edge's, a kernel that falls back to float because of its neighbour
/// included. The profile says how a run's time is divided, runs without profiling how long it is:
/// each export's times are multiplied so that they add up to that. So nothing is fixed.
class OnnxRuntimeBackend : public LatencyBackend {
 public:
  /// `choices` are distinct and not empty.
  OnnxRuntimeBackend(RuntimeLocation runtime, std::vector<BitChoice> choices, ModelWriter writer)
      : runtime_(std::move(runtime)), choices_(std::move(choices)), writer_(std::move(writer)) {}

  std::string_view name() const override { return "onnxruntime"; }
  std::vector<BitChoice> SupportedChoices() const override { return choices_; }
  /// Also throws what the writer and RunInRuntime throw.
  Measurement Measure(const LayerGraph& graph, const std::string& model_path,
                      const MeasureOptions& options, const RunContext& context) override;

 private:
  RuntimeLocation runtime_;
  std::vector<BitChoice> choices_;
  ModelWriter writer_;
};

/// Inputs of random numbers for one batch. Throws Error(kLayerShape) for open extents other than
/// the batch.
std::vector<RuntimeInput> RandomInputs(const LayerGraph& graph, std::int64_t batch);

/// Where neighbours have different choices.
enum class Alternation : std::uint8_t {
  kEverywhere,  ///< At the ends of every edge that pays (LayerEdge).
  kAtJoins,     ///< Only where several layers' outputs are joined before the next layer reads them.
};

/// The network with `first` and `second` alternating; layers that read one tensor have the same.
BitConfig AlternatingConfig(const LayerGraph& graph, BitChoice first, BitChoice second,
                            Alternation where);

/// One run's profile, added up by layer: [layer][run], only the last `runs` runs.
struct LayerSamples {
  std::vector<std::vector<std::int64_t>> by_layer;
  /// Operators of each layer's time, "QLinearConv + QLinearAdd".
  std::vector<std::string> operators;
  /// True where the layer's kernel computes with integers.
  std::vector<bool> integer;
};

/// Throws Error(kProfileFormat), and Error(kProfileUnmatched) if no node belongs to a layer.
LayerSamples ReadLayerSamples(const std::string& profile, const std::string& optimized_model,
                              const LayerGraph& graph, std::size_t runs);

}  // namespace bitsearch
