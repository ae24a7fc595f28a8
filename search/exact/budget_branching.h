#pragma once
// BudgetBranching: branch and bound over independent levels under several limits. Where a few
// levels are large beside the budgets, one set of multipliers bounds all partial configurations
// badly; with the choice of such a level fixed, the relaxation of what is left is tight again.
// Knows graphs alone.

#include <cstdint>
#include <memory>
#include <vector>

#include "search/exact/label_pass.h"
#include "search/exact/label_search.h"
#include "search/exact/layered_graph.h"

namespace bitsearch {

/// A tree whose nodes allow some arcs of each level; best bound first. Each node is a LabelSearch
/// of small width. Anytime: it can be left and taken up again.
class BudgetBranching {
 public:
  /// `graph` must be separable. `capacity` and `settings`, those of the search as a whole, must
  /// outlive this.
  BudgetBranching(const LayeredGraph& graph, const std::vector<std::int64_t>& capacity,
                  const LabelSearchSettings& settings);

  /// Branches until the tree is exhausted, `work` (labels, and arcs priced) is spent, or the
  /// settings say stop. The state's incumbent improves in place.
  void Run(std::int64_t work, LabelPassState* state);

  /// Nothing is left that is better than the incumbent (by more than its slack).
  bool exhausted() const { return open_.empty(); }
  /// No configuration but the incumbent has a smaller loss than this, grid units.
  double bound() const;
  const SolveCounters& counters() const { return counters_; }

 private:
  /// Arcs that are allowed at each level.
  using Allowed = std::vector<std::vector<std::uint32_t>>;
  /// A subtree: what its parent allows, but only one arc at one level.
  struct Node {
    double bound = 0.0;
    std::int64_t number = 0;
    std::shared_ptr<const Allowed> allowed;
    std::size_t level = 0;
    std::uint32_t arc = 0;
    bool operator<(const Node& other) const {
      return bound != other.bound ? bound > other.bound : number > other.number;
    }
  };
  /// What is left of the problem at a node.
  struct Rest {
    LayeredGraph graph;
    std::vector<std::size_t> level;  ///< Of graph_, of each level of `graph`.
    std::vector<std::int64_t> room;
    std::int64_t base = 0;  ///< Loss of the levels with one arc.
  };

  void Solve(const Node& node);
  Rest RestOf(const Allowed& allowed) const;
  void Adopt(const Allowed& allowed, const Rest& rest, const LabelSearchResult& found);
  void Branch(Allowed allowed, const Rest& rest, const LabelSearchResult& found, double bound);
  void Close(double bound);
  double Threshold() const;

  LayeredGraph graph_;
  const std::vector<std::int64_t>& capacity_;
  const LabelSearchSettings& settings_;
  LabelPassState* state_ = nullptr;
  std::vector<Node> open_;  // a heap
  std::int64_t numbered_ = 0;
  std::int64_t work_ = 0;
  double closed_bound_;
  SolveCounters counters_;
};

}  // namespace bitsearch
