#pragma once
// Is a latency table right? Mixed configurations that it was not made from are run in the user's
// runtime, and its sums are held against their times, beside what needs no table. Must not depend
// on LibTorch.

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/deployment/onnx_export.h"
#include "space/choices/bit_config.h"
#include "space/graph/layer_graph.h"
#include "space/hardware/latency_table.h"
#include "space/hardware/network_latency.h"
#include "space/hardware/onnx_runtime.h"
#include "space/hardware/sample_statistics.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// A configuration to run.
struct NamedConfig {
  std::string name;
  BitConfig config;
};

/// One configuration, what the table says and what was measured.
struct TableCheckLine {
  std::string name;
  BitConfig config;
  LatencyPrediction predicted;
  std::int64_t bops = 0;
  std::int64_t size_bits = 0;
  std::vector<double> round_us;  ///< Medians of the rounds.

  double predicted_us() const { return static_cast<double>(predicted.total_ns()) * 1e-3; }
  double predicted_without_edges_us() const;
  double measured_us() const;
  /// What this one takes more than `first`, of the same rounds; the median and its 95 % interval.
  MedianInterval beyond(const TableCheckLine& first) const;
  double median_beyond_us(const TableCheckLine& first) const;
};

struct TableCheck {
  std::string runtime;
  std::string cpu;
  std::vector<TableCheckLine> lines;
  PredictionQuality with_edges;     ///< The sums as they are.
  PredictionQuality without_edges;  ///< The sums as they are, less the edges.
  /// After an affine fit to the other lines: table, table without edges, BOPs, bytes, constant.
  /// Empty for less than six lines.
  std::vector<PredictorQuality> fitted;
};

struct TableCheckOptions {
  RuntimeLocation runtime;
  Container container = Container::kCompute;
  int rounds = 20;
  int repetitions = 10;
};

/// The choices that the table has for every layer. Throws Error(kLatencyMissing) if there are fewer
/// than two: nothing can be mixed.
std::vector<BitChoice> CommonChoices(const LatencyTable& table,
                                     const std::vector<LayerKey>& layers);

/// `count` distinct mixed configurations, half of them in runs of layers, half drawn layer by
/// layer; the share of the first choice grows from one to the next. Layers that read one tensor
/// have the same. `count` is at most what a network of few layers has. Deterministic for `seed`.
std::vector<NamedConfig> MixedConfigs(const LayerGraph& graph,
                                      const std::vector<BitChoice>& choices, std::size_t count,
                                      std::uint64_t seed);

/// `graph` has BN folded; configurations are exported with made-up ranges under placement runtime.
/// Throws as PredictLatency, PlanTensors, BuildQuantizedOnnx and RunInRuntime.
TableCheck CheckTable(const LatencyTable& table, const LayerGraph& graph,
                      const std::vector<NamedConfig>& configs, const TableCheckOptions& options,
                      const RunContext& context);

/// A table for people, and `bitsearch/table-check/1`.
std::string TableCheckText(const TableCheck& check);
std::string TableCheckJson(const TableCheck& check);

}  // namespace bitsearch
