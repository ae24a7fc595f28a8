#pragma once
// What a supernet learns distributions over: groups of layers that share their weight or activation
// format, built from per-layer candidates, ties and blocks. Must not depend on LibTorch.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "search/supernet/residual_blocks.h"
#include "space/choices/bit_config.h"
#include "space/graph/layer_graph.h"

namespace bitsearch {

/// What shares one choice beyond the ties.
enum class ChoiceScope : std::uint8_t {
  kLayer,
  kBlock,  ///< All layers of a residual block; needed for skipping blocks.
};

/// One distribution: candidates for the weights, the activations, or both of some layers.
struct ChoiceGroup {
  enum class Kind : std::uint8_t { kWeight, kActivation, kBoth };
  Kind kind = Kind::kWeight;
  std::string name;
  /// kWeight reads `.weight` only, kActivation `.activation` only.
  std::vector<BitChoice> candidates;
  std::vector<LayerIndex> layers;
  /// Position of the skip candidate.
  std::optional<std::size_t> skip;
};

/// A layer's part in it: both indices are equal for a group of kind kBoth.
struct LayerGroups {
  std::size_t weight = 0;
  std::size_t activation = 0;
};

/// All distributions of a network. A value.
struct ArchitectureSpace {
  std::vector<ChoiceGroup> groups;
  std::vector<LayerGroups> layers;
  /// Blocks that a group can skip, with that group.
  struct SkippableBlock {
    ResidualBlock block;
    std::size_t group = 0;
  };
  std::vector<SkippableBlock> skippable_blocks;
  /// Names of layers whose skip candidate was dropped because its block cannot be skipped.
  std::vector<std::string> dropped_skips;

  std::size_t group_count() const { return groups.size(); }
  /// Candidates of the largest group.
  std::size_t widest() const;
  /// The configuration that takes candidate `picks[g]` of each group.
  BitConfig ConfigOf(const std::vector<std::size_t>& picks) const;
  /// The reverse; nothing if some layers' choices are no candidates, or differ within a group.
  std::optional<std::vector<std::size_t>> PicksOf(const BitConfig& config) const;
};

/// `choices[l]`: the candidates of layer l: all combinations of some weight and activation formats,
/// or pairs in which each weight format has one activation format (0/0 stands for skipping).
/// Throws Error(kUsage) for other sets, and where tied layers have no candidate in common.
ArchitectureSpace BuildArchitectureSpace(const LayerGraph& graph,
                                         const std::vector<std::vector<BitChoice>>& choices,
                                         const std::vector<TieGroup>& ties, ChoiceScope scope);

}  // namespace bitsearch
