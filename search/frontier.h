#pragma once
// Frontier: the non-dominated (loss, resources) of an assignment problem, with the configuration of
// each point, exact or within a stated ε. Must not depend on files or formats.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "search/solution.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// One non-dominated point.
struct FrontierPoint {
  double objective = 0.0;
  /// In the order of the resources that the frontier was asked for.
  std::vector<std::int64_t> resources;
};

/// What the caller wants of a frontier.
struct FrontierOptions {
  /// The resources against which the loss is traded: at least one. Limits of all resources of the
  /// problem hold as well; each limited resource that is not listed costs a dimension of work.
  std::vector<ResourceIndex> resources;
  /// Guarantee to fall back to when the exact frontier has more than `max_points` partial points:
  /// for every true point a reported one is no worse in each resource and at most
  /// epsilon · (largest − smallest loss of the frontier) worse in loss. 0: always exact.
  double epsilon = 1e-4;
  /// Partial points at one layer from which on ε is used; with more than four times as many the
  /// guarantee is widened (and the wider one reported) rather than memory exhausted.
  std::int64_t max_points = 1'000'000;
  /// Past half of it fewer points are kept and the guarantee widens (not where epsilon is 0); only
  /// then is a result not reproducible.
  double time_limit_s = 1e300;

  bool IsValid(std::string* error) const;
};

/// The points of a frontier, ascending in the first resource, then in the second. Immutable; copies
/// share the configurations.
class Frontier {
 public:
  /// Decodes the configuration of a point; thread-safe.
  using Decoder = std::function<std::vector<ChoiceIndex>(std::size_t point)>;

  Frontier() = default;
  Frontier(std::vector<FrontierPoint> points, Decoder decoder, SolveStatus status, double epsilon);

  const std::vector<FrontierPoint>& points() const { return points_; }
  /// The configuration of a point, one choice per layer.
  std::vector<ChoiceIndex> Choice(std::size_t point) const { return decoder_(point); }
  /// kOptimal: every point there is (epsilon() == 0) or the ε-guarantee; kInfeasible: none exists;
  /// kInterrupted: stopped before the end, no points.
  SolveStatus status() const { return status_; }
  bool exact() const { return status_ == SolveStatus::kOptimal && epsilon_ == 0.0; }
  /// The guarantee that holds, relative to the range of the losses; 0: exact.
  double epsilon() const { return epsilon_; }
  /// Work done.
  std::int64_t labels = 0;
  std::string message;
  /// As in Solution; only if infeasible.
  std::vector<LimitConflict> conflicts;
  std::vector<FeasibleLimit> feasible_limits;

  /// The points at `indices` (ascending) as a frontier of their own; the guarantee is the caller's.
  Frontier Subset(std::vector<std::size_t> indices) const;

 private:
  std::vector<FrontierPoint> points_;
  Decoder decoder_;
  SolveStatus status_ = SolveStatus::kInterrupted;
  double epsilon_ = 0.0;
};

/// The non-dominated points of `problem`. Throws Error(kProblemInvalid), Error(kUsage) for invalid
/// options, Error(kSolverUnsupported) where the pair terms make the state of the network's cuts too
/// large for dynamic programming.
Frontier ComputeFrontier(const AssignmentProblem& problem, const FrontierOptions& options,
                         const RunContext& context);

/// Points that the noise of the losses can tell apart: walking up the first resource, a point stays
/// only if its loss is smaller than that of the last one kept by more than one standard error of
/// the difference (the layers in which they differ, independent). One-resource frontiers only;
/// `standard_error` is [layer][choice].
Frontier DistinguishablePoints(const Frontier& frontier,
                               const std::vector<std::vector<double>>& standard_error);

/// At most `max_points` points, spread evenly over the range of the losses on a logarithmic scale
/// where all are positive, ends included; among them those at the indices `always`, as far as there
/// is room.
Frontier ThinnedTo(const Frontier& frontier, std::size_t max_points,
                   const std::vector<std::size_t>& always = {});

}  // namespace bitsearch
