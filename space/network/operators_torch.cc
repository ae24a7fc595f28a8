#include "space/network/operators_torch.h"

#include <map>

#include "space/network/operator_builders_torch.h"

namespace bitsearch {
namespace {

const std::map<std::string, PrepareFn>& Table() {
  static const std::map<std::string, PrepareFn> table = [] {
    std::map<std::string, PrepareFn> all;
    for (const OperatorSection& section :
         {ConvolutionOperators(), ElementwiseOperators(), LayoutOperators(),
          NormalizationOperators(), ReductionOperators()}) {
      all.insert(section.begin(), section.end());
    }
    return all;
  }();
  return table;
}

}  // namespace

OperatorFn PrepareOperator(const LayerGraph& graph, NodeIndex index) {
  const Node& node = graph.node(index);
  const auto entry = Table().find(node.op);
  if (entry == Table().end() || !(node.domain.empty() || node.domain == "ai.onnx")) {
    throw UnsupportedOperator(graph, node, "this operator cannot be executed");
  }
  return entry->second(graph, node);
}

std::vector<std::string> ExecutableOperators() {
  std::vector<std::string> names;
  for (const auto& [name, prepare] : Table()) names.push_back(name);
  return names;
}

}  // namespace bitsearch
