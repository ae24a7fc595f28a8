#pragma once
// Reads published cost tables (JSON transcriptions) into FactoredCosts: once-for-all's Note10
// phone and APQ's BitFusion simulator.

#include <filesystem>
#include <vector>

#include "space/candidates/factored_cost.h"

namespace bitsearch {

/// latency_ms of a once-for-all candidate on the phone of `path` (ofa_note10_lut.json): a fixed
/// part per resolution and one entry per block, on a grid of 1e-9 ms. Throws Error(kFileNotFound),
/// Error(kPublishedTable) naming what is missing or of the wrong type.
FactoredCost ReadOnceForAllLatency(const std::filesystem::path& path, const CandidateSpace& space);

/// latency_ms and energy_mJ of an APQ candidate (apq_bitfusion_lut.json), keyed by layer shape.
/// Combinations that the table lacks (depthwise kernel 7 with 4-bit activations) are forbidden.
struct ApqCosts {
  FactoredCost latency_ms;
  FactoredCost energy_mj;
};
ApqCosts ReadApqCosts(const std::filesystem::path& path, const CandidateSpace& space);

}  // namespace bitsearch
