#pragma once
// Search over the bits of a fixed network on anything that scores configurations in batches, within
// a budget, ties and transition costs included. Runs no network.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/problem_files.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// One score per configuration, higher is better. Deterministic and finite.
using ScoreConfigurations =
    std::function<std::vector<double>(const std::vector<std::vector<ChoiceIndex>>&)>;

struct ScoredConfiguration {
  std::vector<ChoiceIndex> choice;
  double score = 0.0;
};

/// Evolution from `starts` (those within the limits) and their mutations: each generation keeps the
/// best 64 and makes as many by uniform crossover, change of one or two units and random steps back
/// into the limits. No configuration is scored twice; at most `evaluations` are. All that were
/// scored, best first; empty where no start is within the limits. Deterministic for
/// (context.root_seed, `stream`).
std::vector<ScoredConfiguration> SearchByScore(const NamedProblem& named,
                                               const std::vector<std::vector<ChoiceIndex>>& starts,
                                               const ScoreConfigurations& score,
                                               std::int64_t evaluations, const std::string& stream,
                                               const RunContext& context);

}  // namespace bitsearch
