// Descents by single and paired moves, restarted, annealed, and from a relaxation's marginals.
#include "search/exact/pair_incumbent.h"

#include <algorithm>
#include <utility>

#include "search/evolution/annealing.h"

namespace bitsearch {

PairIncumbent::PairIncumbent(const ReducedProblem& problem, std::uint64_t seed,
                             std::function<bool()> should_stop)
    : problem_(problem), seed_(seed), should_stop_(std::move(should_stop)) {}

void PairIncumbent::Offer(const ConfigurationState& state) {
  if (!state.feasible() || (found_ && state.loss() >= loss_)) return;
  found_ = true;
  loss_ = state.loss();
  choice_ = state.choice();
}

void PairIncumbent::OfferRepaired(const std::vector<std::uint32_t>& choice) {
  ConfigurationState state(problem_);
  state.Assign(choice);
  if (!state.Repair()) return;
  state.Improve();
  Offer(state);
}

void PairIncumbent::Descend(ConfigurationState* state) {
  if (!state->Repair()) return;
  state->Improve();
  Offer(*state);
  // Pairs of moves: leave a budget's edge along it.
  for (int round = 0; round < 20; ++round) {
    if (!ImproveByPairs(state)) return;
    state->Improve();
    Offer(*state);
  }
}

/// The first improving exchange of two decisions; true if one was made.
bool PairIncumbent::ImproveByPairs(ConfigurationState* state) {
  const std::size_t layers = problem_.decisions.size();
  for (std::size_t i = 0; i < layers; ++i) {
    const std::uint32_t before = state->choice()[i];
    for (std::uint32_t c = 0; c < problem_.decisions[i].count; ++c) {
      if (c == before) continue;
      const MoveEffect first = state->Effect(i, c);
      state->Apply(i, c);
      for (std::size_t j = 0; j < layers; ++j) {
        if (j == i) continue;
        for (std::uint32_t d = 0; d < problem_.decisions[j].count; ++d) {
          if (d == state->choice()[j]) continue;
          const MoveEffect second = state->Effect(j, d);
          if (first.loss + second.loss >= 0) continue;
          if (state->violation() + second.violation > 1e-15) continue;
          const std::uint32_t back = state->choice()[j];
          state->Apply(j, d);
          if (state->feasible()) return true;
          state->Apply(j, back);
        }
      }
      state->Apply(i, before);
    }
    if (should_stop_()) return false;
  }
  return false;
}

void PairIncumbent::LocalSearch(int starts) {
  if (problem_.decisions.empty()) return;
  RandomStream random(seed_, "search/pairs");
  ConfigurationState state(problem_);
  state.Assign(std::vector<std::uint32_t>(problem_.decisions.size(), 0));
  Offer(state);
  for (int n = 0; n < starts && !should_stop_(); ++n) {
    std::vector<std::uint32_t> choice;
    for (const ReducedDecision& decision : problem_.decisions) {
      const auto least = std::min_element(decision.loss.begin(), decision.loss.end());
      choice.push_back(static_cast<std::uint32_t>(least - decision.loss.begin()));
    }
    if (n > 0) choice = state.RandomChoice(random);
    // Half of the restarts perturb the best known configuration.
    if (n % 2 == 0 && n > 0 && found_) {
      choice = choice_;
      for (std::size_t k = 0; k < 1 + choice.size() / 6; ++k) {
        const std::size_t i = random.Below(choice.size());
        choice[i] = static_cast<std::uint32_t>(random.Below(problem_.decisions[i].count));
      }
    }
    state.Assign(choice);
    Descend(&state);
  }
}

void PairIncumbent::Anneal(int starts) {
  constexpr std::int64_t kSteps = 400'000;
  for (int n = 0; n < starts && !should_stop_(); ++n) {
    RandomStream random(seed_, "search/pairs/annealing", static_cast<std::uint64_t>(n));
    ConfigurationState state(problem_);
    if (found_) state.Assign(choice_);
    bitsearch::Anneal(
        kSteps, random, should_stop_, [this](const ConfigurationState& met) { Offer(met); },
        &state);
    if (!found_) continue;
    state.Assign(choice_);
    Descend(&state);
  }
}

void PairIncumbent::Round(const std::vector<std::vector<double>>& marginals) {
  RandomStream random(seed_, "search/pairs/rounding", rounds_++);
  ConfigurationState state(problem_);
  for (int n = 0; n < 20 && !should_stop_(); ++n) {
    std::vector<std::uint32_t> choice;
    for (const std::vector<double>& row : marginals) {
      auto pick = static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
      double left = n == 0 ? 0.0 : random.Uniform();
      for (std::size_t c = 0; c < row.size() && n > 0; ++c) {
        left -= std::max(0.0, row[c]);
        if (left > 0.0) continue;
        pick = c;
        break;
      }
      choice.push_back(static_cast<std::uint32_t>(pick));
    }
    state.Assign(choice);
    Descend(&state);
  }
}

}  // namespace bitsearch
