// Presolve as a whole: build the reduction, then simplify it.
#include "search/exact/presolve.h"

#include "search/exact/reduction_builder.h"
#include "search/exact/reduction_simplifier.h"

namespace bitsearch {

std::vector<ChoiceIndex> ReducedProblem::Expand(const std::vector<std::uint32_t>& choice) const {
  std::vector<ChoiceIndex> result = fixed_choice;
  for (std::size_t d = 0; d < decisions.size(); ++d) {
    const ReducedDecision& decision = decisions[d];
    for (std::size_t i = 0; i < decision.layers.size(); ++i) {
      result[decision.layers[i].value] =
          ChoiceIndex(decision.original[choice[d] * decision.layers.size() + i]);
    }
  }
  return result;
}

ReducedProblem Presolve(const AssignmentProblem& problem, const PresolveOptions& options) {
  ReducedProblem reduced = BuildReduction(problem, options);
  if (reduced.infeasible) return reduced;
  SimplifyOptions simplify;
  simplify.keep_dominated = options.keep_dominated;
  for (ResourceIndex resource : options.traded) {
    simplify.traded_peaks |= problem.resources[resource.value].is_peak();
  }
  SimplifyReduction(simplify, &reduced);
  return reduced;
}

}  // namespace bitsearch
