#pragma once
// PairTree: branch and bound under one pairwise bound. One pass over the pair blocks bounds a node
// and, at the same price, what it would be with any single choice fixed: choices that cannot pay go
// at once. Must not know where the bound comes from.

#include <cstdint>
#include <functional>
#include <vector>

#include "search/exact/pair_incumbent.h"
#include "search/exact/pairwise_bound.h"
#include "search/exact/presolve.h"

namespace bitsearch {

/// Which choices a subtree may use, all decisions' choices in a row.
using AllowedChoices = std::vector<std::uint8_t>;

class PairTree {
 public:
  /// Subtrees whose bound exceeds `threshold()` (scaled units) are not followed; it may fall as the
  /// incumbent improves. All arguments must outlive this.
  PairTree(const ReducedProblem& problem, const PairwiseBound& bound,
           std::function<double()> threshold, PairIncumbent* incumbent);

  /// Every choice of the problem.
  static AllowedChoices All(const ReducedProblem& problem);

  /// Drops from `allowed` what cannot pay; false if nothing is left. `bound` rises to the
  /// subtree's; `through` gets the bound with each single choice fixed.
  bool Tighten(AllowedChoices* allowed, double* bound, std::vector<double>* through) const;

  /// From now on `allowed` is explored.
  void Start(AllowedChoices allowed);
  /// Explores on, best bound first. True if nothing is left to explore; else bound() is a bound of
  /// what is.
  bool Run(std::int64_t most_nodes, const std::function<bool()>& should_stop);
  double bound() const { return bound_so_far_; }
  std::int64_t nodes() const { return nodes_; }

 private:
  struct Node {
    double bound = 0.0;  ///< Rounding taken off.
    std::int64_t number = 0;
    AllowedChoices allowed;
    bool operator<(const Node& other) const {
      return bound != other.bound ? bound > other.bound : number > other.number;
    }
  };

  double BoundOf(const AllowedChoices& allowed, std::vector<double>* through) const;
  bool DropUnaffordable(AllowedChoices* allowed) const;
  std::int64_t LeastPairCost(const AllowedChoices& allowed, std::size_t dim) const;
  std::size_t ChooseDecision(const Node& node, const std::vector<double>& through) const;
  void Leaf(const AllowedChoices& allowed);
  void Probe(const AllowedChoices& allowed, const std::vector<double>& through);

  const ReducedProblem& problem_;
  const PairwiseBound& bound_;
  std::function<double()> threshold_;
  PairIncumbent* incumbent_;
  std::vector<std::size_t> offset_;  // of each decision's first choice
  std::size_t total_ = 0;
  bool pair_costs_ = false;
  std::vector<Node> open_;  // a heap
  std::int64_t numbered_ = 0;
  double bound_so_far_;
  std::int64_t nodes_ = 0;
};

}  // namespace bitsearch
