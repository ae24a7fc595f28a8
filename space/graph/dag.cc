#include "space/graph/dag.h"

namespace bitsearch {

Dag BuildDag(const LayerGraph& graph) {
  Dag dag(graph.nodes().size());
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    for (const TensorIndex output : graph.nodes()[n].outputs) {
      for (const NodeIndex reader : graph.Consumers(output)) {
        boost::add_edge(n, reader.value, output, dag);
      }
    }
  }
  return dag;
}

}  // namespace bitsearch
