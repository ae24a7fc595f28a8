#include "search/supernet/architecture_space.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr BitChoice kSkip{NumberFormat::Skip(), NumberFormat::Skip()};

// Candidates of one layer taken apart.
struct Factors {
  bool joint = false;                  ///< Each weight format has one activation format.
  std::vector<BitChoice> weights;      ///< Or the pairs, if joint. Skip included.
  std::vector<BitChoice> activations;  ///< Empty if joint.
};

bool Contains(const std::vector<BitChoice>& list, BitChoice choice) {
  return std::find(list.begin(), list.end(), choice) != list.end();
}

Factors Factorise(const std::vector<BitChoice>& choices, const std::string& layer) {
  Factors factors;
  std::size_t pairs = 0;
  for (const BitChoice& choice : choices) {
    const BitChoice weight{choice.weight, NumberFormat::Skip()};
    if (!Contains(factors.weights, weight)) factors.weights.push_back(weight);
    if (choice == kSkip) continue;
    ++pairs;
    const BitChoice activation{NumberFormat::Skip(), choice.activation};
    if (!Contains(factors.activations, activation)) factors.activations.push_back(activation);
  }
  const std::size_t kept = factors.weights.size() - (Contains(choices, kSkip) ? 1 : 0);
  if (pairs == kept * factors.activations.size()) return factors;
  if (pairs == kept) return {true, choices, {}};
  throw Error(ErrorId::kUsage,
              "a supernet needs all combinations of weight and activation formats, or one "
              "activation format per weight format; got " +
                  std::to_string(choices.size()) + " candidates")
      .Key(layer)
      .Hint("give weight_bits and activation_bits as lists, or set equal_bits");
}

std::size_t Find(std::vector<std::size_t>& parent, std::size_t i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

void Join(std::vector<std::size_t>& parent, std::size_t a, std::size_t b) {
  a = Find(parent, a);
  b = Find(parent, b);
  if (a != b) parent[std::max(a, b)] = std::min(a, b);
}

}  // namespace

std::size_t ArchitectureSpace::widest() const {
  std::size_t most = 0;
  for (const ChoiceGroup& group : groups) most = std::max(most, group.candidates.size());
  return most;
}

BitConfig ArchitectureSpace::ConfigOf(const std::vector<std::size_t>& picks) const {
  BitConfig config;
  for (const LayerGroups& layer : layers) {
    const BitChoice& weight = groups[layer.weight].candidates[picks[layer.weight]];
    const BitChoice& activation = groups[layer.activation].candidates[picks[layer.activation]];
    const bool skipped = weight.weight == NumberFormat::Skip();
    config.choices.push_back(skipped ? kSkip : BitChoice{weight.weight, activation.activation});
  }
  return config;
}

std::optional<std::vector<std::size_t>> ArchitectureSpace::PicksOf(const BitConfig& config) const {
  if (config.choices.size() != layers.size()) return std::nullopt;
  std::vector<std::optional<std::size_t>> picks(groups.size());
  const auto pick = [&](std::size_t g, auto matches) {
    const auto& candidates = groups[g].candidates;
    const auto found = std::find_if(candidates.begin(), candidates.end(), matches);
    if (found == candidates.end()) return false;
    const auto index = static_cast<std::size_t>(found - candidates.begin());
    if (picks[g] && *picks[g] != index) return false;
    picks[g] = index;
    return true;
  };
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const BitChoice& choice = config.choices[l];
    const bool joint = layers[l].weight == layers[l].activation;
    if (!pick(layers[l].weight, [&](const BitChoice& c) {
          return joint ? c == choice : c.weight == choice.weight;
        })) {
      return std::nullopt;
    }
    // A skipped layer leaves its activation's group open.
    if (joint || choice == kSkip) continue;
    if (!pick(layers[l].activation,
              [&](const BitChoice& c) { return c.activation == choice.activation; })) {
      return std::nullopt;
    }
  }
  std::vector<std::size_t> result;
  for (const auto& index : picks) result.push_back(index.value_or(0));
  return result;
}

ArchitectureSpace BuildArchitectureSpace(const LayerGraph& graph,
                                         const std::vector<std::vector<BitChoice>>& choices,
                                         const std::vector<TieGroup>& ties, ChoiceScope scope) {
  const std::size_t count = graph.layers().size();
  if (choices.size() != count) {
    throw Error(ErrorId::kUsage, "candidates for " + std::to_string(choices.size()) +
                                     " layers, the network has " + std::to_string(count));
  }
  ArchitectureSpace space;
  // Only a whole, skippable block can be skipped.
  const std::vector<ResidualBlock> blocks = FindResidualBlocks(graph);
  std::vector<bool> may_skip(count, false);
  for (const ResidualBlock& block : blocks) {
    const bool all_want = std::all_of(block.layers.begin(), block.layers.end(), [&](LayerIndex l) {
      return Contains(choices[l.value], kSkip);
    });
    if (scope != ChoiceScope::kBlock || !block.skippable || !all_want) continue;
    for (const LayerIndex layer : block.layers) may_skip[layer.value] = true;
  }
  std::vector<Factors> factors;
  for (std::size_t l = 0; l < count; ++l) {
    std::vector<BitChoice> kept = choices[l];
    if (!may_skip[l] && std::erase(kept, kSkip) > 0) {
      space.dropped_skips.push_back(graph.layers()[l].id);
    }
    if (kept.empty()) {
      throw Error(ErrorId::kUsage, "the layer has no candidate").Key(graph.layers()[l].id);
    }
    factors.push_back(Factorise(kept, graph.layers()[l].id));
  }
  // Units 2l (weight) and 2l + 1 (activation) that must choose together.
  std::vector<std::size_t> parent(2 * count);
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  const auto join_layers = [&](const std::vector<LayerIndex>& layers, TieKind kind) {
    for (const LayerIndex layer : layers) {
      if (kind != TieKind::kActivation) Join(parent, 2 * layers[0].value, 2 * layer.value);
      if (kind != TieKind::kWeight) Join(parent, 2 * layers[0].value + 1, 2 * layer.value + 1);
    }
  };
  for (const TieGroup& tie : ties) join_layers(tie.layers, tie.kind);
  if (scope == ChoiceScope::kBlock) {
    for (const ResidualBlock& block : blocks) join_layers(block.layers, TieKind::kBoth);
  }
  for (std::size_t l = 0; l < count; ++l) {
    if (factors[l].joint) Join(parent, 2 * l, 2 * l + 1);
  }

  std::map<std::size_t, std::size_t> group_of_root;
  space.layers.resize(count);
  for (std::size_t unit = 0; unit < 2 * count; ++unit) {
    const std::size_t l = unit / 2;
    const bool is_weight = unit % 2 == 0;
    const std::size_t root = Find(parent, unit);
    const auto& offered =
        is_weight || factors[l].joint ? factors[l].weights : factors[l].activations;
    auto [entry, is_new] = group_of_root.try_emplace(root, space.groups.size());
    if (is_new) {
      ChoiceGroup group;
      group.kind = factors[l].joint ? ChoiceGroup::Kind::kBoth
                   : is_weight      ? ChoiceGroup::Kind::kWeight
                                    : ChoiceGroup::Kind::kActivation;
      group.name = graph.layers()[l].id;
      group.candidates = offered;
      space.groups.push_back(std::move(group));
    }
    ChoiceGroup& group = space.groups[entry->second];
    const bool joint = group.kind == ChoiceGroup::Kind::kBoth;
    if (joint != factors[l].joint) {
      throw Error(ErrorId::kUsage, "tied layers must all have equal_bits candidates, or none")
          .Key(graph.layers()[l].id);
    }
    std::erase_if(group.candidates, [&](const BitChoice& c) { return !Contains(offered, c); });
    if (group.candidates.empty()) {
      throw Error(ErrorId::kUsage, "layers that must share their bits have no candidate in common")
          .Key(group.name + ", " + graph.layers()[l].id);
    }
    if (group.layers.empty() || group.layers.back() != LayerIndex(l)) {
      group.layers.push_back(LayerIndex(l));
    }
    (is_weight ? space.layers[l].weight : space.layers[l].activation) = entry->second;
  }
  for (ChoiceGroup& group : space.groups) {
    for (std::size_t k = 0; k < group.candidates.size(); ++k) {
      if (group.kind != ChoiceGroup::Kind::kActivation &&
          group.candidates[k].weight == NumberFormat::Skip()) {
        group.skip = k;
      }
    }
  }
  for (const ResidualBlock& block : blocks) {
    const std::size_t g = space.layers[block.layers[0].value].weight;
    const bool whole = std::all_of(block.layers.begin(), block.layers.end(),
                                   [&](LayerIndex l) { return may_skip[l.value]; });
    if (whole && space.groups[g].skip) space.skippable_blocks.push_back({block, g});
  }
  return space;
}

}  // namespace bitsearch
