#pragma once
// The lines of a result table beside ours: what a user would do without a search, at the same
// budget. Works on the numbers of a problem with losses and limits; runs no network.

#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/problem_files.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// One line: usually one configuration; "random" has many.
struct BaselineLine {
  std::string name;                               ///< One of BaselineNames().
  std::vector<std::vector<ChoiceIndex>> choices;  ///< Each within the limits. Empty: see `note`.
  std::string note;  ///< Why there is no configuration, or how it falls short of the definition.
};

/// The lines asked for, in order; "fp32" is left out (it is no choice of the problem).
///   uniform       the uniform candidate of least predicted loss within the limits
///   two_level     the largest uniform candidate within the limits, then layers in network order
///                 raised to the next larger one while the limits hold
///   first_last_8  the same with 8-bit weights in the first and the last layer
///   random        uniformly random choices, changed at random until the first limit is met
///   greedy        from the least loss, the change of least loss per saved resource, until within
///   parameters    from the most bits, the layer of the largest size loses bits, until within
///   blind         the solver on Σ 4^−bits instead of sensitivities
///   reversed      the solver on sensitivities of the layers in reversed rank
/// Deterministic for (`seed`, `stream`).
std::vector<BaselineLine> MakeBaselines(const NamedProblem& named, const BaselineSection& section,
                                        const std::string& solver, const std::string& stream,
                                        const RunContext& context);

}  // namespace bitsearch
