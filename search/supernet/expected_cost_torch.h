#pragma once
// The expected resources of a supernet as a differentiable function of its masks: Σ p_b q_c
// table[l][b][c] for each layer, bilinear terms for edges. Include only from torch targets.

#include <torch/torch.h>

#include <string>
#include <vector>

#include "search/assignment_problem.h"
#include "search/supernet/architecture_space.h"
#include "search/supernet/dnas.h"

namespace bitsearch {

/// Expected value of every resource of a problem. Tables are looked up, never interpolated at an
/// expected number of bits: real tables are not monotone.
class ExpectedCost {
 public:
  /// `problem` counts choices as `choices` lists them; its losses are not read.
  /// Throws Error(kUsage) if they do not fit together.
  ExpectedCost(const ArchitectureSpace& space, const std::vector<std::vector<BitChoice>>& choices,
               const AssignmentProblem& problem);

  /// Expected resources, [resources] float64, in the problem's unit. `masks`: [groups, widest].
  /// Additive resources are exact expectations (groups are independent); a peak is the largest
  /// expected cut.
  at::Tensor Expected(const at::Tensor& masks) const;

 private:
  struct Edge {
    std::int64_t first = 0;
    std::int64_t second = 0;
    std::size_t resource = 0;
    at::Tensor cost;  ///< [choices of first, choices of second], padded.
  };
  struct PeakResource {
    std::size_t resource = 0;
    at::Tensor cost;  ///< [cuts, layers · choices]
  };

  at::Tensor weight_entry_;      ///< [layers, choices]: index into the masks with a 1 appended.
  at::Tensor activation_entry_;  ///< The same.
  at::Tensor present_;           ///< [layers, choices]: 1 where the choice is a candidate.
  at::Tensor cost_;              ///< [resources, layers · choices] float64; 0 rows for peaks.
  at::Tensor fixed_;             ///< [resources]
  std::vector<Edge> edges_;
  std::vector<PeakResource> peaks_;
};

/// The terms of a search's loss, resolved to resource positions.
class SearchLoss {
 public:
  /// Throws Error(kUsage) for a resource that the problem does not have, or a hinge without limit.
  SearchLoss(const std::vector<SearchCostTerm>& terms, const AssignmentProblem& problem);

  /// cross_entropy · Π β(ln cost)^γ + Σ λ·cost/reference + Σ λ·max(0, cost/limit − 1).
  at::Tensor Total(const at::Tensor& cross_entropy, const at::Tensor& expected) const;

 private:
  struct Term {
    SearchCostTerm term;
    std::int64_t resource = 0;
    double scale = 1.0;  ///< Reference or limit.
  };
  std::vector<Term> terms_;
};

}  // namespace bitsearch
