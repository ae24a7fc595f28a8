// Shift to zero, drop what no limit allows or what another choice dominates, fold decisions with
// one choice left; repeated until nothing changes. Integers only, so every step is exact.
#include "search/exact/reduction_simplifier.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "search/exact/choice_removal.h"

namespace bitsearch {
namespace {

/// Pairwise comparison of choices is quadratic; larger lists only with cheap comparisons.
constexpr std::size_t kMostComparedChoices = 1024;

/// Works on a ReducedProblem in place until nothing changes.
class Simplifier {
 public:
  Simplifier(const SimplifyOptions& options, ReducedProblem* reduced)
      : options_(options), p_(*reduced), dims_(reduced->dims()) {}

  void Run() {
    for (bool changed = true; changed;) {
      ShiftToZero();
      if (p_.infeasible) return;
      keep_.clear();
      for (const ReducedDecision& decision : p_.decisions) keep_.emplace_back(decision.count, 1);
      IndexPairs();
      changed = DropUnaffordable();
      if (!options_.keep_dominated) changed |= DropDominated();
      if (changed) RemoveChoices(keep_, &p_);
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
    if (p_.dimensions[d].capacity != ReducedProblem::kUnlimited)
      p_.dimensions[d].capacity -= amount;
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
              side.pair.cost.empty()
                  ? 0
                  : side.pair.cost[new_entry * dims_ + d] - side.pair.cost[old_entry * dims_ + d];
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
      return !options_.traded_peaks && largest <= p_.peaks[cut.peak].limit;
    });
  }

  static constexpr std::size_t kGone = static_cast<std::size_t>(-1);

  const SimplifyOptions& options_;
  ReducedProblem& p_;
  std::size_t dims_;
  std::vector<std::vector<std::uint8_t>> keep_;
  std::vector<std::vector<std::size_t>> pairs_of_;
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> cuts_of_;
};

}  // namespace

void SimplifyReduction(const SimplifyOptions& options, ReducedProblem* reduced) {
  Simplifier(options, reduced).Run();
}

}  // namespace bitsearch
