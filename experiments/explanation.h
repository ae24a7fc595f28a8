#pragma once
// Why a budget's optimum is what it is, and how sure: shadow prices, the runner-up of each layer,
// and how often each choice stays when the losses are drawn anew within their standard errors.

#include <cstdint>
#include <string>

#include "experiments/problem_files.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Draws by which the stability of a choice is judged.
inline constexpr std::int64_t kRedraws = 100;

/// JSON `bitsearch/explanation/1` for a problem with losses and limits:
/// `limits: [{resource, limit, used}]` (used: by the optimum), `objective`, `status`,
/// `shadow_prices`, `runner_ups` as in a solution, `redraws` (0 without standard errors) and
/// `votes: [[[weight, activation, count], …] per layer]`: what the optima of problems chose whose
/// losses were drawn from normal distributions with the standard errors; most frequent first.
/// Each redraw is solved to a relative gap of 1e-3. Deterministic for (root seed, `name`).
/// Throws Error(kInterrupted).
std::string ExplanationJson(const NamedProblem& limited, const std::string& solver,
                            const std::string& name, const RunContext& context);

}  // namespace bitsearch
