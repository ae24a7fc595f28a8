#pragma once
// A network reduced to what a reader wants to see drawn: its quantizable layers and the operators
// that join several of them. Written as network.json (bitsearch/network/1).

#include <string>

#include "space/graph/layer_graph.h"

namespace bitsearch {

inline constexpr const char* kNetworkName = "network.json";

/// JSON: `nodes: [{name, op, layer}]` in topological order, `layer` an index among the quantizable
/// layers or null for a join; `edges: [[from, to]]`, indices of nodes, each once, ascending.
std::string NetworkOutlineJson(const LayerGraph& graph);

}  // namespace bitsearch
