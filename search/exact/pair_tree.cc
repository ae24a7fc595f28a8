// Nodes are sets of choices still allowed.
#include "search/exact/pair_tree.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "search/evolution/configuration_state.h"

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Open nodes held at most.
constexpr std::size_t kMostOpen = 4'000'000;

}  // namespace

PairTree::PairTree(const ReducedProblem& problem, const PairwiseBound& bound,
                   std::function<double()> threshold, PairIncumbent* incumbent)
    : problem_(problem),
      bound_(bound),
      threshold_(std::move(threshold)),
      incumbent_(incumbent),
      bound_so_far_(-kInfinity) {
  for (const ReducedDecision& decision : problem.decisions) {
    offset_.push_back(total_);
    total_ += decision.count;
  }
  for (const ReducedPair& pair : problem.pairs) pair_costs_ |= !pair.cost.empty();
}

AllowedChoices PairTree::All(const ReducedProblem& problem) {
  std::size_t total = 0;
  for (const ReducedDecision& decision : problem.decisions) total += decision.count;
  return AllowedChoices(total, 1);
}

bool PairTree::Tighten(AllowedChoices* allowed, double* bound, std::vector<double>* through) const {
  for (int pass = 0; pass < 4; ++pass) {
    if (!DropUnaffordable(allowed)) return false;
    *bound = std::max(*bound, BoundOf(*allowed, through) - bound_.margin);
    const double threshold = threshold_();
    if (*bound > threshold || *bound == kInfinity) return false;
    bool dropped = false;
    for (std::size_t k = 0; k < total_; ++k) {
      if (!(*allowed)[k]) continue;
      if ((*through)[k] < kInfinity && (*through)[k] - bound_.margin <= threshold) continue;
      (*allowed)[k] = 0;
      dropped = true;
    }
    if (!dropped) return true;
  }
  return DropUnaffordable(allowed);
}

double PairTree::BoundOf(const AllowedChoices& allowed, std::vector<double>* through) const {
  const std::size_t layers = problem_.decisions.size();
  through->assign(total_, 0.0);
  double value = bound_.constant;
  for (std::size_t i = 0; i < layers; ++i) {
    double least = kInfinity;
    for (std::size_t c = 0; c < bound_.count[i]; ++c) {
      if (allowed[offset_[i] + c]) least = std::min(least, bound_.unary[i][c]);
    }
    value += least;
    for (std::size_t c = 0; c < bound_.count[i]; ++c) {
      (*through)[offset_[i] + c] += bound_.unary[i][c] - least;
    }
  }
  std::vector<double> rows;
  std::vector<double> columns;
  for (std::size_t i = 0; i < layers; ++i) {
    for (std::size_t j = i + 1; j < layers; ++j) {
      const std::vector<double>& matrix = bound_.pair[i * layers + j];
      if (matrix.empty()) continue;
      rows.assign(bound_.count[i], kInfinity);
      columns.assign(bound_.count[j], kInfinity);
      double least = kInfinity;
      for (std::size_t c = 0; c < bound_.count[i]; ++c) {
        if (!allowed[offset_[i] + c]) continue;
        for (std::size_t d = 0; d < bound_.count[j]; ++d) {
          if (!allowed[offset_[j] + d]) continue;
          const double entry = matrix[c * bound_.count[j] + d];
          rows[c] = std::min(rows[c], entry);
          columns[d] = std::min(columns[d], entry);
        }
        least = std::min(least, rows[c]);
      }
      if (least == kInfinity) return kInfinity;
      value += least;
      for (std::size_t c = 0; c < rows.size(); ++c) {
        (*through)[offset_[i] + c] += rows[c] - least;
      }
      for (std::size_t d = 0; d < columns.size(); ++d) {
        (*through)[offset_[j] + d] += columns[d] - least;
      }
    }
  }
  for (double& entry : *through) entry += value;
  return value;
}

/// Drops choices that no limit allows beside the least of the others; false if none is left.
bool PairTree::DropUnaffordable(AllowedChoices* allowed) const {
  const std::size_t layers = problem_.decisions.size();
  const std::size_t dims = problem_.dims();
  for (std::size_t i = 0; i < layers; ++i) {
    bool any = false;
    for (std::size_t c = 0; c < bound_.count[i]; ++c) any |= (*allowed)[offset_[i] + c] != 0;
    if (!any) return false;
  }
  for (std::size_t d = 0; d < dims; ++d) {
    std::int64_t least_total = pair_costs_ ? LeastPairCost(*allowed, d) : 0;
    std::vector<std::int64_t> least(layers, std::numeric_limits<std::int64_t>::max());
    for (std::size_t i = 0; i < layers; ++i) {
      for (std::size_t c = 0; c < bound_.count[i]; ++c) {
        if (!(*allowed)[offset_[i] + c]) continue;
        least[i] = std::min(least[i], problem_.decisions[i].cost[c * dims + d]);
      }
      least_total += least[i];
    }
    const std::int64_t capacity = problem_.dimensions[d].capacity;
    if (least_total > capacity) return false;
    for (std::size_t i = 0; i < layers; ++i) {
      for (std::size_t c = 0; c < bound_.count[i]; ++c) {
        if (problem_.decisions[i].cost[c * dims + d] - least[i] > capacity - least_total) {
          (*allowed)[offset_[i] + c] = 0;
        }
      }
    }
  }
  for (const ReducedCut& cut : problem_.cuts) {
    std::int64_t live = cut.base;
    for (const ReducedCutMember& member : cut.members) {
      std::int64_t least = std::numeric_limits<std::int64_t>::max();
      for (std::size_t c = 0; c < member.cost.size(); ++c) {
        if ((*allowed)[offset_[member.decision] + c]) least = std::min(least, member.cost[c]);
      }
      if (least == std::numeric_limits<std::int64_t>::max()) return false;
      live += least;
    }
    if (live > problem_.peaks[cut.peak].limit) return false;
  }
  return true;
}

std::int64_t PairTree::LeastPairCost(const AllowedChoices& allowed, std::size_t dim) const {
  const std::size_t dims = problem_.dims();
  std::int64_t total = 0;
  for (const ReducedPair& pair : problem_.pairs) {
    if (pair.cost.empty()) continue;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    const std::size_t columns = bound_.count[pair.second];
    for (std::size_t e = 0; e < pair.loss.size(); ++e) {
      if (!allowed[offset_[pair.first] + e / columns] ||
          !allowed[offset_[pair.second] + e % columns]) {
        continue;
      }
      least = std::min(least, pair.cost[e * dims + dim]);
    }
    total += least == std::numeric_limits<std::int64_t>::max() ? 0 : least;
  }
  return total;
}

void PairTree::Start(AllowedChoices allowed) {
  bound_so_far_ = -kInfinity;
  open_.clear();
  open_.push_back({bound_so_far_, ++numbered_, std::move(allowed)});
}

bool PairTree::Run(std::int64_t most_nodes, const std::function<bool()>& should_stop) {
  std::vector<double> through;
  const std::int64_t end = nodes_ + most_nodes;
  while (!open_.empty()) {
    bound_so_far_ = std::max(bound_so_far_, open_.front().bound);
    if (should_stop() || nodes_ >= end || open_.size() > kMostOpen) return false;
    std::pop_heap(open_.begin(), open_.end());
    Node node = std::move(open_.back());
    open_.pop_back();
    ++nodes_;
    if (!Tighten(&node.allowed, &node.bound, &through)) continue;
    const std::size_t at = ChooseDecision(node, through);
    if (at == problem_.decisions.size()) {
      Leaf(node.allowed);
      continue;
    }
    if (nodes_ % 64 == 1) Probe(node.allowed, through);
    for (std::size_t c = 0; c < bound_.count[at]; ++c) {
      if (!node.allowed[offset_[at] + c]) continue;
      Node child;
      child.bound = std::max(node.bound, through[offset_[at] + c] - bound_.margin);
      if (child.bound > threshold_()) continue;
      child.number = ++numbered_;
      child.allowed = node.allowed;
      for (std::size_t d = 0; d < bound_.count[at]; ++d) {
        if (d != c) child.allowed[offset_[at] + d] = 0;
      }
      open_.push_back(std::move(child));
      std::push_heap(open_.begin(), open_.end());
    }
  }
  return true;
}

/// The undecided decision whose choices differ most in bound; the number of decisions if none.
std::size_t PairTree::ChooseDecision(const Node& node, const std::vector<double>& through) const {
  std::size_t best = problem_.decisions.size();
  double best_score = -1.0;
  const double cap = std::max(node.bound, threshold_());
  for (std::size_t i = 0; i < problem_.decisions.size(); ++i) {
    double score = 0.0;
    std::size_t count = 0;
    for (std::size_t c = 0; c < bound_.count[i]; ++c) {
      if (!node.allowed[offset_[i] + c]) continue;
      ++count;
      score +=
          std::min(through[offset_[i] + c], incumbent_->found() ? cap : through[offset_[i] + c]) -
          node.bound;
    }
    if (count < 2) continue;
    score /= static_cast<double>(count);
    if (score > best_score) {
      best_score = score;
      best = i;
    }
  }
  return best;
}

void PairTree::Leaf(const AllowedChoices& allowed) {
  ConfigurationState state(problem_);
  std::vector<std::uint32_t> choice;
  for (std::size_t i = 0; i < problem_.decisions.size(); ++i) {
    for (std::size_t c = 0; c < bound_.count[i]; ++c) {
      if (allowed[offset_[i] + c]) choice.push_back(static_cast<std::uint32_t>(c));
    }
  }
  if (!choice.empty()) state.Assign(choice);
  incumbent_->Offer(state);
}

/// The configuration that a node's bounds suggest.
void PairTree::Probe(const AllowedChoices& allowed, const std::vector<double>& through) {
  std::vector<std::uint32_t> choice;
  for (std::size_t i = 0; i < problem_.decisions.size(); ++i) {
    std::size_t best = 0;
    double least = kInfinity;
    for (std::size_t c = 0; c < bound_.count[i]; ++c) {
      if (!allowed[offset_[i] + c] || through[offset_[i] + c] >= least) continue;
      least = through[offset_[i] + c];
      best = c;
    }
    choice.push_back(static_cast<std::uint32_t>(best));
  }
  incumbent_->OfferRepaired(choice);
}

}  // namespace bitsearch
