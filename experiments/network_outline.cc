// Operators of one input vanish: whoever reads them reads what they read.
#include "experiments/network_outline.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace bitsearch {

std::string NetworkOutlineJson(const LayerGraph& graph) {
  using Json = nlohmann::ordered_json;
  std::vector<std::optional<std::size_t>> layer_of(graph.nodes().size());
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    layer_of[graph.layers()[l].node.value] = l;
  }
  Json nodes = Json::array();
  std::set<std::pair<std::size_t, std::size_t>> edges;
  std::vector<std::optional<std::size_t>> drawn_as(graph.tensors().size());
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    std::set<std::size_t> sources;
    for (const std::optional<TensorIndex>& input : node.inputs) {
      if (input.has_value() && drawn_as[input->value].has_value()) {
        sources.insert(*drawn_as[input->value]);
      }
    }
    std::optional<std::size_t> drawn;
    if (layer_of[n].has_value() || sources.size() > 1) {
      drawn = nodes.size();
      nodes.push_back({{"name", node.id},
                       {"op", node.op},
                       {"layer", layer_of[n].has_value() ? Json(*layer_of[n]) : Json(nullptr)}});
      for (const std::size_t source : sources) edges.emplace(source, *drawn);
    } else if (!sources.empty()) {
      drawn = *sources.begin();
    }
    for (const TensorIndex output : node.outputs) drawn_as[output.value] = drawn;
  }
  Json pairs = Json::array();
  for (const auto& [from, to] : edges) pairs.push_back({from, to});
  return Json{{"format", "bitsearch/network/1"}, {"nodes", nodes}, {"edges", pairs}}.dump() + "\n";
}

}  // namespace bitsearch
