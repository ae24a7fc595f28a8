// Incremental evaluation of single moves.
#include "search/evolution/configuration_state.h"

#include <algorithm>
#include <cmath>

namespace bitsearch {

ConfigurationState::ConfigurationState(const ReducedProblem& problem)
    : problem_(problem),
      links_(problem.decisions.size()),
      cuts_(problem.decisions.size()),
      choice_(problem.decisions.size(), 0),
      cost_(problem.dims(), 0),
      live_(problem.cuts.size(), 0) {
  for (std::size_t i = 0; i < problem.pairs.size(); ++i) {
    links_[problem.pairs[i].first].push_back({i, problem.pairs[i].second, true});
    links_[problem.pairs[i].second].push_back({i, problem.pairs[i].first, false});
  }
  for (std::size_t i = 0; i < problem.cuts.size(); ++i) {
    for (std::size_t m = 0; m < problem.cuts[i].members.size(); ++m) {
      cuts_[problem.cuts[i].members[m].decision].push_back({i, m});
    }
  }
  for (std::size_t d = 0; d < problem.dims(); ++d) {
    double total = 1.0;
    for (const ReducedDecision& decision : problem.decisions) {
      std::int64_t largest = 0;
      for (std::size_t c = 0; c < decision.count; ++c) {
        largest = std::max(largest, decision.cost[c * problem.dims() + d]);
      }
      total += static_cast<double>(largest);
    }
    scale_.push_back(total);
  }
  Recompute();
}

std::size_t ConfigurationState::Entry(const Link& link, std::uint32_t own,
                                      std::uint32_t other) const {
  const std::size_t columns = problem_.decisions[problem_.pairs[link.pair].second].count;
  return link.first ? own * columns + other : other * columns + own;
}

double ConfigurationState::ExcessOf(std::size_t d, std::int64_t total) const {
  const std::int64_t capacity = problem_.dimensions[d].capacity;
  return total > capacity ? static_cast<double>(total - capacity) / scale_[d] : 0.0;
}

double ConfigurationState::CutExcess(std::size_t cut, std::int64_t live) const {
  const std::int64_t limit = problem_.peaks[problem_.cuts[cut].peak].limit;
  return live > limit ? static_cast<double>(live - limit) / (static_cast<double>(limit) + 1.0)
                      : 0.0;
}

void ConfigurationState::Assign(const std::vector<std::uint32_t>& choice) {
  choice_ = choice;
  Recompute();
}

void ConfigurationState::Recompute() {
  loss_ = 0;
  forbidden_ = 0;
  std::fill(cost_.begin(), cost_.end(), 0);
  const std::size_t dims = problem_.dims();
  for (std::size_t i = 0; i < choice_.size(); ++i) {
    loss_ += problem_.decisions[i].loss[choice_[i]];
    for (std::size_t d = 0; d < dims; ++d) {
      cost_[d] += problem_.decisions[i].cost[choice_[i] * dims + d];
    }
  }
  for (const ReducedPair& pair : problem_.pairs) {
    const std::size_t entry =
        choice_[pair.first] * problem_.decisions[pair.second].count + choice_[pair.second];
    loss_ += pair.loss[entry];
    if (!pair.forbidden.empty() && pair.forbidden[entry]) ++forbidden_;
    for (std::size_t d = 0; d < dims && !pair.cost.empty(); ++d) {
      cost_[d] += pair.cost[entry * dims + d];
    }
  }
  violation_ = static_cast<double>(forbidden_);
  for (std::size_t d = 0; d < dims; ++d) violation_ += ExcessOf(d, cost_[d]);
  for (std::size_t k = 0; k < live_.size(); ++k) {
    live_[k] = problem_.cuts[k].base;
    for (const ReducedCutMember& member : problem_.cuts[k].members) {
      live_[k] += member.cost[choice_[member.decision]];
    }
    violation_ += CutExcess(k, live_[k]);
  }
}

MoveEffect ConfigurationState::Effect(std::size_t decision, std::uint32_t to) const {
  const std::size_t dims = problem_.dims();
  const ReducedDecision& row = problem_.decisions[decision];
  const std::uint32_t from = choice_[decision];
  MoveEffect effect;
  effect.loss = row.loss[to] - row.loss[from];
  constexpr std::size_t kInline = 16;
  std::int64_t small[kInline];
  std::vector<std::int64_t> large;
  std::int64_t* change = small;
  if (dims > kInline) {
    large.resize(dims);
    change = large.data();
  }
  for (std::size_t d = 0; d < dims; ++d) {
    change[d] = row.cost[to * dims + d] - row.cost[from * dims + d];
  }
  std::int64_t forbidden = 0;
  for (const Link& link : links_[decision]) {
    const ReducedPair& pair = problem_.pairs[link.pair];
    const std::size_t old_entry = Entry(link, from, choice_[link.partner]);
    const std::size_t new_entry = Entry(link, to, choice_[link.partner]);
    effect.loss += pair.loss[new_entry] - pair.loss[old_entry];
    if (!pair.forbidden.empty()) {
      forbidden += static_cast<std::int64_t>(pair.forbidden[new_entry]) - pair.forbidden[old_entry];
    }
    for (std::size_t d = 0; d < dims && !pair.cost.empty(); ++d) {
      change[d] += pair.cost[new_entry * dims + d] - pair.cost[old_entry * dims + d];
    }
  }
  effect.violation = static_cast<double>(forbidden);
  for (std::size_t d = 0; d < dims; ++d) {
    effect.violation += ExcessOf(d, cost_[d] + change[d]) - ExcessOf(d, cost_[d]);
  }
  for (const CutLink& link : cuts_[decision]) {
    const std::vector<std::int64_t>& cost = problem_.cuts[link.cut].members[link.member].cost;
    effect.violation += CutExcess(link.cut, live_[link.cut] + cost[to] - cost[from]) -
                        CutExcess(link.cut, live_[link.cut]);
  }
  return effect;
}

void ConfigurationState::Apply(std::size_t decision, std::uint32_t to) {
  const std::size_t dims = problem_.dims();
  const ReducedDecision& row = problem_.decisions[decision];
  const std::uint32_t from = choice_[decision];
  loss_ += row.loss[to] - row.loss[from];
  for (std::size_t d = 0; d < dims; ++d) {
    cost_[d] += row.cost[to * dims + d] - row.cost[from * dims + d];
  }
  for (const Link& link : links_[decision]) {
    const ReducedPair& pair = problem_.pairs[link.pair];
    const std::size_t old_entry = Entry(link, from, choice_[link.partner]);
    const std::size_t new_entry = Entry(link, to, choice_[link.partner]);
    loss_ += pair.loss[new_entry] - pair.loss[old_entry];
    if (!pair.forbidden.empty()) {
      forbidden_ += static_cast<std::int64_t>(pair.forbidden[new_entry]) - pair.forbidden[old_entry];
    }
    for (std::size_t d = 0; d < dims && !pair.cost.empty(); ++d) {
      cost_[d] += pair.cost[new_entry * dims + d] - pair.cost[old_entry * dims + d];
    }
  }
  for (const CutLink& link : cuts_[decision]) {
    const std::vector<std::int64_t>& cost = problem_.cuts[link.cut].members[link.member].cost;
    live_[link.cut] += cost[to] - cost[from];
  }
  choice_[decision] = to;
  // From the integers, so that rounding never piles up.
  violation_ = static_cast<double>(forbidden_);
  for (std::size_t d = 0; d < dims; ++d) violation_ += ExcessOf(d, cost_[d]);
  for (std::size_t k = 0; k < live_.size(); ++k) violation_ += CutExcess(k, live_[k]);
}

std::vector<std::uint32_t> ConfigurationState::RandomChoice(RandomStream& random) const {
  std::vector<std::uint32_t> choice;
  for (const ReducedDecision& decision : problem_.decisions) {
    choice.push_back(static_cast<std::uint32_t>(random.Below(decision.count)));
  }
  return choice;
}

bool ConfigurationState::Repair() {
  while (!feasible()) {
    double best_rate = 0.0;
    std::size_t best_decision = 0;
    std::uint32_t best_choice = 0;
    bool any = false;
    for (std::size_t i = 0; i < choice_.size(); ++i) {
      for (std::uint32_t c = 0; c < problem_.decisions[i].count; ++c) {
        if (c == choice_[i]) continue;
        const MoveEffect effect = Effect(i, c);
        if (effect.violation >= -1e-15) continue;
        const double relief = std::min(violation_, -effect.violation);
        const double rate = static_cast<double>(effect.loss) / relief;
        if (!any || rate < best_rate) {
          any = true;
          best_rate = rate;
          best_decision = i;
          best_choice = c;
        }
      }
    }
    if (!any) return false;
    Apply(best_decision, best_choice);
  }
  return true;
}

void ConfigurationState::Improve() {
  while (true) {
    std::int64_t best = 0;
    std::size_t best_decision = 0;
    std::uint32_t best_choice = 0;
    for (std::size_t i = 0; i < choice_.size(); ++i) {
      for (std::uint32_t c = 0; c < problem_.decisions[i].count; ++c) {
        if (c == choice_[i]) continue;
        const MoveEffect effect = Effect(i, c);
        if (effect.loss >= best || violation_ + effect.violation > 1e-15) continue;
        best = effect.loss;
        best_decision = i;
        best_choice = c;
      }
    }
    if (best == 0) return;
    const std::uint32_t before = choice_[best_decision];
    Apply(best_decision, best_choice);
    if (!feasible()) {  // A violation below the rounding of doubles: integers decide.
      Apply(best_decision, before);
      return;
    }
  }
}

}  // namespace bitsearch
