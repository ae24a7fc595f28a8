#pragma once
// Small random problems and an independent brute force, for every test of the search room.
// The brute force adds up configurations by itself, so that it can contradict Assess().

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "space/support/random.h"

namespace bitsearch {

/// What to put into a random problem.
struct RandomProblemShape {
  int layers_from = 2, layers_to = 8;
  int choices_from = 2, choices_to = 5;
  int limits = 1;
  bool ties = false;
  bool transitions = false;  ///< On a chain with skip edges, resources and loss.
  bool pairs = false;        ///< A few pair terms in the loss, both signs.
  bool all_pairs = false;    ///< A pair term for every two layers.
  bool cuts = false;         ///< A peak resource beside the others.
  bool pins = false;
  /// Small integers as losses and costs: many equal sums.
  bool coarse = false;
  bool negative_losses = false;
};

AssignmentProblem RandomProblem(const RandomProblemShape& shape, RandomStream& random);

/// The best configuration by trying all of them.
struct BruteForceAnswer {
  bool feasible = false;
  double objective = 0.0;
  std::vector<ChoiceIndex> choice;
};
BruteForceAnswer BruteForce(const AssignmentProblem& problem);

/// Every configuration that keeps ties, pins and limits: (loss, resources).
struct BruteForcePoint {
  double objective = 0.0;
  std::vector<std::int64_t> resources;
};
std::vector<BruteForcePoint> FeasiblePoints(const AssignmentProblem& problem);

/// The non-dominated points over the loss and `resources`, ascending. Losses that differ by less
/// than 1e-9 count as equal.
std::vector<BruteForcePoint> BruteForceFrontier(const AssignmentProblem& problem,
                                                const std::vector<std::size_t>& resources);

/// Text of a problem for failure messages.
std::string Describe(const AssignmentProblem& problem);

}  // namespace bitsearch
