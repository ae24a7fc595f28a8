#pragma once
// Simulated annealing over configurations: a solver by itself, and the first guess of branch and
// bound. Must not know either.

#include <cstdint>
#include <functional>

#include "search/evolution/configuration_state.h"
#include "space/support/random.h"

namespace bitsearch {

/// Moves `state` for `steps` single and double moves under falling temperatures (Kirkpatrick et al.
/// 1983), from twice the size of a typical move down to 10⁻⁵ of it; violations cost a penalty.
/// `offer` is called after every accepted move. Ends early when `should_stop` says so.
void Anneal(std::int64_t steps, RandomStream& random, const std::function<bool()>& should_stop,
            const std::function<void(const ConfigurationState&)>& offer, ConfigurationState* state);

}  // namespace bitsearch
