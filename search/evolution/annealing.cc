// One temperature per step; single moves and exchanges in turn.
#include "search/evolution/annealing.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace bitsearch {

void Anneal(std::int64_t steps, RandomStream& random, const std::function<bool()>& should_stop,
            const std::function<void(const ConfigurationState&)>& offer,
            ConfigurationState* state) {
  const std::vector<ReducedDecision>& decisions = state->problem().decisions;
  // Temperatures from the size of typical moves.
  double scale = 1.0;
  std::vector<std::size_t> movable;
  for (std::size_t l = 0; l < decisions.size(); ++l) {
    if (decisions[l].count > 1) movable.push_back(l);
  }
  if (movable.empty()) return;
  const auto random_move = [&](std::size_t* decision, std::uint32_t* to) {
    *decision = movable[random.Below(movable.size())];
    const std::size_t count = decisions[*decision].count;
    *to = static_cast<std::uint32_t>(random.Below(count - 1));
    if (*to >= state->choice()[*decision]) ++*to;
  };
  double total = 0.0;
  for (int n = 0; n < 200; ++n) {
    std::size_t decision = 0;
    std::uint32_t to = 0;
    random_move(&decision, &to);
    total += std::abs(static_cast<double>(state->Effect(decision, to).loss));
  }
  scale = std::max(1.0, total / 200.0);
  const double penalty = 50.0 * scale * static_cast<double>(movable.size());
  const double hot = 2.0 * scale;
  const double cold = 1e-5 * scale;
  const auto total_steps = static_cast<double>(steps);
  for (std::int64_t n = 0; n < steps; ++n) {
    if ((n & 1023) == 0 && should_stop()) return;
    const double temperature = hot * std::pow(cold / hot, static_cast<double>(n) / total_steps);
    const auto accept = [&](double change) {
      return change <= 0.0 || random.Uniform() < std::exp(-change / temperature);
    };
    std::size_t first = 0;
    std::uint32_t to = 0;
    random_move(&first, &to);
    const std::uint32_t first_from = state->choice()[first];
    const MoveEffect effect = state->Effect(first, to);
    double change = static_cast<double>(effect.loss) + penalty * effect.violation;
    if ((n & 1) == 0) {
      if (accept(change)) {
        state->Apply(first, to);
        offer(*state);
      }
      continue;
    }
    // Two at once: one goes up, another down, the budget stays.
    state->Apply(first, to);
    std::size_t second = 0;
    std::uint32_t second_to = 0;
    random_move(&second, &second_to);
    const MoveEffect other = state->Effect(second, second_to);
    change += static_cast<double>(other.loss) + penalty * other.violation;
    if (second != first && accept(change)) {
      state->Apply(second, second_to);
      offer(*state);
    } else {
      state->Apply(first, first_from);
    }
  }
}

}  // namespace bitsearch
