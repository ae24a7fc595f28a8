#pragma once
// From learned distributions to configurations: argmax, samples, and the exact solver on the
// learned logits under the hard budget; costs are re-checked and repaired. Must not depend on
// LibTorch.

#include <cstdint>
#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "search/solution.h"
#include "search/supernet/architecture_space.h"
#include "space/choices/evaluator.h"
#include "space/support/run_context.h"

namespace bitsearch {

struct DecodeOptions {
  std::int64_t samples = 64;    ///< Drawn from the distributions.
  std::size_t keep = 5;         ///< Configurations returned at most.
  std::string solver = "auto";  ///< For the exact answer.
};

/// A configuration within all limits.
struct DecodedConfig {
  BitConfig config;
  std::vector<std::size_t> picks;  ///< Candidate of each group.
  double log_probability = 0.0;    ///< Σ over groups.
  std::vector<std::int64_t> resources;
  std::string origin;  ///< "exact", "argmax", "argmax repaired", "sample", "sample repaired".
};

struct DecodeResult {
  /// Distinct, most probable first; the exact answer leads. Empty if no configuration is feasible.
  std::vector<DecodedConfig> configs;
  /// The exact answer's status, bound and conflicts. Its objective is −log-probability.
  Solution exact;
  /// What the distributions alone prefer, feasible or not.
  BitConfig argmax;
  bool argmax_within_limits = false;
};

/// The assignment problem whose loss is −log p of each group's candidate (counted once a group),
/// with the costs, limits, ties and pins of `problem` and a tie for each group.
AssignmentProblem LogitProblem(const ArchitectureSpace& space,
                               const std::vector<std::vector<double>>& probabilities,
                               const std::vector<std::vector<BitChoice>>& choices,
                               const AssignmentProblem& problem);

/// Decodes. Deterministic for context.root_seed.
DecodeResult DecodeDistributions(const ArchitectureSpace& space,
                                 const std::vector<std::vector<double>>& probabilities,
                                 const std::vector<std::vector<BitChoice>>& choices,
                                 const AssignmentProblem& problem, const DecodeOptions& options,
                                 const RunContext& context);

/// Changes one group at a time, at the least loss of log-probability per unit of excess removed
/// (relative to the limits), until every limit is kept. Returns false if that gets stuck.
bool RepairPicks(const ArchitectureSpace& space,
                 const std::vector<std::vector<double>>& probabilities,
                 const std::vector<std::vector<BitChoice>>& choices,
                 const AssignmentProblem& problem, std::vector<std::size_t>& picks);

/// Evaluates all configurations; the index of the one with the least loss (the first of equals).
std::size_t BestByLoss(const std::vector<DecodedConfig>& configs, Evaluator& evaluator,
                       std::vector<Evaluation>* evaluations = nullptr);

}  // namespace bitsearch
