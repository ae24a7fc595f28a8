#pragma once
// Search by measurement, guided by predicted losses: additive scores rank configurations well only
// near the float network, so the last word is a measurement of whole configurations. Knows no
// network: whoever calls says how a configuration is measured.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// Measures one configuration; lower is better. Must be deterministic and finite.
using MeasureConfiguration = std::function<double(const std::vector<ChoiceIndex>&)>;

struct MeasuredSearchOptions {
  /// Configurations to measure, the starts included; at least 1.
  std::int64_t evaluations = 40;
  /// Distinguishes the random streams of several searches in one run.
  std::string stream;
};

/// One measured configuration.
struct RankedConfiguration {
  std::vector<ChoiceIndex> choice;
  double predicted = 0.0;  ///< Objective of the problem.
  double measured = 0.0;
};

/// Measures `starts` (infeasible and repeated ones are left out, the first ones count if there are
/// too many), then proposals, and returns all of them, best first; empty if no start is feasible.
///
/// A proposal is the exact optimum under losses drawn from what is believed after the measurements
/// so far (Thompson sampling, Russo et al. 2018): each layer's loss has a normal prior around its
/// prediction with a standard deviation of half of it, a measurement tells the sum over the chosen
/// losses with an error of a tenth, and a draw from the posterior comes by Matheron's rule. Pair
/// terms of the problem stay as they are. Deterministic given the context's seed.
/// Throws what `measure` and the solver throw; Error(kInterrupted).
std::vector<RankedConfiguration> SearchByMeasurement(
    const AssignmentProblem& problem, const std::vector<std::vector<ChoiceIndex>>& starts,
    const MeasureConfiguration& measure, const MeasuredSearchOptions& options,
    const RunContext& context);

}  // namespace bitsearch
