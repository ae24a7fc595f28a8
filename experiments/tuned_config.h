#pragma once
// The configuration file of a network that was trained at its bits. Must not depend on LibTorch.

#include "experiments/config_file.h"
#include "search/supernet/tuned_network.h"

namespace bitsearch {

/// What the file says of the network itself: bits and grids of every layer, placement, and that
/// its scales were learned. Model, costs and figures are the caller's.
ConfigDocument TunedDocument(const TunedNetwork& network, const LearnedQuantizerOptions& trained);

}  // namespace bitsearch
