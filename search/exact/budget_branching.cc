// Nodes by their bound; the level to branch on is one in doubt whose arcs differ most in cost.
#include "search/exact/budget_branching.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Labels at one level of one node's search.
constexpr std::int64_t kNodeWidth = 64;

/// What each arc of a level comes to when costs are charged.
struct Prices {
  std::vector<double> of_arc;
  std::size_t least = 0;
  double spread = 0.0;  ///< Largest difference in charged cost of an arc in doubt from the least.
};

Prices PricesOf(const LayeredLevel& level, const std::vector<double>& multipliers, double gap) {
  const std::size_t dims = multipliers.size();
  Prices prices;
  for (std::size_t a = 0; a < level.arcs.size(); ++a) {
    double price = static_cast<double>(level.arcs[a].loss);
    for (std::size_t d = 0; d < dims; ++d) {
      price += multipliers[d] * static_cast<double>(level.cost[a * dims + d]);
    }
    prices.of_arc.push_back(price);
    if (price < prices.of_arc[prices.least]) prices.least = a;
  }
  for (std::size_t a = 0; a < level.arcs.size(); ++a) {
    const double doubt = (prices.of_arc[a] - prices.of_arc[prices.least]) / gap;
    if (doubt >= 1.0) continue;
    double apart = 0.0;
    for (std::size_t d = 0; d < dims; ++d) {
      const std::int64_t more = level.cost[a * dims + d] - level.cost[prices.least * dims + d];
      apart += multipliers[d] * std::abs(static_cast<double>(more));
    }
    prices.spread = std::max(prices.spread, apart * (1.0 - doubt));
  }
  return prices;
}

}  // namespace

BudgetBranching::BudgetBranching(const LayeredGraph& graph,
                                 const std::vector<std::int64_t>& capacity,
                                 const LabelSearchSettings& settings)
    : graph_(graph), capacity_(capacity), settings_(settings), closed_bound_(kInfinity) {
  Allowed all;
  for (const LayeredLevel& level : graph_.levels) {
    all.emplace_back();
    for (std::uint32_t a = 0; a < level.arcs.size(); ++a) all.back().push_back(a);
  }
  // The root restricts no level.
  open_.push_back(
      {0.0, 0, std::make_shared<const Allowed>(std::move(all)), graph_.levels.size(), 0});
}

double BudgetBranching::Threshold() const {
  return static_cast<double>(state_->best_loss) - std::max(1.0, state_->slack(state_->best_loss));
}

double BudgetBranching::bound() const {
  return open_.empty() ? closed_bound_ : std::min(closed_bound_, open_.front().bound);
}

void BudgetBranching::Close(double bound) { closed_bound_ = std::min(closed_bound_, bound); }

void BudgetBranching::Run(std::int64_t work, LabelPassState* state) {
  state_ = state;
  const std::int64_t end = work_ + work;
  while (!open_.empty() && work_ < end && !settings_.should_stop()) {
    if (open_.front().bound > Threshold()) {
      Close(open_.front().bound);
      open_.clear();
      return;
    }
    std::pop_heap(open_.begin(), open_.end());
    const Node node = std::move(open_.back());
    open_.pop_back();
    Solve(node);
  }
}

BudgetBranching::Rest BudgetBranching::RestOf(const Allowed& allowed) const {
  const std::size_t dims = graph_.dims;
  Rest rest;
  rest.graph.dims = dims;
  rest.room = capacity_;
  for (std::size_t k = 0; k < allowed.size(); ++k) {
    const LayeredLevel& level = graph_.levels[k];
    if (allowed[k].size() == 1) {
      const std::size_t a = allowed[k].front();
      rest.base += level.arcs[a].loss;
      for (std::size_t d = 0; d < dims; ++d) {
        if (rest.room[d] != ReducedProblem::kUnlimited) rest.room[d] -= level.cost[a * dims + d];
      }
      continue;
    }
    LayeredLevel copy;
    copy.decision = level.decision;
    copy.state_count = 1;
    for (std::uint32_t a : allowed[k]) {
      copy.arcs.push_back(level.arcs[a]);
      const auto cost = level.cost.begin() + static_cast<std::ptrdiff_t>(a * dims);
      copy.cost.insert(copy.cost.end(), cost, cost + static_cast<std::ptrdiff_t>(dims));
    }
    rest.graph.levels.push_back(std::move(copy));
    rest.level.push_back(k);
  }
  return rest;
}

void BudgetBranching::Solve(const Node& node) {
  ++counters_.nodes;
  Allowed allowed = *node.allowed;
  if (node.level < allowed.size()) allowed[node.level] = {node.arc};
  const Rest rest = RestOf(allowed);
  // Only what is better by the slack is of interest below.
  LabelSearchSettings settings = settings_;
  const auto slack = static_cast<std::int64_t>(state_->slack(state_->best_loss));
  settings.cutoff = state_->best_loss - std::max<std::int64_t>(1, slack) + 1 - rest.base;
  settings.loss_offset += rest.base;
  settings.max_labels = std::min(settings.max_labels, kNodeWidth);
  settings.branch = false;
  settings.report = nullptr;
  const auto cutoff = static_cast<double>(settings.cutoff + rest.base);
  if (settings.cutoff <= 0 || *std::min_element(rest.room.begin(), rest.room.end()) < 0) {
    return Close(cutoff);
  }
  const LabelSearchResult found = LabelSearch(rest.graph, rest.room, settings);
  counters_.labels += found.counters.labels;
  counters_.dual_iterations += found.counters.dual_iterations;
  const auto arcs = static_cast<std::int64_t>(rest.graph.arc_count());
  work_ += found.counters.labels + found.counters.dual_iterations * arcs / 4 + 1;
  if (found.found) Adopt(allowed, rest, found);
  const double bound = std::max(node.bound, found.lower_bound + static_cast<double>(rest.base));
  // Proved: nothing below the cutoff, or the best below it is the incumbent now.
  if (found.proved) return Close(found.found ? bound : cutoff);
  if (bound > Threshold()) return Close(bound);
  Branch(std::move(allowed), rest, found, bound);
}

void BudgetBranching::Adopt(const Allowed& allowed, const Rest& rest,
                            const LabelSearchResult& found) {
  if (found.loss + rest.base >= state_->best_loss) return;
  state_->best_loss = found.loss + rest.base;
  state_->found = true;
  state_->by_level.clear();
  for (std::size_t k = 0; k < allowed.size(); ++k) {
    state_->by_level.push_back(graph_.levels[k].arcs[allowed[k].front()].choice);
  }
  for (std::size_t i = 0; i < rest.level.size(); ++i) {
    state_->by_level[rest.level[i]] = found.by_level[i];
  }
}

void BudgetBranching::Branch(Allowed allowed, const Rest& rest, const LabelSearchResult& found,
                             double bound) {
  const double gap = std::max(1.0, static_cast<double>(state_->best_loss) - bound);
  double relaxed = static_cast<double>(rest.base);
  std::size_t best = 0;
  Prices best_prices;
  for (std::size_t i = 0; i < rest.level.size(); ++i) {
    Prices prices = PricesOf(rest.graph.levels[i], found.multipliers, gap);
    relaxed += prices.of_arc[prices.least];
    if (i > 0 && prices.spread <= best_prices.spread) continue;
    best = i;
    best_prices = std::move(prices);
  }
  double credit = 0.0;
  for (std::size_t d = 0; d < graph_.dims; ++d) {
    if (found.multipliers[d] > 0.0) {
      credit += found.multipliers[d] * static_cast<double>(rest.room[d]);
    }
  }
  const double margin = static_cast<double>(graph_.levels.size() * (graph_.dims + 1) + 16) *
                        std::numeric_limits<double>::epsilon() * (std::abs(relaxed) + 2.0 * credit);
  // Below, only what the search of this node could not rule out.
  for (std::size_t i = 0; i < rest.level.size(); ++i) {
    std::vector<std::uint32_t>& arcs = allowed[rest.level[i]];
    const std::vector<LayeredArc>& all = graph_.levels[rest.level[i]].arcs;
    const std::vector<std::uint32_t>& kept = found.remaining[i];
    std::erase_if(arcs, [&](std::uint32_t a) {
      return std::find(kept.begin(), kept.end(), all[a].choice) == kept.end();
    });
  }
  const auto shared = std::make_shared<const Allowed>(std::move(allowed));
  const LayeredLevel& level = rest.graph.levels[best];
  for (std::uint32_t a : (*shared)[rest.level[best]]) {
    const std::uint32_t choice = graph_.levels[rest.level[best]].arcs[a].choice;
    std::size_t at = 0;
    while (level.arcs[at].choice != choice) ++at;
    const double doubt = best_prices.of_arc[at] - best_prices.of_arc[best_prices.least];
    const double child_bound = std::max(bound, relaxed - credit + doubt - margin);
    if (child_bound > Threshold()) {
      Close(child_bound);
      continue;
    }
    open_.push_back({child_bound, ++numbered_, shared, rest.level[best], a});
    std::push_heap(open_.begin(), open_.end());
  }
  // What was ruled out before is no better than the slack allows.
  Close(Threshold() + 1.0);
}

}  // namespace bitsearch
