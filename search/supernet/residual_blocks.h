#pragma once
// Residual blocks of a network: what a block-wise search gives common bits to, and what "0 bits"
// can leave out. Reads LayerGraph only; must not depend on LibTorch.

#include <string>
#include <vector>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// An Add of two branches that start at one tensor.
struct ResidualBlock {
  std::string name;  ///< Common prefix of the layers' ids up to a separator, or the Add's id.
  NodeIndex add;
  std::size_t branch_slot = 0;     ///< Which input of the Add is the branch that holds the layers.
  std::vector<LayerIndex> layers;  ///< Of the branch, ascending.
  std::vector<LayerIndex> shortcut_layers;  ///< Of the other branch (projection), ascending.
  /// The branch can be left out: the shortcut has no layers, its tensor has the sum's shape, and
  /// nothing else reads the branch.
  bool skippable = false;
};

/// All residual blocks, ascending by their Add. Nested Adds are blocks of their own layers only.
std::vector<ResidualBlock> FindResidualBlocks(const LayerGraph& graph);

/// The graph without the branches of `blocks` (each must be skippable): the Add's readers read the
/// shortcut instead. Ids, names and constants of what stays are unchanged.
LayerGraph WithoutBranches(const LayerGraph& graph, const std::vector<ResidualBlock>& blocks);

}  // namespace bitsearch
