// The stages of presolve: build decisions from ties, then shift, tighten, drop dominated choices and
// fold single ones until nothing changes. Integers only, so every step is exact.
#include "search/exact/presolve.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace bitsearch {
namespace {

/// Tied layers become one decision up to so many joint choices; beyond, ties stay as pair terms.
constexpr std::size_t kMostJointChoices = 600;
/// Pairwise comparison of choices is quadratic; larger lists only with cheap comparisons.
constexpr std::size_t kMostComparedChoices = 1024;

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
    Simplify();
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
      pair.loss.assign(reduced_.decisions[key.first].count * reduced_.decisions[key.second].count, 0);
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
        const std::size_t at = OriginalOf(term.first.value, c) * columns +
                               OriginalOf(term.second.value, c);
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
      std::sort(positions.begin(), positions.end(), [&tie](std::size_t x, std::size_t y) {
        return tie.layers[x] < tie.layers[y];
      });
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

  void Simplify();

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

/// Works on a ReducedProblem in place until nothing changes.
class Simplifier {
 public:
  explicit Simplifier(ReducedProblem* reduced) : p_(*reduced), dims_(reduced->dims()) {}

  void Run() {
    for (bool changed = true; changed;) {
      ShiftToZero();
      if (p_.infeasible) return;
      keep_.clear();
      for (const ReducedDecision& decision : p_.decisions) keep_.emplace_back(decision.count, 1);
      IndexPairs();
      changed = DropUnaffordable();
      changed |= DropDominated();
      if (changed) Compact();
      if (p_.infeasible) return;
      changed |= FoldSingles();
    }
  }

 private:
  bool Forbidden(const ReducedPair& pair, std::size_t entry) const {
    return !pair.forbidden.empty() && pair.forbidden[entry] != 0;
  }

  /// Subtracts each row's smallest values, so that losses and costs are ≥ 0 and 0 is reached.
  void ShiftToZero() {
    for (ReducedDecision& decision : p_.decisions) {
      const std::int64_t least = *std::min_element(decision.loss.begin(), decision.loss.end());
      p_.loss_offset += least;
      for (std::int64_t& value : decision.loss) value -= least;
      for (std::size_t d = 0; d < dims_; ++d) {
        std::int64_t smallest = decision.cost[d];
        for (std::size_t c = 1; c < decision.count; ++c) {
          smallest = std::min(smallest, decision.cost[c * dims_ + d]);
        }
        for (std::size_t c = 0; c < decision.count; ++c) decision.cost[c * dims_ + d] -= smallest;
        MoveOffset(d, smallest);
      }
    }
    for (ReducedPair& pair : p_.pairs) ShiftPair(pair);
    for (const ReducedDimension& dimension : p_.dimensions) {
      if (dimension.capacity < 0) p_.infeasible = true;
    }
  }

  void ShiftPair(ReducedPair& pair) {
    std::optional<std::int64_t> least;
    for (std::size_t e = 0; e < pair.loss.size(); ++e) {
      if (!Forbidden(pair, e)) least = std::min(least.value_or(pair.loss[e]), pair.loss[e]);
    }
    if (!least) {
      p_.infeasible = true;
      return;
    }
    p_.loss_offset += *least;
    for (std::int64_t& value : pair.loss) value -= *least;
    if (pair.cost.empty()) return;
    for (std::size_t d = 0; d < dims_; ++d) {
      std::optional<std::int64_t> smallest;
      for (std::size_t e = 0; e < pair.loss.size(); ++e) {
        if (Forbidden(pair, e)) continue;
        const std::int64_t value = pair.cost[e * dims_ + d];
        smallest = std::min(smallest.value_or(value), value);
      }
      for (std::size_t e = 0; e < pair.loss.size(); ++e) pair.cost[e * dims_ + d] -= *smallest;
      MoveOffset(d, *smallest);
    }
  }

  void MoveOffset(std::size_t d, std::int64_t amount) {
    p_.dimensions[d].offset += amount;
    if (p_.dimensions[d].capacity != ReducedProblem::kUnlimited) p_.dimensions[d].capacity -= amount;
  }

  void IndexPairs() {
    pairs_of_.assign(p_.decisions.size(), {});
    cuts_of_.assign(p_.decisions.size(), {});
    for (std::size_t i = 0; i < p_.pairs.size(); ++i) {
      pairs_of_[p_.pairs[i].first].push_back(i);
      pairs_of_[p_.pairs[i].second].push_back(i);
    }
    for (std::size_t i = 0; i < p_.cuts.size(); ++i) {
      for (std::size_t m = 0; m < p_.cuts[i].members.size(); ++m) {
        cuts_of_[p_.cuts[i].members[m].decision].push_back({i, m});
      }
    }
  }

  /// A view of a pair's matrix from one of its decisions.
  struct Side {
    const ReducedPair& pair;
    bool is_first;
    std::size_t partner;
    std::size_t partner_count;
    std::size_t second_count;
    std::size_t Entry(std::size_t own, std::size_t other) const {
      return is_first ? own * second_count + other : other * second_count + own;
    }
  };
  Side SideOf(std::size_t pair_index, std::size_t decision) const {
    const ReducedPair& pair = p_.pairs[pair_index];
    const bool is_first = pair.first == decision;
    const std::size_t partner = is_first ? pair.second : pair.first;
    return {pair, is_first, partner, p_.decisions[partner].count, p_.decisions[pair.second].count};
  }

  bool DropUnaffordable() {
    bool changed = false;
    for (std::size_t d = 0; d < p_.decisions.size(); ++d) {
      for (std::size_t c = 0; c < p_.decisions[d].count; ++c) {
        if (Unaffordable(d, c)) {
          keep_[d][c] = 0;
          changed = true;
        }
      }
    }
    return changed;
  }

  /// Everything else costs at least 0 now: a choice that breaks a limit alone can go.
  bool Unaffordable(std::size_t decision, std::size_t c) const {
    for (const auto& [cut_index, member] : cuts_of_[decision]) {
      const ReducedCut& cut = p_.cuts[cut_index];
      if (cut.base + cut.members[member].cost[c] > p_.peaks[cut.peak].limit) return true;
    }
    const std::int64_t* own = p_.decisions[decision].cost.data() + c * dims_;
    for (std::size_t d = 0; d < dims_; ++d) {
      if (own[d] > p_.dimensions[d].capacity) return true;
    }
    if (pairs_of_[decision].empty()) return false;
    std::vector<std::int64_t> total(own, own + dims_);
    std::vector<std::int64_t> least(dims_);
    for (std::size_t index : pairs_of_[decision]) {
      const Side side = SideOf(index, decision);
      bool possible = false;
      std::fill(least.begin(), least.end(), std::numeric_limits<std::int64_t>::max());
      for (std::size_t x = 0; x < side.partner_count; ++x) {
        const std::size_t e = side.Entry(c, x);
        if (!keep_[side.partner][x] || Forbidden(side.pair, e)) continue;
        possible = true;
        for (std::size_t d = 0; d < dims_; ++d) {
          least[d] = std::min(least[d], side.pair.cost.empty() ? 0 : side.pair.cost[e * dims_ + d]);
        }
      }
      if (!possible) return true;
      for (std::size_t d = 0; d < dims_; ++d) total[d] += least[d];
    }
    for (std::size_t d = 0; d < dims_; ++d) {
      if (total[d] > p_.dimensions[d].capacity) return true;
    }
    return false;
  }

  bool DropDominated() {
    bool changed = false;
    for (std::size_t d = 0; d < p_.decisions.size(); ++d) {
      const ReducedDecision& decision = p_.decisions[d];
      if (decision.count > kMostComparedChoices && !pairs_of_[d].empty()) continue;
      for (std::size_t c = decision.count; c-- > 0;) {
        if (!keep_[d][c]) continue;
        for (std::size_t other = 0; other < decision.count; ++other) {
          if (other != c && keep_[d][other] && Dominates(d, other, c)) {
            keep_[d][c] = 0;
            changed = true;
            break;
          }
        }
      }
    }
    return changed;
  }

  /// Whether any configuration with choice `c` is no worse, in every respect, with `better` instead
  /// (dead-end elimination: Goldstein 1994).
  bool Dominates(std::size_t decision, std::size_t better, std::size_t c) const {
    const ReducedDecision& row = p_.decisions[decision];
    if (pairs_of_[decision].empty()) {
      if (row.loss[better] > row.loss[c]) return false;
      for (std::size_t d = 0; d < dims_; ++d) {
        if (row.cost[better * dims_ + d] > row.cost[c * dims_ + d]) return false;
      }
      return CutsNoWorse(decision, better, c);
    }
    if (!CutsNoWorse(decision, better, c)) return false;
    std::int64_t loss = row.loss[better] - row.loss[c];
    std::vector<std::int64_t> cost(dims_);
    for (std::size_t d = 0; d < dims_; ++d) {
      cost[d] = row.cost[better * dims_ + d] - row.cost[c * dims_ + d];
    }
    for (std::size_t index : pairs_of_[decision]) {
      const Side side = SideOf(index, decision);
      std::int64_t worst_loss = std::numeric_limits<std::int64_t>::min();
      std::vector<std::int64_t> worst(dims_, std::numeric_limits<std::int64_t>::min());
      for (std::size_t x = 0; x < side.partner_count; ++x) {
        const std::size_t old_entry = side.Entry(c, x);
        const std::size_t new_entry = side.Entry(better, x);
        if (!keep_[side.partner][x] || Forbidden(side.pair, old_entry)) continue;
        if (Forbidden(side.pair, new_entry)) return false;
        worst_loss = std::max(worst_loss, side.pair.loss[new_entry] - side.pair.loss[old_entry]);
        for (std::size_t d = 0; d < dims_; ++d) {
          const std::int64_t change =
              side.pair.cost.empty() ? 0
                                     : side.pair.cost[new_entry * dims_ + d] -
                                           side.pair.cost[old_entry * dims_ + d];
          worst[d] = std::max(worst[d], change);
        }
      }
      if (worst_loss == std::numeric_limits<std::int64_t>::min()) return true;
      loss += worst_loss;
      for (std::size_t d = 0; d < dims_; ++d) cost[d] += worst[d];
    }
    if (loss > 0) return false;
    return std::all_of(cost.begin(), cost.end(), [](std::int64_t value) { return value <= 0; });
  }

  bool CutsNoWorse(std::size_t decision, std::size_t better, std::size_t c) const {
    for (const auto& [cut, member] : cuts_of_[decision]) {
      const std::vector<std::int64_t>& cost = p_.cuts[cut].members[member].cost;
      if (cost[better] > cost[c]) return false;
    }
    return true;
  }

  /// Removes the choices that keep_ marks 0 from every table.
  void Compact() {
    for (std::size_t d = 0; d < keep_.size(); ++d) {
      if (std::count(keep_[d].begin(), keep_[d].end(), 1) == 0) p_.infeasible = true;
    }
    if (p_.infeasible) return;
    for (ReducedPair& pair : p_.pairs) {
      const std::vector<std::uint8_t>& rows = keep_[pair.first];
      const std::vector<std::uint8_t>& columns = keep_[pair.second];
      std::size_t to = 0;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::size_t j = 0; j < columns.size(); ++j) {
          if (!rows[i] || !columns[j]) continue;
          MoveEntry(pair, i * columns.size() + j, to++);
        }
      }
      pair.loss.resize(to);
      if (!pair.cost.empty()) pair.cost.resize(to * dims_);
      if (!pair.forbidden.empty()) pair.forbidden.resize(to);
    }
    for (ReducedCut& cut : p_.cuts) {
      for (ReducedCutMember& member : cut.members) {
        std::size_t to = 0;
        for (std::size_t c = 0; c < member.cost.size(); ++c) {
          if (keep_[member.decision][c]) member.cost[to++] = member.cost[c];
        }
        member.cost.resize(to);
      }
    }
    for (std::size_t d = 0; d < p_.decisions.size(); ++d) CompactDecision(p_.decisions[d], keep_[d]);
  }

  void MoveEntry(ReducedPair& pair, std::size_t from, std::size_t to) const {
    pair.loss[to] = pair.loss[from];
    if (!pair.cost.empty()) {
      for (std::size_t d = 0; d < dims_; ++d) {
        pair.cost[to * dims_ + d] = pair.cost[from * dims_ + d];
      }
    }
    if (!pair.forbidden.empty()) pair.forbidden[to] = pair.forbidden[from];
  }

  void CompactDecision(ReducedDecision& decision, const std::vector<std::uint8_t>& keep) const {
    const std::size_t width = decision.layers.size();
    std::size_t to = 0;
    for (std::size_t c = 0; c < decision.count; ++c) {
      if (!keep[c]) continue;
      decision.loss[to] = decision.loss[c];
      for (std::size_t d = 0; d < dims_; ++d) {
        decision.cost[to * dims_ + d] = decision.cost[c * dims_ + d];
      }
      for (std::size_t i = 0; i < width; ++i) {
        decision.original[to * width + i] = decision.original[c * width + i];
      }
      ++to;
    }
    decision.count = to;
    decision.loss.resize(to);
    decision.cost.resize(to * dims_);
    decision.original.resize(to * width);
  }

  /// Decisions with one choice left become constants; their pair terms move to the partner. True if
  /// a partner gained something, so that another round may pay.
  bool FoldSingles() {
    std::vector<std::size_t> renumbered(p_.decisions.size());
    std::size_t next = 0;
    bool any = false;
    for (std::size_t d = 0; d < p_.decisions.size(); ++d) {
      renumbered[d] = p_.decisions[d].count == 1 ? kGone : next++;
      any = any || renumbered[d] == kGone;
    }
    bool partner_changed = false;
    // Pairs that forbid nothing and add nothing go too.
    std::vector<ReducedPair> pairs;
    for (ReducedPair& pair : p_.pairs) {
      if (renumbered[pair.first] == kGone || renumbered[pair.second] == kGone) {
        FoldPair(pair, renumbered);
        partner_changed = true;
      } else if (Matters(pair)) {
        pair.first = renumbered[pair.first];
        pair.second = renumbered[pair.second];
        pairs.push_back(std::move(pair));
      }
    }
    p_.pairs = std::move(pairs);
    if (p_.infeasible) return false;
    FoldCuts(renumbered);
    if (!any) return false;
    std::vector<ReducedDecision> decisions;
    for (std::size_t d = 0; d < p_.decisions.size(); ++d) {
      ReducedDecision& decision = p_.decisions[d];
      if (renumbered[d] != kGone) {
        decisions.push_back(std::move(decision));
        continue;
      }
      p_.loss_offset += decision.loss[0];
      for (std::size_t k = 0; k < dims_; ++k) MoveOffset(k, decision.cost[k]);
      for (std::size_t i = 0; i < decision.layers.size(); ++i) {
        p_.fixed_choice[decision.layers[i].value] = ChoiceIndex(decision.original[i]);
      }
    }
    p_.decisions = std::move(decisions);
    return partner_changed;
  }

  bool Matters(const ReducedPair& pair) const {
    const auto nonzero = [](auto value) { return value != 0; };
    return std::any_of(pair.loss.begin(), pair.loss.end(), nonzero) ||
           std::any_of(pair.cost.begin(), pair.cost.end(), nonzero) ||
           std::any_of(pair.forbidden.begin(), pair.forbidden.end(), nonzero);
  }

  void FoldPair(const ReducedPair& pair, const std::vector<std::size_t>& renumbered) {
    // The surviving side, or the second one if both go, takes the entries.
    const bool into_second = renumbered[pair.first] == kGone;
    ReducedDecision& target = p_.decisions[into_second ? pair.second : pair.first];
    for (std::size_t c = 0; c < target.count; ++c) {
      // The other side has one choice, so the entry's number is the target's choice.
      target.loss[c] += pair.loss[c];
      for (std::size_t d = 0; d < dims_ && !pair.cost.empty(); ++d) {
        target.cost[c * dims_ + d] += pair.cost[c * dims_ + d];
      }
      // Forbidden combinations were dropped as unaffordable before.
      if (Forbidden(pair, c)) p_.infeasible = true;
    }
  }

  void FoldCuts(const std::vector<std::size_t>& renumbered) {
    for (ReducedCut& cut : p_.cuts) {
      std::vector<ReducedCutMember> members;
      for (ReducedCutMember& member : cut.members) {
        const bool constant =
            std::all_of(member.cost.begin(), member.cost.end(),
                        [&member](std::int64_t value) { return value == member.cost[0]; });
        if (renumbered[member.decision] == kGone || constant) {
          cut.base += member.cost[0];
          continue;
        }
        member.decision = renumbered[member.decision];
        members.push_back(std::move(member));
      }
      cut.members = std::move(members);
      if (cut.base > p_.peaks[cut.peak].limit) p_.infeasible = true;
    }
    // A cut that cannot break its limit matters only where the peak itself is traded.
    std::erase_if(p_.cuts, [this](const ReducedCut& cut) {
      if (p_.peaks[cut.peak].limit == ReducedProblem::kUnlimited) return false;
      std::int64_t largest = cut.base;
      for (const ReducedCutMember& member : cut.members) {
        largest += *std::max_element(member.cost.begin(), member.cost.end());
      }
      return !traded_peaks && largest <= p_.peaks[cut.peak].limit;
    });
  }

 public:
  /// Cuts are kept although no limit needs them.
  bool traded_peaks = false;

 private:
  static constexpr std::size_t kGone = static_cast<std::size_t>(-1);

  ReducedProblem& p_;
  std::size_t dims_;
  std::vector<std::vector<std::uint8_t>> keep_;
  std::vector<std::vector<std::size_t>> pairs_of_;
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> cuts_of_;
};

void Builder::Simplify() {
  Simplifier simplifier(&reduced_);
  for (ResourceIndex resource : options_.traded) {
    simplifier.traded_peaks |= problem_.resources[resource.value].is_peak();
  }
  simplifier.Run();
}

}  // namespace

std::vector<ChoiceIndex> ReducedProblem::Expand(const std::vector<std::uint32_t>& choice) const {
  std::vector<ChoiceIndex> result = fixed_choice;
  for (std::size_t d = 0; d < decisions.size(); ++d) {
    const ReducedDecision& decision = decisions[d];
    for (std::size_t i = 0; i < decision.layers.size(); ++i) {
      result[decision.layers[i].value] =
          ChoiceIndex(decision.original[choice[d] * decision.layers.size() + i]);
    }
  }
  return result;
}

ReducedProblem Presolve(const AssignmentProblem& problem, const PresolveOptions& options) {
  return Builder(problem, options).Run();
}

}  // namespace bitsearch
