// Orders the decisions so that few are live at once, then enumerates states level by level.
// The state of a live decision is the class of its choice: choices that all later costs treat alike
// share a class, so a producer's state is its activation bits, not its weight bits.
#include "search/exact/layered_graph.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace bitsearch {
namespace {

/// Which decisions share a cost.
std::vector<std::vector<std::size_t>> Neighbours(const ReducedProblem& problem) {
  std::vector<std::set<std::size_t>> sets(problem.decisions.size());
  for (const ReducedPair& pair : problem.pairs) {
    sets[pair.first].insert(pair.second);
    sets[pair.second].insert(pair.first);
  }
  for (const ReducedCut& cut : problem.cuts) {
    for (const ReducedCutMember& a : cut.members) {
      for (const ReducedCutMember& b : cut.members) {
        if (a.decision != b.decision) sets[a.decision].insert(b.decision);
      }
    }
  }
  std::vector<std::vector<std::size_t>> result;
  for (const auto& set : sets) result.emplace_back(set.begin(), set.end());
  return result;
}

/// Number of classes a decision's choices fall into, whatever comes later.
std::vector<double> LogClassCounts(const ReducedProblem& problem) {
  std::vector<std::vector<std::vector<std::int64_t>>> rows(problem.decisions.size());
  for (std::size_t d = 0; d < rows.size(); ++d) rows[d].resize(problem.decisions[d].count);
  const std::size_t dims = problem.dims();
  for (const ReducedPair& pair : problem.pairs) {
    const std::size_t columns = problem.decisions[pair.second].count;
    for (std::size_t e = 0; e < pair.loss.size(); ++e) {
      for (std::vector<std::int64_t>* row :
           {&rows[pair.first][e / columns], &rows[pair.second][e % columns]}) {
        if (!pair.forbidden.empty() && pair.forbidden[e]) {
          row->push_back(-1);
          continue;
        }
        row->push_back(pair.loss[e]);
        for (std::size_t d = 0; d < dims && !pair.cost.empty(); ++d) {
          row->push_back(pair.cost[e * dims + d]);
        }
      }
    }
  }
  for (const ReducedCut& cut : problem.cuts) {
    for (const ReducedCutMember& member : cut.members) {
      for (std::size_t c = 0; c < member.cost.size(); ++c) {
        rows[member.decision][c].push_back(member.cost[c]);
      }
    }
  }
  std::vector<double> result;
  for (const auto& of_decision : rows) {
    const std::set<std::vector<std::int64_t>> distinct(of_decision.begin(), of_decision.end());
    result.push_back(std::log2(static_cast<double>(std::max<std::size_t>(1, distinct.size()))));
  }
  return result;
}

/// Sum over levels of 2^(log size of the state before it) · choices: about the number of arcs.
double CostOfOrder(const ReducedProblem& problem, const std::vector<std::size_t>& order,
                   const std::vector<std::vector<std::size_t>>& neighbours,
                   const std::vector<double>& log_classes) {
  std::vector<std::size_t> open(order.size());
  for (std::size_t d = 0; d < order.size(); ++d) open[d] = neighbours[d].size();
  std::vector<std::uint8_t> live(order.size(), 0);
  double width = 0.0;
  double cost = 0.0;
  for (std::size_t d : order) {
    cost += std::exp2(width) * static_cast<double>(problem.decisions[d].count);
    for (std::size_t n : neighbours[d]) {
      if (--open[n] == 0 && live[n]) {
        live[n] = 0;
        width -= log_classes[n];
      }
    }
    if (open[d] > 0) {
      live[d] = 1;
      width += log_classes[d];
    }
  }
  return cost;
}

/// At each step the decision after which the state is smallest; the earliest among equals.
std::vector<std::size_t> GreedyOrder(const std::vector<std::vector<std::size_t>>& neighbours,
                                     const std::vector<double>& log_classes) {
  const std::size_t count = neighbours.size();
  std::vector<std::size_t> open(count);
  for (std::size_t d = 0; d < count; ++d) open[d] = neighbours[d].size();
  std::vector<std::uint8_t> done(count, 0);
  std::vector<std::size_t> order;
  std::set<std::size_t> touched;  // undecided neighbours of live decisions
  std::size_t first_undone = 0;
  while (order.size() < count) {
    while (first_undone < count && done[first_undone]) ++first_undone;
    std::vector<std::size_t> candidates(touched.begin(), touched.end());
    if (candidates.empty()) candidates.push_back(first_undone);
    std::size_t best = candidates.front();
    double best_growth = 1e300;
    for (std::size_t d : candidates) {
      double growth = 0.0;
      std::size_t undecided = 0;
      for (std::size_t n : neighbours[d]) {
        if (!done[n]) {
          ++undecided;
        } else if (open[n] == 1) {
          growth -= log_classes[n];
        }
      }
      if (undecided > 0) growth += log_classes[d];
      if (growth < best_growth - 1e-12) {
        best_growth = growth;
        best = d;
      }
    }
    done[best] = 1;
    touched.erase(best);
    order.push_back(best);
    for (std::size_t n : neighbours[best]) {
      --open[n];
      if (!done[n]) touched.insert(n);
    }
  }
  return order;
}

std::int64_t RangeOfFirstCost(const ReducedDecision& decision, std::size_t dims) {
  std::int64_t largest = 0;
  for (std::size_t c = 0; c < decision.count && dims > 0; ++c) {
    largest = std::max(largest, decision.cost[c * dims]);
  }
  return largest;
}

/// The order of the levels; `expected_arcs` gets about the number of arcs (an upper bound but for
/// classes that merge as neighbours pass).
std::vector<std::size_t> ChooseOrder(const ReducedProblem& problem, LevelOrder order,
                                     const std::vector<std::vector<std::size_t>>& neighbours,
                                     double* expected_arcs) {
  std::vector<std::size_t> natural(problem.decisions.size());
  std::iota(natural.begin(), natural.end(), std::size_t{0});
  *expected_arcs = 0.0;
  if (problem.separable()) {
    if (order == LevelOrder::kAscendingCost) {
      std::vector<std::int64_t> range;
      for (const ReducedDecision& decision : problem.decisions) {
        range.push_back(RangeOfFirstCost(decision, problem.dims()));
      }
      std::stable_sort(natural.begin(), natural.end(),
                       [&range](std::size_t a, std::size_t b) { return range[a] < range[b]; });
    }
    return natural;
  }
  const std::vector<double> log_classes = LogClassCounts(problem);
  std::vector<std::size_t> greedy = GreedyOrder(neighbours, log_classes);
  const double greedy_cost = CostOfOrder(problem, greedy, neighbours, log_classes);
  const double natural_cost = CostOfOrder(problem, natural, neighbours, log_classes);
  *expected_arcs = std::min(greedy_cost, natural_cost);
  return greedy_cost < natural_cost ? greedy : natural;
}

class GraphBuilder {
 public:
  GraphBuilder(const ReducedProblem& problem, std::vector<std::size_t> order,
               const std::vector<std::vector<std::size_t>>& neighbours, LayeredGraph* graph)
      : problem_(problem), order_(std::move(order)), graph_(*graph) {
    level_of_.resize(order_.size());
    for (std::size_t k = 0; k < order_.size(); ++k) level_of_[order_[k]] = k;
    // A decision is live until its last neighbour is decided.
    last_use_.resize(order_.size());
    for (std::size_t d = 0; d < order_.size(); ++d) {
      last_use_[d] = level_of_[d];
      for (std::size_t n : neighbours[d]) last_use_[d] = std::max(last_use_[d], level_of_[n]);
    }
    pairs_at_.resize(order_.size());
    for (std::size_t i = 0; i < problem_.pairs.size(); ++i) {
      const ReducedPair& pair = problem_.pairs[i];
      pairs_at_[std::max(level_of_[pair.first], level_of_[pair.second])].push_back(i);
    }
    cuts_at_.resize(order_.size());
    for (std::size_t i = 0; i < problem_.cuts.size(); ++i) {
      std::size_t last = 0;
      for (const ReducedCutMember& member : problem_.cuts[i].members) {
        last = std::max(last, level_of_[member.decision]);
      }
      if (!cuts_at_.empty()) cuts_at_[last].push_back(i);
    }
  }

  bool Build(std::size_t max_arcs) {
    graph_.dims = problem_.dims();
    graph_.peaks = problem_.peaks.size();
    graph_.levels.clear();
    // A state is the representative choice of each live decision, in `live` order.
    std::vector<std::size_t> live;
    std::vector<std::vector<std::uint32_t>> states(1);
    std::size_t arcs = 0;
    for (std::size_t k = 0; k < order_.size(); ++k) {
      std::vector<std::size_t> next_live;
      for (std::size_t d : live) {
        if (last_use_[d] > k) next_live.push_back(d);
      }
      if (last_use_[order_[k]] > k) next_live.push_back(order_[k]);
      if (!AddLevel(k, live, next_live, &states, max_arcs - arcs)) return false;
      arcs += graph_.levels.back().arcs.size();
      live = std::move(next_live);
    }
    return true;
  }

 private:
  /// For each choice the smallest choice that all costs after level k treat alike.
  std::vector<std::uint32_t> Representatives(std::size_t decision, std::size_t k) const {
    const std::size_t count = problem_.decisions[decision].count;
    std::vector<std::vector<std::int64_t>> rows(count);
    const std::size_t dims = problem_.dims();
    for (std::size_t later = k + 1; later <= last_use_[decision]; ++later) {
      for (std::size_t index : pairs_at_[later]) {
        const ReducedPair& pair = problem_.pairs[index];
        if (pair.first != decision && pair.second != decision) continue;
        const std::size_t columns = problem_.decisions[pair.second].count;
        for (std::size_t e = 0; e < pair.loss.size(); ++e) {
          std::vector<std::int64_t>& row = rows[pair.first == decision ? e / columns : e % columns];
          if (!pair.forbidden.empty() && pair.forbidden[e]) {
            row.push_back(-1);
            for (std::size_t d = 0; d < dims && !pair.cost.empty(); ++d) row.push_back(0);
            continue;
          }
          row.push_back(pair.loss[e]);
          for (std::size_t d = 0; d < dims && !pair.cost.empty(); ++d) {
            row.push_back(pair.cost[e * dims + d]);
          }
        }
      }
      for (std::size_t index : cuts_at_[later]) {
        for (const ReducedCutMember& member : problem_.cuts[index].members) {
          if (member.decision != decision) continue;
          for (std::size_t c = 0; c < count; ++c) rows[c].push_back(member.cost[c]);
        }
      }
    }
    std::map<std::vector<std::int64_t>, std::uint32_t> first_with;
    std::vector<std::uint32_t> result(count);
    for (std::size_t c = 0; c < count; ++c) {
      result[c] = first_with.try_emplace(rows[c], static_cast<std::uint32_t>(c)).first->second;
    }
    return result;
  }

  bool AddLevel(std::size_t k, const std::vector<std::size_t>& live,
                const std::vector<std::size_t>& next_live,
                std::vector<std::vector<std::uint32_t>>* states, std::size_t max_arcs) {
    const std::size_t decision = order_[k];
    const ReducedDecision& row = problem_.decisions[decision];
    std::vector<std::vector<std::uint32_t>> representatives;
    for (std::size_t d : next_live) representatives.push_back(Representatives(d, k));
    std::map<std::size_t, std::size_t> position;
    for (std::size_t i = 0; i < live.size(); ++i) position[live[i]] = i;

    const std::size_t dims = graph_.dims;
    const std::size_t peaks = graph_.peaks;
    struct Draft {
      LayeredArc arc;
      std::size_t at;
    };
    std::vector<Draft> drafts;
    std::vector<std::int64_t> costs;
    std::vector<std::int64_t> arc_peaks;
    std::map<std::vector<std::uint32_t>, std::uint32_t> state_of;
    std::vector<std::vector<std::uint32_t>> next_states;
    std::vector<std::int64_t> cost(dims);
    std::vector<std::int64_t> peak(peaks);
    for (std::size_t s = 0; s < states->size(); ++s) {
      const std::vector<std::uint32_t>& state = (*states)[s];
      const auto choice_of = [&](std::size_t d, std::size_t own) {
        return d == decision ? own : state[position.at(d)];
      };
      for (std::size_t c = 0; c < row.count; ++c) {
        std::int64_t loss = row.loss[c];
        for (std::size_t d = 0; d < dims; ++d) cost[d] = row.cost[c * dims + d];
        if (!AddPairs(k, choice_of, c, &loss, &cost) || !AddCuts(k, choice_of, c, &peak)) continue;
        if (drafts.size() >= max_arcs) return false;
        std::vector<std::uint32_t> next(next_live.size());
        for (std::size_t i = 0; i < next.size(); ++i) {
          next[i] = representatives[i][choice_of(next_live[i], c)];
        }
        const auto [it, inserted] =
            state_of.try_emplace(next, static_cast<std::uint32_t>(next_states.size()));
        if (inserted) next_states.push_back(next);
        drafts.push_back(
            {{static_cast<std::uint32_t>(s), it->second, static_cast<std::uint32_t>(c), loss},
             drafts.size()});
        costs.insert(costs.end(), cost.begin(), cost.end());
        arc_peaks.insert(arc_peaks.end(), peak.begin(), peak.end());
      }
    }
    std::stable_sort(drafts.begin(), drafts.end(),
                     [](const Draft& a, const Draft& b) { return a.arc.to < b.arc.to; });
    LayeredLevel level;
    level.decision = decision;
    level.state_count = next_states.size();
    level.arcs.reserve(drafts.size());
    level.cost.reserve(drafts.size() * dims);
    level.peak.reserve(drafts.size() * peaks);
    for (const Draft& draft : drafts) {
      level.arcs.push_back(draft.arc);
      for (std::size_t d = 0; d < dims; ++d) level.cost.push_back(costs[draft.at * dims + d]);
      for (std::size_t p = 0; p < peaks; ++p) level.peak.push_back(arc_peaks[draft.at * peaks + p]);
    }
    graph_.levels.push_back(std::move(level));
    *states = std::move(next_states);
    return true;
  }

  template <typename ChoiceOf>
  bool AddPairs(std::size_t k, const ChoiceOf& choice_of, std::size_t own, std::int64_t* loss,
                std::vector<std::int64_t>* cost) const {
    for (std::size_t index : pairs_at_[k]) {
      const ReducedPair& pair = problem_.pairs[index];
      const std::size_t entry = choice_of(pair.first, own) * problem_.decisions[pair.second].count +
                                choice_of(pair.second, own);
      if (!pair.forbidden.empty() && pair.forbidden[entry]) return false;
      *loss += pair.loss[entry];
      for (std::size_t d = 0; d < cost->size() && !pair.cost.empty(); ++d) {
        (*cost)[d] += pair.cost[entry * cost->size() + d];
      }
    }
    return true;
  }

  template <typename ChoiceOf>
  bool AddCuts(std::size_t k, const ChoiceOf& choice_of, std::size_t own,
               std::vector<std::int64_t>* peak) const {
    std::fill(peak->begin(), peak->end(), 0);
    for (std::size_t index : cuts_at_[k]) {
      const ReducedCut& cut = problem_.cuts[index];
      std::int64_t live = cut.base;
      for (const ReducedCutMember& member : cut.members) {
        live += member.cost[choice_of(member.decision, own)];
      }
      if (live > problem_.peaks[cut.peak].limit) return false;
      (*peak)[cut.peak] = std::max((*peak)[cut.peak], live);
    }
    return true;
  }

  const ReducedProblem& problem_;
  std::vector<std::size_t> order_;
  LayeredGraph& graph_;
  std::vector<std::size_t> level_of_;
  std::vector<std::size_t> last_use_;
  std::vector<std::vector<std::size_t>> pairs_at_;
  std::vector<std::vector<std::size_t>> cuts_at_;
};

}  // namespace

bool LayeredGraph::separable() const {
  return std::all_of(levels.begin(), levels.end(),
                     [](const LayeredLevel& level) { return level.state_count <= 1; });
}

std::size_t LayeredGraph::arc_count() const {
  std::size_t count = 0;
  for (const LayeredLevel& level : levels) count += level.arcs.size();
  return count;
}

std::vector<std::uint32_t> LayeredGraph::ByDecision(
    const std::vector<std::uint32_t>& by_level) const {
  std::vector<std::uint32_t> result(levels.size());
  for (std::size_t k = 0; k < levels.size(); ++k) result[levels[k].decision] = by_level[k];
  return result;
}

bool BuildLayeredGraph(const ReducedProblem& problem, LevelOrder order, std::size_t max_arcs,
                       LayeredGraph* graph) {
  const auto neighbours = Neighbours(problem);
  double expected_arcs = 0.0;
  std::vector<std::size_t> levels = ChooseOrder(problem, order, neighbours, &expected_arcs);
  // Forbidden combinations can make the true number much smaller; beyond this do not even try.
  if (expected_arcs > 64.0 * static_cast<double>(max_arcs)) return false;
  return GraphBuilder(problem, std::move(levels), neighbours, graph).Build(max_arcs);
}

}  // namespace bitsearch
