#pragma once
// Solutions and frontiers as JSON (bitsearch/solution/1, bitsearch/frontier/1) and as text for
// people. Resources are exact decimals in the unit of the files. No times: results are compared.

#include <iosfwd>
#include <string>
#include <vector>

#include "experiments/problem_files.h"
#include "search/frontier.h"
#include "search/solution.h"

namespace bitsearch {

/// Writes a solution of `named`.
void WriteSolutionJson(const NamedProblem& named, const Solution& solution, std::ostream& out);

/// How a frontier that is printed relates to the one computed.
struct FrontierOutput {
  std::vector<ResourceIndex> resources;  ///< In the order they were asked for.
  std::size_t computed_points = 0;       ///< Before noise and --max-points left points out.
  bool noise_aware = false;              ///< Points within one standard error were left out.
  bool thinned = false;                  ///< --max-points left points out.
};

/// Writes a frontier point by point, so that large ones need no second copy in memory.
void WriteFrontierJson(const NamedProblem& named, const Frontier& frontier,
                       const FrontierOutput& output, std::ostream& out);

/// Shadow prices and the cheapest runner-ups as lines for the log; none without an explanation.
std::vector<std::string> ExplanationLines(const NamedProblem& named, const Solution& solution);

/// Tables for a terminal.
void WriteSolutionText(const NamedProblem& named, const Solution& solution, std::ostream& out);
void WriteFrontierText(const NamedProblem& named, const Frontier& frontier,
                       const FrontierOutput& output, std::ostream& out);

}  // namespace bitsearch
