// Layers joined by ties become one decision with joint choices; where those are too many, the ties
// stay as pair terms that forbid. Integers only, so every step is exact.
#include "search/exact/reduction_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace bitsearch {
namespace {

/// Tied layers become one decision up to so many joint choices; beyond, ties stay as pair terms.
constexpr std::size_t kMostJointChoices = 600;

class Builder {
 public:
  Builder(const AssignmentProblem& problem, const PresolveOptions& options)
      : problem_(problem), options_(options) {}

  ReducedProblem Run() {
    reduced_.fixed_choice.assign(problem_.layer_count(), ChoiceIndex(0));
    FindAllowed();
    if (!KeepTiesConsistent()) return std::move(reduced_);
    ChooseDimensions();
    ChooseGrid();
    if (!BuildDecisions()) return std::move(reduced_);
    BuildPairs();
    BuildCuts();
    return std::move(reduced_);
  }

 private:
  using Mask = std::vector<std::uint8_t>;

  void FindAllowed() {
    allowed_.resize(problem_.layer_count());
    for (std::size_t l = 0; l < allowed_.size(); ++l) {
      allowed_[l].assign(problem_.loss[l].size(), 1);
      if (!options_.allowed.empty()) allowed_[l] = options_.allowed[l];
      if (!problem_.pins.empty() && problem_.pins[l]) {
        const std::size_t pin = problem_.pins[l]->value;
        for (std::size_t c = 0; c < allowed_[l].size(); ++c) {
          if (c != pin) allowed_[l][c] = 0;
        }
      }
    }
  }

  /// Drops choices whose label some other member of the tie cannot take; false if a layer is left
  /// without any.
  bool KeepTiesConsistent() {
    for (bool changed = true; changed;) {
      changed = false;
      for (const Tie& tie : problem_.ties) changed |= Intersect(tie);
    }
    for (std::size_t l = 0; l < allowed_.size(); ++l) {
      if (std::count(allowed_[l].begin(), allowed_[l].end(), 0) ==
          static_cast<std::ptrdiff_t>(allowed_[l].size())) {
        reduced_.infeasible = true;
        reduced_.reason = fmt::format("ties and pins leave layer {} without a choice", l);
        return false;
      }
    }
    return true;
  }

  bool Intersect(const Tie& tie) {
    if (tie.layers.empty()) return false;
    std::map<int, std::size_t> members_with;
    for (std::size_t i = 0; i < tie.layers.size(); ++i) {
      std::vector<int> labels;
      const Mask& mask = allowed_[tie.layers[i].value];
      for (std::size_t c = 0; c < mask.size(); ++c) {
        if (mask[c]) labels.push_back(tie.label[i][c]);
      }
      std::sort(labels.begin(), labels.end());
      labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
      for (int label : labels) ++members_with[label];
    }
    bool changed = false;
    for (std::size_t i = 0; i < tie.layers.size(); ++i) {
      Mask& mask = allowed_[tie.layers[i].value];
      for (std::size_t c = 0; c < mask.size(); ++c) {
        if (mask[c] && members_with[tie.label[i][c]] != tie.layers.size()) {
          mask[c] = 0;
          changed = true;
        }
      }
    }
    return changed;
  }

  void ChooseDimensions() {
    for (std::size_t r = 0; r < problem_.resources.size(); ++r) {
      const Resource& resource = problem_.resources[r];
      const bool traded = std::find(options_.traded.begin(), options_.traded.end(),
                                    ResourceIndex(r)) != options_.traded.end();
      if (!traded && !resource.limit) continue;
      if (resource.is_peak()) {
        reduced_.peaks.push_back(
            {ResourceIndex(r), resource.limit.value_or(ReducedProblem::kUnlimited)});
      } else {
        ReducedDimension dimension;
        dimension.resource = ResourceIndex(r);
        dimension.offset = resource.fixed;
        dimension.capacity =
            resource.limit ? *resource.limit - resource.fixed : ReducedProblem::kUnlimited;
        reduced_.dimensions.push_back(dimension);
      }
    }
  }

  void ChooseGrid() {
    std::vector<std::vector<double>> kept(problem_.layer_count());
    std::vector<const std::vector<double>*> rows;
    for (std::size_t l = 0; l < kept.size(); ++l) {
      for (std::size_t c = 0; c < allowed_[l].size(); ++c) {
        if (allowed_[l][c]) kept[l].push_back(problem_.loss[l][c]);
      }
      rows.push_back(&kept[l]);
    }
    for (const PairTerm& pair : problem_.pairs) rows.push_back(&pair.loss);
    reduced_.grid = LossGrid::ForSumsOf(rows);
  }

  /// Layers joined by ties, each component one list, in order of its first layer.
  std::vector<std::vector<std::size_t>> TieComponents() const {
    std::vector<std::size_t> root(problem_.layer_count());
    std::iota(root.begin(), root.end(), std::size_t{0});
    const auto find = [&root](std::size_t l) {
      while (root[l] != l) l = root[l] = root[root[l]];
      return l;
    };
    for (const Tie& tie : problem_.ties) {
      for (std::size_t i = 1; i < tie.layers.size(); ++i) {
        const std::size_t a = find(tie.layers[0].value);
        const std::size_t b = find(tie.layers[i].value);
        root[std::max(a, b)] = std::min(a, b);
      }
    }
    std::vector<std::vector<std::size_t>> components(problem_.layer_count());
    for (std::size_t l = 0; l < root.size(); ++l) components[find(l)].push_back(l);
    std::erase_if(components, [](const auto& component) { return component.empty(); });
    return components;
  }

  bool BuildDecisions() {
    ties_of_.resize(problem_.layer_count());
    for (std::size_t t = 0; t < problem_.ties.size(); ++t) {
      const Tie& tie = problem_.ties[t];
      for (std::size_t i = 0; i < tie.layers.size(); ++i) {
        ties_of_[tie.layers[i].value].push_back({t, i});
      }
    }
    decision_of_.resize(problem_.layer_count());
    position_in_.resize(problem_.layer_count());
    for (const std::vector<std::size_t>& component : TieComponents()) {
      std::vector<std::uint16_t> joint;
      if (component.size() > 1 && JoinChoices(component, &joint)) {
        if (joint.empty()) {
          reduced_.infeasible = true;
          reduced_.reason =
              fmt::format("the ties of layer {} leave no common choice", component.front());
          return false;
        }
        AddDecision(component, std::move(joint));
        continue;
      }
      for (std::size_t layer : component) AddDecision({layer}, AllowedChoices(layer));
      if (component.size() > 1) kept_tie_components_.push_back(component);
    }
    return true;
  }

  std::vector<std::uint16_t> AllowedChoices(std::size_t layer) const {
    std::vector<std::uint16_t> choices;
    for (std::size_t c = 0; c < allowed_[layer].size(); ++c) {
      if (allowed_[layer][c]) choices.push_back(static_cast<std::uint16_t>(c));
    }
    return choices;
  }

  /// All joint choices of tied layers that keep the ties; false if there are too many.
  bool JoinChoices(const std::vector<std::size_t>& component, std::vector<std::uint16_t>* joint) {
    std::vector<std::vector<std::uint16_t>> rows(1);
    // Label that each tie has taken so far, alongside each row.
    std::vector<std::map<std::size_t, int>> labels(1);
    for (std::size_t layer : component) {
      std::vector<std::vector<std::uint16_t>> next_rows;
      std::vector<std::map<std::size_t, int>> next_labels;
      for (std::size_t row = 0; row < rows.size(); ++row) {
        for (std::uint16_t c : AllowedChoices(layer)) {
          std::map<std::size_t, int> taken = labels[row];
          bool fits = true;
          for (const auto& [tie, position] : ties_of_[layer]) {
            const int label = problem_.ties[tie].label[position][c];
            fits = fits && taken.try_emplace(tie, label).first->second == label;
          }
          if (!fits) continue;
          if (next_rows.size() >= kMostJointChoices) return false;
          next_rows.push_back(rows[row]);
          next_rows.back().push_back(c);
          next_labels.push_back(std::move(taken));
        }
      }
      rows = std::move(next_rows);
      labels = std::move(next_labels);
    }
    for (const auto& row : rows) joint->insert(joint->end(), row.begin(), row.end());
    return true;
  }

  void AddDecision(const std::vector<std::size_t>& layers, std::vector<std::uint16_t> original) {
    ReducedDecision decision;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      decision.layers.emplace_back(layers[i]);
      decision_of_[layers[i]] = reduced_.decisions.size();
      position_in_[layers[i]] = i;
    }
    decision.count = original.size() / layers.size();
    decision.original = std::move(original);
    const std::size_t dims = reduced_.dims();
    decision.loss.assign(decision.count, 0);
    decision.cost.assign(decision.count * dims, 0);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::size_t l = layers[i];
      std::vector<std::int64_t> units(problem_.loss[l].size());
      for (std::size_t c = 0; c < units.size(); ++c) {
        if (allowed_[l][c]) units[c] = reduced_.grid.ToGrid(problem_.loss[l][c]);
      }
      for (std::size_t c = 0; c < decision.count; ++c) {
        const std::size_t o = decision.original[c * layers.size() + i];
        decision.loss[c] += units[o];
        for (std::size_t d = 0; d < dims; ++d) {
          decision.cost[c * dims + d] +=
              problem_.resources[reduced_.dimensions[d].resource.value].cost[l][o];
        }
      }
    }
    reduced_.decisions.push_back(std::move(decision));
  }

  std::uint16_t OriginalOf(std::size_t layer, std::size_t decision_choice) const {
    const ReducedDecision& decision = reduced_.decisions[decision_of_[layer]];
    return decision.original[decision_choice * decision.layers.size() + position_in_[layer]];
  }

  ReducedPair& PairOf(std::size_t a, std::size_t b) {
    const auto key = std::minmax(a, b);
    const auto [it, inserted] = pair_at_.try_emplace(key, reduced_.pairs.size());
    if (inserted) {
      ReducedPair pair;
      pair.first = key.first;
      pair.second = key.second;
      pair.loss.assign(reduced_.decisions[key.first].count * reduced_.decisions[key.second].count,
                       0);
      reduced_.pairs.push_back(std::move(pair));
    }
    return reduced_.pairs[it->second];
  }

  void BuildPairs() {
    for (const PairTerm& term : problem_.pairs) AddTerm(term);
    for (const auto& component : kept_tie_components_) ForbidUntied(component);
  }

  void AddTerm(const PairTerm& term) {
    const std::size_t dims = reduced_.dims();
    const std::size_t columns = problem_.loss[term.second.value].size();
    std::vector<std::int64_t> loss(term.loss.size());
    for (std::size_t i = 0; i < loss.size(); ++i) loss[i] = reduced_.grid.ToGrid(term.loss[i]);
    std::vector<const std::vector<std::int64_t>*> cost(dims, nullptr);
    bool has_cost = false;
    // Several entries for one resource add up, as in Assess.
    std::vector<std::vector<std::int64_t>> summed(dims);
    for (const auto& [resource, values] : term.cost) {
      for (std::size_t d = 0; d < dims; ++d) {
        if (reduced_.dimensions[d].resource != resource) continue;
        if (summed[d].empty()) summed[d].assign(values.size(), 0);
        for (std::size_t i = 0; i < values.size(); ++i) summed[d][i] += values[i];
        cost[d] = &summed[d];
        has_cost = true;
      }
    }
    if (loss.empty() && !has_cost) return;
    const std::size_t a = decision_of_[term.first.value];
    const std::size_t b = decision_of_[term.second.value];
    if (a == b) {
      ReducedDecision& decision = reduced_.decisions[a];
      for (std::size_t c = 0; c < decision.count; ++c) {
        const std::size_t at =
            OriginalOf(term.first.value, c) * columns + OriginalOf(term.second.value, c);
        if (!loss.empty()) decision.loss[c] += loss[at];
        for (std::size_t d = 0; d < dims; ++d) {
          if (cost[d] != nullptr) decision.cost[c * dims + d] += (*cost[d])[at];
        }
      }
      return;
    }
    ReducedPair& pair = PairOf(a, b);
    if (has_cost && pair.cost.empty()) pair.cost.assign(pair.loss.size() * dims, 0);
    const std::size_t second_count = reduced_.decisions[pair.second].count;
    for (std::size_t i = 0; i < reduced_.decisions[pair.first].count; ++i) {
      for (std::size_t j = 0; j < second_count; ++j) {
        const std::size_t choice_a = pair.first == a ? i : j;
        const std::size_t choice_b = pair.first == a ? j : i;
        const std::size_t at = OriginalOf(term.first.value, choice_a) * columns +
                               OriginalOf(term.second.value, choice_b);
        const std::size_t entry = i * second_count + j;
        if (!loss.empty()) pair.loss[entry] += loss[at];
        for (std::size_t d = 0; d < dims; ++d) {
          if (cost[d] != nullptr) pair.cost[entry * dims + d] += (*cost[d])[at];
        }
      }
    }
  }

  /// Ties that were too many to join: neighbours in each tie may not differ in label.
  void ForbidUntied(const std::vector<std::size_t>& component) {
    for (const Tie& tie : problem_.ties) {
      if (tie.layers.empty() ||
          std::find(component.begin(), component.end(), tie.layers[0].value) == component.end()) {
        continue;
      }
      std::vector<std::size_t> positions(tie.layers.size());
      std::iota(positions.begin(), positions.end(), std::size_t{0});
      std::sort(positions.begin(), positions.end(),
                [&tie](std::size_t x, std::size_t y) { return tie.layers[x] < tie.layers[y]; });
      for (std::size_t p = 1; p < positions.size(); ++p) {
        const std::size_t x = positions[p - 1];
        const std::size_t y = positions[p];
        if (tie.layers[x] == tie.layers[y]) continue;
        ReducedPair& pair =
            PairOf(decision_of_[tie.layers[x].value], decision_of_[tie.layers[y].value]);
        if (pair.forbidden.empty()) pair.forbidden.assign(pair.loss.size(), 0);
        const bool straight = pair.first == decision_of_[tie.layers[x].value];
        const std::size_t second_count = reduced_.decisions[pair.second].count;
        for (std::size_t entry = 0; entry < pair.loss.size(); ++entry) {
          const std::size_t i = entry / second_count;
          const std::size_t j = entry % second_count;
          const std::size_t ox = OriginalOf(tie.layers[x].value, straight ? i : j);
          const std::size_t oy = OriginalOf(tie.layers[y].value, straight ? j : i);
          if (tie.label[x][ox] != tie.label[y][oy]) pair.forbidden[entry] = 1;
        }
      }
    }
  }

  void BuildCuts() {
    for (std::size_t p = 0; p < reduced_.peaks.size(); ++p) {
      for (const Cut& cut : problem_.resources[reduced_.peaks[p].resource.value].cuts) {
        ReducedCut reduced_cut;
        reduced_cut.peak = p;
        std::map<std::size_t, std::size_t> member_of;
        for (const CutMember& member : cut.members) {
          const std::size_t d = decision_of_[member.layer.value];
          const auto [it, inserted] = member_of.try_emplace(d, reduced_cut.members.size());
          const std::size_t count = reduced_.decisions[d].count;
          if (inserted) {
            reduced_cut.members.push_back({d, std::vector<std::int64_t>(count, 0)});
          }
          for (std::size_t c = 0; c < count; ++c) {
            reduced_cut.members[it->second].cost[c] +=
                member.cost[OriginalOf(member.layer.value, c)];
          }
        }
        reduced_.cuts.push_back(std::move(reduced_cut));
      }
    }
  }

  const AssignmentProblem& problem_;
  const PresolveOptions& options_;
  ReducedProblem reduced_;
  std::vector<Mask> allowed_;
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> ties_of_;
  std::vector<std::size_t> decision_of_;
  std::vector<std::size_t> position_in_;
  std::vector<std::vector<std::size_t>> kept_tie_components_;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> pair_at_;
};

}  // namespace

ReducedProblem BuildReduction(const AssignmentProblem& problem, const PresolveOptions& options) {
  return Builder(problem, options).Run();
}

}  // namespace bitsearch
