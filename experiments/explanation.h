#pragma once
// Why a budget's optimum is what it is, and how sure: shadow prices, the runner-up of each layer,
// and how often each choice stays when the losses are drawn anew within their standard errors.

#include <cstdint>
#include <string>

#include "experiments/problem_files.h"
#include "experiments/stability.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// JSON `bitsearch/explanation/1` for a problem with losses and limits:
/// `limits: [{resource, limit, used}]` (used: by the optimum), `objective`, `status`,
/// `shadow_prices`, `runner_ups` as in a solution, `redraws` (0 without standard errors) and
/// `votes: [[[weight, activation, count], …] per layer]`: what `redrawn` optima of the same problem
/// chose; most frequent first. Deterministic. Throws Error(kInterrupted).
std::string ExplanationJson(const NamedProblem& limited, const std::string& solver,
                            const std::string& name, const RedrawnOptima& redrawn,
                            const RunContext& context);

}  // namespace bitsearch
