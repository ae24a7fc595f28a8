#pragma once
// Readers of latency profiles and tables that other tools write; the formats are those of
// docs and of the tools named. Every malformed file is an Error with row and column. Must not
// measure anything.

#include <string>
#include <string_view>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/hardware/cost_table.h"
#include "space/hardware/profile_rows.h"

namespace bitsearch {

// --- profiles of one uniform setting; merge several with TableMerger -----------------------------

/// TensorRT's `trtexec --exportProfile`: an array of {"count"} and then {"name", "timeMs",
/// "averageMs", "medianMs", "percentage"}; the median is taken. Fused names are split at " + ";
/// "Reformatting CopyNode…" rows become edges. `layer_info_path` (`--exportLayerInfo`, may be
/// empty) adds the ONNX names of "Metadata", and warns of kernels that read floats where `choice`
/// asks for integers (a silent fallback).
ImportedProfile ImportTensorRt(const std::string& profile_path, const std::string& layer_info_path,
                               BitChoice choice, const std::vector<LayerKey>& layers);

/// ONNX Runtime's profile: a Chrome trace whose `Node` events `<node>_kernel_time` have `dur` in
/// µs. The median over runs of each node. Quantize, dequantize and reorder nodes become edges.
/// `graph` and `optimized_model_path` (the model that the session saved; may be null and empty)
/// find layers whose nodes were renamed, by weight or output.
ImportedProfile ImportOnnxRuntime(const std::string& profile_path,
                                  const std::string& optimized_model_path, BitChoice choice,
                                  const std::vector<LayerKey>& layers, const LayerGraph* graph);

/// OpenVINO's `benchmark_app -report_type detailed_counters`: rows separated by ';'. Executed rows
/// with their real time; "Reorder" rows become edges.
ImportedProfile ImportOpenVino(const std::string& path, BitChoice choice,
                               const std::vector<LayerKey>& layers);

// --- tables that hold many bit-widths ------------------------------------------------------------

/// HAQ's .npy: integers of shape (layers, weight bits, activation bits), each from 1. The unit is
/// not documented (simulator cycles): a cycle is kept as a nanosecond, so that only ratios mean
/// anything, and the provenance says so. `layers` names them in order; empty: layer0, layer1, ….
ImportedProfile ImportHaq(const std::string& path, const std::vector<LayerKey>& layers);

/// A latency table and the energy column beside it.
struct ImportedCosts {
  ImportedProfile profile;
  CostTable energy;  ///< Column energy_mj.
};

/// APQ's table of a BitFusion simulator as JSON: layers by shape with latency (ms) and energy (mJ)
/// for each pair of bits, fixed costs of head and tail. Keys are signatures.
ImportedCosts ImportApq(const std::string& path);

/// HAWQ's arrays `latency_int<bits> = np.array([…])` in milliseconds, in a notebook or a script;
/// weights and activations have the same bits. Of several networks in one file, the arrays with as
/// many entries as `layers` are taken; without layers there must be one length.
ImportedProfile ImportHawq(const std::string& path, const std::vector<LayerKey>& layers);

/// Once-for-all's (ProxylessNAS's) YAML: `<type>-input:HxWxC-output:HxWxC-expand:…` → {count, mean,
/// std or var} in milliseconds. Keys stay as they are; the table knows no bits: all at `choice`.
ImportedProfile ImportOnceForAll(const std::string& path, BitChoice choice);

}  // namespace bitsearch
