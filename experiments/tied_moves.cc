#include "experiments/tied_moves.h"

#include <algorithm>
#include <numeric>

namespace bitsearch {

TiedMoves::TiedMoves(const NamedProblem& named) : named_(named) {
  std::vector<std::size_t> root(named.layers.size());
  std::iota(root.begin(), root.end(), std::size_t{0});
  const auto find = [&](std::size_t l) {
    while (root[l] != l) l = root[l];
    return l;
  };
  for (const Tie& tie : named.problem.ties) {
    for (const LayerIndex layer : tie.layers) {
      const std::size_t a = find(tie.layers.front().value);
      const std::size_t b = find(layer.value);
      root[std::max(a, b)] = std::min(a, b);
    }
  }
  for (std::size_t l = 0; l < root.size(); ++l) {
    if (find(l) != l) continue;
    TiedUnit unit;
    for (std::size_t m = l; m < root.size(); ++m) {
      if (find(m) == l) unit.layers.push_back(m);
    }
    for (const BitChoice& choice : named.choices[l]) {
      std::vector<std::size_t> option;
      for (const std::size_t m : unit.layers) {
        const auto& choices = named.choices[m];
        const auto found = std::find(choices.begin(), choices.end(), choice);
        if (found == choices.end()) break;
        option.push_back(static_cast<std::size_t>(found - choices.begin()));
      }
      if (option.size() == unit.layers.size()) unit.options.push_back(std::move(option));
    }
    units_.push_back(std::move(unit));
  }
  for (std::size_t r = 0; r < named.problem.resources.size(); ++r) {
    if (named.problem.resources[r].limit.has_value()) limited_.push_back(r);
  }
}

bool TiedMoves::usable() const {
  return !limited_.empty() && std::all_of(units_.begin(), units_.end(), [](const TiedUnit& unit) {
    return !unit.options.empty();
  });
}

void TiedMoves::Set(std::vector<ChoiceIndex>* config, std::size_t unit, std::size_t option) const {
  for (std::size_t i = 0; i < units_[unit].layers.size(); ++i) {
    (*config)[units_[unit].layers[i]] = ChoiceIndex(units_[unit].options[option][i]);
  }
}

double TiedMoves::Loss(std::size_t unit, std::size_t option) const {
  double loss = 0.0;
  for (std::size_t i = 0; i < units_[unit].layers.size(); ++i) {
    loss += named_.problem.loss[units_[unit].layers[i]][units_[unit].options[option][i]];
  }
  return loss;
}

std::int64_t TiedMoves::Cost(std::size_t resource, std::size_t unit, std::size_t option) const {
  std::int64_t cost = 0;
  for (std::size_t i = 0; i < units_[unit].layers.size(); ++i) {
    cost += named_.problem.resources[resource]
                .cost[units_[unit].layers[i]][units_[unit].options[option][i]];
  }
  return cost;
}

double TiedMoves::Excess(const std::vector<ChoiceIndex>& config) const {
  const Assessment assessment = named_.problem.Assess(config);
  double excess = 0.0;
  for (const std::size_t r : limited_) {
    const auto limit = static_cast<double>(*named_.problem.resources[r].limit);
    const auto value = static_cast<double>(assessment.resources[r]);
    if (value > limit) excess += (value - limit) / std::max(1.0, limit);
  }
  return excess;
}

std::size_t TiedMoves::OptionOf(const std::vector<ChoiceIndex>& config, std::size_t unit) const {
  const std::vector<std::vector<std::size_t>>& options = units_[unit].options;
  for (std::size_t o = 0; o < options.size(); ++o) {
    if (options[o].front() == config[units_[unit].layers.front()].value) return o;
  }
  return 0;
}

}  // namespace bitsearch
