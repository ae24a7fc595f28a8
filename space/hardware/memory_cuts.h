#pragma once
// Peak activation memory: which tensors are alive together while a network runs, and whose bits
// they have. Must not depend on latency tables.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "space/choices/bit_config.h"
#include "space/graph/layer_graph.h"

namespace bitsearch {

/// The tensors alive at one point of the execution.
struct MemoryCut {
  std::string name;  ///< The layer that is running.
  struct Term {
    LayerIndex layer;           ///< Whose activation bits these elements have.
    std::int64_t elements = 0;  ///< For one sample.
  };
  std::vector<Term> terms;  ///< Ascending by layer, each layer once.
  /// Bits that no choice changes: tensors that no later layer reads stay float.
  std::int64_t fixed_bits = 0;
};

/// One cut for each layer in execution order (the graph's topological order): its inputs, its
/// output, and every tensor that something later still reads. A tensor has the activation bits of
/// the first layer that reads it, directly or through operators that are no layers (those run in
/// place, fused into their producer); where no layer reads it any more it counts 32 bits.
/// The peak is max over cuts of Σ elements · activation bits. Cuts that can never exceed another
/// (no more elements of any layer) are left out. Throws Error(kLayerShape).
std::vector<MemoryCut> MemoryCuts(const LayerGraph& graph);

/// The peak of a configuration, in bits.
std::int64_t PeakActivationBits(const std::vector<MemoryCut>& cuts, const BitConfig& config);

/// The cuts file: `cut,layer,elements`. Fixed bits are given in comment lines
/// `# fixed_bits <cut>: N` where there are any.
std::string CutsCsvText(const LayerGraph& graph, const std::vector<MemoryCut>& cuts);

}  // namespace bitsearch
