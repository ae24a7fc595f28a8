#pragma once
// The seam behind `latency measure`: something that can time a network's layers at the bits it has
// kernels for. Implementations: oneDNN's kernels on this machine; a user's runtime as a child
// process. Must not depend on any of them.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/hardware/latency_table.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// How to measure.
struct MeasureOptions {
  /// Timed runs of each kernel; at least 1. Rounds over all kernels, so that a slow spell of the
  /// machine hits all alike. More narrows the median's noise, by the square root.
  int repetitions = 50;
  /// Rounds before timing starts.
  int warmup = 5;
  /// Samples of a batch.
  std::int64_t batch = 1;
  /// What the table's provenance gives as its command and date.
  std::string command;
  std::string date;
};

/// Every timed run of one kernel.
struct RawSamples {
  std::string name;     ///< The first layer that has it, or "producer -> consumer".
  std::string kind;     ///< "kernel", "quantize", "dequantize", "input", "end_to_end".
  std::string formats;  ///< "W8A8", "fp32 to 8".
  std::string implementation;
  std::vector<std::int64_t> samples_ns;
};

/// A table and the runs it was made from. Only what was measured is in the table.
struct Measurement {
  LatencyTable table;
  std::vector<RawSamples> raw;
  /// What the user must know: layers without a kernel, reference implementations, noise.
  std::vector<std::string> warnings;
};

/// Times the layers of networks on one device. Not to be called from several threads at once:
/// timings would disturb each other.
class LatencyBackend {
 public:
  virtual ~LatencyBackend() = default;
  virtual std::string_view name() const = 0;
  /// The choices this backend has kernels for; others never get an entry.
  virtual std::vector<BitChoice> SupportedChoices() const = 0;
  /// Measures `graph`, whose file (for backends that run it) is `model_path`. Throws
  /// Error(kLayerShape) for unknown shapes, Error(kUsage) for options out of range, and
  /// Error(kInterrupted) when the context asks to stop.
  virtual Measurement Measure(const LayerGraph& graph, const std::string& model_path,
                              const MeasureOptions& options, const RunContext& context) = 0;
};

/// The raw samples as a CSV: `name,kind,formats,implementation,samples_ns`, the last a list
/// separated by blanks, in the order they were taken.
std::string RawSamplesCsvText(const std::vector<RawSamples>& raw);

/// "T.csv" → "T.samples.csv".
std::string SamplesPathFor(const std::string& latency_path);

}  // namespace bitsearch
