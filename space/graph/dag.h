#pragma once
// A LayerGraph's nodes as a Boost.Graph DAG, for its algorithms. A header of its own: Boost.Graph
// costs 2.4 s of compile time in every file that sees it.

#include <boost/graph/adjacency_list.hpp>

#include "space/graph/layer_graph.h"

namespace bitsearch {

/// Vertex i is NodeIndex(i); an edge is labelled with the tensor that it carries.
using Dag = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS,
                                  boost::no_property, TensorIndex>;

/// One edge for each (output tensor, reading node).
Dag BuildDag(const LayerGraph& graph);

}  // namespace bitsearch
